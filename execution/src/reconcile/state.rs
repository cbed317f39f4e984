//! What reconcile remembers between ticks.
//!
//! Plain data with a bounded queue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use penstock_store_orders::private_log::PrivateMessage;
use penstock_trading::drift::Settling;
use penstock_trading::quiet::Quiets;
use penstock_types::{Decimal, OrderId, Symbol, UtcMicros};

use super::recover::Recovery;
use super::views::{Image, Sights, Watched};

/// Private messages that wait for their table; beyond it the oldest go, counted.
const PRIVATE_LEN_LIMIT: usize = 4_096;

/// A look that confirms a change.
#[derive(Debug, Clone)]
pub(crate) struct Confirm {
    pub(crate) cause: &'static str,
    pub(crate) due_mono_ms: i64,
    pub(crate) tries: u32,
    pub(crate) since_mono_ms: i64,
    /// The last change that it is to show.
    pub(crate) changed_mono_ms: i64,
    /// A person was told.
    pub(crate) alarmed: bool,
}

/// An order that is not in our rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outsider {
    pub(crate) symbol: Symbol,
    /// Ours by its id; else foreign.
    pub(crate) ours: bool,
    pub(crate) sells: bool,
    pub(crate) qty: Decimal,
    pub(crate) executed: Decimal,
    pub(crate) limit_price: Option<Decimal>,
    pub(crate) seen_mono_ms: i64,
    /// When its cancel was sent.
    pub(crate) cancel_mono_ms: Option<i64>,
}

impl Outsider {
    /// What of it still rests.
    pub(crate) fn left(&self) -> Decimal {
        (self.qty - self.executed).max(Decimal::ZERO)
    }
}

/// State.
#[derive(Debug, Default)]
pub(crate) struct ReconcileState {
    /// The session's first reconcile is done.
    pub(crate) complete: bool,
    /// A write failed; the next that works clears it.
    pub(crate) db_failed: bool,
    /// The decision cluster is away; what was tried last said so.
    pub(crate) away: bool,
    pub(crate) away_error: Option<String>,
    /// A full pass is due at the next tick.
    pub(crate) full_due: bool,
    /// A full pass is under way.
    pub(crate) full_open: bool,
    /// FULL passes that saw everything.
    pub(crate) full_passes: u32,
    /// A start or a return from PAUSE that is not judged yet.
    pub(crate) recovery: Option<Recovery>,
    /// A snapshot is being applied: what rests at the venue is not all known yet.
    pub(crate) in_snapshot: bool,
    /// The executions snapshot of this connection was applied.
    pub(crate) snapshot_seen: bool,
    /// The newest one that says when it was asked for.
    pub(crate) image: Option<Image>,
    /// Orders of ours that lived and that it lacks, with the time for which it speaks, monotonic.
    pub(crate) image_lacks: BTreeMap<OrderId, i64>,
    /// When an image may be asked for again because of an order in doubt.
    pub(crate) next_doubt_mono_ms: i64,
    /// Events that waited when the present one was taken.
    pub(crate) queued_events: usize,
    /// Orders that are to end whatever the venue says of them.
    pub(crate) doomed: BTreeSet<OrderId>,
    /// Balances were seen.
    pub(crate) balances_seen: bool,
    /// The trades of the time before this session are booked.
    pub(crate) history_done: bool,
    /// A look at the history is under way.
    pub(crate) history_open: bool,
    /// When the pass that is under way began.
    pub(crate) started_at: UtcMicros,
    pub(crate) started_mono_ms: i64,
    pub(crate) next_light_mono_ms: i64,
    pub(crate) light_open: bool,
    pub(crate) next_full_mono_ms: i64,
    pub(crate) next_audit_mono_ms: i64,
    pub(crate) next_fees_mono_ms: i64,
    pub(crate) next_markets_mono_ms: i64,
    pub(crate) next_control_mono_ms: i64,
    /// When the clocks are compared again.
    pub(crate) next_clock_mono_ms: i64,
    /// Looks that confirm changes.
    pub(crate) confirms: BTreeMap<OrderId, Confirm>,
    pub(crate) confirm_open: bool,
    /// Orders that rest at the venue and are not in our rows, by the venue's id.
    pub(crate) outsiders: BTreeMap<String, Outsider>,
    /// Quiet times of symbols that count towards exit-only.
    pub(crate) quiets: BTreeMap<Symbol, Quiets>,
    /// Differences that the last pass saw.
    pub(crate) settling: Settling,
    /// What the venue said of balances.
    pub(crate) views: BTreeMap<String, Sights>,
    /// Those that are to be judged.
    pub(crate) unjudged: BTreeSet<String>,
    /// Those that differ from the ledger.
    pub(crate) watched: BTreeMap<String, Watched>,
    /// Trades that a balance told, by base, monotonic.
    pub(crate) balance_traded: BTreeMap<String, i64>,
    /// The moment for which the last whole pass speaks, monotonic.
    pub(crate) pass_seen_mono_ms: Option<i64>,
    /// Symbols whose orders it saw otherwise than we do.
    pub(crate) pass_differs: BTreeSet<Symbol>,
    /// Orders of which the venue counts more as executed than is booked, with its count.
    pub(crate) owed: BTreeMap<OrderId, Decimal>,
    /// Last booked trade by symbol, monotonic.
    pub(crate) traded: BTreeMap<Symbol, i64>,
    /// Fills that reconcile found.
    pub(crate) fills_recovered: u32,
    /// Orders of others whose trades were seen, by the venue's id.
    pub(crate) others: BTreeSet<String>,
    private: VecDeque<PrivateMessage>,
    dropped: u64,
}

impl ReconcileState {
    /// Passes that are under way come to nothing: their results cannot be stored.
    pub(crate) fn looks_ended(&mut self) {
        self.full_open = false;
    }

    /// Keeps a private message for its table.
    pub(crate) fn keep(&mut self, message: PrivateMessage) {
        if self.private.len() == PRIVATE_LEN_LIMIT {
            self.private.pop_front();
            self.dropped += 1;
        }
        self.private.push_back(message);
    }

    /// Takes what waits.
    pub(crate) fn take_private(&mut self) -> Vec<PrivateMessage> {
        if self.dropped > 0 {
            tracing::warn!("{} private messages were not kept: their table was away", self.dropped);
            self.dropped = 0;
        }
        self.private.drain(..).collect()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&mut self, batch: Vec<PrivateMessage>) {
        for message in batch.into_iter().rev().take(PRIVATE_LEN_LIMIT - self.private.len()) {
            self.private.push_front(message);
        }
    }
}
