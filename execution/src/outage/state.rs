//! What an outage remembers.
//!
//! Plain data with a bounded queue.

use std::collections::{BTreeMap, VecDeque};

use penstock_trading::order::Shadow;
use penstock_types::vocab::{ExitReason, OrderRole};
use penstock_types::{Decimal, OrderId, PositionId, Symbol, UtcMicros};
use penstock_venue_orders::{OrderAnswer, PrivateEvent};

use super::spool::Kept;
use crate::desk::{Input, Message};
use crate::submit::Amend;
use crate::tracker::MutationKind;

/// Events that are kept: as many as the private stream may hold back. What comes beyond is asked for
/// at the venue.
const RECORDS_LEN_LIMIT: usize = 4_096;
/// First pause between two probes of the cluster.
const PROBE_PAUSE_MS: i64 = 250;
/// Longest pause between two probes.
const PROBE_PAUSE_MS_MAX: i64 = 5_000;

/// A standby row that went out without a write.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Released {
    pub(crate) order_id: OrderId,
    pub(crate) role: OrderRole,
    pub(crate) qty: Decimal,
    /// Of a stop; a close has none.
    pub(crate) trigger: Option<Decimal>,
    pub(crate) deadline_at: UtcMicros,
    pub(crate) at: UtcMicros,
}

/// What is applied to the rows when they can be written again.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    /// An event of the private stream; `kept` when its text is on the way to its table already.
    Event { event: PrivateEvent, kept: bool },
    /// An answer.
    Answer { order_id: OrderId, kind: MutationKind, answer: OrderAnswer },
    /// A standby row was sent.
    Released(Released),
    /// A cancel was sent.
    CancelSent { order_id: OrderId, at: UtcMicros },
    /// A live stop was changed in place; its rows follow from the answer.
    AmendSent { order_id: OrderId, change: Amend, at: UtcMicros },
}

impl Record {
    /// What must not be lost of an input that the rows did not take.
    pub(crate) fn of(input: &Input) -> Option<Self> {
        match input {
            Input::Event(event) => Some(Self::Event { event: event.clone(), kept: true }),
            Input::Message(Message::Answer { order_id, kind, answer }) => {
                Some(Self::Answer { order_id: *order_id, kind: *kind, answer: answer.clone() })
            }
            // A look is repeated; a command, a mode and a tick come from memory.
            Input::Message(Message::Look(_) | Message::Probe(_) | Message::Switch { .. })
            | Input::Command(_)
            | Input::Mode(_)
            | Input::Tick => None,
        }
    }
}

/// A close that goes on, or began, without the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) reason: ExitReason,
    pub(crate) since_mono_ms: i64,
    /// Its one row is used and base is left: the stop goes back, the rest waits for the cluster.
    pub(crate) given_up: bool,
}

/// The state of an outage.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) since_mono_ms: i64,
    pub(crate) records: VecDeque<Record>,
    /// Something did not fit: the venue is asked about every live order afterwards.
    pub(crate) overflowed: bool,
    pub(crate) shadows: BTreeMap<OrderId, Shadow>,
    pub(crate) probing: bool,
    pub(crate) next_probe_mono_ms: i64,
    probe_pause_ms: i64,
    /// Stops that failed, by symbol: how many in a row, and when the last did.
    pub(crate) failures: BTreeMap<Symbol, (i32, i64)>,
    /// Symbols without a whole stop since when, and whether that was said.
    pub(crate) bare: BTreeMap<Symbol, (i64, bool)>,
    /// Positions that are being closed.
    pub(crate) closes: BTreeMap<PositionId, Closing>,
    /// Records that are not on the disk yet, in their order.
    pub(crate) unsynced: VecDeque<Kept>,
    /// When the disk failed last; said the first time.
    pub(crate) spool_failed_mono_ms: Option<i64>,
}

impl Outage {
    pub(crate) fn new(now_mono_ms: i64) -> Self {
        Self {
            since_mono_ms: now_mono_ms,
            records: VecDeque::new(),
            overflowed: false,
            shadows: BTreeMap::new(),
            probing: false,
            next_probe_mono_ms: now_mono_ms + PROBE_PAUSE_MS,
            probe_pause_ms: PROBE_PAUSE_MS,
            failures: BTreeMap::new(),
            bare: BTreeMap::new(),
            closes: BTreeMap::new(),
            unsynced: VecDeque::new(),
            spool_failed_mono_ms: None,
        }
    }

    /// Keeps a record; beyond the limit only that something is missing.
    pub(crate) fn keep(&mut self, record: Record) {
        if self.unsynced.len() < RECORDS_LEN_LIMIT {
            self.unsynced.extend(Kept::of(&record));
        }
        if self.records.len() < RECORDS_LEN_LIMIT {
            self.records.push_back(record);
        } else {
            self.overflowed = true;
        }
    }

    /// The request did not leave the process: it never was.
    pub(crate) fn forget_release(&mut self, id: OrderId) -> bool {
        let before = self.records.len();
        self.records.retain(|r| !matches!(r, Record::Released(sent) if sent.order_id == id));
        before != self.records.len()
    }

    /// The cluster did not answer: a longer pause.
    pub(crate) fn probe_failed(&mut self, now_mono_ms: i64) {
        self.probing = false;
        self.next_probe_mono_ms = now_mono_ms + self.probe_pause_ms;
        self.probe_pause_ms = (self.probe_pause_ms * 2).min(PROBE_PAUSE_MS_MAX);
    }
}
