//! The daily summary: at five seconds past midnight UTC, and at a start for the days that were missed.
//!
//! Purpose: one row for each day, written once. Inputs: the wall clock as it is handed in, the days that are written.
//! Outputs: rows, one line each. Invariants: days are written in order; a day that is written never is again,
//! whatever the clock does; a day whose time passed while nobody ran is late. It holds for every mode but EXIT.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use penstock_store::StoreError;
use penstock_store_decision::daily;
use penstock_types::UtcMicros;
use penstock_venue_orders::Clock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::mode::{ModeHandle, Told};

/// Time after midnight UTC at which a day is summed up, milliseconds: what the day's last transactions wrote is there.
const AFTER_MIDNIGHT_MS: i64 = 5_000;
/// How often the clock is looked at: it may be moved, so nothing is waited for longer.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Beyond this the day's time was missed although the process ran, milliseconds.
const ON_TIME_MS: i64 = 60_000;
/// Days of one catching up; a longer absence leaves the oldest out and says so.
const DAYS_MAX: i64 = 366;

/// What is known of the days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDays {
    /// The newest day that is written; before any, the day before the first session.
    pub newest: NaiveDate,
    /// Since when this process watches the clock.
    pub since: UtcMicros,
}

impl KnownDays {
    /// The days that are due at a time, oldest first, each with whether it is late.
    #[must_use]
    pub fn due(&self, now: UtcMicros) -> Vec<(NaiveDate, bool)> {
        let Some(today) = now.plus_millis(-AFTER_MIDNIGHT_MS).to_chrono().map(|at| at.date_naive())
        else {
            return Vec::new();
        };
        let missing = today.signed_duration_since(self.newest).num_days() - 1;
        if missing > DAYS_MAX {
            tracing::warn!("{missing} days have no summary; only the last {DAYS_MAX} are written");
        }
        let days = (1..=missing.min(DAYS_MAX)).rev();
        days.filter_map(|back| {
            let day = today.checked_sub_days(Days::new(u64::try_from(back).ok()?))?;
            Some((day, self.is_late(day, now)))
        })
        .collect()
    }

    fn is_late(&self, day: NaiveDate, now: UtcMicros) -> bool {
        let midnight = day.checked_add_days(Days::new(1)).and_then(|d| d.and_hms_opt(0, 0, 0));
        let Some(midnight) = midnight else { return true };
        let due = UtcMicros::from(midnight.and_utc()).plus_millis(AFTER_MIDNIGHT_MS);
        due < self.since || now.millis_since(due) > ON_TIME_MS
    }
}

/// Sums up the days of a domain.
#[derive(Debug)]
pub struct Reporter {
    pool: PgPool,
    domain: String,
    mode: ModeHandle,
    since: UtcMicros,
    known: Option<KnownDays>,
}

impl Reporter {
    /// A reporter that watches the clock from `since` on.
    #[must_use]
    pub const fn new(pool: PgPool, domain: String, mode: ModeHandle, since: UtcMicros) -> Self {
        Self { pool, domain, mode, since, known: None }
    }

    /// Writes what is due, in order; the days that it wrote.
    ///
    /// # Errors
    /// [`StoreError`]; what was not written is due again.
    pub async fn look(&mut self, now: UtcMicros) -> Result<Vec<NaiveDate>, StoreError> {
        let known = match self.known {
            Some(known) => known,
            None => self.read_known().await?,
        };
        self.known = Some(known);
        let mut written = Vec::new();
        for (day, late) in known.due(now) {
            if daily::write(&self.pool, day, late).await? {
                written.push(day);
                self.say(day).await?;
            }
            self.known = Some(KnownDays { newest: day, ..known });
        }
        Ok(written)
    }

    async fn read_known(&self) -> Result<KnownDays, StoreError> {
        let (newest, first) = daily::known_days(&self.pool, &self.domain).await?;
        let today = self.since.to_chrono().unwrap_or_default().date_naive();
        let before = |day: NaiveDate| day.checked_sub_days(Days::new(1)).unwrap_or(day);
        let newest = newest.unwrap_or_else(|| before(first.unwrap_or(today)));
        Ok(KnownDays { newest, since: self.since })
    }

    async fn say(&self, day: NaiveDate) -> Result<(), StoreError> {
        let Some(row) = daily::read(&self.pool, Some(day)).await? else { return Ok(()) };
        tracing::info!(
            day = %row.day,
            late = row.late,
            trades = row.trades,
            net_pnl_quote = %row.net_pnl_quote,
            max_drawdown_quote = %row.max_drawdown_quote,
            "the day in one line; next: penstock report daily --day {day}"
        );
        self.mode.tell(Told::Daily(Box::new(row)));
        Ok(())
    }
}

/// Watches the clock until the session ends.
pub async fn run_reports(mut reporter: Reporter, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        if let Err(error) = reporter.look(clock.now().wall).await {
            tracing::warn!("daily summary not written, trying again: {error}");
        }
        // The end first: a stopping process writes no day.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> UtcMicros {
        UtcMicros::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    }

    #[test]
    fn a_day_is_due_five_seconds_after_midnight_and_on_time_for_a_minute() {
        let known = KnownDays { newest: day("2026-02-15"), since: at("2026-02-16T10:00:00Z") };
        assert_eq!(known.due(at("2026-02-16T23:59:59Z")), []);
        assert_eq!(known.due(at("2026-02-17T00:00:04.999Z")), []);
        let yesterday = day("2026-02-16");
        assert_eq!(known.due(at("2026-02-17T00:00:05Z")), [(yesterday, false)]);
        assert_eq!(known.due(at("2026-02-17T00:01:05Z")), [(yesterday, false)]);
        assert_eq!(known.due(at("2026-02-17T00:01:05.001Z")), [(yesterday, true)]);
    }

    #[test]
    fn days_that_passed_before_the_start_are_late_and_come_oldest_first() {
        let known = KnownDays { newest: day("2026-02-12"), since: at("2026-02-16T00:00:06Z") };
        let due = known.due(at("2026-02-16T00:00:07Z"));
        let expected = ["2026-02-13", "2026-02-14", "2026-02-15"].map(|d| (day(d), true));
        assert_eq!(due, expected);
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_due() {
        let known = KnownDays { newest: day("2026-02-16"), since: at("2026-02-16T10:00:00Z") };
        assert_eq!(known.due(at("2026-02-16T23:59:50Z")), []);
        assert_eq!(known.due(at("2026-02-17T00:00:05Z")), [], "it is written");
        assert_eq!(known.due(at("2026-02-10T00:00:05Z")), []);
    }
}
