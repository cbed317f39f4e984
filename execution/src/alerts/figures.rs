//! Figures of the decision cluster that alert: two epochs in a row that are not valid, a write-ahead log that grows, a
//! day that has realised three percent of its equity.
//!
//! Input: three reads per heartbeat interval. Output: alerts that stay active while their figure does. Invariants: a
//! figure that cannot be read changes nothing; each is told when it begins, not at every look.

use std::time::Duration;

use penstock_alerts::{Alerts, Metrics};
use penstock_store_decision::alerts::{DayResult, day_result, two_epochs_not_valid, wal_bytes};
use penstock_types::Decimal;
use penstock_types::vocab::{ReasonCode, Severity};

use crate::context::Context;

/// What a day may realise before it is told, either way: three percent of its opening equity, in basis points.
const DAY_RESULT_BPS: i64 = 300;
const EPOCHS: &str = "two epochs";
const WAL: &str = "write-ahead log";
const DAY: &str = "day's result";

/// Looks once per heartbeat interval until the session ends.
pub(super) async fn run_figures(context: Context) {
    let areas = &context.settings.config.areas;
    let every = Duration::from_millis(areas.telemetry.heartbeat_interval_ms);
    let wal_limit = i64::try_from(areas.disk.wal_warn_bytes).unwrap_or(i64::MAX);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while context.end.run_until_cancelled(ticks.tick()).await.is_some() {
        look(&context, wal_limit).await;
    }
}

async fn look(context: &Context, wal_limit: i64) {
    let (pool, alerts) = (&context.pool, &context.alerts);
    let unread = |what: &str, error: penstock_store::StoreError| {
        tracing::debug!("{what} not read: {error}");
    };
    match two_epochs_not_valid(pool).await {
        Ok(is_bad) => epochs(alerts, is_bad),
        Err(error) => unread("epochs", error),
    }
    match wal_bytes(pool).await {
        Ok(bytes) => wal(alerts, bytes, wal_limit),
        Err(error) => unread("write-ahead log", error),
    }
    match day_result(pool).await {
        Ok(result) => day(alerts, result),
        Err(error) => unread("day's result", error),
    }
}

/// Begins or ends what a figure says.
fn set(
    alerts: &Alerts,
    reason: ReasonCode,
    condition: &'static str,
    said: Option<(String, Metrics, Severity)>,
) {
    match (said, alerts.holds(reason, condition)) {
        (Some((summary, metrics, least)), false) => {
            let occurrence = alerts.occurrence(reason, &summary);
            alerts.begins(occurrence.with_metrics(metrics).at_least(least), condition);
        }
        (None, true) => alerts.ends(reason, "", condition),
        (Some(_), true) | (None, false) => {}
    }
}

fn epochs(alerts: &Alerts, is_bad: bool) {
    let summary = || "the two newest epochs are not valid".to_owned();
    let said = is_bad.then(|| (summary(), Metrics::default(), Severity::Warn));
    set(alerts, ReasonCode::EpochNotValid, EPOCHS, said);
}

fn wal(alerts: &Alerts, bytes: i64, limit: i64) {
    let said = (bytes > limit).then(|| {
        let metrics = Metrics::default().with("wal_bytes", bytes).with("wal_warn_bytes", limit);
        let summary = format!("write-ahead log has {bytes} bytes, WAL_WARN_BYTES is {limit}");
        (summary, metrics, Severity::Warn)
    });
    // Its growth is how the disk of the cluster runs low; the catalog has no word of its own for it.
    set(alerts, ReasonCode::DiskLowDegrade, WAL, said);
}

/// Basis points of the opening equity that a day has realised, towards zero; none without equity.
fn bps(result: DayResult) -> Option<i64> {
    let share = result.realized_quote.checked_div(result.opening_quote)?;
    i64::try_from(share.checked_mul(Decimal::from(10_000))?.trunc()).ok()
}

fn day(alerts: &Alerts, result: Option<DayResult>) {
    let bps = result.filter(|r| r.opening_quote > Decimal::ZERO).and_then(bps).unwrap_or(0);
    let said = |is_over: bool| {
        is_over.then(|| {
            let metrics = Metrics::default().with("realized_bps", bps);
            let summary = format!("the day has realised {bps} bps of its opening equity");
            (summary, metrics, Severity::Warn)
        })
    };
    set(alerts, ReasonCode::RiskDailyLossPct, DAY, said(bps <= -DAY_RESULT_BPS));
    // A gain of that size is as worth a look: the catalog's word for more than was expected.
    set(alerts, ReasonCode::StratEdgeOk, DAY, said(bps >= DAY_RESULT_BPS));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::tests::{active, quiet};
    use penstock_types::vocab::ReasonCode as R;

    fn result(realized: i64) -> Option<DayResult> {
        let (realized_quote, opening_quote) = (Decimal::from(realized), Decimal::from(10_000));
        Some(DayResult { realized_quote, opening_quote })
    }

    #[test]
    fn a_day_is_told_once_at_three_percent_either_way_and_ends_below() {
        let alerts = quiet();
        for (realized, want) in [
            (299, vec![]),
            (300, vec![(R::StratEdgeOk, 1)]),
            (350, vec![(R::StratEdgeOk, 1)]),
            (-299, vec![]),
            (-300, vec![(R::RiskDailyLossPct, 1)]),
            (0, vec![]),
        ] {
            day(&alerts, result(realized));
            assert_eq!(active(&alerts), want, "{realized}");
        }
        day(&alerts, None);
        day(&alerts, Some(DayResult { realized_quote: 5.into(), opening_quote: 0.into() }));
        assert_eq!(active(&alerts), []);
    }

    #[test]
    fn a_log_is_told_beyond_its_limit_and_two_bad_epochs_while_they_are_the_newest() {
        let alerts = quiet();
        wal(&alerts, 100, 100);
        epochs(&alerts, false);
        assert_eq!(active(&alerts), []);
        wal(&alerts, 101, 100);
        wal(&alerts, 102, 100);
        epochs(&alerts, true);
        let mut seen = active(&alerts);
        seen.sort_unstable();
        assert_eq!(seen, [(R::DiskLowDegrade, 1), (R::EpochNotValid, 1)]);
        wal(&alerts, 100, 100);
        epochs(&alerts, false);
        assert_eq!(active(&alerts), []);
    }
}
