//! Purpose: read one value. Inputs: a key and what was written for it. Outputs: [`Value`], or what is
//! wrong. Invariants: numbers come from their own text, never through binary floating point; text that
//! goes over a network unencrypted is accepted for loopback hosts only. It does not know other keys.

use std::path::PathBuf;
use std::str::FromStr;

use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::key::{FieldType, Key, Status};

/// The reason of a number that is a number and not an allowed one.
pub(crate) const OUT_OF_RANGE: &str = "is out of range";

/// Most items of a list.
const LIST_ITEMS_LIMIT: usize = 1_000;

/// What was written for a key, before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// From the environment: everything is text there.
    Env(String),
    /// A whole number in the file.
    Int(String),
    /// A number with a point in the file.
    Float(String),
    /// `true` or `false` in the file.
    Bool(bool),
    /// A text in the file.
    Text(String),
    /// An array of texts in the file.
    List(Vec<String>),
    /// Something that no key takes (a date, a table, a mixed array).
    Other(&'static str),
}

impl Input {
    /// For messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Env(text) | Self::Text(text) => format!("{text:?}"),
            Self::Int(text) | Self::Float(text) => text.clone(),
            Self::Bool(flag) => flag.to_string(),
            Self::List(items) => format!("{items:?}"),
            Self::Other(what) => format!("a {what}"),
        }
    }
}

/// A value that fits its key.
#[derive(Debug, Clone)]
pub enum Value {
    /// A switch.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A decimal number.
    Decimal(Decimal),
    /// Text, path, URL or word.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// Never shown.
    Secret(SecretString),
    /// Nothing.
    Unset,
}

impl Value {
    /// As JSON for hashes and outputs: decimals as text, secrets as `[redacted]`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Bool(flag) => (*flag).into(),
            Self::Int(number) => (*number).into(),
            Self::Decimal(number) => number.normalize().to_string().into(),
            Self::Text(text) => text.clone().into(),
            Self::List(items) => items.clone().into(),
            Self::Secret(_) => "[redacted]".into(),
            Self::Unset => serde_json::Value::Null,
        }
    }

    /// As text for people.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Unset => "(unset)".to_owned(),
            Self::List(items) => items.join(","),
            Self::Text(text) if text.is_empty() => "\"\"".to_owned(),
            Self::Text(text) => text.clone(),
            other => other.to_json().to_string().trim_matches('"').to_owned(),
        }
    }

    /// Whether two values are the same. Secrets are compared by content.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(a), Self::Secret(b)) => a.expose_secret() == b.expose_secret(),
            (a, b) => a.to_json() == b.to_json(),
        }
    }
}

/// Reads what was written for a key, or says why it does not fit.
pub(crate) fn read(key: &Key, input: &Input) -> Result<Value, String> {
    let value = match key.field {
        FieldType::Bool => Value::Bool(read_bool(input)?),
        FieldType::Int => Value::Int(read_int(key, input)?),
        FieldType::Decimal => Value::Decimal(read_decimal(key, input)?),
        FieldType::Text | FieldType::Path => Value::Text(text_of(input)?.to_owned()),
        FieldType::List => Value::List(read_list(input)?),
        FieldType::Url => Value::Text(read_url(key, text_of(input)?)?),
        FieldType::Choice(words) => Value::Text(read_word(words, text_of(input)?)?),
        FieldType::Secret => Value::Secret(SecretString::from(text_of(input)?.to_owned())),
    };
    if key.shape.loopback
        && let Value::Text(text) = &value
        && !is_loopback_name(text)
    {
        return Err("is not a loopback address".to_owned());
    }
    refuse_absent(key, &value)?;
    Ok(value)
}

/// Refuses what this version does not contain.
fn refuse_absent(key: &Key, value: &Value) -> Result<(), String> {
    let absent = match key.shape.status {
        Status::Active | Status::WithoutEffect => false,
        Status::OnlyOff(off) => value.shown().trim_matches('"') != off,
        Status::WithoutWord(word) => matches!(value, Value::Text(text) if text == word),
    };
    if absent {
        return Err(format!("version {} does not contain this", env!("CARGO_PKG_VERSION")));
    }
    Ok(())
}

fn text_of(input: &Input) -> Result<&str, String> {
    match input {
        Input::Env(text) | Input::Text(text) => Ok(text),
        Input::Int(_) | Input::Float(_) | Input::Bool(_) | Input::List(_) | Input::Other(_) => {
            Err("is not text".to_owned())
        }
    }
}

fn read_bool(input: &Input) -> Result<bool, String> {
    let word = match input {
        Input::Bool(flag) => return Ok(*flag),
        Input::Env(text) | Input::Text(text) | Input::Int(text) => text.as_str(),
        Input::Float(_) | Input::List(_) | Input::Other(_) => "",
    };
    match word.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err("is none of 1, 0, true, false, yes, no".to_owned()),
    }
}

