//! The judgement of an epoch: criteria over a window of data, and the status that follows.
//!
//! Input: a cut with its window counters, the sets of symbols, gaps and durability. Output: every
//! criterion, every share, the status and the reasons. Nothing is true by default: an empty set has no
//! share, an unknown is a failure. A judgement is made once and never again.

use crate::aggregator::{Gaps, StateCut};
use penstock_types::decimal::{from_feature, scale};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{EpochStatus, L3Mode};
use penstock_types::{Decimal, Symbol, UtcMicros};
use std::collections::BTreeSet;

/// Seconds for which the count thresholds are written.
const THRESHOLD_SECS: i64 = 300;
/// L2 samples that a symbol needs in 300 s.
const L2_SAMPLES_MIN: i64 = 20;
/// Oldest ticker of a pinned symbol, and of one that counts as fresh, in seconds.
const TICKER_AGE_SECS_MAX: i64 = 60;
/// L3 samples that a symbol needs in 300 s.
const L3_SAMPLES_MIN: i64 = 5;
const TICKER_SHARE_MIN: f64 = 0.90;
const TRADE_SHARE_MIN: f64 = 0.50;
const L2_SHARE_MIN: f64 = 0.90;
const FRESH_SHARE_MIN: f64 = 0.50;
const L3_SHARE_MIN: f64 = 0.70;
const L3_PARTIAL_SHARE_MIN: f64 = 0.10;

/// What is judged of order-by-order books.
#[derive(Debug, Clone, Copy)]
pub struct Level3Input<'a> {
    /// Symbols that have one.
    pub symbols: &'a [Symbol],
    /// The process has judged no epoch before.
    pub is_first: bool,
    /// Within the window their rows were shed, or more than half of them were lost at once.
    pub is_lost: bool,
}

/// What is judged.
#[derive(Debug)]
pub struct EpochInput<'a> {
    /// State on whose counters the judgement stands.
    pub cut: &'a StateCut,
    /// Symbols that entries may use.
    pub execution: &'a [Symbol],
    /// Symbols with a position or a live order.
    pub pinned: &'a BTreeSet<Symbol>,
    /// Symbols that are hard-blocked.
    pub hard_blocked: &'a BTreeSet<Symbol>,
    /// Hard-blocked symbols that the universe has left out of `execution` already.
    pub hard_blocked_left_out: usize,
    /// Start of the judged window.
    pub window_start: UtcMicros,
    /// Gaps of the recording.
    pub gaps: &'a Gaps,
    /// Longest gap that the window may contain, in seconds.
    pub gap_secs: i64,
    /// Ticker rows per symbol and 300 s.
    pub min_ticker_per_symbol: i64,
    /// Least size of the entry set.
    pub min_universe: usize,
    /// Spool in use and in time, nothing but L3 rows shed or refused, through the whole window.
    pub is_durable: bool,
    /// Order-by-order books; none while they are off.
    pub level3: Option<Level3Input<'a>>,
}

/// The judgement.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochJudgement {
    /// Status.
    pub status: EpochStatus,
    /// A universe snapshot belongs to the epoch.
    pub has_snapshot: bool,
    /// Tracked symbols.
    pub symbol_count: usize,
    /// Size of the entry set: execution without pinned and hard-blocked.
    pub entry_set_count: usize,
    /// Pinned symbols left out of the entry set.
    pub pinned_excluded_count: usize,
    /// Hard-blocked symbols left out, by the universe or of its execution set.
    pub hard_blocked_excluded_count: usize,
    /// Share with enough ticker rows, scale 6.
    pub frac_ticker: Decimal,
    /// Share with a trade.
    pub frac_trade: Decimal,
    /// Share with enough L2 samples and a whole book.
    pub frac_l2: Decimal,
    /// Share with enough L3 samples; none while L3 is off.
    pub frac_l3: Option<Decimal>,
    /// Coverage of L3.
    pub l3_mode: L3Mode,
    /// Enough symbols.
    pub criteria_universe_ok: bool,
    /// Enough of them with ticker rows.
    pub criteria_ticker_ok: bool,
    /// Enough with trades.
    pub criteria_trade_ok: bool,
    /// Enough with books.
    pub criteria_l2_ok: bool,
    /// Enough with L3, or L3 is off.
    pub criteria_l3_ok: bool,
    /// Every pinned symbol can be priced.
    pub criteria_pinned_ok: bool,
    /// No gap that matters.
    pub criteria_continuity_ok: bool,
    /// Nothing lost on the way to disk.
    pub criteria_durability_ok: bool,
    /// Names of the criteria that failed.
    pub reasons: Vec<String>,
}

/// Threshold for 300 s scaled to the judged window, rounded up, at least 1.
#[must_use]
pub fn scaled_threshold(per_300_secs: i64, window_secs: i64) -> i64 {
    let window = window_secs.clamp(1, THRESHOLD_SECS);
    ((per_300_secs * window + THRESHOLD_SECS - 1) / THRESHOLD_SECS).max(1)
}

