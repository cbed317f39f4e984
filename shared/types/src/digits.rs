//! Numbers and times as canonical text, appended to a buffer without an allocation.
//!
//! Purpose: the text behind a hash is written hundreds of thousands of times a second. Inputs: values.
//! Outputs: ASCII bytes, those of the libraries' own formatting, which the tests compare with.
//! Invariants: nothing passes through binary floating point; every value has a text, none panics.

use crate::decimal::round_to;
use crate::{Decimal, UtcMicros};
use alloc::vec::Vec;

/// Two digits at a time.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Digits of the largest `u64`.
const DIGITS_MAX: usize = 20;
/// Digits below the upper half of a mantissa that needs two.
const LOW_DIGITS: usize = 19;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Times of four-digit years: 0000-01-01 until the end of 9999.
const FOUR_DIGIT_YEARS_US: core::ops::Range<i64> = -62_167_219_200_000_000..253_402_300_800_000_000;

/// Digits of `value` at the end of `buffer`; where they begin.
fn digits(mut value: u64, buffer: &mut [u8; DIGITS_MAX]) -> usize {
    let mut at = DIGITS_MAX;
    while value >= 100 {
        at -= 2;
        let pair = usize::from((value % 100) as u8) * 2;
        value /= 100;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        at -= 2;
        let pair = usize::from(value as u8) * 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    at
}

/// Appends an integer in decimal.
pub fn push_integer(out: &mut Vec<u8>, value: i64) {
    let mut buffer = [0; DIGITS_MAX];
    let at = digits(value.unsigned_abs(), &mut buffer);
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends a decimal with exactly `scale` digits after the point, rounded half-even first; zero has no
/// sign.
pub fn push_fixed(out: &mut Vec<u8>, value: Decimal, scale: u32) {
    let value = if value.scale() > scale { round_to(value, scale) } else { value };
    let mantissa = value.mantissa();
    if mantissa < 0 {
        out.push(b'-');
    }
    let mut buffer = [0; DIGITS_MAX];
    let (fraction, scale) = (value.scale() as usize, scale as usize);
    if let Ok(units) = u64::try_from(mantissa.unsigned_abs()) {
        let at = digits(units, &mut buffer);
        push_pointed(out, &buffer[at..], fraction, scale);
    } else {
        let mut wide = [b'0'; DIGITS_MAX + LOW_DIGITS];
        let half = 10_u128.pow(LOW_DIGITS as u32);
        // 96 bits have 29 digits, so both halves fit.
        let (high, low) = (mantissa.unsigned_abs() / half, mantissa.unsigned_abs() % half);
        let from = digits(high as u64, &mut buffer);
        wide[from..DIGITS_MAX].copy_from_slice(&buffer[from..]);
        let at = digits(low as u64, &mut buffer);
        wide[LOW_DIGITS + at..].copy_from_slice(&buffer[at..]);
        push_pointed(out, &wide[from..], fraction, scale);
    }
}

/// Digits with the point before the last `fraction` of them, and zeros until there are `scale` of them.
fn push_pointed(out: &mut Vec<u8>, text: &[u8], fraction: usize, scale: usize) {
    if text.len() > fraction {
        let (whole, rest) = text.split_at(text.len() - fraction);
        out.extend_from_slice(whole);
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    } else {
        // A fraction means digits after the point, so `scale` is above zero here.
        out.extend_from_slice(b"0.");
        push_zeros(out, fraction - text.len());
        out.extend_from_slice(text);
    }
    push_zeros(out, scale - fraction);
}

fn push_zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b'0');
}

