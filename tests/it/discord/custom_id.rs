//! Ids of buttons and forms, as the bot writes them.

/// A number as it stands in one; none is negative here.
pub(super) fn base36(number: i64) -> String {
    let digit = |value: i64| char::from_digit(value as u32, 36).unwrap();
    if number < 36 {
        return digit(number).into();
    }
    let mut text = base36(number / 36);
    text.push(digit(number % 36));
    text
}
