//! Parts of an alert's document that are text or a small map, each with its limits.
//!
//! Input: text and JSON of anyone. Output: values that may be shown on a terminal and stored. Invariants: no control
//! character, no length beyond its limit, no number with a fraction.

use crate::shape::Shape;
use penstock_types::canonical::INTEGER_MAX;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// Longest summary, in characters.
pub const SUMMARY_CHARS_MAX: usize = 200;
/// Longest symbol, in bytes; the one of the product's symbols.
const SYMBOL_BYTES_MAX: usize = 32;
/// Most numbers and ids of an alert.
pub const METRICS_MAX: usize = 16;
/// Longest name of one, in bytes.
const METRIC_NAME_BYTES_MAX: usize = 32;
/// Longest text of one, in characters: a hash or an id.
const METRIC_CHARS_MAX: usize = 80;

/// The version of a document: 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V1;

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(1)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(de::Error::custom(format!("version {other} is not 1"))),
        }
    }
}

impl Shape for V1 {
    fn shape() -> Value {
        json!({"type": "integer", "minimum": 1, "maximum": 1})
    }
}

/// A pair, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SymbolText(String);

impl SymbolText {
    /// Takes a symbol: visible ASCII, at most 32 bytes, or nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= SYMBOL_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What happened, on one line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary(String);

impl Summary {
    /// Takes any text: control characters become blanks, what is too long is cut.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let plain = |c: char| if is_plain(c) { c } else { ' ' };
        Self(text.chars().take(SUMMARY_CHARS_MAX).map(plain).collect())
    }

    /// Takes a text as it is, or nothing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.chars().count() <= SUMMARY_CHARS_MAX && text.chars().all(is_plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Neither control nor a character that turns the direction of a line or hides in it.
fn is_plain(c: char) -> bool {
    let hides =
        matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff);
    !c.is_control() && !hides
}

/// A number, an id or a switch of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Metric {
    /// A switch.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A decimal number, an id, a hash, a word.
    Text(String),
}

impl Metric {
    fn is_fit(&self) -> bool {
        match self {
            Self::Flag(_) => true,
            Self::Number(number) => (-INTEGER_MAX..=INTEGER_MAX).contains(number),
            Self::Text(text) => {
                text.chars().count() <= METRIC_CHARS_MAX && text.chars().all(is_plain)
            }
        }
    }
}

impl From<i64> for Metric {
    fn from(number: i64) -> Self {
        Self::Number(number.clamp(-INTEGER_MAX, INTEGER_MAX))
    }
}

impl From<&str> for Metric {
    fn from(text: &str) -> Self {
        let plain = |c: char| if is_plain(c) { c } else { ' ' };
        Self::Text(text.chars().take(METRIC_CHARS_MAX).map(plain).collect())
    }
}

/// Numbers and ids of an alert by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Metrics(BTreeMap<String, Metric>);

impl Metrics {
    /// Adds one; a name of another form, and one too many, is left out.
    #[must_use]
    pub fn with(mut self, name: &str, metric: impl Into<Metric>) -> Self {
        if is_name(name) && (self.0.len() < METRICS_MAX || self.0.contains_key(name)) {
            self.0.insert(name.to_owned(), metric.into());
        }
        self
    }

    /// What of an object are whole numbers, switches and short texts; nothing else is taken.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let mut metrics = Self::default();
        for (name, value) in value.as_object().into_iter().flatten() {
            metrics = match value {
                Value::Bool(flag) => metrics.with(name, Metric::Flag(*flag)),
                Value::Number(number) => match number.as_i64() {
                    Some(number) => metrics.with(name, number),
                    None => metrics,
                },
                Value::String(text) => metrics.with(name, text.as_str()),
                Value::Null | Value::Array(_) | Value::Object(_) => metrics,
            };
        }
        metrics
    }

    /// The values by name.
    #[must_use]
    pub const fn map(&self) -> &BTreeMap<String, Metric> {
        &self.0
    }
}

fn is_name(name: &str) -> bool {
    let fits = (1..=METRIC_NAME_BYTES_MAX).contains(&name.len());
    fits && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Metric>::deserialize(deserializer)?;
        if map.len() > METRICS_MAX {
            let problem = format!("has {} metrics, at most {METRICS_MAX}", map.len());
            return Err(de::Error::custom(problem));
        }
        match map.iter().find(|(name, metric)| !is_name(name) || !metric.is_fit()) {
            Some(_) => Err(de::Error::custom("has a metric that is not of its form")),
            None => Ok(Self(map)),
        }
    }
}

impl Shape for Metrics {
    fn shape() -> Value {
        let number = json!({"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX});
        let text = json!({"type": "string", "maxLength": METRIC_CHARS_MAX});
        json!({
            "type": "object",
            "maxProperties": METRICS_MAX,
            "propertyNames": {"pattern": "^[a-z0-9_]{1,32}$"},
            "additionalProperties": {"anyOf": [{"type": "boolean"}, number, text]},
        })
    }
}

macro_rules! texts {
    ($($name:ident, $shape:expr;)+) => {
        $(
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(&self.0)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = String::deserialize(deserializer)?;
                    Self::parse(&text).ok_or_else(|| {
                        de::Error::custom(concat!(stringify!($name), " is too long or not plain"))
                    })
                }
            }

            impl Shape for $name {
                fn shape() -> Value {
                    $shape
                }
            }
        )+
    };
}

texts! {
    SymbolText, json!({"type": "string", "pattern": "^[!-~]{0,32}$"});
    Summary, json!({"type": "string", "maxLength": SUMMARY_CHARS_MAX});
}
