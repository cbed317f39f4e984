//! Limits on the day's loss and on the drawdown: two rules, and causes of the mode.
//!
//! Input: equity, mark, result of the day. Output: which limits are reached, with value and limit.
//! Invariants: a limit is reached at its value, not beyond it, and no rounding comes before the
//! comparison; absolute and relative limits both hold, so the smaller one acts.

use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::ReasonCode;

use crate::capital::CapitalState;
use crate::decide::config::DecideConfig;

/// What the limits look at, quote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Losses {
    pub(super) day_result: Decimal,
    pub(super) day_open: Option<Decimal>,
    pub(super) equity: Decimal,
    pub(super) hwm: Decimal,
}

type Reached = (ReasonCode, Decimal, Decimal);

/// `part` is at least `bps` of `whole`; a product that does not fit is compared after the division.
fn reaches(part: Decimal, whole: Decimal, bps: Decimal) -> bool {
    let unit = Decimal::from(10_000);
    match (part.checked_mul(unit), whole.checked_mul(bps)) {
        (Some(part), Some(limit)) => part >= limit,
        (None, _) | (_, None) => part.checked_div(whole).is_none_or(|share| share >= bps / unit),
    }
}

fn bps_of(part: Decimal, whole: Decimal) -> Decimal {
    let share = part.checked_div(whole).unwrap_or_default();
    round_to(share.saturating_mul(Decimal::from(10_000)), scale::BPS).normalize()
}

impl Losses {
    /// The day's loss in quote.
    pub(super) fn of_day(&self, config: &DecideConfig) -> Option<Reached> {
        let limit = -config.daily_loss_limit_quote;
        let reached = self.day_result <= limit;
        reached.then(|| (ReasonCode::RiskDailyLossLimit, self.day_result.normalize(), limit))
    }

    /// The drawdown, in quote or of the mark.
    pub(super) fn of_mark(&self, config: &DecideConfig) -> Option<Reached> {
        let fall = self.hwm - self.equity;
        let (code, limit) = (ReasonCode::RiskDrawdownLimit, config.drawdown_exit_only_bps);
        if self.hwm > Decimal::ZERO && reaches(fall, self.hwm, limit) {
            return Some((code, bps_of(fall, self.hwm), limit));
        }
        let absolute = config.risk_max_drawdown_quote;
        (fall >= absolute).then(|| (code, fall.normalize(), absolute))
    }

    /// The day's loss as a share of its opening equity, of the equity now before there is one.
    pub(super) fn of_opening(&self, config: &DecideConfig) -> Option<Reached> {
        let opening = self.day_open.unwrap_or(self.equity);
        let (loss, limit) = (-self.day_result, config.daily_loss_limit_bps);
        let reached = opening > Decimal::ZERO && reaches(loss, opening, limit);
        reached.then(|| (ReasonCode::RiskDailyLossPct, bps_of(loss, opening), limit))
    }
}

/// All limits that are reached, with value and limit.
#[must_use]
pub fn kill_switch(
    capital: &CapitalState,
    config: &DecideConfig,
) -> Vec<(ReasonCode, Decimal, Decimal)> {
    let losses = Losses {
        day_result: capital.day_result_quote,
        day_open: capital.day_open_quote,
        equity: capital.equity_quote,
        hwm: capital.hwm_quote,
    };
    let all = [losses.of_day(config), losses.of_mark(config), losses.of_opening(config)];
    all.into_iter().flatten().collect()
}