fn read_int(key: &Key, input: &Input) -> Result<i64, String> {
    let text = match input {
        Input::Env(text) | Input::Int(text) => text.trim(),
        Input::Float(_) | Input::Bool(_) | Input::Text(_) | Input::List(_) | Input::Other(_) => {
            return Err("is not a whole number".to_owned());
        }
    };
    let number: i64 = text.parse().map_err(|_| "is not a whole number".to_owned())?;
    if let Some((min, max)) = key.shape.int
        && !(min..=max).contains(&number)
    {
        return Err(OUT_OF_RANGE.to_owned());
    }
    if !key.shape.ints.is_empty() && !key.shape.ints.contains(&number) {
        return Err("is none of the allowed numbers".to_owned());
    }
    if key.shape.multiple_of.is_some_and(|step| number % step != 0) {
        return Err("is not a multiple of the step".to_owned());
    }
    Ok(number)
}

fn read_decimal(key: &Key, input: &Input) -> Result<Decimal, String> {
    let text = match input {
        Input::Env(text) | Input::Text(text) | Input::Int(text) | Input::Float(text) => text.trim(),
        Input::Bool(_) | Input::List(_) | Input::Other(_) => {
            return Err("is not a decimal number".to_owned());
        }
    };
    // `from_str_exact` refuses digits that it could not keep instead of rounding them away.
    let number = Decimal::from_str_exact(text).map_err(|_| "is not a decimal number".to_owned())?;
    if let Some((min, max)) = key.shape.decimal {
        let bound = |text: &str| Decimal::from_str(text).ok();
        let fits = bound(min).is_none_or(|min| number >= min)
            && bound(max).is_none_or(|max| number <= max);
        if !fits {
            return Err("is out of range".to_owned());
        }
    }
    Ok(number)
}

fn read_list(input: &Input) -> Result<Vec<String>, String> {
    let items: Vec<String> = match input {
        Input::List(items) => items.clone(),
        Input::Env(text) | Input::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect(),
        Input::Int(_) | Input::Float(_) | Input::Bool(_) | Input::Other(_) => {
            return Err("is not a list of texts".to_owned());
        }
    };
    if items.len() > LIST_ITEMS_LIMIT {
        return Err(format!("has {} items, at most {LIST_ITEMS_LIMIT}", items.len()));
    }
    Ok(items)
}

fn read_word(words: &[&str], text: &str) -> Result<String, String> {
    if words.contains(&text) { Ok(text.to_owned()) } else { Err("is none of the words".to_owned()) }
}

fn read_url(key: &Key, text: &str) -> Result<String, String> {
    if key.shape.may_be_off && (text == "off" || text.is_empty()) {
        return Ok(text.to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    match url.scheme() {
        "wss" | "https" => {}
        "ws" | "http" => {
            if !is_loopback(&url) {
                return Err("is plain text to a host that is not loopback".to_owned());
            }
        }
        other => return Err(format!("has the scheme {other}, not wss, https, ws or http")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("carries a user or password, which would be shown".to_owned());
    }
    Ok(text.to_owned())
}

/// Whether a URL points to this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => is_loopback_name(name),
        None => false,
    }
}

pub(crate) fn is_loopback_name(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A type that a field of the configuration can have.
pub trait Field: Sized {
    /// Its type in the table.
    const TYPE: FieldType;
    /// From a value of that type; `None` when the table and the field disagree.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Field for bool {
    const TYPE: FieldType = FieldType::Bool;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Bool(flag) = value { Some(*flag) } else { None }
    }
}

macro_rules! whole_numbers {
    ($($number:ty)+) => {$(
        impl Field for $number {
            const TYPE: FieldType = FieldType::Int;
            fn from_value(value: &Value) -> Option<Self> {
                if let Value::Int(number) = value { <$number>::try_from(*number).ok() } else { None }
            }
        }
    )+};
}
whole_numbers!(u16 u32 u64 i64 usize);

impl Field for Decimal {
    const TYPE: FieldType = FieldType::Decimal;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Decimal(number) = value { Some(*number) } else { None }
    }
}

impl Field for String {
    const TYPE: FieldType = FieldType::Text;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl Field for PathBuf {
    const TYPE: FieldType = FieldType::Path;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(Self::from(text)) } else { None }
    }
}

impl Field for Vec<String> {
    const TYPE: FieldType = FieldType::List;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::List(items) = value { Some(items.clone()) } else { None }
    }
}

impl Field for SecretString {
    const TYPE: FieldType = FieldType::Secret;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Secret(secret) = value { Some(secret.clone()) } else { None }
    }
}

/// Where a venue is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// The venue, or this part of it, is left out.
    Off,
    /// Its URL.
    At(Url),
}

impl Field for Endpoint {
    const TYPE: FieldType = FieldType::Url;
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) if text == "off" || text.is_empty() => Some(Self::Off),
            Value::Text(text) => Url::parse(text).ok().map(Self::At),
            _ => None,
        }
    }
}

impl Field for Url {
    const TYPE: FieldType = FieldType::Url;
    fn from_value(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Self::parse(text).ok() } else { None }
    }
}

impl<T: Field> Field for Option<T> {
    const TYPE: FieldType = T::TYPE;
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Unset => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}
