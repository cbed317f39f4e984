//! When a position closes or its stop moves: the conditions of the triggers, judged in their order.
//!
//! Input: plan, position, quote and time of one tick. Output: one decision, the new peak and trough and
//! the start of a loss beyond the cap. Losses are measured on the best bid, arming of profits on the
//! mid. Without a usable quote only the operator's close is decided: nothing is closed at market on a
//! price that we do not have, the stop at the venue stands.

use super::order::{self, Asked, Trigger};
use super::policy::{TRAILING_EXTENSION_SECS, TRAILING_TIME_STOP_SECS};
use super::regime::RegimeAction;
use super::review::ReviewAction;
use super::{bps_over, shifted};
use penstock_types::decimal::{ceil_to_step, floor_to_step, round_to, scale};
use penstock_types::vocab::{ExitPolicy, ExitReason, Regime};
use penstock_types::{Decimal, UtcMicros};

/// How long a loss beyond the cap must last.
pub const LOSS_CAP_MS: i64 = 500;
/// Age from which a loser that does not move is closed.
pub const STALE_LOSER_SECS: i64 = 300;
/// Movement below which it does not move.
pub const STALE_LOSER_MOVE_BPS: i64 = 5;
/// Added to the first stop's distance, so that the cap never races the stop.
pub const LOSS_CAP_MARGIN_BPS: i64 = 25;
/// A stop stays at least this far below the best bid.
pub const BID_DISTANCE_BPS: i64 = 5;
/// ... and at least this many ticks.
pub const BID_DISTANCE_TICKS: i64 = 2;
/// Smallest raise worth an amend.
pub const RAISE_STEP_BPS_MIN: i64 = 5;
/// A raise of this much does not wait for the interval.
pub const RAISE_STEP_BPS_LARGE: i64 = 25;
/// A recovered position is tightened to this at its time stop.
pub const RECOVERED_TIGHT_BPS: i64 = 40;

/// A quote that may be priced with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    /// Best bid.
    pub bid: Decimal,
    /// Best ask.
    pub ask: Decimal,
    /// Age.
    pub age_ms: i64,
}

impl Quote {
    /// Middle of bid and ask.
    #[must_use]
    pub fn mid(&self) -> Decimal {
        (self.bid + self.ask) / Decimal::TWO
    }

    /// Both sides above zero and not crossed, younger than `age_ms_max`.
    #[must_use]
    pub fn usable(&self, age_ms_max: i64) -> bool {
        self.bid > Decimal::ZERO && self.ask > self.bid && self.age_ms <= age_ms_max
    }
}

/// What one tick of one position is judged by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TickInput {
    /// Policy of the plan.
    pub policy: ExitPolicy,
    /// Average entry price.
    pub avg_entry: Decimal,
    /// Distance of the first stop.
    pub sl_bps: Decimal,
    /// Committed stop price.
    pub sl_price: Decimal,
    /// Take-profit.
    pub tp_bps: Option<Decimal>,
    /// Trail distance.
    pub trail_bps: Option<Decimal>,
    /// First step of breakeven.
    pub breakeven_arm_bps: Decimal,
    /// Panic loss.
    pub panic_bps: Decimal,
    /// When time is up.
    pub time_stop_at: UtcMicros,
    /// When the position opened.
    pub opened_at: UtcMicros,
    /// Take-profit has raised the stop before.
    pub tp_raised: bool,
    /// Highest mid so far.
    pub peak: Decimal,
    /// Lowest mid so far.
    pub trough: Decimal,
    /// Fees of entry and exit together.
    pub round_trip_fees_bps: Decimal,
    /// Price increment.
    pub tick: Decimal,
    /// Hard loss cap of the configuration.
    pub loss_cap_bps: Decimal,
    /// Since when the loss is beyond the cap.
    pub loss_since: Option<UtcMicros>,
    /// Mid of 300 s ago, when known.
    pub mid_300s_ago: Option<Decimal>,
    /// Current regime, when its input is fresh.
    pub regime: Option<Regime>,
    /// The quote, unless it was withdrawn.
    pub quote: Option<Quote>,
    /// Oldest quote that exits may use.
    pub quote_age_ms_max: i64,
    /// The operator asked to close.
    pub flatten: bool,
    /// What others ask for.
    pub asked: Asked,
    /// Take-profit closes instead of raising the stop.
    pub tp_closes: bool,
    /// When the stop was raised last.
    pub raised_at: Option<UtcMicros>,
    /// Shortest time between two raises, unless the step is large.
    pub raise_interval_ms: i64,
    /// Now.
    pub now: UtcMicros,
}

