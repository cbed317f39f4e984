//! The transition table of an order: one total match over (state, event).
//!
//! Input and output as in [`super`]. The table is written with a macro only to give each pair group
//! one line; it expands to one `match` without a wildcard, so a new state or event does not compile
//! until its pairs are listed.

use super::event::{Effect, Facts, IllegalTransition, OrderEvent, Step};
use crate::rules::{Rule, holds};
use penstock_types::vocab::OrderState;
// Legend of the table's columns, in order of a life.
use OrderState::{
    AckedOpen as AO, Canceled as CA, Created as CR, Error as ER, Expired as EX, Filled as FI,
    LostOrRejected as LR, PartiallyFilled as PF, PendingCancel as PC, PendingSubmit as PS,
    ReconcileRequired as RR, Rejected as RJ, SubmitUnknown as SU, Suspect as SP,
};

macro_rules! table {
    ($pair:expr; $($event:ident [$($state:ident)+] $out:expr;)+) => {
        match $pair { $(($($state)|+, OrderEvent::$event) => $out,)+ }
    };
}

/// Next state, marker and effects of an event.
///
/// # Errors
/// [`IllegalTransition`] for a pair that cannot happen; the caller leaves the row unchanged.
pub fn step(from: OrderState, event: OrderEvent, facts: Facts) -> Result<Step, IllegalTransition> {
    let no = Err(IllegalTransition { from, event });
    let stay = Ok(Step { to: from, marker: None, effects: &[] });
    let absent_so_far = !facts.has_fills && !facts.venue_id_known;
    table! { (from, event);
        Authorise [CR] go(PS, "DB_FIRST_ORDER_PERSISTED", &[]);
        Authorise [PS SU AO PF PC SP RR FI CA EX RJ LR ER] no;
        PreauthSent [CR] go(PS, "ORDER_RECONCILED", first_terms(&[Effect::RefreshTerms], &[]));
        PreauthSent [PS SU AO PF PC SP RR FI CA EX RJ LR ER] no;
        StandbyClosed [CR] go(ER, "ORDER_STANDBY_CLOSED", &[]);
        StandbyClosed [PS SU AO PF PC SP RR FI CA EX RJ LR ER] no;
        LocalRefusal [PS] go(ER, "ORDER_ERROR", ENDED);
        LocalRefusal [CR SU AO PF PC SP RR FI CA EX RJ LR ER] no;
        Acked [PS SU] go(AO, "ORDER_ACK", &[Effect::StoreVenueId]);
        Acked [AO PF PC SP RR FI CA EX] Ok(Step { to: from, marker: None, effects: &[Effect::StoreVenueId] });
        Acked [RJ LR ER] Ok(Step { to: from, marker: None, effects: &[Effect::StoreVenueId, Effect::LookUp] });
        Acked [CR] no;
        Refused [PS SU] go(RJ, "ORDER_REJECT", REFUSED);
        Refused [RR] if absent_so_far { go(RJ, "ORDER_REJECT", REFUSED) } else { no };
        Refused [RJ] stay;
        Refused [CR AO PF PC SP FI CA EX LR ER] no;
        DeadlineElapsed [PS SU AO PF PC SP RR] ended(EX, "ORDER_EXPIRED", facts);
        DeadlineElapsed [EX] stay;
        DeadlineElapsed [CR FI CA RJ LR ER] no;
        OutcomeUnknown [PS] go(SU, "ORDER_SUBMIT_UNKNOWN", &[Effect::LookUp]);
        OutcomeUnknown [SU AO PF PC SP RR FI CA EX RJ LR ER] stay;
        OutcomeUnknown [CR] no;
        VenuePending [PS SU AO PF PC SP RR FI CA EX RJ LR ER] stay;
        VenuePending [CR] no;
        LiveReport [PS SU] go(live(facts), "ORDER_ACK", first_terms(LIVE, &[Effect::StoreVenueId]));
        LiveReport [AO PF] Ok(Step { to: live(facts), marker: None, effects: LIVE });
        LiveReport [PC] Ok(Step { to: PC, marker: None, effects: LIVE });
        LiveReport [SP RR] if facts.booked_all { go(live(facts), "ORDER_RECONCILED", LIVE) } else { missing_trades(RR) };
        LiveReport [FI] if facts.complete { stay } else { resurrect(from, facts) };
        LiveReport [CA EX RJ LR ER] resurrect(from, facts);
        LiveReport [CR] no;
        Fill [PS SU AO PF] go(filled_or(facts, PF), "ORDER_FILL", &[]);
        Fill [PC] go(filled_or(facts, PC), "ORDER_FILL", &[]);
        Fill [SP RR] if holds(Rule::FillInWrongState) { go(from, "ORDER_FILL", &[]) } else { no };
        Fill [FI CA EX RJ LR ER] go(filled_or(facts, from), "ORDER_LATE_FILL", &[Effect::AlertCritical]);
        Fill [CR] no;
        VenueFilled [PS SU AO PF PC SP RR] whole(facts);
        VenueFilled [FI CA EX RJ LR ER] if facts.booked_all { stay } else { missing_trades(from) };
        VenueFilled [CR] no;
        VenueCanceled [PS SU AO PF PC SP RR] ended(CA, "ORDER_CANCEL", facts);
        VenueCanceled [FI CA EX RJ LR ER] if facts.booked_all { stay } else { missing_trades(from) };
        VenueCanceled [CR] no;
        VenueExpired [PS SU AO PF PC SP RR] ended(EX, "ORDER_EXPIRED", facts);
        VenueExpired [FI CA EX RJ LR ER] if facts.booked_all { stay } else { missing_trades(from) };
        VenueExpired [CR] no;
        CancelSent [AO PF PC] go(PC, "ORDER_CANCEL_SENT", &[]);
        CancelSent [CR PS SU SP RR FI CA EX RJ LR ER] no;
        CancelRefused [PC] Ok(Step { to: live(facts), marker: None, effects: &[] });
        CancelRefused [AO PF SP RR FI CA EX] stay;
        CancelRefused [CR PS SU RJ LR ER] no;
        StreamLost [PS] go(SU, "ORDER_SUBMIT_UNKNOWN", &[]);
        StreamLost [AO PF PC] go(SP, "ORDER_SUSPECT", &[]);
        StreamLost [CR SU SP RR FI CA EX RJ LR ER] stay;
        StreamBack [SU SP] go(RR, "ORDER_RECONCILE_REQUIRED", &[]);
        StreamBack [CR PS AO PF PC RR FI CA EX RJ LR ER] stay;
        Unverified [PS SU AO PF PC SP] go(RR, "ORDER_RECONCILE_REQUIRED", &[Effect::LookUp]);
        Unverified [CR RR FI CA EX RJ LR ER] stay;
        ProvenAbsent [RR] if absent_so_far { go(LR, "ORDER_LOST_OR_REJECTED", ENDED) } else { no };
        ProvenAbsent [CR PS SU AO PF PC SP FI CA EX RJ LR ER] no;
    }
}