/// Judges a window.
#[must_use]
pub fn judge(input: &EpochInput<'_>) -> EpochJudgement {
    let as_of = input.cut.as_of;
    let window_secs = as_of.millis_since(input.window_start) / 1_000;
    let entry: Vec<&Symbol> = input
        .execution
        .iter()
        .filter(|s| !input.pinned.contains(*s) && !input.hard_blocked.contains(*s))
        .collect();
    let share = |holds: &dyn Fn(&StateRow) -> bool| {
        share_of(&entry, |s| find(input.cut, s).is_some_and(holds))
    };
    let tickers_min = scaled_threshold(input.min_ticker_per_symbol, window_secs);
    let l2_min = scaled_threshold(L2_SAMPLES_MIN, window_secs);
    let ticker = share(&|r| i64::from(r.ticker_count_w) >= tickers_min);
    let trade = share(&|r| r.trade_count_w >= 1);
    let l2 = share(&|r| i64::from(r.l2_count_w) >= l2_min && r.book_ok);
    let fresh = share(&|r| ticker_age_secs(r, as_of) <= TICKER_AGE_SECS_MAX);
    let is_priced = |r: &StateRow| ticker_age_secs(r, as_of) <= TICKER_AGE_SECS_MAX && r.book_ok;
    let pinned_ok = input.pinned.iter().all(|s| find(input.cut, s).is_some_and(is_priced));
    let l3_min = scaled_threshold(L3_SAMPLES_MIN, window_secs);
    let l3 = input.level3.map(|level3| {
        let with_l3 = entry.iter().copied().filter(|s| level3.symbols.contains(s));
        let with_l3: Vec<&Symbol> = with_l3.collect();
        let holds = |r: &StateRow| i64::from(r.l3_count_w) >= l3_min;
        let share = share_of(&with_l3, |s| find(input.cut, s).is_some_and(holds));
        (share, l3_mode(share, &level3))
    });
    let longest = input.gaps.longest_secs(input.window_start, as_of);
    let excluded =
        |set: &BTreeSet<Symbol>| input.execution.iter().filter(|s| set.contains(*s)).count();
    let has_snapshot = input.execution.len() >= input.min_universe.max(1);
    let mut judgement = EpochJudgement {
        status: EpochStatus::Invalid,
        has_snapshot,
        symbol_count: input.cut.rows.len(),
        entry_set_count: entry.len(),
        pinned_excluded_count: excluded(input.pinned),
        hard_blocked_excluded_count: input.hard_blocked_left_out + excluded(input.hard_blocked),
        frac_ticker: ratio(ticker),
        frac_trade: ratio(trade),
        frac_l2: ratio(l2),
        frac_l3: l3.map(|(share, _)| ratio(share)),
        l3_mode: l3.map_or(L3Mode::Off, |(_, mode)| mode),
        criteria_universe_ok: entry.len() >= input.min_universe,
        criteria_ticker_ok: ticker >= TICKER_SHARE_MIN,
        criteria_trade_ok: trade >= TRADE_SHARE_MIN,
        criteria_l2_ok: l2 >= L2_SHARE_MIN,
        criteria_l3_ok: l3.is_none_or(|(_, mode)| mode == L3Mode::Ok),
        criteria_pinned_ok: pinned_ok,
        criteria_continuity_ok: !input.gaps.is_open() && longest <= input.gap_secs,
        criteria_durability_ok: input.is_durable,
        reasons: Vec::new(),
    };
    judgement.status = status(&mut judgement, fresh);
    judgement
}

/// Coverage by the share of the symbols with enough samples. At the first epoch books have only begun; what
/// was shed or lost all at once is no coverage, however many rows are left.
fn l3_mode(share: f64, level3: &Level3Input<'_>) -> L3Mode {
    if level3.is_lost {
        return L3Mode::Absent;
    }
    if share >= L3_SHARE_MIN {
        return L3Mode::Ok;
    }
    match (level3.is_first, share >= L3_PARTIAL_SHARE_MIN) {
        (_, true) => L3Mode::Partial,
        (true, false) => L3Mode::Cold,
        (false, false) => L3Mode::Absent,
    }
}

fn status(judgement: &mut EpochJudgement, fresh_share: f64) -> EpochStatus {
    let needed = [
        ("universe", judgement.criteria_universe_ok),
        ("ticker", judgement.criteria_ticker_ok),
        ("trade", judgement.criteria_trade_ok),
        ("l2", judgement.criteria_l2_ok),
        ("pinned", judgement.criteria_pinned_ok),
        ("continuity", judgement.criteria_continuity_ok),
        ("durability", judgement.criteria_durability_ok),
    ];
    judgement.reasons = needed.iter().filter(|n| !n.1).map(|n| n.0.to_owned()).collect();
    if judgement.reasons.is_empty() && judgement.has_snapshot {
        return EpochStatus::Valid;
    }
    if judgement.has_snapshot && fresh_share >= FRESH_SHARE_MIN && judgement.criteria_pinned_ok {
        return EpochStatus::Degraded;
    }
    EpochStatus::Invalid
}

fn find<'a>(cut: &'a StateCut, symbol: &Symbol) -> Option<&'a StateRow> {
    cut.rows.binary_search_by(|r| r.symbol.cmp(symbol)).ok().map(|i| &cut.rows[i])
}

fn ticker_age_secs(row: &StateRow, as_of: UtcMicros) -> i64 {
    row.last_ticker_at.map_or(i64::MAX, |t| as_of.millis_since(t) / 1_000)
}

fn share_of(symbols: &[&Symbol], holds: impl Fn(&Symbol) -> bool) -> f64 {
    if symbols.is_empty() {
        return 0.0;
    }
    let count = symbols.iter().filter(|s| holds(s)).count();
    let float = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    float(count) / float(symbols.len())
}

fn ratio(value: f64) -> Decimal {
    from_feature(value, scale::RATIO).unwrap_or(Decimal::ZERO)
}

#[cfg(test)]
mod tests;