/// Why a stop is raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RaiseCause {
    /// A breakeven step.
    Breakeven,
    /// The trail.
    Trail,
    /// Take-profit.
    TakeProfit,
    /// Time is up for a recovered position.
    Tighten,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing.
    Hold,
    /// No usable quote: only the venue's stop works.
    InputStale,
    /// Close at market.
    CloseMarket(ExitReason),
    /// Rest at the ask for a while, then market.
    CloseMaker(ExitReason),
    /// Raise the stop to a price.
    Raise {
        /// New level, already rounded, above the committed one.
        to: Decimal,
        /// Why.
        cause: RaiseCause,
    },
    /// Nothing but to wait for the venue's stop, which has fired.
    AwaitStop,
    /// Carry out what the pair of regimes asks for.
    Regime(RegimeAction),
    /// Carry out what the engine's review asks for.
    Engine(ReviewAction),
    /// Give a trailing position in profit one more interval.
    ExtendTimeStop {
        /// The new time.
        to: UtcMicros,
    },
}

/// Result of a tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick {
    /// What to do.
    pub decision: Decision,
    /// What decided it.
    pub trigger: Option<Trigger>,
    /// Highest mid, this tick included.
    pub peak: Decimal,
    /// Lowest mid, this tick included.
    pub trough: Decimal,
    /// Since when the loss is beyond the cap.
    pub loss_since: Option<UtcMicros>,
    /// Profit on the best bid.
    pub g_bps: Option<Decimal>,
}

/// Judges one tick.
#[must_use]
pub fn judge(input: &TickInput) -> Tick {
    let Some(at) = Moment::of(input) else {
        let (trigger, decision) = if input.flatten {
            (Some(Trigger::Operator), Decision::CloseMarket(ExitReason::Operator))
        } else {
            (None, Decision::InputStale)
        };
        let (peak, trough) = (input.peak, input.trough);
        return Tick { decision, trigger, peak, trough, loss_since: None, g_bps: None };
    };
    let found = order::first(&at);
    Tick {
        decision: found.map_or(Decision::Hold, |(_, decision)| decision),
        trigger: found.map(|(trigger, _)| trigger),
        peak: at.peak,
        trough: if input.trough.is_zero() { at.mid } else { input.trough.min(at.mid) },
        loss_since: at.loss_since,
        g_bps: Some(at.g),
    }
}

/// A tick whose quote can be priced with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moment<'a> {
    /// The tick.
    pub input: &'a TickInput,
    quote: Quote,
    mid: Decimal,
    /// Profit on the best bid.
    pub g: Decimal,
    peak: Decimal,
    loss_since: Option<UtcMicros>,
}

impl<'a> Moment<'a> {
    /// None without a usable quote.
    #[must_use]
    pub fn of(input: &'a TickInput) -> Option<Self> {
        let quote = input.quote.filter(|q| q.usable(input.quote_age_ms_max))?;
        let mid = quote.mid();
        let g = bps_over(quote.bid, input.avg_entry);
        let cap = input.loss_cap_bps.max(input.sl_bps + Decimal::from(LOSS_CAP_MARGIN_BPS));
        let loss_since = (g <= -cap).then(|| input.loss_since.unwrap_or(input.now));
        Some(Self { input, quote, mid, g, peak: input.peak.max(mid), loss_since })
    }

    pub(super) fn operator(&self) -> Option<Decision> {
        self.input.flatten.then_some(Decision::CloseMarket(ExitReason::Operator))
    }

