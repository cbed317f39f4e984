//! One order in memory: its committed record and what only this process knows.
//!
//! Inputs: records, answers. It decides nothing.

use penstock_store_orders::orders::OrderRecord;
use penstock_trading::exit::closing::OrderView;
use penstock_types::vocab::OrderState;
use penstock_types::{Decimal, UtcMicros};

/// A request whose answer is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MutationKind {
    /// `add_order`.
    Add,
    /// `amend_order`.
    Amend {
        /// Quantity asked for.
        qty: Option<Decimal>,
        /// Trigger asked for.
        trigger: Option<Decimal>,
    },
    /// `cancel_order`.
    Cancel,
}

/// The one open request of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// What was asked.
    pub(crate) kind: MutationKind,
    /// When.
    pub(crate) sent_mono_ms: i64,
    /// An amend without an answer is unresolved until this time, wall clock.
    pub(crate) unresolved_until: Option<UtcMicros>,
}

/// An order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tracked {
    /// Committed row.
    pub(crate) record: OrderRecord,
    /// Its open request, at most one.
    pub(crate) mutation: Option<Mutation>,
    /// The venue reports the stop triggered.
    pub(crate) triggered: bool,
    /// Monotonic time of the last change.
    pub(crate) changed_mono_ms: i64,
    /// When its request was written.
    pub(crate) sent_mono_ms: Option<i64>,
    /// When its cancel was sent.
    pub(crate) cancel_mono_ms: Option<i64>,
    /// When it was created or amended last, for the price of a cancel.
    pub(crate) touched_mono_ms: i64,
    /// A look at the venue is wanted.
    pub(crate) look_wanted: bool,
    /// A look at the venue is under way.
    pub(crate) look_open: bool,
    /// Not before this time again.
    pub(crate) next_look_mono_ms: i64,
    /// Looks in a row that did not settle it.
    pub(crate) looks: u32,
    /// Those of them that were answered whole: only they say anything about it.
    pub(crate) whole_looks: u32,
    /// Last stream report, monotonic.
    pub(crate) stream_mono_ms: Option<i64>,
    /// Newest venue time of a stream report.
    pub(crate) stream_at: Option<UtcMicros>,
    /// Decision time, monotonic microseconds, for latency.
    pub(crate) decided_mono_us: i64,
    /// Time to live of an entry, wall clock.
    pub(crate) ttl_at: Option<UtcMicros>,
    /// The operator wants it gone.
    pub(crate) cancel_wanted: bool,
}

impl Tracked {
    pub(super) fn new(record: OrderRecord, now: i64) -> Self {
        Self {
            record,
            mutation: None,
            cancel_wanted: false,
            triggered: false,
            changed_mono_ms: now,
            sent_mono_ms: None,
            cancel_mono_ms: None,
            touched_mono_ms: now,
            look_wanted: false,
            look_open: false,
            next_look_mono_ms: 0,
            looks: 0,
            whole_looks: 0,
            stream_mono_ms: None,
            stream_at: None,
            decided_mono_us: 0,
            ttl_at: None,
        }
    }

    pub(super) fn take(&mut self, record: OrderRecord, now: i64) {
        if record.state != self.record.state {
            self.changed_mono_ms = now;
        }
        self.record = record;
    }

    /// Neither terminal nor in stock.
    #[must_use]
    pub(crate) const fn is_live(&self) -> bool {
        !self.record.state.is_terminal() && !matches!(self.record.state, OrderState::Created)
    }

    /// Age for the price of a cancel or an amend.
    #[must_use]
    pub(crate) const fn age_ms(&self, now_mono_ms: i64) -> i64 {
        now_mono_ms.saturating_sub(self.touched_mono_ms)
    }

    /// What is known of it, for the pure machines.
    #[must_use]
    pub(crate) const fn view(&self) -> OrderView {
        view_of(self.record.state, self.triggered)
    }
}

/// What a state says of an order, for the pure machines.
#[must_use]
pub(crate) const fn view_of(state: OrderState, triggered: bool) -> OrderView {
    match state {
        OrderState::Created
        | OrderState::Filled
        | OrderState::Canceled
        | OrderState::Expired
        | OrderState::Rejected
        | OrderState::LostOrRejected
        | OrderState::Error => OrderView::Gone,
        OrderState::PendingSubmit => OrderView::Unanswered,
        OrderState::SubmitUnknown | OrderState::Suspect | OrderState::ReconcileRequired => {
            OrderView::Doubtful
        }
        OrderState::PendingCancel => OrderView::Canceling,
        OrderState::AckedOpen | OrderState::PartiallyFilled => {
            if triggered {
                OrderView::Triggered
            } else {
                OrderView::Live
            }
        }
    }
}
