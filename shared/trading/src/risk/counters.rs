//! Counters over time: what recent rows of a symbol mean now.
//!
//! Purpose: cooldown, streak of losses, churn. Inputs: moments that the read transaction found, the
//! decision clock, settings. Outputs: numbers. Invariants: pure functions of rows, so a restart counts as
//! before; a moment that lies after the clock counts as now.

use penstock_types::rows::{CloseRow, CounterSpans, SymbolCounters};
use penstock_types::{Decimal, UtcMicros};
use serde::{Deserialize, Serialize};

use super::settings::RiskSettings;

/// Span in which orders and cancels of a symbol are counted, milliseconds.
pub const CHURN_SPAN_MS: i64 = 10_000;

/// What the churn of a symbol amounts to: the greatest counts of any span that still matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Churn {
    /// New orders that followed a cancel, each cancel counted once.
    pub replaces: i64,
    /// Cancels.
    pub cancels: i64,
    /// New orders.
    pub new_orders: i64,
}

/// Milliseconds that are left of the rest after a close by the stop; 0 when none is.
#[must_use]
pub fn cooldown_left_ms(last_stop: Option<UtcMicros>, now: UtcMicros, cooldown_secs: i64) -> i64 {
    let rest_ms = cooldown_secs.saturating_mul(1_000);
    last_stop.map_or(0, |at| at.plus_millis(rest_ms).millis_since(now).max(0))
}

/// Losing exits in a row that still count. A result of at least zero ends the row, and so does a time of
/// `reset_secs` after its last loss, whether another loss follows it or not.
#[must_use]
pub fn loss_streak(closes: &[CloseRow], now: UtcMicros, reset_secs: i64) -> i64 {
    let reset_ms = reset_secs.saturating_mul(1_000);
    let mut streak = 0;
    let mut last: Option<UtcMicros> = None;
    for close in closes {
        let ended = last.is_some_and(|at| close.at.millis_since(at) >= reset_ms);
        if close.net_quote >= Decimal::ZERO {
            (streak, last) = (0, None);
        } else {
            streak = if ended { 1 } else { streak + 1 };
            last = Some(close.at);
        }
    }
    let over = last.is_none_or(|at| now.millis_since(at) >= reset_ms);
    if over { 0 } else { streak }
}

/// The greatest counts of all spans of ten seconds that ended within the cooldown. Each count is greatest
/// in a span that ends with an event, so only those are looked at.
#[must_use]
pub fn churn(
    sent: &[UtcMicros],
    canceled: &[UtcMicros],
    now: UtcMicros,
    settings: &RiskSettings,
) -> Churn {
    let mut most = Churn::default();
    let matters_ms = settings.churn_cooldown_secs.saturating_mul(1_000).max(CHURN_SPAN_MS);
    for end in sent.iter().chain(canceled).filter(|at| now.millis_since(**at) < matters_ms) {
        let inside = |at: &&UtcMicros| **at <= *end && end.millis_since(**at) < CHURN_SPAN_MS;
        let sent: Vec<UtcMicros> = sent.iter().filter(inside).copied().collect();
        let canceled: Vec<UtcMicros> = canceled.iter().filter(inside).copied().collect();
        most.new_orders = most.new_orders.max(count(sent.len()));
        most.cancels = most.cancels.max(count(canceled.len()));
        most.replaces = most.replaces.max(replaces(&sent, &canceled));
    }
    most
}

/// New orders that follow a cancel, each cancel taken by the first new order after it.
fn replaces(sent: &[UtcMicros], canceled: &[UtcMicros]) -> i64 {
    let mut open = canceled.iter().peekable();
    let (mut waiting, mut pairs) = (0_i64, 0);
    for at in sent {
        while open.next_if(|cancel| *cancel <= at).is_some() {
            waiting += 1;
        }
        if waiting > 0 {
            waiting -= 1;
            pairs += 1;
        }
    }
    pairs
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How far back rows are read so that every counter is exact. A row of losses of the length that matters
/// cannot span more than its length times the reset.
#[must_use]
pub fn spans(settings: &RiskSettings, cooldown_secs: i64) -> CounterSpans {
    let losses = settings.max_consecutive_losses;
    CounterSpans {
        trades_secs: settings.trades_window_secs,
        stop_exit_secs: cooldown_secs,
        closes_secs: losses.saturating_mul(settings.loss_streak_reset_secs),
        closes_max: losses,
        orders_secs: settings.churn_cooldown_secs.saturating_add(CHURN_SPAN_MS / 1_000),
    }
}

/// What the rules see of a symbol's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Past {
    /// Milliseconds left of the rest after a stop.
    pub cooldown_left_ms: i64,
    /// Positions opened in the window.
    pub opened_in_window: i64,
    /// Losses in a row.
    pub loss_streak: i64,
    /// Churn.
    pub churn: Churn,
}

