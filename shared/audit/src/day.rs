//! A day of UTC and the names of its files.
//!
//! Input: a time in milliseconds, a file's name. Output: a day, names. Invariants: a name stands for one day and a
//! day for one name of each kind; years have four digits.

use chrono::{DateTime, Datelike, NaiveDate};
use std::fmt;

/// A day of UTC, years 1970 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

impl Day {
    /// The day of a time in milliseconds since the epoch; none before 1970 or after 9999.
    #[must_use]
    pub fn of_millis(ts_ms: i64) -> Option<Self> {
        let date = DateTime::from_timestamp_millis(ts_ms)?.date_naive();
        (1970..=9999).contains(&date.year()).then_some(Self(date))
    }

    /// Reads `2026-07-07`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut number = |len: usize| {
            let part = parts.next()?;
            let fits = part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
            if fits { part.parse::<u32>().ok() } else { None }
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        let year = i32::try_from(year).ok()?;
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        (parts.next().is_none() && year >= 1970).then_some(Self(date))
    }

    /// The day of a date; none before 1970 or after 9999.
    #[must_use]
    pub fn of_date(date: NaiveDate) -> Option<Self> {
        (1970..=9999).contains(&date.year()).then_some(Self(date))
    }

    /// As a date.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// Whole days from `earlier` to this day, negative when it is later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        self.0.signed_duration_since(earlier.0).num_days()
    }

    /// Name of its file.
    #[must_use]
    pub fn file(self) -> String {
        format!("audit-{self}.jsonl")
    }

    /// Name of its file once it is compressed.
    #[must_use]
    pub fn compressed_file(self) -> String {
        format!("audit-{self}.jsonl.zst")
    }

    /// Name of its seal.
    #[must_use]
    pub fn seal(self) -> String {
        format!("audit-{self}.jsonl.sha256")
    }

    /// The day whose [`Day::file`] a name is.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::within(name, ".jsonl")
    }

    /// The day whose [`Day::compressed_file`] a name is.
    #[must_use]
    pub fn of_compressed_file(name: &str) -> Option<Self> {
        Self::within(name, ".jsonl.zst")
    }

    /// The day whose [`Day::seal`] a name is.
    #[must_use]
    pub fn of_seal(name: &str) -> Option<Self> {
        Self::within(name, ".jsonl.sha256")
    }

    fn within(name: &str, suffix: &str) -> Option<Self> {
        Self::parse(name.strip_prefix("audit-")?.strip_suffix(suffix)?)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_its_names_go_round() {
        let day = Day::of_millis(1_771_243_200_251).unwrap();
        assert_eq!(day.to_string(), "2026-02-16");
        assert_eq!(day.file(), "audit-2026-02-16.jsonl");
        assert_eq!(Day::of_file(&day.file()), Some(day));
        assert_eq!(Day::of_seal(&day.seal()), Some(day));
        assert_eq!(Day::of_compressed_file(&day.compressed_file()), Some(day));
        assert_eq!(Day::of_millis(86_400_000 - 1).unwrap().to_string(), "1970-01-01");
        assert_eq!(Day::of_millis(86_400_000).unwrap().to_string(), "1970-01-02");
    }

    #[test]
    fn other_texts_are_no_days() {
        for text in ["2026-2-16", "2026-02-30", "2026-02-16-", "+026-02-16", "1969-12-31", ""] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(Day::of_millis(-1), None);
        assert_eq!(Day::of_millis(i64::MAX), None);
        assert_eq!(Day::of_file("audit-2026-02-16.jsonl.partial"), None);
    }
}
