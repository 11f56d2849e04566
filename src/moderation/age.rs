//! Ages that a text states, in digits and in words.
//!
//! Years that passed (`16 years ago`) and the age of things are none. Invariant: a number is
//! read whole, so that nobody of thirty-five is five.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::normal::Folded;

/// From this age on nobody is a minor.
pub(super) const OF_AGE: u32 = 18;

/// Numbers that people spell, by their place.
const UNITS: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// The tens from twenty on.
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// What has an age and is nobody.
const THINGS: &str = "whisk|scotch|wine|brandy|rum|port\\b|ale\\b|mead|cheese|house|ship|boat|oak|\
                      tree|feud|war\\b|debt|law\\b|building|bottle|horse|dog|cat\\b|grudge|wound|scar";

/// The ways in which an age is stated, the labelled ones first. A group `thing` that takes
/// part makes it none.
static STATED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let word = format!("{}|{}|hundred|thousand", UNITS.join("|"), TENS.join("|"));
    let number = format!(
        r"(?<n>(?:(?:{word})(?:\s+and)?[\s-]+)*(?:\d{{1,3}}(?:[.,]\d{{3}})+|\d{{1,5}}|{word}))"
    );
    let digits = r"(?<n>\d{1,2})";
    let patterns = [
        format!(r"\b(?:age|alter|edad)\s*(?:[:=(]|is)\s*(?:only\s+)?[\[\x22]?{number}\b"),
        format!(r"\baged?\s+(?:of\s+|about\s+|only\s+)?{number}\b"),
        format!(
            r"\b{number}[\s-]*(?:years?|yrs?|y)[\s/.-]*(?:olds?|o|of age)\b(?:\s*(?<thing>{THINGS}))?"
        ),
        format!(
            r"\b(?:i am|i'm|she is|she's|he is|he's)\s+(?:only\s+|just\s+|barely\s+)?{digits}\s*(?:[.,!;?]|and\b|$)"
        ),
        format!(r"\b{digits}[\s-]*(?:jahre alt|jahrige?[nrs]?)\b"),
        format!(r"(?<thing>\by )?\b(?:a|agee? de)\s+{digits}\s+ans\b"),
        format!(r"\b(?:tiene|tengo|de)\s+{digits}\s+anos\b"),
    ];
    patterns.map(|pattern| Regex::new(&pattern).expect("a valid pattern")).into()
});

/// All ages that the text states, with where.
pub(super) fn stated(folded: &Folded) -> Vec<(Range<usize>, u32)> {
    let (line, at) = folded.line();
    let bytes = |span: Range<usize>| {
        let glyph = |at_byte: usize| folded.glyphs()[at[at_byte] as usize];
        glyph(span.start).start as usize..glyph(span.end - 1).end as usize
    };
    let age = |found: Captures<'_>| match found.name("thing") {
        Some(_) => None,
        None => Some((bytes(found.get(0)?.range()), read(&found["n"])?)),
    };
    STATED.iter().flat_map(|way| way.captures_iter(&line).filter_map(age)).collect()
}

/// A number in digits, in words or in both.
fn read(number: &str) -> Option<u32> {
    let number = number.replace([',', '.'], "");
    let mut sum = 0_u32;
    let parts = number.split(|c: char| c.is_whitespace() || c == '-');
    for part in parts.filter(|part| !part.is_empty() && *part != "and") {
        let place = |words: &[&str]| words.iter().position(|word| *word == part);
        sum = match (part, place(&UNITS), place(&TENS)) {
            ("hundred", ..) => sum.max(1).saturating_mul(100),
            ("thousand", ..) => sum.max(1).saturating_mul(1000),
            (_, Some(unit), _) => sum.saturating_add(unit as u32),
            (_, _, Some(ten)) => sum.saturating_add(20 + 10 * ten as u32),
            _ => sum.saturating_add(part.parse().ok()?),
        };
    }
    Some(sum)
}

/// The age that a description gives somebody, in years: after the word age, else the first
/// that stands there.
fn declared_age(text: &str) -> Option<u32> {
    stated(&Folded::new(text)).first().map(|(_, age)| *age)
}

/// Whether a description says that somebody is under age.
pub fn declares_minor(text: &str) -> bool {
    declared_age(text).is_some_and(|age| age < OF_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_from_descriptions() {
        for (text, age) in [
            ("Age: 16", 16),
            ("A 34 years old smith with a 9 years old daughter", 34),
            ("Has a 9-year-old son. Age: 41.", 41),
            ("a fifteen-year-old squire", 15),
            ("aged 212, an elf", 212),
            ("15yo", 15),
            ("15 y/o", 15),
            ("１５ years old", 15),
            ("I'm only 15.", 15),
            ("ein 15-jähriger", 15),
            ("elle a 15 ans", 15),
            ("tiene 15 años", 15),
        ] {
            assert_eq!(declared_age(text), Some(age), "{text}");
        }
    }

    #[test]
    fn numbers_are_read_whole() {
        for (text, age) in [
            ("a thirty-five-year-old smith", 35),
            ("twenty five years old", 25),
            ("She is one hundred and twelve years old", 112),
            ("an elf, a thousand and ten years old", 1010),
            ("1,017 years old", 1017),
            ("Aged thirty-five", 35),
            ("Age: twenty-five", 25),
            ("Age: 25 (looks 16)", 25),
        ] {
            assert_eq!(declared_age(text), Some(age), "{text}");
        }
    }

    #[test]
    fn years_and_things_are_no_ages() {
        for text in [
            "16 years ago",
            "In an age of wonders she sailed for 16 years",
            "a twelve-year-old whisky",
            "il y a 15 ans",
            "I'm ten minutes late",
            "room 12",
            "the age of sail",
        ] {
            assert_eq!(declared_age(text), None, "{text}");
        }
    }
}
