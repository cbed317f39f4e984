//! Parameters of a socket request, read one by one and strictly.
//!
//! Inputs: the raw `params` object. Outputs: typed values, or the venue's refusal naming the
//! field. Invariants: a decimal keeps its text and is refused when it was written as an integer or
//! a string; a field that nobody asked for is refused, so that a misspelt one cannot go unnoticed.

use crate::account::VenueError;
use chrono::DateTime;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A request frame.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) req_id: Option<u64>,
}

impl Envelope {
    /// Reads a frame's text.
    pub(crate) fn parse(text: &str) -> Result<Envelope, VenueError> {
        serde_json::from_str(text).map_err(|_| VenueError::argument("method"))
    }
}

/// The parameters that have not been asked for yet.
#[derive(Debug, Default)]
pub(crate) struct Params {
    fields: BTreeMap<String, Box<RawValue>>,
}

impl Params {
    /// Reads an object; nothing at all counts as an empty one.
    pub(crate) fn parse(raw: Option<&RawValue>) -> Result<Params, VenueError> {
        let Some(raw) = raw else { return Ok(Params::default()) };
        let fields = serde_json::from_str(raw.get()).map_err(|_| VenueError::argument("params"))?;
        Ok(Params { fields })
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, VenueError> {
        self.value(name)
    }

    /// A string that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, VenueError> {
        self.text(name)?.ok_or_else(|| VenueError::argument(name))
    }

    /// A truth value.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, VenueError> {
        self.value(name)
    }

    /// An integer.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<i64>, VenueError> {
        self.value(name)
    }

    /// A list of strings.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, VenueError> {
        Ok(self.value(name)?.unwrap_or_default())
    }

    /// A list of integers.
    pub(crate) fn integers(&mut self, name: &str) -> Result<Vec<i64>, VenueError> {
        Ok(self.value(name)?.unwrap_or_default())
    }

    /// A decimal written as a float.
    pub(crate) fn decimal(&mut self, name: &str) -> Result<Option<Decimal>, VenueError> {
        let Some(raw) = self.fields.remove(name) else { return Ok(None) };
        let text = raw.get();
        if text == "null" {
            return Ok(None);
        }
        let float = text.contains(['.', 'e', 'E']) && !text.starts_with('"');
        if !float {
            return Err(VenueError::NotFloat(capitalised(name)));
        }
        decimal_text(text).map(Some).ok_or_else(|| VenueError::argument(name))
    }

    /// A time as RFC 3339 text, µs.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<i64>, VenueError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| VenueError::argument(name))?;
        Ok(Some(time.timestamp_micros()))
    }

    /// An object of its own.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Params>, VenueError> {
        let Some(raw) = self.fields.remove(name) else { return Ok(None) };
        Params::parse(Some(&raw)).map(Some).map_err(|_| VenueError::argument(name))
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Vec<Params>, VenueError> {
        let raws: Vec<Box<RawValue>> = self.value(name)?.unwrap_or_default();
        raws.iter().map(|raw| Params::parse(Some(raw))).collect()
    }

    /// Everything must have been asked for.
    pub(crate) fn end(self) -> Result<(), VenueError> {
        match self.fields.into_keys().next() {
            Some(name) => Err(VenueError::Arguments(name)),
            None => Ok(()),
        }
    }

    fn value<T: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, VenueError> {
        let Some(raw) = self.fields.remove(name) else { return Ok(None) };
        serde_json::from_str::<Option<T>>(raw.get()).map_err(|_| VenueError::argument(name))
    }
}

/// A decimal from JSON number text, exponents included.
pub(crate) fn decimal_text(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).ok()
    } else {
        Decimal::from_str_exact(text).ok()
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(json: &str) -> Params {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("json");
        Params::parse(Some(&raw)).expect("an object")
    }

    #[test]
    fn a_float_field_written_as_an_integer_or_a_string_is_refused_by_name() {
        let refused = |json: &str| params(json).decimal("cash_order_qty").unwrap_err().to_string();
        let expected = "Cash_order_qty field must be a number_float";
        assert_eq!(refused(r#"{"cash_order_qty":10}"#), expected);
        assert_eq!(refused(r#"{"cash_order_qty":"10.0"}"#), expected);
        let mut good = params(r#"{"order_qty":1.50,"limit_price":1e-05}"#);
        assert_eq!(good.decimal("order_qty"), Ok(Some(Decimal::new(150, 2))));
        assert_eq!(good.decimal("limit_price"), Ok(Some(Decimal::new(1, 5))));
        assert_eq!(good.end(), Ok(()));
    }

    #[test]
    fn wrong_types_and_unknown_fields_are_refused_by_name() {
        let mut wrong = params(r#"{"side":5,"sied":"buy"}"#);
        assert_eq!(wrong.text("side"), Err(VenueError::argument("side")));
        assert_eq!(wrong.end(), Err(VenueError::argument("sied")));
    }
}
