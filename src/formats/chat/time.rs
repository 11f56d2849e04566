//! The spellings of time in chats: unix milliseconds, ISO 8601, and SillyTavern's two.
//!
//! SillyTavern writes local time without its offset, or UTC; both are read as UTC.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use regex::{Captures, Regex};

/// `2024-6-5 @14h 56m 50s 682ms`, and without spaces or milliseconds.
static HUMANIZED: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"^\s*(\d{4})-(\d{1,2})-(\d{1,2}) ?@ ?(\d{1,2})h ?(\d{1,2})m ?(\d{1,2})s(?: ?(\d{1,3})ms)?\s*$";
    Regex::new(pattern).expect("the pattern is constant and valid")
});
/// `June 19, 2023 2:20pm`.
static MERIDIEM: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)^\s*([a-z]{3,9}) (\d{1,2}), (\d{4}) (\d{1,2}):(\d{2}) ?([ap])m\s*$";
    Regex::new(pattern).expect("the pattern is constant and valid")
});

/// A time as any of these spell it; `None` where it is none.
pub(super) fn read(spelled: &str) -> Option<DateTime<Utc>> {
    let spelled = spelled.trim();
    if let Ok(number) = spelled.parse::<f64>() {
        // Whoever counts seconds is far from the milliseconds of this century.
        let millis = if number.abs() < 1e11 { number * 1e3 } else { number };
        return DateTime::from_timestamp_millis(millis as i64).filter(|_| number > 0.0);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(spelled) {
        return Some(time.to_utc());
    }
    if let Some(found) = HUMANIZED.captures(spelled) {
        return humanized(&found);
    }
    if let Some(found) = MERIDIEM.captures(spelled) {
        return meridiem(&found);
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let naive = formats.iter().find_map(|f| NaiveDateTime::parse_from_str(spelled, f).ok());
    naive.map(|naive| naive.and_utc())
}

fn humanized(found: &Captures<'_>) -> Option<DateTime<Utc>> {
    let number = |at| found.get(at).map_or(Some(0), |part| part.as_str().parse::<u32>().ok());
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(1)?).ok()?, number(2)?, number(3)?)?;
    let time = date.and_hms_milli_opt(number(4)?, number(5)?, number(6)?, number(7)?)?;
    Some(time.and_utc())
}

fn meridiem(found: &Captures<'_>) -> Option<DateTime<Utc>> {
    let spelled = format!("{} {}, {}", &found[1], &found[2], &found[3]);
    let date = NaiveDate::parse_from_str(&spelled, "%B %d, %Y").ok()?;
    let hour: u32 = found[4].parse().ok()?;
    let afternoon = if found[6].eq_ignore_ascii_case("p") { 12 } else { 0 };
    let time = date.and_hms_opt(hour % 12 + afternoon, found[5].parse().ok()?, 0)?;
    Some(time.and_utc())
}

/// The spelling that every version of SillyTavern reads, to the millisecond.
pub(super) fn write(time: DateTime<Utc>) -> String {
    time.format("%Y-%-m-%-d @%Hh %Mm %Ss %3fms").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (spelled, expected) in [
            ("1690000000000", "2023-07-22T04:26:40Z"),
            ("1690000000", "2023-07-22T04:26:40Z"),
            ("2023-07-22T04:26:40.500Z", "2023-07-22T04:26:40.5Z"),
            ("2023-07-22T06:26:40+02:00", "2023-07-22T04:26:40Z"),
            ("2024-6-5 @14h 56m 50s 682ms", "2024-06-05T14:56:50.682Z"),
            ("2024-7-12@01h31m37s", "2024-07-12T01:31:37Z"),
            ("June 19, 2023 2:20pm", "2023-06-19T14:20:00Z"),
            ("June 19, 2023 12:05am", "2023-06-19T00:05:00Z"),
        ] {
            let time = DateTime::parse_from_rfc3339(expected).unwrap().to_utc();
            assert_eq!(read(spelled), Some(time), "{spelled}");
            assert_eq!(read(&write(time)), Some(time));
        }
        for spelled in
            ["", "yesterday", "2024-13-5 @14h 56m 50s", "-5", "1e300", "June 99, 2023 2:20pm"]
        {
            assert_eq!(read(spelled), None, "{spelled}");
        }
    }
}