    pub(super) fn panic(&self) -> Option<Decision> {
        let failed = self.g <= -self.input.panic_bps;
        failed.then_some(Decision::CloseMarket(ExitReason::PanicExit))
    }

    pub(super) fn loss_cap(&self) -> Option<Decision> {
        let now = self.input.now;
        let lasted = self.loss_since.is_some_and(|since| now.millis_since(since) >= LOSS_CAP_MS);
        lasted.then_some(Decision::CloseMarket(ExitReason::LossCap))
    }

    pub(super) fn take_profit(&self) -> Option<Decision> {
        take_profit(self.input, &self.quote, self.mid)
    }

    pub(super) fn time_up(&self) -> Option<Decision> {
        time_up(self.input, &self.quote, self.mid, self.g)
    }

    pub(super) fn stale_loser(&self) -> Option<Decision> {
        stale_loser(self.input, self.mid, self.g)
    }

    pub(super) fn breakeven(&self) -> Option<Decision> {
        breakeven(self.input, &self.quote, self.peak)
    }

    pub(super) fn trail(&self) -> Option<Decision> {
        trail(self.input, &self.quote, self.peak)
    }
}

/// Take-profit at this moment.
#[must_use]
pub fn take_profit_bps(input: &TickInput) -> Option<Decimal> {
    let life = (input.opened_at, input.time_stop_at);
    let fees = input.round_trip_fees_bps;
    input.tp_bps.map(|tp| target_bps(input.policy, tp, fees, life, input.now))
}

/// A take-profit of `tp_bps` at a time of its life, which is (opened at, time stop at): that of the decaying policy
/// falls linearly to fees + 2 at its time stop.
#[must_use]
pub fn target_bps(
    policy: ExitPolicy,
    tp_bps: Decimal,
    round_trip_fees_bps: Decimal,
    (opened_at, time_stop_at): (UtcMicros, UtcMicros),
    now: UtcMicros,
) -> Decimal {
    match policy {
        ExitPolicy::MakerLadder | ExitPolicy::TrailingStop | ExitPolicy::Recovered => tp_bps,
        ExitPolicy::TimeDecay => {
            let floor = round_trip_fees_bps + Decimal::TWO;
            let whole = time_stop_at.millis_since(opened_at).max(1);
            let gone = now.millis_since(opened_at).clamp(0, whole);
            let drop =
                (tp_bps - floor).max(Decimal::ZERO) * Decimal::from(gone) / Decimal::from(whole);
            round_to(tp_bps - drop, scale::BPS)
        }
    }
}

fn take_profit(input: &TickInput, quote: &Quote, mid: Decimal) -> Option<Decision> {
    let target = take_profit_bps(input)?;
    if bps_over(mid, input.avg_entry) < target && !input.tp_raised {
        return None;
    }
    if input.tp_closes {
        let maker = input.policy == ExitPolicy::MakerLadder;
        return Some(if maker {
            Decision::CloseMaker(ExitReason::TpHit)
        } else {
            Decision::CloseMarket(ExitReason::TpHit)
        });
    }
    raise(input, quote, stop_ceiling(quote.bid, input.tick), RaiseCause::TakeProfit)
}

fn time_up(input: &TickInput, quote: &Quote, mid: Decimal, g: Decimal) -> Option<Decision> {
    if input.now < input.time_stop_at {
        return None;
    }
    match input.policy {
        ExitPolicy::Recovered => {
            let to = shifted(mid, -Decimal::from(RECOVERED_TIGHT_BPS));
            raise(input, quote, to, RaiseCause::Tighten)
        }
        ExitPolicy::TrailingStop if may_extend(input, g) => Some(Decision::ExtendTimeStop {
            to: input.time_stop_at.plus_millis(TRAILING_EXTENSION_SECS * 1_000),
        }),
        ExitPolicy::MakerLadder | ExitPolicy::TimeDecay | ExitPolicy::TrailingStop => {
            Some(if g >= Decimal::ZERO {
                Decision::CloseMaker(ExitReason::TimeStop)
            } else {
                Decision::CloseMarket(ExitReason::TimeStop)
            })
        }
    }
}

