//! Escapes and classes of JavaScript's regular expressions.

use super::javascript::{Reader, RegexError};
use super::pattern::{Class, DIGITS, Item, Node, SPACES, WORD};

impl Reader<'_> {
    /// What follows a backslash outside a class.
    pub(super) fn escape(&mut self) -> Result<Node, RegexError> {
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("it ends in a backslash"));
        };
        let has_names = self.names.iter().any(Option::is_some);
        Ok(match next {
            'b' | 'B' => Node::Boundary { negated: next == 'B' },
            'k' if has_names || self.flags.unicode => self.named_reference()?,
            '1'..='9' => self.numbered_reference(next)?,
            _ => match self.set(next)? {
                Some(item) => Node::Class(Class::of(item)),
                None => Node::literal(self.escaped_char(next)?),
            },
        })
    }

    /// The set that an escape stands for, in a class or outside.
    fn set(&mut self, next: char) -> Result<Option<Item>, RegexError> {
        Ok(Some(match next {
            'd' => Item::Ranges(DIGITS),
            'D' => Item::Except(DIGITS),
            'w' => Item::Ranges(WORD),
            'W' => Item::Except(WORD),
            's' => Item::Ranges(SPACES),
            'S' => Item::Except(SPACES),
            'p' | 'P' if self.flags.unicode => Item::Property(self.property(next)?),
            _ => return Ok(None),
        }))
    }

    fn property(&mut self, sign: char) -> Result<String, RegexError> {
        let invalid = RegexError::Invalid("a property has no name");
        if self.chars.next_if_eq(&'{').is_none() {
            return Err(invalid);
        }
        let name: String = self.chars.by_ref().take_while(|char| *char != '}').collect();
        let is_word = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '=');
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(invalid);
        }
        Ok(format!(r"\{sign}{{{name}}}"))
    }

    fn named_reference(&mut self) -> Result<Node, RegexError> {
        let unknown = RegexError::Invalid("a reference names no group");
        if self.chars.next_if_eq(&'<').is_none() {
            return Err(unknown);
        }
        let name: String = self.chars.by_ref().take_while(|char| *char != '>').collect();
        let named = |other: &Option<String>| other.as_ref() == Some(&name);
        let index = self.names.iter().position(named).ok_or(unknown)?;
        Ok(Node::Reference(index + 1))
    }

    fn numbered_reference(&mut self, first: char) -> Result<Node, RegexError> {
        let mut number = first.to_digit(10).unwrap_or(0) as usize;
        let mut ahead = self.chars.clone();
        let mut len = 0;
        while let Some(digit) = ahead.next().and_then(|char| char.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit as usize);
            len += 1;
        }
        if number <= self.names.len() {
            self.chars.by_ref().take(len).for_each(drop);
            return Ok(Node::Reference(number));
        }
        if self.flags.unicode {
            return Err(RegexError::Invalid("a reference is to no group"));
        }
        Ok(Node::literal(if first < '8' { self.octal(first) } else { first }))
    }

    /// A character code of up to three octal digits, as old scripts write it.
    fn octal(&mut self, first: char) -> char {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.chars.peek().and_then(|char| char.to_digit(8)) else { break };
            if code * 8 + digit > 0o377 {
                break;
            }
            code = code * 8 + digit;
            self.chars.next();
        }
        char::from_u32(code).unwrap_or('\0')
    }

    /// The character that an escape stands for, in a class or outside.
    fn escaped_char(&mut self, next: char) -> Result<char, RegexError> {
        let unicode = self.flags.unicode;
        Ok(match next {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'v' => '\u{b}',
            'f' => '\u{c}',
            '0' => self.octal('0'),
            'c' => match self.chars.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter as u8 % 32),
                None if unicode => return Err(RegexError::Invalid("an escape is unknown")),
                None => return Err(RegexError::Unsupported),
            },
            'x' => self.hex(2).unwrap_or(Some('x')).ok_or(RegexError::Unsupported)?,
            'u' => self.unicode_escape()?,
            _ if unicode && next.is_alphanumeric() => {
                return Err(RegexError::Invalid("an escape is unknown"));
            }
            _ => next,
        })
    }

    /// A code of so many hexadecimal digits: `None` if they do not stand there, and no
    /// character if it is none's.
    fn hex(&mut self, len: usize) -> Option<Option<char>> {
        let digits: String = self.chars.clone().take(len).collect();
        let is_hex = digits.len() == len && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let code = is_hex.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?;
        self.chars.by_ref().take(len).for_each(drop);
        Some(char::from_u32(code).or_else(|| self.low_surrogate(code)))
    }

    /// Joins a high surrogate with the escape of a low one that must follow.
    fn low_surrogate(&mut self, high: u32) -> Option<char> {
        let low: String = self.chars.clone().take(6).collect();
        let low = u32::from_str_radix(low.strip_prefix("\\u")?, 16).ok()?;
        if !(0xd800..0xdc00).contains(&high) || !(0xdc00..0xe000).contains(&low) {
            return None;
        }
        self.chars.by_ref().take(6).for_each(drop);
        char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    /// `\u0041`, or `\u{41}` with the `u` flag.
    fn unicode_escape(&mut self) -> Result<char, RegexError> {
        if self.flags.unicode && self.chars.next_if_eq(&'{').is_some() {
            let digits: String = self.chars.by_ref().take_while(|char| *char != '}').collect();
            let code = u32::from_str_radix(&digits, 16).ok();
            return code.and_then(char::from_u32).ok_or(RegexError::Invalid("no such character"));
        }
        match self.hex(4) {
            Some(char) => char.ok_or(RegexError::Unsupported),
            None if self.flags.unicode => Err(RegexError::Invalid("an escape is unknown")),
            None => Ok('u'),
        }
    }

    /// What follows the `[` of a class.
    pub(super) fn class(&mut self) -> Result<Node, RegexError> {
        let negated = self.chars.next_if_eq(&'^').is_some();
        let mut items = Vec::new();
        while let Some(item) = self.class_item()? {
            let begins_range = self.chars.peek() == Some(&'-')
                && self.chars.clone().nth(1).is_some_and(|after| after != ']');
            if !begins_range {
                items.push(item);
                continue;
            }
            self.chars.next();
            let end = self.class_item()?.ok_or(RegexError::Invalid("a class is not closed"))?;
            match (item, end) {
                (Item::Range(start, _), Item::Range(end, _)) if start > end => {
                    return Err(RegexError::Invalid("a range of a class is out of order"));
                }
                (Item::Range(start, _), Item::Range(end, _)) => {
                    items.push(Item::Range(start, end));
                }
                _ if self.flags.unicode => {
                    return Err(RegexError::Invalid("a range of a class has no end"));
                }
                (start, end) => items.extend([start, Item::Range('-', '-'), end]),
            }
        }
        Ok(Node::Class(Class { items, negated }))
    }

    /// One character or set of a class; `None` at its end.
    fn class_item(&mut self) -> Result<Option<Item>, RegexError> {
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("a class is not closed"));
        };
        if next == ']' {
            return Ok(None);
        }
        if next != '\\' {
            return Ok(Some(Item::Range(next, next)));
        }
        let Some(next) = self.chars.next() else {
            return Err(RegexError::Invalid("it ends in a backslash"));
        };
        if let Some(set) = self.set(next)? {
            return Ok(Some(set));
        }
        let char = match next {
            'b' => '\u{8}',
            '1'..='7' if !self.flags.unicode => self.octal(next),
            _ => self.escaped_char(next)?,
        };
        Ok(Some(Item::Range(char, char)))
    }
}