/// What every end without a fill gives back.
const ENDED: &[Effect] = &[Effect::ReleaseReservation, Effect::CloseStandby];
const REFUSED: &[Effect] = &[Effect::ReleaseReservation, Effect::CloseStandby, Effect::QuietSymbol];
const LIVE: &[Effect] = &[Effect::StoreVenueId, Effect::RefreshTerms];

type Outcome = Result<Step, IllegalTransition>;

const fn go(to: OrderState, marker: &'static str, effects: &'static [Effect]) -> Outcome {
    Ok(Step { to, marker: Some(marker), effects })
}

const fn live(facts: Facts) -> OrderState {
    if facts.has_fills { PF } else { AO }
}

const fn filled_or(facts: Facts, other: OrderState) -> OrderState {
    if facts.complete { FI } else { other }
}

/// Effects of the first sight of an order at the venue: the second list alone without the venue's terms.
fn first_terms(all: &'static [Effect], without: &'static [Effect]) -> &'static [Effect] {
    if holds(Rule::HalfAStop) { all } else { without }
}

/// Everything that the venue counts is booked.
fn may_end(facts: Facts) -> bool {
    facts.booked_all || !holds(Rule::TerminalBeforeTrades)
}

/// The order is kept open until its trades are booked: ending it would lose them.
const fn missing_trades(to: OrderState) -> Outcome {
    Ok(Step { to, marker: Some("ORDER_RECONCILE_REQUIRED"), effects: &[Effect::FetchTrades] })
}

fn whole(facts: Facts) -> Outcome {
    if facts.complete && may_end(facts) {
        go(FI, "ORDER_RECONCILED", &[Effect::ReleaseReservation])
    } else {
        missing_trades(RR)
    }
}

fn ended(to: OrderState, marker: &'static str, facts: Facts) -> Outcome {
    if !may_end(facts) {
        missing_trades(RR)
    } else if facts.has_fills {
        go(to, marker, &[Effect::ReleaseReservation])
    } else {
        go(to, marker, ENDED)
    }
}

/// An order that has ended is live after all. A stop without a fill that covers bare base may stay; everything else
/// is cancelled at once, what has fills too: its successor already works, and it would go on trading for nobody.
fn resurrect(from: OrderState, facts: Facts) -> Outcome {
    if !holds(Rule::ResurrectedStop) {
        return Ok(Step { to: from, marker: None, effects: &[] });
    }
    if !facts.booked_all {
        return go(PC, "ORDER_RESURRECTED", BACK_WITH_TRADES);
    }
    if facts.adoptable && !facts.has_fills {
        return go(AO, "ORDER_RESURRECTED", BACK_TO_STAY);
    }
    go(PC, "ORDER_RESURRECTED", BACK)
}

const BACK_TO_STAY: &[Effect] =
    &[Effect::StoreVenueId, Effect::RefreshTerms, Effect::AlertCritical];
const BACK: &[Effect] =
    &[Effect::StoreVenueId, Effect::RefreshTerms, Effect::CancelAtOnce, Effect::AlertCritical];
const BACK_WITH_TRADES: &[Effect] = &[
    Effect::StoreVenueId,
    Effect::RefreshTerms,
    Effect::CancelAtOnce,
    Effect::AlertCritical,
    Effect::FetchTrades,
];