fn may_extend(input: &TickInput, g: Decimal) -> bool {
    let planned = input.opened_at.plus_millis(TRAILING_TIME_STOP_SECS * 1_000);
    let trending = matches!(input.regime, Some(Regime::Trend | Regime::HighVolatility));
    input.time_stop_at <= planned && g > Decimal::ZERO && trending
}

fn stale_loser(input: &TickInput, mid: Decimal, g: Decimal) -> Option<Decision> {
    let before = input.mid_300s_ago?;
    let old = input.now.millis_since(input.opened_at) >= STALE_LOSER_SECS * 1_000;
    let still = bps_over(mid, before).abs() < Decimal::from(STALE_LOSER_MOVE_BPS);
    (old && still && g < Decimal::ZERO).then_some(Decision::CloseMarket(ExitReason::StalePosition))
}

fn breakeven(input: &TickInput, quote: &Quote, peak: Decimal) -> Option<Decision> {
    let best = bps_over(peak, input.avg_entry);
    let second = input.round_trip_fees_bps + Decimal::from(super::policy::BREAKEVEN_ARM_BPS);
    let to = if best >= second {
        shifted(input.avg_entry, input.round_trip_fees_bps)
    } else if best >= input.breakeven_arm_bps {
        input.avg_entry
    } else {
        return None;
    };
    raise(input, quote, to, RaiseCause::Breakeven)
}

fn trail(input: &TickInput, quote: &Quote, peak: Decimal) -> Option<Decision> {
    let distance = input.trail_bps?;
    let best = bps_over(peak, input.avg_entry);
    let distance = match input.policy {
        ExitPolicy::Recovered => distance,
        ExitPolicy::MakerLadder | ExitPolicy::TimeDecay | ExitPolicy::TrailingStop => {
            let tenths = if best >= Decimal::from(150) {
                4
            } else if best >= Decimal::from(50) {
                6
            } else if best >= Decimal::from(25) {
                10
            } else {
                return None;
            };
            distance * Decimal::new(tenths, 1)
        }
    };
    raise(input, quote, shifted(peak, -distance), RaiseCause::Trail)
}

/// A raise to `level`, if it is a step worth sending now and leaves the bid its distance.
fn raise(input: &TickInput, quote: &Quote, level: Decimal, cause: RaiseCause) -> Option<Decision> {
    let to = round_to(ceil_to_step(level, input.tick), scale::PX);
    let step = bps_over(to, input.sl_price);
    let rested =
        input.raised_at.is_none_or(|at| input.now.millis_since(at) >= input.raise_interval_ms);
    let due = step >= Decimal::from(RAISE_STEP_BPS_LARGE)
        || (rested && step >= Decimal::from(RAISE_STEP_BPS_MIN));
    (due && to <= stop_ceiling(quote.bid, input.tick)).then_some(Decision::Raise { to, cause })
}

/// Highest stop that a best bid allows: max(2 ticks, 5 bps) below it, down to the tick.
#[must_use]
pub fn stop_ceiling(bid: Decimal, tick: Decimal) -> Decimal {
    let by_ticks = bid - tick * Decimal::from(BID_DISTANCE_TICKS);
    let by_bps = shifted(bid, -Decimal::from(BID_DISTANCE_BPS));
    round_to(floor_to_step(by_ticks.min(by_bps), tick), scale::PX)
}

/// Up to the tick, at the scale of a price.
#[must_use]
pub fn ceil_tick(price: Decimal, tick: Decimal) -> Decimal {
    round_to(ceil_to_step(price, tick), scale::PX)
}

/// Excursion of a price from the entry in basis points, held inside the column.
#[must_use]
pub fn excursion_bps(price: Decimal, entry: Decimal) -> Decimal {
    let limit = Decimal::from(99_999_999);
    bps_over(price, entry).clamp(-limit, limit)
}
