//! The exit policy of a position, frozen at its first fill.
//!
//! Input: policy, average entry, expected move, volatility, spread, fees, horizon, tick. Output: stop,
//! take-profit, trail, breakeven, panic and time stop, levels rounded to the tick in the direction that
//! protects. Later only tightening. Numbers are those of the strategy tables; an average true range
//! that does not exist yet drops out of its maximum or sum, the lower clamp holds.

use super::{shifted, trigger};
use penstock_types::decimal::{ceil_to_step, round_to, scale};
use penstock_types::vocab::{ExitPolicy, Horizon, Strategy};
use penstock_types::{Decimal, UtcMicros};

/// Take-profit of the trailing policy: a guard against a runaway, not a target.
pub const RUNAWAY_TP_BPS: i64 = 1_000;
/// Peak profit at which the stop goes to the entry price.
pub const BREAKEVEN_ARM_BPS: i64 = 30;
/// Time stop of the trailing policy.
pub const TRAILING_TIME_STOP_SECS: i64 = 900;
/// Its one extension while in profit and in a trend.
pub const TRAILING_EXTENSION_SECS: i64 = 120;
/// Smallest time stop: a configured zero is an error and becomes this.
pub const TIME_STOP_SECS_MIN: i64 = 60;

/// What the policy is computed from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PolicyInput {
    /// The policy.
    pub policy: ExitPolicy,
    /// Average entry price; of a standby row: the limit, or the best ask of a taker.
    pub entry_price: Decimal,
    /// Reference of `Recovered`: the mid, when there is one.
    pub mid: Option<Decimal>,
    /// Expected gross move of the entry.
    pub expected_move_bps: Decimal,
    /// Average true range of 15 minutes.
    pub atr_bps: Option<Decimal>,
    /// Average spread.
    pub spread_avg_bps: Decimal,
    /// Fees of entry and exit together.
    pub round_trip_fees_bps: Decimal,
    /// Horizon of the route.
    pub horizon: Horizon,
    /// Price increment.
    pub tick: Decimal,
    /// When the position opened.
    pub opened_at: UtcMicros,
}

/// The frozen plan.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlanTerms {
    /// Policy.
    pub policy: ExitPolicy,
    /// Distance of the first stop.
    pub sl_bps: Decimal,
    /// Take-profit, if the policy has one.
    pub tp_bps: Option<Decimal>,
    /// Trail distance, if the policy trails.
    pub trail_bps: Option<Decimal>,
    /// First step of breakeven.
    pub breakeven_arm_bps: Decimal,
    /// Loss at which the stop has evidently failed.
    pub panic_bps: Decimal,
    /// When time is up.
    pub time_stop_at: UtcMicros,
    /// First stop price.
    pub sl_price: Decimal,
    /// Take-profit price.
    pub tp_price: Option<Decimal>,
}

/// The exit policy that a strategy's entries get.
#[must_use]
pub const fn policy_of(strategy: Strategy) -> ExitPolicy {
    match strategy {
        Strategy::Liquidity => ExitPolicy::MakerLadder,
        Strategy::Momentum => ExitPolicy::TrailingStop,
        Strategy::Volume => ExitPolicy::TimeDecay,
    }
}

fn int(value: i64) -> Decimal {
    Decimal::from(value)
}

fn clamp(value: Decimal, low: i64, high: i64) -> Decimal {
    value.clamp(int(low), int(high))
}

fn tenths(value: i64) -> Decimal {
    Decimal::new(value, 1)
}

/// Freezes a plan.
#[must_use]
pub fn plan_terms(input: &PolicyInput) -> PlanTerms {
    let atr = input.atr_bps.unwrap_or(Decimal::ZERO);
    let mx = input.expected_move_bps;
    let fees = input.round_trip_fees_bps;
    let (sl, tp, trail) = match input.policy {
        ExitPolicy::MakerLadder => (
            clamp(int(20).max(tenths(6) * input.spread_avg_bps + atr * tenths(3)), 20, 80),
            Some(clamp(tenths(7) * mx + fees, 30, 150)),
            None,
        ),
        ExitPolicy::TrailingStop => {
            let sl = clamp((tenths(5) * mx).max(tenths(15) * atr), 60, 500);
            (sl, Some(int(RUNAWAY_TP_BPS)), Some(sl.min(int(70).max(atr))))
        }
        ExitPolicy::TimeDecay => (
            clamp(int(25).max(tenths(5) * atr), 25, 120),
            Some(clamp(tenths(6) * mx, 50, 200)),
            None,
        ),
        ExitPolicy::Recovered => (int(150), None, Some(int(70))),
    };
    let sl = round_to(sl, scale::BPS);
    let reference = match input.policy {
        ExitPolicy::Recovered => input.mid.unwrap_or(input.entry_price).min(input.entry_price),
        ExitPolicy::MakerLadder | ExitPolicy::TrailingStop | ExitPolicy::TimeDecay => {
            input.entry_price
        }
    };
    let tp = tp.map(|v| round_to(v, scale::BPS));
    PlanTerms {
        policy: input.policy,
        sl_bps: sl,
        tp_bps: tp,
        trail_bps: trail.map(|v| round_to(v, scale::BPS)),
        breakeven_arm_bps: int(BREAKEVEN_ARM_BPS),
        panic_bps: int(200).max(int(2) * sl),
        time_stop_at: input.opened_at.plus_millis(time_stop_secs(input) * 1_000),
        sl_price: stop_level(reference, sl, input.tick),
        tp_price: tp.map(|v| trigger::ceil_tick(shifted(input.entry_price, v), input.tick)),
    }
}

/// Stop price `bps` below a reference: up to the tick, which is the tighter side.
#[must_use]
pub fn stop_level(reference: Decimal, bps: Decimal, tick: Decimal) -> Decimal {
    round_to(ceil_to_step(shifted(reference, -bps), tick), scale::PX)
}

const fn time_stop_secs(input: &PolicyInput) -> i64 {
    match (input.policy, input.horizon) {
        (ExitPolicy::MakerLadder, Horizon::Short) => 120,
        (ExitPolicy::MakerLadder, Horizon::Medium) | (ExitPolicy::TimeDecay, Horizon::Medium) => {
            300
        }
        (ExitPolicy::MakerLadder, Horizon::Long) => 600,
        (ExitPolicy::TimeDecay, Horizon::Short) => TIME_STOP_SECS_MIN,
        (ExitPolicy::TimeDecay, Horizon::Long) => 900,
        (ExitPolicy::TrailingStop, Horizon::Short | Horizon::Medium | Horizon::Long)
        | (ExitPolicy::Recovered, Horizon::Short | Horizon::Medium | Horizon::Long) => {
            TRAILING_TIME_STOP_SECS
        }
    }
}
