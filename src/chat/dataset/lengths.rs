//! Which length a reply has.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::domain::Length;

/// How many tokens the replies of each length have. Ranges may overlap or leave gaps, as
/// measured ones do.
pub type LengthRanges = Vec<(Length, RangeInclusive<usize>)>;

/// Ranges that end where replies of that length are cut: a reply that is called medium is
/// one that would have been whole at medium. The model card shows its own ranges as a
/// picture whose numbers are not known, so these are ours.
pub fn ranges_below(max_tokens: &BTreeMap<String, usize>) -> LengthRanges {
    let mut ranges = LengthRanges::new();
    let mut start = 1;
    for length in Length::ALL {
        let end = match (length.longer(), max_tokens.get(length.as_str())) {
            (None, _) => usize::MAX,
            (Some(_), Some(end)) => *end,
            (Some(_), None) => continue,
        };
        if start <= end {
            ranges.push((length, start..=end));
            start = end.saturating_add(1);
        }
    }
    ranges
}

/// The length whose range holds that many tokens, or else comes nearest; of several the
/// narrowest, which says most.
pub(super) fn length_of(num_tokens: usize, ranges: &[(Length, RangeInclusive<usize>)]) -> Length {
    let distance = |range: &RangeInclusive<usize>| {
        range.start().saturating_sub(num_tokens).max(num_tokens.saturating_sub(*range.end()))
    };
    let width = |range: &RangeInclusive<usize>| range.end().saturating_sub(*range.start());
    let nearest =
        ranges.iter().min_by_key(|(length, range)| (distance(range), width(range), *length));
    nearest.map_or(Length::Medium, |(length, _)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
        pairs.iter().map(|&(name, tokens)| (name.to_owned(), tokens)).collect()
    }

    #[test]
    fn every_number_of_tokens_has_one_length() {
        let lengths = Length::ALL.iter().zip([64, 96, 160, 320, 480, 640, 800, 1024, 1536, 2048]);
        let caps: BTreeMap<String, usize> =
            lengths.map(|(length, cap)| (length.as_str().to_owned(), cap)).collect();
        let ranges = ranges_below(&caps);
        assert_eq!(ranges.len(), 10);
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].1.end() + 1, *pair[1].1.start());
        }
        for (tokens, length) in [
            (0, Length::Micro),
            (1, Length::Micro),
            (64, Length::Micro),
            (65, Length::Tiny),
            (320, Length::Medium),
            (321, Length::Long),
            (1_536, Length::Humongous),
            (1_537, Length::Unlimited),
            (90_000, Length::Unlimited),
        ] {
            assert_eq!(length_of(tokens, &ranges), length, "{tokens}");
        }
    }

    #[test]
    fn limits_out_of_order_leave_a_length_out() {
        let ranges =
            ranges_below(&caps(&[("micro", 24), ("tiny", 24), ("medium", 20), ("long", 50)]));
        let lengths: Vec<_> = ranges.iter().map(|(length, _)| *length).collect();
        assert_eq!(lengths, [Length::Micro, Length::Long, Length::Unlimited]);
    }

    #[test]
    fn measured_ranges_may_overlap_and_leave_gaps() {
        let ranges = [(Length::Micro, 5..=20), (Length::Tiny, 15..=60), (Length::Long, 100..=400)];
        assert_eq!(length_of(2, &ranges), Length::Micro);
        assert_eq!(length_of(18, &ranges), Length::Micro, "the narrower one");
        assert_eq!(length_of(70, &ranges), Length::Tiny);
        assert_eq!(length_of(90, &ranges), Length::Long);
        assert_eq!(length_of(9_000, &ranges), Length::Long);
        assert_eq!(length_of(7, &[]), Length::Medium);
    }
}
