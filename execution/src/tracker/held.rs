//! One position in memory: its committed rows and the clocks of its protection.
//!
//! Inputs: records as transactions return them. It decides nothing.

use std::collections::VecDeque;

use penstock_store_orders::positions::{PlanRecord, PositionRecord};
use penstock_trading::exit::market::Market;
use penstock_trading::exit::regime::{RegimeAction, RegimeWatch};
use penstock_trading::exit::review::Review;
use penstock_types::vocab::{ExitReason, PlanState, Regime, RegimeSub};
use penstock_types::{Decimal, OrderId, UtcMicros};

/// Mids kept for the stale-loser rule: one a second for five minutes and a margin.
const MIDS_LEN_LIMIT: usize = 320;

/// A raise that waits for its answer, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RaiseNote {
    /// Level before.
    pub(crate) old: Decimal,
    /// Level asked for.
    pub(crate) new: Decimal,
    /// Take-profit raised it.
    pub(crate) by_profit: bool,
    /// Highest mid.
    pub(crate) peak: Decimal,
    /// Profit on the best bid.
    pub(crate) g_bps: Option<Decimal>,
}

/// Take-profit in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakeProfit {
    /// As frozen in the plan.
    Plan,
    /// Given up.
    Off,
    /// At this profit, basis points.
    At(Decimal),
}

/// A position.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Committed position.
    pub(crate) position: PositionRecord,
    /// Committed plan.
    pub(crate) plan: Option<PlanRecord>,
    /// Since when base is without a live stop.
    pub(crate) bare_since_mono_ms: Option<i64>,
    /// The alarm of the grace was raised.
    pub(crate) grace_alarmed: bool,
    /// The first unprotected fill was seen at this time, microseconds.
    pub(crate) fill_seen_mono_us: Option<i64>,
    /// Milliseconds from that fill to the stop's acknowledgement, once it came.
    pub(crate) to_protection_ms: Option<i64>,
    /// Order of that fill.
    pub(crate) fill_order: Option<OrderId>,
    /// The stop for it went out.
    pub(crate) stop_sent_at: Option<UtcMicros>,
    /// Failed placements in a row.
    pub(crate) failures: i32,
    /// Last of them.
    pub(crate) failed_mono_ms: i64,
    /// Refused amends of the quantity in a row.
    pub(crate) amend_refusals: i32,
    /// An amend was refused at this time, and none was accepted since.
    pub(crate) amend_refused_mono_ms: Option<i64>,
    /// State of the market that a refusal named, and when.
    pub(crate) taught: Option<(Market, i64)>,
    /// Closes in a row that ended without a fill.
    pub(crate) close_refusals: i32,
    /// When the last of them ended.
    pub(crate) close_refused_mono_ms: i64,
    /// No further close is decided before this time: one has given up.
    pub(crate) close_again_mono_ms: i64,
    /// It was said that a close waits for the market.
    pub(crate) close_waits: bool,
    /// The stop is being cancelled to be placed anew.
    pub(crate) swapping: bool,
    /// Since when the loss is beyond the cap.
    pub(crate) loss_since: Option<UtcMicros>,
    /// Last raise.
    pub(crate) raised_at: Option<UtcMicros>,
    /// The close was decided at this time.
    pub(crate) decided_mono_ms: i64,
    /// The close wants to rest first.
    pub(crate) maker_close: bool,
    /// Since when the free base is below the position.
    pub(crate) short_since_mono_ms: Option<i64>,
    /// A read of the balance is under way.
    pub(crate) balance_look_open: bool,
    /// A person was called about the stop's cancel.
    pub(crate) cancel_alarmed: bool,
    /// The operator asked to close it.
    pub(crate) flatten: bool,
    /// Closes that were sent before the present decision.
    pub(crate) attempts_base: i32,
    /// Close at once with this reason: it reopened after its close.
    pub(crate) close_reason: Option<ExitReason>,
    /// Regime and drift as published.
    pub(crate) watch: RegimeWatch,
    /// Generation that the watch saw last.
    pub(crate) generation_id: i64,
    /// Refinement of the newest regime.
    pub(crate) regime_sub: Option<RegimeSub>,
    /// Age of the newest state at its read, and when that was.
    pub(crate) state_seen: Option<(i64, i64)>,
    /// Settled regime that was acted on last, and what it asked for.
    pub(crate) regime_acted: Option<(Regime, RegimeAction)>,
    /// What reviews by the engine have done.
    pub(crate) review: Review,
    /// Take-profit in force: of the plan, given up, or another level.
    pub(crate) take_profit: TakeProfit,
    /// Raise whose answer is open.
    pub(crate) raise: Option<RaiseNote>,
    /// Inputs are stale.
    pub(crate) stale: bool,
    /// Mids, one a second.
    pub(crate) mids: VecDeque<(UtcMicros, Decimal)>,
    /// Last status line.
    pub(crate) status_mono_ms: i64,
    /// Extremes changed since they were stored.
    pub(crate) extremes_dirty: bool,
    /// When extremes were stored.
    pub(crate) extremes_mono_ms: i64,
}

impl Held {
    /// A position as its rows say.
    #[must_use]
    pub(crate) fn new(
        position: PositionRecord,
        plan: Option<PlanRecord>,
        now_mono_ms: i64,
    ) -> Self {
        Self {
            position,
            plan,
            bare_since_mono_ms: None,
            grace_alarmed: false,
            fill_seen_mono_us: None,
            to_protection_ms: None,
            fill_order: None,
            stop_sent_at: None,
            failures: 0,
            failed_mono_ms: 0,
            amend_refusals: 0,
            amend_refused_mono_ms: None,
            taught: None,
            close_refusals: 0,
            close_refused_mono_ms: 0,
            close_again_mono_ms: 0,
            close_waits: false,
            swapping: false,
            loss_since: None,
            raised_at: None,
            decided_mono_ms: now_mono_ms,
            maker_close: false,
            short_since_mono_ms: None,
            balance_look_open: false,
            cancel_alarmed: false,
            flatten: false,
            attempts_base: 0,
            close_reason: None,
            watch: RegimeWatch::new(UtcMicros(0)),
            generation_id: 0,
            regime_sub: None,
            state_seen: None,
            regime_acted: None,
            review: Review::default(),
            take_profit: TakeProfit::Plan,
            raise: None,
            stale: false,
            mids: VecDeque::new(),
            status_mono_ms: now_mono_ms,
            extremes_dirty: false,
            extremes_mono_ms: now_mono_ms,
        }
    }

    /// A remainder below the venue's minimum: it holds base and keeps nobody from its symbol.
    #[must_use]
    pub(crate) fn is_dust(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.state == PlanState::DustHold)
    }

    /// Base held.
    #[must_use]
    pub(crate) const fn base(&self) -> Decimal {
        self.position.head.base
    }

    /// Remembers a mid, once a second.
    pub(crate) fn note_mid(&mut self, now: UtcMicros, mid: Decimal) {
        if self.mids.back().is_some_and(|(at, _)| now.millis_since(*at) < 1_000) {
            return;
        }
        if self.mids.len() == MIDS_LEN_LIMIT {
            self.mids.pop_front();
        }
        self.mids.push_back((now, mid));
    }

    /// The mid of `secs` ago, when it was seen within ten seconds of that moment.
    #[must_use]
    pub(crate) fn mid_before(&self, now: UtcMicros, secs: i64) -> Option<Decimal> {
        let then = now.plus_millis(-secs * 1_000);
        let (at, mid) = self.mids.iter().rev().find(|(at, _)| *at <= then)?;
        (then.millis_since(*at) <= 10_000).then_some(*mid)
    }
}
