//! States of an exit plan: one total match over (state, event).
//!
//! Input: the plan's state and what happened to its stop, its close or its base. Output: the next
//! state, or a typed refusal. Both facts that matter are states of the row: *armed* = the stop is
//! acknowledged, *triggered* = the close is decided.

use PlanState::{
    Armed, Arming, Closed, Created, DustHold, Exiting, Trailing, Triggered, Unprotected,
};
use penstock_types::vocab::PlanState;

penstock_types::closed_vocabulary! {
    /// What happened to a plan. The texts are the `kind` of its event rows.
    pub PlanEvent {
        /// A stop was authorised and goes out.
        StopSubmitted = "stop_submitted",
        /// The stop over the whole base is acknowledged at its first level.
        StopAcked = "stop_acked",
        /// The stop over the whole base is acknowledged above its first level.
        StopAckedRaised = "stop_acked_raised",
        /// The stop was refused, or its outcome stayed unknown.
        StopFailed = "stop_failed",
        /// The grace is over without a stop.
        GraceOver = "grace_over",
        /// The stop level was raised.
        Raised = "raised",
        /// The base changed under a live stop.
        QuantityChanged = "quantity_changed",
        /// The stop ended without having sold the base.
        StopLost = "stop_lost",
        /// The venue reports the stop triggered.
        StopTriggered = "stop_triggered",
        /// A close is decided.
        CloseDecided = "close_decided",
        /// The first step of the closing sequence is taken.
        ClosingStarted = "closing_started",
        /// The closing sequence gave up; the stop goes back.
        CloseFailed = "close_failed",
        /// What is left cannot be sold.
        BelowMinimum = "below_minimum",
        /// What was too little can be sold again.
        Sellable = "sellable",
        /// No base is left.
        BaseGone = "base_gone",
    }
}

/// A pair that cannot happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("exit plan in state {from} cannot take event {event}; next: look at its exit events")]
pub struct IllegalPlanTransition {
    /// State of the plan.
    pub from: PlanState,
    /// The refused event.
    pub event: PlanEvent,
}

macro_rules! table {
    ($pair:expr; $($event:ident [$($state:ident)+] $out:expr;)+) => {
        match $pair { $(($($state)|+, PlanEvent::$event) => $out,)+ }
    };
}

/// Next state of a plan.
///
/// # Errors
/// [`IllegalPlanTransition`] for a pair that cannot happen; the caller leaves the row unchanged.
pub const fn step(from: PlanState, event: PlanEvent) -> Result<PlanState, IllegalPlanTransition> {
    let no = Err(IllegalPlanTransition { from, event });
    table! { (from, event);
        StopSubmitted [Created Unprotected Armed Trailing Arming] Ok(Arming);
        StopSubmitted [Triggered Exiting Closed DustHold] no;
        StopAcked [Arming Armed Unprotected] Ok(Armed);
        StopAcked [Trailing Triggered Exiting] Ok(from);
        StopAcked [Created Closed DustHold] no;
        StopAckedRaised [Arming Armed Trailing Unprotected] Ok(Trailing);
        StopAckedRaised [Triggered Exiting] Ok(from);
        StopAckedRaised [Created Closed DustHold] no;
        StopFailed [Arming Created] Ok(Unprotected);
        StopFailed [Armed Trailing Triggered Exiting Unprotected Closed DustHold] Ok(from);
        GraceOver [Created Arming] Ok(Unprotected);
        GraceOver [Armed Trailing Triggered Exiting Unprotected Closed DustHold] Ok(from);
        Raised [Armed Trailing] Ok(Trailing);
        Raised [Arming Unprotected] Ok(from);
        Raised [Created Triggered Exiting Closed DustHold] no;
        QuantityChanged [Armed Trailing Arming] Ok(Arming);
        QuantityChanged [Created Unprotected Triggered Exiting DustHold] Ok(from);
        QuantityChanged [Closed] no;
        StopLost [Arming Armed Trailing] Ok(Unprotected);
        StopLost [Created Triggered Exiting Unprotected Closed DustHold] Ok(from);
        StopTriggered [Arming Armed Trailing Unprotected] Ok(Triggered);
        StopTriggered [Triggered Exiting Closed DustHold] Ok(from);
        StopTriggered [Created] no;
        CloseDecided [Armed Trailing] Ok(Triggered);
        CloseDecided [Unprotected] Ok(Exiting);
        CloseDecided [Triggered Exiting] Ok(from);
        CloseDecided [Created Arming Closed DustHold] no;
        ClosingStarted [Triggered Exiting] Ok(Exiting);
        ClosingStarted [Created Arming Armed Trailing Unprotected Closed DustHold] no;
        CloseFailed [Exiting Triggered] Ok(Unprotected);
        CloseFailed [Created Arming Armed Trailing Unprotected Closed DustHold] no;
        BelowMinimum [Created Arming Armed Trailing Triggered Exiting Unprotected DustHold] Ok(DustHold);
        BelowMinimum [Closed] no;
        Sellable [DustHold] Ok(Exiting);
        Sellable [Created Arming Armed Trailing Triggered Exiting Unprotected] Ok(from);
        Sellable [Closed] no;
        BaseGone [Created Arming Armed Trailing Triggered Exiting Unprotected DustHold Closed] Ok(Closed);
    }
}
