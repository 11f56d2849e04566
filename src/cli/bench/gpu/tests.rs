//! The whole bench on the emulated GPU: what is counted and shown, not how long it takes.

use std::time::Duration;

use super::clock::Clock;
use super::figure::{Kernel, Work};
use super::*;
use crate::gpu::{Emulator, Gpu, GpuPlace};

/// Everything once, in two rounds.
const EFFORT: Effort = Effort {
    clock: Clock { recording: Duration::ZERO, round: Duration::ZERO, num_rounds: 2 },
    rotated_bytes: 1,
    read_blocks: 2,
    multiply_blocks: 2,
    multiply_rounds: 2,
};

fn args(weights: Form) -> GpuArgs {
    GpuArgs { shape: Shape::Tiny, weights, quick: true, json: false }
}

fn sizes() -> Sizes {
    Sizes { tokens: vec![1, 2, 40], streams: vec![1, 2], depths: vec![40], prompts: vec![40] }
}

/// What the bench finds on an emulated GPU; `None` where there is none.
fn findings(weights: Form, effort: Effort) -> Option<Findings> {
    let place = GpuPlace::emulated(Arc::new(Emulator::new(1 << 26)?));
    Some(measure(&place.open().unwrap(), &args(weights), &sizes(), effort).unwrap())
}

fn work(findings: &Findings, kernel: Kernel, tokens: usize) -> Work {
    let of = |figure: &&Figure| (figure.kernel, figure.tokens) == (kernel, tokens);
    findings.figures.iter().find(of).unwrap().work
}

#[test]
fn what_kernels_have_to_do_is_counted() {
    let Some(findings) = findings(Form::Q8, EFFORT) else { return };
    let work = |kernel, tokens| work(&findings, kernel, tokens);
    let one = |bytes, multiply_adds| Work { bytes, multiply_adds, launches: 1 };
    // Of 64 columns: 4 query heads and 2 times 2 others of 16, in 8 tiles of 1,088 bytes.
    assert_eq!(work(Kernel::Heads, 1), one(8 * 1088 + 64 * 2 + 128 * 4, 128 * 64));
    assert_eq!(work(Kernel::Heads, 40), one(8 * 1088 + 40 * 640, 40 * 128 * 64));
    // What is added is read as well; what is gated are operands.
    assert_eq!(work(Kernel::AttentionOutput, 2), one(4 * 1088 + 2 * (128 + 512), 2 * 64 * 64));
    assert_eq!(work(Kernel::Gate, 1), one(16 * 1088 + 128 + 256, 256 * 64));
    assert_eq!(work(Kernel::Down, 1), one(4 * 2 * 1088 + 256 + 512, 64 * 128));
    assert_eq!(work(Kernel::Output, 1), one(17 * 1088 + 128 + 258 * 4, 258 * 64));
    // A position has 2 heads of 64 elements, filled up, of keys, and 16 of values.
    let position = 2 * (64 + 16) * 2;
    assert_eq!(
        work(Kernel::AttendPieces, 2),
        Work { launches: 2, ..one(2 * (40 * position + 256), 2 * 40 * 128) }
    );
    assert_eq!(work(Kernel::AttendTiles, 40), one(40 * (position + 256), 40 * 41 / 2 * 128));
    assert_eq!(work(Kernel::RmsNorm, 2), one(64 * 4 + 2 * 64 * 6, 0));
    assert_eq!(work(Kernel::StoreHeads, 1), one((128 + 16) * 4 + 128 + position, 0));
    assert_eq!(Gpu::ROUND_MULTIPLY_ADDS, 8 * 16 * 2048);
}

#[test]
fn everything_measured_is_in_the_table_and_in_json() {
    for weights in [Form::Bf16, Form::F16, Form::Q8] {
        // Copies in turn, as for a GPU.
        let Some(findings) = findings(weights, Effort { rotated_bytes: 40_000, ..EFFORT }) else {
            return;
        };
        let Findings { limits, figures, steps, .. } = &findings;
        let limits = [limits.bytes_per_s, limits.multiply_adds_per_s, limits.launch_s];
        assert!(limits.iter().all(|limit| limit.is_finite() && *limit > 0.0), "{limits:?}");
        assert_eq!(figures.len() + 3, sizes().num_figures());
        let titles: Vec<_> = steps.iter().map(Step::title).collect();
        assert_eq!(titles, ["decode, 1 at 40", "decode, 2 at 40", "prefill of 40"]);
        for step in steps {
            assert!(step.tokens_per_s() > 0.0 && step.most_tokens_per_s() > 0.0, "{step:?}");
        }

        let text = text(&args(weights), &findings);
        let report = report(&args(weights), &findings);
        assert_eq!((&report["device"], &report["shape"]), (&"emulated".into(), &"tiny".into()));
        assert_eq!(report["weights"], weights.name());
        let rows = report["kernels"].as_array().unwrap();
        assert_eq!(rows.len(), figures.len());
        for (row, figure) in rows.iter().zip(figures) {
            assert_eq!(
                (&row["kernel"], &row["bytes"]),
                (&figure.kernel.name().into(), &figure.work.bytes.into())
            );
            assert_eq!(row["samples"].as_array().unwrap().len(), 2);
            let name = format!("{}, {}", figure.kernel.name(), figure.tokens);
            assert!(text.contains(&name), "{name} in\n{text}");
        }
        assert_eq!(report["steps"].as_array().unwrap().len(), 3);
        assert_eq!(report["steps"][0]["kernels_s"].as_object().unwrap().len(), 8);
        assert!(titles.iter().all(|title| text.contains(title)), "{text}");
    }
}

#[test]
fn a_form_that_rows_do_not_divide_into_is_refused() {
    let Some(device) = Emulator::new(1 << 26) else { return };
    let device = GpuPlace::emulated(Arc::new(device)).open().unwrap();
    let error = measure(&device, &args(Form::Q4K), &sizes(), EFFORT).unwrap_err().to_string();
    assert!(error.contains("256") && error.contains("--weights"), "{error}");
}
