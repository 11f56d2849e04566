//! `dramatis bench gpu`: which share of a GPU's limits each kernel of a decoder reaches.
//!
//! Two kernels measure the limits on the spot: one only reads memory, the other only
//! multiplies. Of each other kernel it is known what it has to read and to multiply; what it
//! takes longer than that is its own. Nothing is loaded: shapes count, not weights.

mod clock;
mod figure;
mod measured;
mod rows;
mod step;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::super::Session;
use super::super::output::{line, note};
use super::shape::Shape;
use super::table::{number, percent, table};
use crate::gpu::{Device, Format, Operand};
use crate::model::Backend;
use crate::service;
use figure::{Figure, Limits};
use measured::{Effort, Measured};
use step::Step;

/// Measure each kernel on a GPU of NVIDIA's, beside what the GPU can do at most
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GpuArgs {
    /// The decoder's shape: tiny, mistral-7b or mistral-7b:LAYERS
    #[arg(long, value_name = "SHAPE", default_value = "mistral-7b")]
    shape: Shape,
    /// The form of the weights
    #[arg(long, value_name = "FORM", default_value = "bf16")]
    weights: Form,
    /// Fewer sizes
    #[arg(long)]
    quick: bool,
    /// As JSON, with every sample
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  dramatis bench gpu
  dramatis bench gpu --weights q8_0 --json
  dramatis --set workers.on=cuda:1 bench gpu --quick

The first of the GPUs that workers.on names is measured. A kernel's bytes are what has to be
read and written once, its multiply-adds those that count: what it reads twice, or computes
for nobody, lowers its share. Matrices, keys and values come from memory, as copies are used
in turn; rows come from the cache, as in a step, and may exceed what memory gives. The limit
of products is that of mma.m16n8k16, which our kernels use; a multiply-add is two operations.
Steps are sums over kernels, without lookups, sampling, or anything on the CPU.";

/// In which form weights are kept on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Bfloats
    Bf16,
    /// Halves
    F16,
    /// GGML's Q8_0
    #[value(name = "q8_0")]
    Q8,
    /// GGML's Q4_K
    #[value(name = "q4_k")]
    Q4K,
    /// GGML's Q6_K
    #[value(name = "q6_k")]
    Q6K,
}

impl Form {
    /// How matrices are kept, and what is multiplied.
    fn kept(self) -> (Format, Operand) {
        match self {
            Self::Bf16 => (Format::Plain, Operand::Bfloat),
            Self::F16 => (Format::Plain, Operand::Half),
            Self::Q8 => (Format::Q8, Operand::Half),
            Self::Q4K => (Format::Q4K, Operand::Half),
            Self::Q6K => (Format::Q6K, Operand::Half),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// At which sizes kernels are measured.
#[derive(Debug)]
struct Sizes {
    /// Rows of products and norms; those of steps are among them.
    tokens: Vec<usize>,
    /// Rows that decode.
    streams: Vec<usize>,
    /// Positions that these see.
    depths: Vec<usize>,
    /// Rows of a prompt.
    prompts: Vec<usize>,
}

impl Sizes {
    fn new(quick: bool) -> Self {
        let (tokens, streams, depths, prompts): (&[_], &[_], &[_], &[_]) = match quick {
            true => (&[1, 8, 64, 512], &[1, 8, 64], &[512], &[512]),
            false => {
                (&[1, 8, 16, 32, 64, 512, 2048], &[1, 8, 64], &[512, 4096], &[512, 2048, 4096])
            }
        };
        let [tokens, streams, depths, prompts] =
            [tokens, streams, depths, prompts].map(<[usize]>::to_vec);
        Self { tokens, streams, depths, prompts }
    }

    /// How much is timed: the limits, five matrices, two kinds of attention and of rows.
    fn num_figures(&self) -> usize {
        3 + 7 * self.tokens.len() + self.streams.len() * self.depths.len() + self.prompts.len()
    }
}

/// What was found.
#[derive(Debug)]
struct Findings {
    device: String,
    limits: Limits,
    figures: Vec<Figure>,
    steps: Vec<Step>,
}

pub(super) fn run(session: &Session, args: &GpuArgs) -> anyhow::Result<()> {
    let Backend::Gpu(place) = service::local_backend(&session.config)? else {
        bail!(
            "there is no GPU of NVIDIA's to measure: workers.on is another place, or the machine \
             has none that can be used; name one (--set workers.on=cuda:0) to hear why not"
        );
    };
    note(format_args!("measuring the kernels on {place} …"));
    let device = place.open()?;
    let findings = measure(&device, args, &Sizes::new(args.quick), Effort::FULL)?;
    match args.json {
        true => line(serde_json::to_string_pretty(&report(args, &findings))?),
        false => line(text(args, &findings)),
    }
    Ok(())
}

fn measure(
    device: &Arc<dyn Device>,
    args: &GpuArgs,
    sizes: &Sizes,
    effort: Effort,
) -> anyhow::Result<Findings> {
    let config = args.shape.config();
    let measured = Measured::new(device, &config, args.weights, sizes, effort)?;
    let limits = measured.limits()?;
    let figures = measured.figures()?;
    let steps = Step::all(&figures, &limits, config.num_layers, sizes);
    Ok(Findings { device: device.name(), limits, figures, steps })
}

fn report(args: &GpuArgs, findings: &Findings) -> Value {
    let Findings { device, limits, figures, steps } = findings;
    json!({
        "bench": "gpu",
        "version": env!("CARGO_PKG_VERSION"),
        "device": device,
        "shape": args.shape.to_string(),
        "weights": args.weights.name(),
        "limits": limits.report(),
        "kernels": figures.iter().map(|figure| figure.report(limits)).collect::<Vec<_>>(),
        "steps": steps.iter().map(Step::report).collect::<Vec<_>>(),
    })
}

fn text(args: &GpuArgs, findings: &Findings) -> String {
    let Findings { device, limits, figures, steps } = findings;
    let heading = format!(
        "{device}, {}, weights {}\nat most {} GB/s from memory and {} TMAC/s of products; a launch \
         takes {} µs",
        args.shape,
        args.weights.name(),
        number(limits.bytes_per_s / 1e9),
        number(limits.multiply_adds_per_s / 1e12),
        number(limits.launch_s * 1e6)
    );
    let mut kernels = table(["kernel", "µs", "GB/s", "of most", "TMAC/s", "of most", "bound by"]);
    for figure in figures {
        let at = figure.positions.map_or(String::new(), |positions| format!(" at {positions}"));
        kernels.add_row([
            format!("{}, {}{at}", figure.kernel.name(), figure.tokens),
            number(figure.seconds() * 1e6),
            number(figure.bytes_per_s() / 1e9),
            percent(figure.bytes_per_s() / limits.bytes_per_s),
            number(figure.multiply_adds_per_s() / 1e12),
            percent(figure.multiply_adds_per_s() / limits.multiply_adds_per_s),
            limits.bound(&figure.work).to_string(),
        ]);
    }
    let mut sums =
        table(["step", "ms", "tokens/s", "at most", "reached", "attention", "norms and heads"]);
    for step in steps {
        let [attention, rows] = step.shares();
        sums.add_row([
            step.title(),
            number(step.seconds() * 1e3),
            number(step.tokens_per_s()),
            number(step.most_tokens_per_s()),
            percent(step.tokens_per_s() / step.most_tokens_per_s()),
            percent(attention),
            percent(rows),
        ]);
    }
    format!("{heading}\n\n{kernels}\n\n{sums}")
}
