//! One figure, measured several times.
//!
//! Invariant: never empty, and every sample is a finite number.

use serde::Serialize;

/// The samples of one figure, in the order in which they were taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// `None` if there is no sample, or one that is no number.
    pub(super) fn new(samples: Vec<f64>) -> Option<Self> {
        let sound = !samples.is_empty() && samples.iter().all(|sample| sample.is_finite());
        sound.then_some(Self(samples))
    }

    /// The middle one; of an even number the mean of the two in the middle.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// The value that such a share of the samples does not exceed, between two of them in
    /// proportion; 0.5 is the median.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }

    /// The least.
    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The greatest.
    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let samples = |values: &[f64]| Samples::new(values.to_vec()).unwrap();
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        let five = samples(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((five.quantile(0.25), five.quantile(0.9)), (2.0, 4.6));
        let one = samples(&[7.0]);
        assert_eq!(one.quantile(0.3), 7.0);
        assert_eq!((one.min(), one.median(), one.max()), (7.0, 7.0, 7.0));
    }

    #[test]
    fn what_is_no_number_is_no_sample() {
        assert_eq!(Samples::new(Vec::new()), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
    }
}
