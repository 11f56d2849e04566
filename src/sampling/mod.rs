//! From one row of logits to one token.
//!
//! A [`Sampler`] belongs to one reply: it runs the logits processors of its
//! [`SamplerParams`] in their order and draws a token. It knows no tensor, no
//! tokenizer and no clock; what a token spells, it learns from a [`Vocabulary`].
//!
//! Invariant: the same parameters, seed, logits and history give the same
//! tokens, and a masked token (logit −∞) is never drawn while another is left.

mod candidates;
mod dry;
mod dynatemp;
mod explain;
mod mask;
mod min_p;
mod mirostat;
mod order;
mod params;
mod presets;
mod repetition_penalty;
mod sampler;
mod temperature;
mod tfs;
mod top_a;
mod top_k;
mod top_p;
mod typical;
mod validate;
mod vocabulary;
mod xtc;

pub use mask::mask;
pub use order::SamplerStage;
pub use params::{Dry, DynamicTemperature, Mirostat, SamplerParams, Xtc};
pub use sampler::{Sampler, SamplerState};
pub use validate::SamplerParamsError;
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
