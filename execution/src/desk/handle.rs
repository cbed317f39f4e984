//! The way to the desk from other tasks.
//!
//! Input: entries, wishes of the operator. Output: outcomes, and the state that gates read. A full or
//! closed queue is a refusal with its reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use penstock_trading::cycle::{StreamStatus, VenueCounter};
use penstock_types::{Decimal, Symbol};
use penstock_venue_orders::{Clock, SharedVenueState, StreamHealth};
use tokio::sync::{mpsc, oneshot, watch};

use crate::account::{Account, EntryOutcome, EntryRequest};

/// Latency before twenty orders were acknowledged, microseconds.
const LATENCY_US_DEFAULT: i64 = 250_000;

/// What the desk tells others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeskStatus {
    /// The first reconcile of the session is complete.
    pub reconciled: bool,
    /// Symbols with a live order or a position.
    pub busy: BTreeSet<Symbol>,
    /// Positions with base.
    pub open_positions: usize,
    /// Live orders, standby rows excluded.
    pub live_orders: usize,
    /// Those of them that buy, as far as they are known: also while rows cannot be read.
    pub live_entries: usize,
    /// Orders whose outcome is not proven.
    pub unresolved_orders: usize,
    /// Positions without a live stop beyond the grace.
    pub unprotected: usize,
    /// 90th percentile of submit to acknowledgement.
    pub latency_us: Option<i64>,
    /// Quote that open buy orders hold which are not in our rows.
    pub foreign_holds_quote: Decimal,
    /// Symbols of changes that wait for a look at the venue.
    pub confirming: BTreeSet<Symbol>,
    /// Private reports that came after a newer one of their order and were dropped.
    pub late_reports: u64,
    /// The venue's rules are loaded.
    pub has_rules: bool,
}

/// A wish.
#[derive(Debug)]
pub(crate) enum Command {
    /// Commit and send an entry.
    Entry(Box<EntryRequest>, oneshot::Sender<EntryOutcome>),
    /// Cancel all resting entries.
    CancelEntries(&'static str),
    /// Close one position, or all.
    Flatten(Option<Symbol>, oneshot::Sender<usize>),
    /// No entries from now on.
    StopEntries(oneshot::Sender<()>),
}

/// Handle; clones share the desk.
#[derive(Clone)]
pub struct DeskHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: Arc<ArcSwap<DeskStatus>>,
    pub(super) changed: watch::Receiver<u64>,
    pub(super) health: watch::Receiver<StreamHealth>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) venue: SharedVenueState,
}

impl std::fmt::Debug for DeskHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeskHandle").field("status", &self.status.load()).finish_non_exhaustive()
    }
}

impl DeskHandle {
    /// State now.
    #[must_use]
    pub fn status(&self) -> Arc<DeskStatus> {
        self.status.load_full()
    }

    /// The venue's rules are loaded.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.status.load().has_rules
    }

    /// The venue's clock minus ours, microseconds; none before the first answer to a ping.
    #[must_use]
    pub fn clock_offset_us(&self) -> Option<i64> {
        self.health.borrow().clock_offset_us
    }

    /// Wakes when the state changed.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    /// Cancels resting entries; `why` stands in the events.
    pub async fn cancel_entries(&self, why: &'static str) {
        // A desk that has ended has nothing to cancel with.
        let _ = self.commands.send(Command::CancelEntries(why)).await;
    }

    /// Refuses entries from now on; every entry that was asked for before is in the state when this returns.
    pub async fn stop_entries(&self) {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::StopEntries(answer)).await.is_ok() {
            // A desk that has ended takes no entries.
            let _ = answered.await;
        }
    }

    /// Closes one position or all; the number of positions that will be closed.
    pub async fn flatten(&self, symbol: Option<Symbol>) -> usize {
        let (answer, answered) = oneshot::channel();
        if self.commands.send(Command::Flatten(symbol, answer)).await.is_err() {
            return 0;
        }
        answered.await.unwrap_or(0)
    }
}

impl Account for DeskHandle {
    fn stream_status(&self) -> StreamStatus {
        let health = *self.health.borrow();
        let silent = self.clock.now().mono_ns.saturating_sub(health.last_frame_mono_ns);
        StreamStatus {
            connected: health.connected,
            snapshots_ok: health.executions_whole && health.balances_whole,
            silent_ms: silent / 1_000_000,
        }
    }

    fn latency_us(&self) -> i64 {
        self.status.load().latency_us.unwrap_or(LATENCY_US_DEFAULT)
    }

    fn foreign_holds_quote(&self) -> Decimal {
        self.status.load().foreign_holds_quote
    }

    fn venue_counters(&self, symbols: &[&Symbol]) -> Vec<VenueCounter> {
        let now_ms = self.venue.now().mono_ms();
        let state = self.venue.lock();
        let counter = |symbol: &&Symbol| VenueCounter {
            symbol: (*symbol).clone(),
            share_x10000: state.counter_share_x10000(symbol.as_str(), now_ms),
        };
        symbols.iter().map(counter).filter(|counter| counter.share_x10000 > 0).collect()
    }

    fn is_busy(&self, symbol: &Symbol) -> bool {
        self.status.load().busy.contains(symbol)
    }

    async fn submit_entry(&self, request: EntryRequest) -> EntryOutcome {
        let (answer, answered) = oneshot::channel();
        let refused =
            |reason: &str| EntryOutcome::Refused { reason: reason.to_owned(), others_may: false };
        let command = Command::Entry(Box::new(request), answer);
        if self.commands.try_send(command).is_err() {
            return refused("DESK_QUEUE_FULL");
        }
        answered.await.unwrap_or_else(|_| refused("DESK_ENDED"))
    }
}
