//! The timeline of the account: one entry per report, and one sample of protection per change.
//!
//! Inputs: reports as they are queued, the state of a symbol after each operation. Outputs: lists
//! for the ledger and for the computation of unprotected time. Limit: `ENTRIES_LIMIT` each; what
//! comes later is counted as truncated and not kept, so that the beginning stays whole.

use crate::account::{ExecReport, ExecType, OrderKind, OrderStatus};
use crate::exchange::{Exchange, Price, Qty, Side, SymbolNo, Top};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, VecDeque};

/// Entries kept per list: a week of the demo's trading.
const ENTRIES_LIMIT: usize = 1_000_000;

/// One event of one order.
#[derive(Clone, Debug)]
pub struct TimelineEntry {
    /// Engine time, µs.
    pub ts_us: i64,
    /// The order's venue id.
    pub txid: String,
    /// What happened.
    pub exec_type: ExecType,
    /// Status after it.
    pub status: OrderStatus,
    /// Ordered quantity after it.
    pub qty: Qty,
    /// Traded quantity after it.
    pub cum_qty: Qty,
    /// Limit price after it.
    pub limit: Option<Price>,
    /// Trigger price after it.
    pub trigger: Option<Price>,
    /// The fill, when it was one.
    pub trade: Option<String>,
    /// Why, when it ended or was amended.
    pub reason: Option<String>,
}

/// Base and its protection right after an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExposureSample {
    /// Engine time, µs.
    pub ts_us: i64,
    /// The symbol.
    pub symbol: SymbolNo,
    /// Base that the account owns.
    pub base: Decimal,
    /// Base that could not be sold: below the pair's minimums at the last price.
    pub dust: bool,
    /// What live sell stops cover.
    pub stops: Decimal,
    /// A sell order that is no stop is live.
    pub selling: bool,
    /// Sell stops cancelled so far.
    pub stops_cancelled: u64,
}

/// Best prices and sizes of a symbol from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopEntry {
    /// Engine time, µs: the `timestamp` of the book frame that carried the change.
    pub ts_us: i64,
    /// The symbol.
    pub symbol: SymbolNo,
    /// Both best levels.
    pub top: Top,
}

/// Tops kept: the newest; 32 symbols with 4 changes a second for two hours.
const TOPS_LIMIT: usize = 1_000_000;

/// The timeline of the account.
#[derive(Debug, Default)]
pub struct Timeline {
    tops: VecDeque<TopEntry>,
    tops_truncated: u64,
    entries: Vec<TimelineEntry>,
    samples: Vec<ExposureSample>,
    newest: BTreeMap<SymbolNo, ExposureSample>,
    truncated: u64,
    stops_cancelled: BTreeMap<SymbolNo, u64>,
}

impl Timeline {
    /// Adds a report.
    pub(crate) fn record(&mut self, report: &ExecReport) {
        let order = &report.order;
        let stop = order.kind == OrderKind::StopLoss && order.side == Side::Sell;
        if stop && report.exec_type == ExecType::Canceled {
            *self.stops_cancelled.entry(order.symbol).or_default() += 1;
        }
        if self.entries.len() >= ENTRIES_LIMIT {
            self.truncated += 1;
            return;
        }
        self.entries.push(TimelineEntry {
            ts_us: report.ts_us,
            txid: order.txid.clone(),
            exec_type: report.exec_type,
            status: order.status,
            qty: order.qty,
            cum_qty: order.cum_qty,
            limit: order.limit,
            trigger: order.trigger,
            trade: report.trade.as_ref().map(|trade| trade.txid.clone()),
            reason: order.reason.clone(),
        });
    }

    /// Adds a top of book; the oldest goes when the list is full.
    pub(crate) fn record_top(&mut self, entry: TopEntry) {
        if self.tops.len() >= TOPS_LIMIT {
            self.tops.pop_front();
            self.tops_truncated += 1;
        }
        self.tops.push_back(entry);
    }

    /// All tops of book, oldest first.
    pub fn tops(&self) -> impl Iterator<Item = &TopEntry> {
        self.tops.iter()
    }

    /// Tops that were not kept.
    #[must_use]
    pub fn tops_truncated(&self) -> u64 {
        self.tops_truncated
    }

    /// All events, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[TimelineEntry] {
        &self.entries
    }

    /// All samples, oldest first.
    #[must_use]
    pub fn samples(&self) -> &[ExposureSample] {
        &self.samples
    }

    /// Entries and samples that were not kept.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.truncated
    }
}

impl Exchange {
    /// The timeline of the account.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Keeps a sample of a symbol when its base or its protection has changed.
    pub(crate) fn sample_exposure(&mut self, symbol: SymbolNo) {
        let market = self.market(symbol);
        let instrument = &market.instrument;
        let base = self.account().balance(&instrument.base);
        let last = self.timeline.newest.get(&symbol);
        if base.is_zero() && last.is_none_or(|last| last.base.is_zero()) {
            return;
        }
        let (mut stops, mut selling) = (Decimal::ZERO, false);
        for order in self.account().open_orders() {
            if order.symbol == symbol && order.side == Side::Sell {
                match order.armed() {
                    true => stops += instrument.qty(order.left()),
                    false => selling = true,
                }
            }
        }
        let price = market.last.map_or(Decimal::ZERO, |last| instrument.price(last));
        let small = base < instrument.qty(instrument.qty_min);
        let cheap = !price.is_zero() && base * price < instrument.cost_min;
        let stops_cancelled = self.timeline.stops_cancelled.get(&symbol).copied().unwrap_or(0);
        let sample = ExposureSample {
            ts_us: self.now_us,
            symbol,
            base,
            dust: small || cheap,
            stops,
            selling,
            stops_cancelled,
        };
        let same =
            |last: &ExposureSample| ExposureSample { ts_us: sample.ts_us, ..*last } == sample;
        if last.is_some_and(same) {
            return;
        }
        self.timeline.newest.insert(symbol, sample);
        if self.timeline.samples.len() >= ENTRIES_LIMIT {
            self.timeline.truncated += 1;
        } else {
            self.timeline.samples.push(sample);
        }
    }
}