impl Past {
    /// Of the rows of one symbol; a symbol without rows did nothing.
    #[must_use]
    pub fn of(
        rows: Option<&SymbolCounters>,
        now: UtcMicros,
        cooldown_secs: i64,
        settings: &RiskSettings,
    ) -> Self {
        let Some(rows) = rows else { return Self::default() };
        Self {
            cooldown_left_ms: cooldown_left_ms(rows.last_stop_exit_at, now, cooldown_secs),
            opened_in_window: rows.opened_in_window,
            loss_streak: loss_streak(&rows.closes, now, settings.loss_streak_reset_secs),
            churn: churn(&rows.orders_sent, &rows.cancels_sent, now, settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros(1_771_243_200_000_000 + ms * 1_000)
    }

    fn close(secs: i64, net: i64) -> CloseRow {
        CloseRow { at: at(secs * 1_000), net_quote: Decimal::from(net) }
    }

    #[test]
    fn a_cancel_is_replaced_once_and_only_by_a_later_order() {
        let times = |ms: &[i64]| ms.iter().map(|ms| at(*ms)).collect::<Vec<_>>();
        let pairs = |sent: &[i64], canceled: &[i64]| replaces(&times(sent), &times(canceled));
        assert_eq!(pairs(&[0, 2, 4], &[1, 3]), 2);
        assert_eq!(pairs(&[0, 1], &[2, 3]), 0, "nothing follows them");
        assert_eq!(pairs(&[5, 6, 7], &[1]), 1, "one cancel");
        assert_eq!(pairs(&[5], &[1, 2, 3]), 1, "one order");
        assert_eq!(pairs(&[], &[1]), 0);
    }

    #[test]
    fn churn_is_that_of_the_worst_ten_seconds_of_the_cooldown() {
        let settings = RiskSettings::default();
        let sent: Vec<UtcMicros> = [0, 1_000, 2_000, 9_999].map(at).to_vec();
        let most = |now| churn(&sent, &[at(500)], at(now), &settings);
        assert_eq!(most(9_999), Churn { replaces: 1, cancels: 1, new_orders: 4 });
        assert_eq!(most(69_998).new_orders, 4, "the hit is less than a minute old");
        assert_eq!(most(69_999), Churn::default(), "a minute after it");
        let late: Vec<UtcMicros> = [0, 1_000, 2_000, 10_000].map(at).to_vec();
        assert_eq!(churn(&late, &[], at(10_000), &settings).new_orders, 3, "ten seconds are over");
        let short = RiskSettings { churn_cooldown_secs: 1, ..settings };
        assert_eq!(churn(&late, &[], at(11_999), &short).new_orders, 3, "the span itself counts");
    }

    #[test]
    fn a_row_of_losses_ends_with_a_gain_or_with_time() {
        let now = at(100_000);
        let streak = |closes: &[CloseRow]| loss_streak(closes, now, 3_600);
        assert_eq!(streak(&[]), 0);
        assert_eq!(streak(&[close(1, -1), close(2, -1), close(3, -1)]), 3);
        assert_eq!(streak(&[close(1, -1), close(2, 0), close(3, -1)]), 1);
        assert_eq!(streak(&[close(1, -1), close(2, -1), close(3, 5)]), 0);
        assert_eq!(streak(&[close(-3_600, -1), close(0, -1)]), 1, "the first had ended");
        assert_eq!(streak(&[close(-3_599, -1), close(0, -1)]), 2);
        let once = [close(0, -1)];
        assert_eq!(loss_streak(&once, at(3_599_999), 3_600), 1);
        assert_eq!(loss_streak(&once, at(3_600_000), 3_600), 0);
    }
}
