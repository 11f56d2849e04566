//! Exponentials and their sums over a vocabulary, by which logits become probabilities.
//!
//! Our own, of additions and products alone: so they are the same bits on every platform
//! and instruction set, which a library's are not. A vocabulary has tens of thousands of
//! weights, for each token of each reply.

use super::simd::{Isa, Kernel, LANES, Simd};

/// Below this the weight is 0: less than a normal number holds.
const LOWEST: f64 = -708.0;

/// Logits whose weights are computed in one loop: enough that a compiler makes vectors of it.
const BLOCK: usize = 128;

/// e^`x` for `x` up to 709, to one unit in the last place or two.
///
/// x = n · ln 2 + r with |r| ≤ ln 2 / 2, ln 2 in two parts (Cody and Waite 1980), and
/// e^r by its Taylor polynomial of degree 13.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // Adding and taking away 1.5 · 2^52 rounds to a whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

    let clamped = clamp(x);
    let shifted = clamped * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut sum = 1.0 / 6_227_020_800.0;
    for factorial in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    ] {
        sum = sum * r + 1.0 / factorial;
    }
    let sum = (sum * r + 1.0) * r + 1.0;
    // The low bits of `shifted` are n; moved into the exponent they are 2^n.
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0f64.to_bits()));
    if x > LOWEST { sum * power } else { 0.0 }
}

/// Also what is no number becomes the lowest.
#[inline(always)]
fn clamp(x: f64) -> f64 {
    if x > LOWEST { x } else { LOWEST }
}

/// Sums over logits l, against the highest of them, h.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ExpSums {
    /// Σ e^(l − h).
    pub(crate) mass: f64,
    /// Σ (l − h) · e^(l − h).
    pub(crate) moment: f64,
}

/// The sums over `logits` against `highest`; −∞ adds nothing. The order of additions
/// follows from places alone: lane by lane, then the lanes.
pub(crate) fn exp_sums(logits: &[f32], highest: f32) -> ExpSums {
    exp_sums_on(Isa::best(), logits, highest)
}

fn exp_sums_on(isa: Isa, logits: &[f32], highest: f32) -> ExpSums {
    isa.run(Sums { logits, highest: f64::from(highest) })
}

struct Sums<'a> {
    logits: &'a [f32],
    highest: f64,
}

impl Kernel for Sums<'_> {
    type Output = ExpSums;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> ExpSums {
        let (mut masses, mut moments) = ([0.0; LANES], [0.0; LANES]);
        let (blocks, rest) = self.logits.as_chunks::<BLOCK>();
        let mut last = [f32::NEG_INFINITY; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        for block in blocks.iter().chain([&last]) {
            let (mut below, mut weights) = ([0.0; BLOCK], [0.0; BLOCK]);
            for at in 0..BLOCK {
                below[at] = clamp(f64::from(block[at]) - self.highest);
                weights[at] = exp(below[at]);
            }
            for at in (0..BLOCK).step_by(LANES) {
                for lane in 0..LANES {
                    masses[lane] += weights[at + lane];
                    moments[lane] += below[at + lane] * weights[at + lane];
                }
            }
        }
        ExpSums { mass: masses.iter().sum(), moment: moments.iter().sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_library_to_two_units_in_the_last_place() {
        let steps = (-7_079_999..=7_090_000).step_by(37).map(|i| f64::from(i) / 10_000.0);
        for x in steps.chain([0.0, -0.0, 1e-300, -1e-300, 0.5, -0.5, 709.0]) {
            let (ours, library) = (exp(x), x.exp());
            let error = (ours - library).abs() / library;
            assert!(error <= 3.0 * f64::EPSILON, "exp({x}) is {ours:e}, not {library:e}");
        }
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn what_has_no_weight_is_nothing() {
        for x in [-708.0, -1e9, f64::NEG_INFINITY, f64::MIN, f64::NAN] {
            assert_eq!(exp(x), 0.0);
        }
    }

    #[test]
    fn sums_are_the_same_bits_on_every_instruction_set() {
        for num_logits in [0, 1, 15, 16, 17, 1000] {
            let logit = |at: usize| match at % 7 {
                3 => f32::NEG_INFINITY,
                _ => ((at * 7919) % 1000) as f32 * -0.03,
            };
            let logits: Vec<_> = (0..num_logits).map(logit).collect();
            let below = logits.iter().map(|&logit| f64::from(logit)).filter(|x| x.is_finite());
            let mass: f64 = below.clone().map(f64::exp).sum();
            let moment: f64 = below.map(|x| x * x.exp()).sum();
            for isa in Isa::all() {
                let sums = exp_sums_on(isa, &logits, 0.0);
                assert!((sums.mass - mass).abs() <= 1e-13 * mass, "{}", isa.name());
                assert!((sums.moment - moment).abs() <= 1e-13 * -moment, "{}", isa.name());
                assert_eq!(sums, exp_sums_on(Isa::best(), &logits, 0.0), "{}", isa.name());
            }
        }
    }
}
