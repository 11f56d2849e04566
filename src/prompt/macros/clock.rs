//! Times in the words of other software: Moment's format letters and durations.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, FixedOffset, TimeDelta};

/// Moment's letters with chrono's, longer ones before those that begin them.
const LETTERS: [(&str, &str); 27] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%-m"),
    ("DDDD", "%j"),
    ("DDD", "%-j"),
    ("DD", "%d"),
    ("D", "%-d"),
    ("dddd", "%A"),
    ("ddd", "%a"),
    ("d", "%w"),
    ("HH", "%H"),
    ("H", "%-H"),
    ("hh", "%I"),
    ("h", "%-I"),
    ("mm", "%M"),
    ("m", "%-M"),
    ("ss", "%S"),
    ("s", "%-S"),
    ("SSS", "%3f"),
    ("A", "%p"),
    ("a", "%P"),
    ("ZZ", "%z"),
    ("Z", "%:z"),
    ("X", "%s"),
];
/// The same for whole dates and times.
const PHRASES: [(&str, &str); 6] = [
    ("LLLL", "%A, %B %-d, %Y %-I:%M %p"),
    ("LLL", "%B %-d, %Y %-I:%M %p"),
    ("LL", "%B %-d, %Y"),
    ("LTS", "%-I:%M:%S %p"),
    ("LT", "%-I:%M %p"),
    ("L", "%m/%d/%Y"),
];

/// Appends a time in a format of Moment's (momentjs.com/docs, “Format”); what stands in
/// brackets, and every other letter, is text.
pub(super) fn format(now: DateTime<FixedOffset>, format: &str, out: &mut String) {
    let mut rest = format.trim();
    while let Some(first) = rest.chars().next() {
        if first == '['
            && let Some(end) = rest.find(']')
        {
            out.push_str(&rest[1..end]);
            rest = &rest[end + 1..];
        } else if let Some(after) = rest.strip_prefix("Do") {
            let day = now.day();
            let _ = write!(out, "{day}{}", ordinal(day));
            rest = after;
        } else if let Some((letters, chronos)) =
            PHRASES.iter().chain(&LETTERS).find(|(letters, _)| rest.starts_with(letters))
        {
            let _ = write!(out, "{}", now.format(chronos));
            rest = &rest[letters.len()..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
}

fn ordinal(day: u32) -> &'static str {
    match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// The offset from UTC in whole hours, as in `+2` and `-11`.
pub(super) fn offset(hours: &str) -> Option<FixedOffset> {
    let is_signed = hours.starts_with(['+', '-']);
    let hours: i32 = hours.parse().ok().filter(|_| is_signed)?;
    FixedOffset::east_opt(hours.checked_mul(3_600)?)
}

/// A duration as one says it, with Moment's thresholds (“Humanize”): 45 seconds are a
/// minute, 22 hours a day, 26 days a month, eleven months a year.
pub(super) fn in_words(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds().max(0) as f64;
    let rounded = |unit: f64| (seconds / unit).round() as i64;
    let [minutes, hours, days] = [60.0, 3_600.0, 86_400.0].map(rounded);
    let [months, years] = [30.436_875 * 86_400.0, 365.242_5 * 86_400.0].map(rounded);
    match () {
        () if seconds < 45.0 => "a few seconds".to_owned(),
        () if minutes <= 1 => "a minute".to_owned(),
        () if minutes < 45 => format!("{minutes} minutes"),
        () if hours <= 1 => "an hour".to_owned(),
        () if hours < 22 => format!("{hours} hours"),
        () if days <= 1 => "a day".to_owned(),
        () if days < 26 => format!("{days} days"),
        () if months <= 1 => "a month".to_owned(),
        () if months < 11 => format!("{months} months"),
        () if years <= 1 => "a year".to_owned(),
        () => format!("{years} years"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_moments() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T16:05:09+01:00").unwrap();
        for (letters, expected) in [
            ("DD.MM.YYYY HH:mm", "23.11.2026 16:05"),
            ("dddd, MMMM Do [at] h:mm A", "Monday, November 23rd at 4:05 PM"),
            ("LL LT Z", "November 23, 2026 4:05 PM +01:00"),
            ("[open é %", "[open é %"),
        ] {
            let mut out = String::new();
            format(now, letters, &mut out);
            assert_eq!(out, expected, "{letters}");
        }
        assert_eq!(
            [1, 2, 3, 11, 12, 22, 30].map(ordinal),
            ["st", "nd", "rd", "th", "th", "nd", "th"]
        );
    }

    #[test]
    fn durations_in_words() {
        for (seconds, words) in [
            (-5, "a few seconds"),
            (44, "a few seconds"),
            (60, "a minute"),
            (44 * 60, "44 minutes"),
            (50 * 60, "an hour"),
            (21 * 3_600, "21 hours"),
            (23 * 3_600, "a day"),
            (25 * 86_400, "25 days"),
            (28 * 86_400, "a month"),
            (100 * 86_400, "3 months"),
            (350 * 86_400, "a year"),
            (10_000 * 86_400, "27 years"),
        ] {
            assert_eq!(in_words(TimeDelta::seconds(seconds)), words);
        }
    }
}
