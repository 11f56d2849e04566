//! The layers of settings, each a tree of values that know where they stood.

use config::{Map, Value, ValueKind};

use super::environment::RESERVED;
use super::{ConfigError, Environment};

/// A tree of settings.
pub(super) type Table = Map<String, Value>;

/// One layer: later ones win.
#[derive(Debug, Clone)]
pub(super) struct Layer(pub(super) Table);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// One setting given on the command line.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    key: String,
    value: String,
    origin: String,
}

impl Override {
    /// The setting `key` given by a flag such as `--data-dir`.
    pub fn flag(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), origin: flag.into() }
    }

    /// Reads the `section.key=value` of a `--set`.
    ///
    /// # Errors
    /// [`ConfigError::Override`] if there is no `=`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        match text.split_once('=') {
            Some((key, value)) => Ok(Self::flag("--set", key.trim(), value.trim())),
            None => Err(ConfigError::Override(text.into())),
        }
    }
}

impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Override({} {}=…)", self.origin, self.key)
    }
}

/// Reads a TOML file.
pub(super) fn from_toml(text: &str, origin: &str) -> Result<Layer, ConfigError> {
    let table = text.parse::<toml::Table>().map_err(|error| {
        let end = error.span().map_or(0, |span| span.start).min(text.len());
        ConfigError::Syntax {
            origin: origin.into(),
            line: 1 + text.as_bytes()[..end].iter().filter(|&&byte| byte == b'\n').count(),
            problem: error.message().into(),
        }
    })?;
    Ok(Layer(table.into_iter().map(|(key, value)| (key, value_of(value, origin))).collect()))
}

/// The `DRAMATIS_…` variables; `__` stands between section and key.
pub(super) fn from_environment(environment: &Environment, defaults: &Layer) -> Layer {
    let mut layer = Layer(Table::default());
    for (name, value) in environment.with_prefix("DRAMATIS_") {
        let rest = &name["DRAMATIS_".len()..];
        if RESERVED.contains(&name) || is_service_link(rest) {
            continue;
        }
        let key = rest.to_lowercase().replace("__", ".");
        insert(&mut layer.0, &key, scalar(value, &key, name, defaults), name);
    }
    layer
}

/// What the command line says.
pub(super) fn from_overrides(overrides: &[Override], defaults: &Layer) -> Layer {
    let mut layer = Layer(Table::default());
    for Override { key, value, origin } in overrides {
        insert(&mut layer.0, key, scalar(value, key, origin, defaults), origin);
    }
    layer
}

/// Whether Kubernetes made this variable, as it does for a service that is
/// called "dramatis": `DRAMATIS_SERVICE_HOST`, `DRAMATIS_PORT_80_TCP_ADDR` …
fn is_service_link(rest: &str) -> bool {
    ["SERVICE_HOST", "SERVICE_PORT", "PORT"].iter().any(|name| {
        rest.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with('_'))
    })
}

/// The value at a dotted key.
pub(super) fn lookup<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => match &table.get(section)?.kind {
            ValueKind::Table(inner) => lookup(inner, rest),
            _ => None,
        },
    }
}

/// Puts a value at a dotted key, making the tables on the way.
fn insert(table: &mut Table, key: &str, value: Value, origin: &str) {
    let Some((section, rest)) = key.split_once('.') else {
        table.insert(key.into(), value);
        return;
    };
    let empty = || Value::new(Some(&origin.to_owned()), Table::default());
    let entry = table.entry(section.into()).or_insert_with(empty);
    if !matches!(entry.kind, ValueKind::Table(_)) {
        *entry = empty();
    }
    if let ValueKind::Table(inner) = &mut entry.kind {
        insert(inner, rest, value, origin);
    }
}

/// The value that a text means. Where the default is a text it is taken as it
/// stands, so that a password may look like a number; elsewhere it is TOML.
fn scalar(text: &str, key: &str, origin: &str, defaults: &Layer) -> Value {
    let verbatim = || Value::new(Some(&origin.to_owned()), text);
    if matches!(lookup(&defaults.0, key), Some(Value { kind: ValueKind::String(_), .. })) {
        return verbatim();
    }
    match format!("value = {text}").parse::<toml::Table>() {
        Ok(mut table) if table.len() == 1 => {
            table.remove("value").map_or_else(verbatim, |value| value_of(value, origin))
        }
        _ => verbatim(),
    }
}

fn value_of(value: toml::Value, origin: &str) -> Value {
    let kind = match value {
        toml::Value::String(text) => ValueKind::String(text),
        toml::Value::Integer(number) => ValueKind::I64(number),
        toml::Value::Float(number) => ValueKind::Float(number),
        toml::Value::Boolean(yes) => ValueKind::Boolean(yes),
        toml::Value::Datetime(time) => ValueKind::String(time.to_string()),
        toml::Value::Array(items) => {
            ValueKind::Array(items.into_iter().map(|item| value_of(item, origin)).collect())
        }
        toml::Value::Table(table) => ValueKind::Table(
            table.into_iter().map(|(key, value)| (key, value_of(value, origin))).collect(),
        ),
    };
    Value::new(Some(&origin.to_owned()), kind)
}