/// Appends a time as RFC 3339 with six digits and `Z`.
pub fn push_time(out: &mut Vec<u8>, time: UtcMicros) {
    if !FOUR_DIGIT_YEARS_US.contains(&time.0) {
        out.extend_from_slice(time.rfc3339().as_bytes());
        return;
    }
    let seconds = time.0.div_euclid(MICROS_PER_SECOND);
    let micros = time.0.rem_euclid(MICROS_PER_SECOND) as u32;
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut two = |at: usize, value: u32| {
        let pair = value as usize * 2;
        text[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    };
    two(0, year / 100);
    two(2, year % 100);
    two(5, month);
    two(8, day);
    two(11, second / 3_600);
    two(14, second / 60 % 60);
    two(17, second % 60);
    two(20, micros / 10_000);
    two(22, micros / 100 % 100);
    two(24, micros % 100);
    out.extend_from_slice(&text);
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar, years 0 to 9999. Years are
/// counted from March, so that the leap day is the last one.
fn civil(days: i64) -> (u32, u32, u32) {
    // 719,468 days from 0000-03-01 to 1970-01-01; one era of 400 years more keeps it above zero.
    let days = (days + 719_468 + 146_097) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2) - 400;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap().split_off("before ".len())
    }

    /// By the library's formatting of a value without padding, which holds for all values.
    fn fixed_text(value: Decimal, scale: u32) -> String {
        let rounded = round_to(value, scale);
        if rounded.is_zero() {
            return format!("{:.*}", scale as usize, 0.0);
        }
        let mut text = rounded.to_string();
        if rounded.scale() == 0 && scale > 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat((scale - rounded.scale()) as usize));
        text
    }

    #[test]
    fn the_ends_of_every_range_are_written_as_the_slow_way_writes_them() {
        for value in [0, 9, 10, 99, 100, 101, -1, -100, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| push_integer(out, value)), value.to_string());
        }
        let mantissas = [
            0,
            1,
            -1,
            5,
            10,
            123_456,
            u64::MAX.into(),
            i128::from(u64::MAX) + 1,
            -(1 << 95),
            10_i128.pow(28),
        ];
        for mantissa in mantissas {
            for own in 0..=28 {
                let value = Decimal::from_i128_with_scale(mantissa, own);
                for scale in [0, 1, 4, 6, 10, 12, 18] {
                    let want = fixed_text(value, scale);
                    assert_eq!(written(|out| push_fixed(out, value, scale)), want, "{value:?}");
                }
            }
        }
        let second = MICROS_PER_SECOND;
        for us in [
            i64::MIN,
            i64::MAX,
            FOUR_DIGIT_YEARS_US.start - 1,
            FOUR_DIGIT_YEARS_US.start,
            FOUR_DIGIT_YEARS_US.end - 1,
            FOUR_DIGIT_YEARS_US.end,
            -1,
            0,
            // The days around the leap days of 1900 (none), 2000 and 2024.
            -2_203_891_200 * second - 1,
            951_782_400 * second,
            951_868_800 * second - 1,
            1_709_164_800 * second,
        ] {
            assert_eq!(written(|out| push_time(out, UtcMicros(us))), UtcMicros(us).rfc3339());
        }
    }

    #[test]
    fn days_of_ten_thousand_years_have_their_dates() {
        let days = FOUR_DIGIT_YEARS_US.start / 86_400_000_000..=2_932_896;
        // Weekdays wander through all dates: 400 years have each date at least seven times.
        for day in days.step_by(7) {
            let time = UtcMicros(day * 86_400_000_000 + 45_296_000_007);
            assert_eq!(written(|out| push_time(out, time)), time.rfc3339(), "day {day}");
        }
    }

    proptest! {
        #[test]
        fn any_integer_is_written_as_by_display(value: i64) {
            prop_assert_eq!(written(|out| push_integer(out, value)), value.to_string());
        }

        #[test]
        fn any_decimal_is_written_as_by_the_formatter(
            high in any::<u32>(), low in any::<u64>(), shift in 0_u32..96, negative: bool,
            own in 0_u32..=28, scale in 0_u32..=18,
        ) {
            let mantissa = ((i128::from(high) << 64) | i128::from(low)) >> shift;
            let mantissa = if negative { -mantissa } else { mantissa };
            let value = Decimal::from_i128_with_scale(mantissa, own);
            prop_assert_eq!(written(|out| push_fixed(out, value, scale)), fixed_text(value, scale));
        }

        #[test]
        fn any_time_is_written_as_by_the_calendar(us: i64) {
            prop_assert_eq!(written(|out| push_time(out, UtcMicros(us))), UtcMicros(us).rfc3339());
        }
    }
}
