//! Brings named files onto this machine: verified, atomically placed, resumable.
//!
//! Blocking, for a command line or a blocking task. Knows no settings and draws
//! nothing: options go in, [`ProgressEvent`]s come out. Invariant: a file stands
//! under its final name only when it is whole and its sum is right.

mod artifact;
mod catalogue;
mod digest;
mod error;
mod fetcher;
mod hub;
mod model_store;
mod pip;
mod place;
mod progress;
mod source;
mod wheel;

pub use artifact::{Artifact, Tree, TreeWheel};
pub use catalogue::{KnownModel, known_model, known_models};
pub use digest::{Digest, ParseDigestError};
pub use error::{Attempt, FetchError, SourceError};
pub use fetcher::{FetchOptions, Fetched, Fetcher};
pub use model_store::{ModelRequest, ModelStore, ModelStoreError, PulledModel};
pub use place::free_bytes;
pub use progress::{Progress, ProgressEvent};
pub use source::{ParseSourceError, Repository, Source};
