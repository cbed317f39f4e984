//! From a column to a field: amounts, scaled numbers, times, texts.
//!
//! Input: columns as the driver gives them. Output: values of the document. Invariants: total; what is missing becomes
//! 0 or the empty text; a number outside its field ends at the field's bound.

use chrono::{DateTime, Utc};
use penstock_contracts::amount::DecStr;
use penstock_contracts::units::{Bps, TsMs, X10000};
use penstock_types::{Decimal, Symbol};

use super::error::ReadError;

/// An amount without trailing zeros.
pub(super) fn amount(value: Decimal) -> DecStr {
    DecStr::of(value.normalize())
}

/// The same; none is 0.
pub(super) fn amount_or_zero(value: Option<Decimal>) -> DecStr {
    amount(value.unwrap_or_default())
}

/// Whole basis points, rounded half-even; none is 0.
pub(super) fn bps(value: Option<Decimal>) -> Bps {
    let value = value.unwrap_or_default();
    Bps::of(value).unwrap_or(Bps(bound(value)))
}

/// A number times 10,000, rounded half-even; none is 0.
pub(super) fn x10000(value: Option<Decimal>) -> X10000 {
    let value = value.unwrap_or_default();
    X10000::of(value).unwrap_or(X10000(bound(value)))
}

const fn bound(value: Decimal) -> i32 {
    if value.is_sign_negative() { i32::MIN } else { i32::MAX }
}

/// A time in milliseconds.
pub(super) fn ms(time: DateTime<Utc>) -> TsMs {
    TsMs(time.timestamp_millis())
}

/// Time since then, never below 0.
pub(super) fn age_ms(time: DateTime<Utc>, now_ms: i64) -> i64 {
    now_ms.saturating_sub(time.timestamp_millis()).max(0)
}

/// An id as text; none and 0 are the empty text.
pub(super) fn id_text(id: Option<i64>) -> String {
    id.filter(|id| *id != 0).map(|id| id.to_string()).unwrap_or_default()
}

/// A symbol of a row.
pub(super) fn symbol(what: &'static str, text: &str) -> Result<Symbol, ReadError> {
    Symbol::new(text).map_err(ReadError::row(what))
}

/// Share of a whole of milliseconds, rounded half-even from microseconds.
pub(super) fn ms_of_us(us: Option<i64>) -> i64 {
    let us = us.unwrap_or_default();
    let (ms, rest) = (us.div_euclid(1_000), us.rem_euclid(1_000));
    if rest > 500 || (rest == 500 && ms % 2 != 0) { ms.saturating_add(1) } else { ms }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_field_ends_at_its_bound_and_half_goes_to_even() {
        let dec = |text: &str| Decimal::from_str_exact(text).unwrap();
        assert_eq!(bps(Some(dec("12.5"))), Bps(12));
        assert_eq!(bps(Some(dec("99999999999"))), Bps(i32::MAX));
        assert_eq!(x10000(Some(dec("-99999999.9999"))), X10000(i32::MIN));
        assert_eq!(x10000(None), X10000(0));
        assert_eq!(amount(dec("1.500")).to_string(), "1.5");
        assert_eq!(amount_or_zero(None).to_string(), "0");
        assert_eq!([1_500, 2_500, 2_501, 0].map(|us| ms_of_us(Some(us))), [2, 2, 3, 0]);
        assert_eq!(
            (id_text(None), id_text(Some(0)), id_text(Some(7))),
            (String::new(), String::new(), "7".to_owned())
        );
    }
}
