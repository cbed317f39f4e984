//! Numbers as Kraken Futures writes them: JSON floats, whole ones with `.0`, tiny ones with an
//! exponent.
//!
//! Inputs: scaled integers and floats. Output: text. A scaled integer keeps all its digits but
//! zeros at the end.

use crate::public::push_fixed;

/// `units` × 10^-`decimals` without zeros at the end, but with one digit after the point.
pub(super) fn exact(units: i64, decimals: u32) -> String {
    let mut out = String::with_capacity(16);
    push_fixed(&mut out, units, decimals);
    if decimals == 0 {
        out.push_str(".0");
        return out;
    }
    while out.ends_with('0') && !out.ends_with(".0") {
        out.pop();
    }
    out
}

/// A computed number with the digits that a double has.
pub(super) fn computed(value: f64) -> String {
    serde_json::Number::from_f64(value)
        .map_or_else(|| "0.0".to_owned(), |number| number.to_string())
}

/// A computed number with at most so many digits after the point.
pub(super) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_the_venue_s() {
        assert_eq!(exact(20_108, 0), "20108.0");
        assert_eq!(exact(4_393, 1), "439.3");
        assert_eq!(exact(438_000, 3), "438.0");
        assert_eq!(exact(57_204_177, 3), "57204.177");
        assert_eq!(exact(0, 3), "0.0");
        assert_eq!(computed(1_783.0), "1783.0");
        assert_eq!(computed(-6.260_421_4e-11), "-6.2604214e-11");
        assert_eq!(computed(-0.0), "-0.0");
        assert_eq!(computed(rounded(1_751.975_539, 2)), "1751.98");
    }
}
