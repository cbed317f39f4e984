//! What can happen to an order, what the caller must know, and what comes out.
//!
//! Pure data for [`step`](super::step). Inputs and outputs of the machine only; nothing here decides.

use penstock_types::vocab::OrderState;

penstock_types::closed_vocabulary! {
    /// What happened to an order. The texts are the `event_type` of the order's event rows.
    pub OrderEvent {
        /// A standby row is released for sending.
        Authorise = "authorise",
        /// A standby row turns out to have been sent while the database was away.
        PreauthSent = "preauth_sent",
        /// A standby row is not needed any more.
        StandbyClosed = "standby_closed",
        /// We refuse to send it.
        LocalRefusal = "local_refusal",
        /// The venue's answer carries an order id.
        Acked = "acked",
        /// The venue's answer is a listed refusal.
        Refused = "refused",
        /// The venue's answer says that the deadline was over.
        DeadlineElapsed = "deadline_elapsed",
        /// No answer in time, the socket was lost, or an answer that proves nothing.
        OutcomeUnknown = "outcome_unknown",
        /// A report or a look shows it accepted, not yet live.
        VenuePending = "venue_pending",
        /// A report or a look shows it live.
        LiveReport = "live_report",
        /// A trade of it that was not booked before.
        Fill = "fill",
        /// The venue says that it is executed in full.
        VenueFilled = "venue_filled",
        /// The venue says that it is cancelled.
        VenueCanceled = "venue_canceled",
        /// The venue says that its time ran out.
        VenueExpired = "venue_expired",
        /// We sent a cancel.
        CancelSent = "cancel_sent",
        /// The cancel was refused, and a look shows the order live.
        CancelRefused = "cancel_refused",
        /// The private stream is lost.
        StreamLost = "stream_lost",
        /// The private stream is back, its snapshot is being compared.
        StreamBack = "stream_back",
        /// Its venue state is in doubt: attach, a report nobody knows, a refused fill, missing trades.
        Unverified = "unverified",
        /// The proofs of absence that its role needs are complete.
        ProvenAbsent = "proven_absent",
    }
}

/// What the caller knows about the order, after the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Something is booked: `cum_qty` > 0.
    pub has_fills: bool,
    /// `cum_qty` = `qty`.
    pub complete: bool,
    /// The venue's executed quantity is not above the booked sum.
    pub booked_all: bool,
    /// The venue's order id is known.
    pub venue_id_known: bool,
    /// It is a stop over base that no other live reduce order covers, so it may live again.
    pub adoptable: bool,
}

impl Facts {
    /// An order without fills, fully booked, whose venue id is not known.
    pub const UNTOUCHED: Self = Self {
        has_fills: false,
        complete: false,
        booked_all: true,
        venue_id_known: false,
        adoptable: false,
    };
}

penstock_types::closed_vocabulary! {
    /// What the shell does beside storing the new state.
    pub Effect {
        /// Give the whole reservation back.
        ReleaseReservation = "release_reservation",
        /// Close the standby row of an entry that ended without a fill.
        CloseStandby = "close_standby",
        /// Store the venue's order id.
        StoreVenueId = "store_venue_id",
        /// Keep the symbol without entries for a while.
        QuietSymbol = "quiet_symbol",
        /// Ask the venue by client order id.
        LookUp = "look_up",
        /// Fetch its trades before anything else is concluded.
        FetchTrades = "fetch_trades",
        /// Cancel it at the venue at once.
        CancelAtOnce = "cancel_at_once",
        /// Raise a critical alert.
        AlertCritical = "alert_critical",
        /// Take its terms from the report: quantity, limit, trigger.
        RefreshTerms = "refresh_terms",
    }
}

/// Outcome of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// State afterwards, possibly the same.
    pub to: OrderState,
    /// Marker to log after the commit.
    pub marker: Option<&'static str>,
    /// What to do beside storing the state.
    pub effects: &'static [Effect],
}

/// A pair that cannot happen: the row stays, the symbol goes to exit-only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("order in state {from} cannot take event {event}; next: look at the order's event rows")]
pub struct IllegalTransition {
    /// State of the row.
    pub from: OrderState,
    /// The refused event.
    pub event: OrderEvent,
}
