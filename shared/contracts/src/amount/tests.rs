//! Tests of decimal text and of the roundings.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn dec(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

#[rstest]
#[case("0")]
#[case("10")]
#[case("-3")]
#[case("0.0")]
#[case("2.50")]
#[case("-0.10")]
#[case("79228162514264337593543950335")]
#[case("0.0000000000000000000000000001")]
fn text_of_the_form_is_read_and_written_as_it_was(#[case] text: &str) {
    let read = DecStr::parse(text).unwrap();
    assert_eq!(read.to_string(), text);
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<DecStr>(&json).unwrap(), read);
}

#[rstest]
#[case("")]
#[case("-")]
#[case("+1")]
#[case("01")]
#[case("00")]
#[case("-01.5")]
#[case("1.")]
#[case(".5")]
#[case("1e3")]
#[case("1_0")]
#[case(" 1")]
#[case("1 ")]
#[case("1,5")]
#[case("--1")]
#[case("NaN")]
#[case("0x10")]
#[case("1.2.3")]
#[case("79228162514264337593543950336")]
#[case("0.00000000000000000000000000001")]
fn text_of_another_form_is_refused(#[case] text: &str) {
    assert!(matches!(DecStr::parse(text), Err(AmountError::Text { .. })), "{text:?}");
}

#[test]
fn a_number_is_no_amount_and_zero_has_no_sign() {
    assert!(serde_json::from_str::<DecStr>("1").is_err());
    assert!(serde_json::from_str::<DecStr>("1.5").is_err());
    assert!(serde_json::from_str::<DecStr>("null").is_err());
    assert_eq!(DecStr::parse("-0.00").unwrap().to_string(), "0.00");
    assert_ne!(DecStr::parse("1.0").unwrap(), DecStr::parse("1.00").unwrap());
    assert_eq!(DecStr::parse("1.0").unwrap().value(), DecStr::parse("1.00").unwrap().value());
}

#[rstest]
#[case("64250.1", AmountKind::Price { tick: dec("0.10") }, Some("64250.10"))]
#[case("64250.123", AmountKind::Price { tick: dec("0.10") }, None)]
#[case("0.00100000", AmountKind::Quantity { step: dec("0.0001") }, Some("0.0010"))]
#[case("0.00001", AmountKind::Quantity { step: dec("0.0001") }, None)]
#[case("12.5", AmountKind::Quote { cost_decimals: 5 }, Some("12.50000"))]
#[case("12.123456", AmountKind::Quote { cost_decimals: 5 }, None)]
#[case("10.999", AmountKind::ConfigMoney, Some("10.99"))]
#[case("-10.999", AmountKind::ConfigMoney, Some("-10.99"))]
#[case("1.00005", AmountKind::Bps, Some("1.0000"))]
#[case("1.00015", AmountKind::Bps, Some("1.0002"))]
#[case("0.1234565", AmountKind::Ratio, Some("0.123456"))]
#[case("5", AmountKind::StateAmount, Some("5.0000000000"))]
#[case("5", AmountKind::StatePrice, Some("5.000000000000"))]
#[case("79228162514264337593543950335", AmountKind::ConfigMoney, None)]
fn each_kind_has_its_digits(
    #[case] value: &str,
    #[case] kind: AmountKind,
    #[case] want: Option<&str>,
) {
    let made = DecStr::of_kind(dec(value), kind);
    assert_eq!(made.ok().map(|amount| amount.to_string()).as_deref(), want);
}

#[test]
fn halves_go_to_the_even_neighbour() {
    for (value, want) in [("0.5", 0), ("1.5", 2), ("2.5", 2), ("-0.5", 0), ("-1.5", -2)] {
        assert_eq!(rhe(dec(value)), Some(want), "{value}");
    }
    assert_eq!(rhe(dec("2147483647.4")), Some(i32::MAX));
    assert_eq!(rhe(dec("2147483647.5")), None);
}

#[test]
fn steps_have_the_scale_of_the_step() {
    let floor = |value: &str, step: &str| floor_step(dec(value), dec(step)).map(|d| d.to_string());
    assert_eq!(floor("1.239", "0.01").as_deref(), Some("1.23"));
    assert_eq!(floor("1.2", "0.050").as_deref(), Some("1.200"));
    assert_eq!(floor("-1.239", "0.01").as_deref(), Some("-1.23"));
    assert_eq!(floor("0.004", "0.01").as_deref(), Some("0.00"));
    assert_eq!(floor("1", "0"), None);
    assert_eq!(floor("1", "-0.1"), None);
    let ceil = |value: &str, step: &str| ceil_step(dec(value), dec(step)).map(|d| d.to_string());
    assert_eq!(ceil("1.231", "0.01").as_deref(), Some("1.24"));
    assert_eq!(ceil("1.23", "0.01").as_deref(), Some("1.23"));
}

proptest! {
    #[test]
    fn any_text_is_an_amount_or_an_error(text in "\\PC{0,40}") {
        if let Ok(read) = DecStr::parse(&text) {
            prop_assert_eq!(DecStr::parse(&read.to_string()), Ok(read));
        }
    }

    #[test]
    fn text_of_the_grammar_goes_round(text in "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,12})?") {
        let read = DecStr::parse(&text).unwrap();
        let unsigned = text.trim_start_matches('-');
        let want = if read.value().is_zero() { unsigned } else { &text };
        prop_assert_eq!(read.to_string(), want);
    }

    #[test]
    fn floor_is_the_greatest_multiple_that_is_not_above(
        units in 0_i64..1_000_000_000_000, step in 1_i64..100_000, scale in 0_u32..9,
    ) {
        // Both in units of the same 10^-scale: whole numbers are the reference.
        let floor = floor_step(Decimal::new(units, scale), Decimal::new(step, scale)).unwrap();
        prop_assert_eq!(floor.value(), Decimal::new(units / step * step, scale));
        prop_assert_eq!(floor.scale(), scale);
        prop_assert_eq!(floor_step(floor.value(), Decimal::new(step, scale)), Some(floor));
        let ceil = ceil_step(Decimal::new(units, scale), Decimal::new(step, scale)).unwrap();
        prop_assert_eq!(ceil.value(), Decimal::new((units + step - 1) / step * step, scale));
    }
}
