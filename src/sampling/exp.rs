//! The exponential by which logits become weights.
//!
//! Our own, of additions and products alone: so it is the same bits on every platform,
//! which a library's is not, and compilers make vectors of it. A vocabulary has tens of
//! thousands of weights, for each token of each reply.

/// Below this the weight is 0: less than a normal number holds.
const LOWEST: f64 = -708.0;

/// e^`x` for `x` up to 709, to one unit in the last place or two.
///
/// x = n · ln 2 + r with |r| ≤ ln 2 / 2, ln 2 in two parts (Cody and Waite 1980), and
/// e^r by its Taylor polynomial of degree 13.
#[inline]
pub(super) fn exp(x: f64) -> f64 {
    // Adding and taking away 1.5 · 2^52 rounds to a whole number.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

    let clamped = if x > LOWEST { x } else { LOWEST };
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
}
