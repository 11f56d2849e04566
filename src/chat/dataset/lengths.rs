//! Which length a reply has.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::domain::Length;

/// How many tokens the replies of each length have. Ranges may overlap or leave gaps, as
/// measured ones do.
pub type LengthRanges = Vec<(Length, RangeInclusive<usize>)>;

/// The ranges of the settings or of the model's profile, in tokens from and to, by the names
/// of lengths; what is longer than all of them is unlimited.
pub fn ranges_of(lengths: &BTreeMap<String, [usize; 2]>) -> LengthRanges {
    let known = |length: Length| {
        let [from, to] = *lengths.get(length.as_str())?;
        Some((length, from..=to))
    };
    let mut ranges: LengthRanges = Length::ALL.into_iter().filter_map(known).collect();
    if !lengths.contains_key(Length::Unlimited.as_str()) {
        let longest = ranges.iter().map(|(_, range)| *range.end()).max().unwrap_or(0);
        ranges.push((Length::Unlimited, longest.saturating_add(1)..=usize::MAX));
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

    #[test]
    fn the_shipped_ranges_give_every_number_of_tokens_a_length() {
        let table: toml::Table = toml::from_str(crate::config::Config::DEFAULTS).unwrap();
        let lengths = table["generation"]["lengths"].clone().try_into().unwrap();
        let ranges = ranges_of(&lengths);
        assert_eq!(ranges.len(), 10);
        let mut last = Length::Micro;
        for tokens in 0..3_000 {
            let length = length_of(tokens, &ranges);
            assert!(length >= last, "{tokens} tokens are {length}, fewer were {last}");
            last = length;
        }
        for (tokens, length) in [
            (0, Length::Micro),
            (30, Length::Micro),
            (180, Length::Medium),
            (1_380, Length::Humongous),
            (1_381, Length::Unlimited),
            (90_000, Length::Unlimited),
        ] {
            assert_eq!(length_of(tokens, &ranges), length, "{tokens}");
        }
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
