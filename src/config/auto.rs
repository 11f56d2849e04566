//! A setting that may be left to the program: the word "auto", or a value.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Either the program's own choice or a value that someone set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auto<T> {
    /// Written as `"auto"`.
    Auto,
    /// What was set.
    Set(T),
}

impl<T> Auto<T> {
    /// The value, if one was set.
    pub fn set(&self) -> Option<&T> {
        match self {
            Self::Auto => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The value, or else what `choose` says.
    pub fn unwrap_or_else(self, choose: impl FnOnce() -> T) -> T {
        match self {
            Self::Auto => choose(),
            Self::Set(value) => value,
        }
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Auto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AutoVisitor(PhantomData))
    }
}

struct AutoVisitor<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for AutoVisitor<T> {
    type Value = Auto<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = "1".parse::<T>().is_ok() && "x".parse::<T>().is_err();
        f.write_str(if number { "\"auto\" or a whole number" } else { "\"auto\" or a text" })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == "auto" {
            return Ok(Auto::Auto);
        }
        text.parse().map(Auto::Set).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let parsed = number.to_string().parse().map(Auto::Set);
        parsed.map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let parsed = number.to_string().parse().map(Auto::Set);
        parsed.map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}
