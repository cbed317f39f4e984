//! The closing sequence: what to do next to sell a position whose close is decided.
//!
//! Input: what is known about the stop, the entry, the close and the balance of one position at one
//! moment. Output: the next action. It is level-triggered: it keeps no step of its own, so a restart
//! in the middle goes on from what the rows say. Invariants: the stop's cancel comes before the close
//! and is confirmed before it; with the stop's fate unknown nothing is sold; what is sold is at most
//! the position and at most the free balance; a close that cannot be funded puts the stop back; the
//! stop is taken away only where the close in its place would be executed; refused closes are repeated
//! with growing pauses.

use super::market::{CloseForm, Market};
use crate::rules::{Rule, holds};
use penstock_types::Decimal;
use penstock_types::decimal::floor_to_step;

/// How long the stop's cancel may stay unconfirmed before the venue is asked.
pub const CANCEL_CONFIRM_MS: i64 = 2_000;
/// ... and before a person is called.
pub const CANCEL_UNKNOWN_MS: i64 = 5_000;
/// How long the close waits for the entry's end.
pub const ENTRY_WAIT_MS: i64 = 2_000;
/// How long a balance that is too small is waited for, before it is read.
pub const BALANCE_WAIT_MS: i64 = 2_000;
/// How long a market close may take to fill.
pub const MARKET_FILL_MS: i64 = 3_000;
/// Attempts before the stop goes back.
pub const ATTEMPTS_MAX: i32 = 5;
/// Pause after a close that came to nothing; it doubles with each further one ...
pub const REFUSED_MS_FIRST: i64 = 250;
/// ... up to this.
pub const REFUSED_MS_MAX: i64 = 5_000;

/// What is known about an order of the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderView {
    /// There is none, or it has ended.
    Gone,
    /// Sent, no answer yet.
    Unanswered,
    /// Live at the venue.
    Live,
    /// Live, its trigger was reached: it executes.
    Triggered,
    /// Its cancel is on the way.
    Canceling,
    /// Outcome or state not proven.
    Doubtful,
}

/// One moment of a closing position.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClosingInput {
    /// The stop.
    pub stop: OrderView,
    /// The close.
    pub close: OrderView,
    /// An entry of the symbol that may still fill.
    pub entry: OrderView,
    /// Panic and loss cap do not wait for the entry.
    pub urgent: bool,
    /// The close that works rests at the ask.
    pub close_rests: bool,
    /// Rest at the ask rather than take.
    pub maker_wanted: bool,
    /// Base of the position.
    pub base: Decimal,
    /// Free base: balance minus holds of open sell orders.
    pub available: Decimal,
    /// Smallest sellable quantity, cost minimum included.
    pub min_qty: Decimal,
    /// Quantity increment.
    pub lot: Decimal,
    /// Closes that were sent so far.
    pub attempts: i32,
    /// Time since the close was decided.
    pub since_decided_ms: i64,
    /// Time since the stop's cancel was sent.
    pub since_cancel_ms: i64,
    /// Time since the close went out.
    pub since_close_ms: i64,
    /// Time since the balance was seen to be too small.
    pub since_short_ms: i64,
    /// Longest rest of a maker close.
    pub maker_rest_ms: i64,
    /// The price is back at the stop level, or the quote is too old to rest.
    pub maker_void: bool,
    /// What the venue takes now.
    pub market: Market,
    /// Closes in a row that ended without a fill.
    pub refusals: i32,
    /// Time since the last of them.
    pub since_refusal_ms: i64,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClosingAction {
    /// Wait for a report or for time.
    Wait,
    /// Cancel the entry.
    CancelEntry,
    /// Cancel the stop.
    CancelStop,
    /// Ask the venue what became of the stop.
    LookUpStop,
    /// As before, and call a person: the close is not started.
    StopUnknown,
    /// Ask the venue what became of the close.
    LookUpClose,
    /// Read the balance from the venue.
    ReadBalance,
    /// The balance stays too small: put the stop back, call a person.
    RearmStop,
    /// Send a close.
    Submit {
        /// Quantity, floored to the lot.
        qty: Decimal,
        /// Market, a limit that takes, or rest at the ask.
        form: CloseForm,
    },
    /// Cancel the close, it took too long.
    CancelClose,
    /// All attempts are used: put the stop back, call a person.
    GiveUp,
    /// No base is left.
    Done,
    /// What is left cannot be sold.
    Dust,
}

/// The next action.
#[must_use]
pub fn next(input: &ClosingInput) -> ClosingAction {
    permitted(input, wanted(input))
}

/// Pause before the next close after so many that came to nothing.
#[must_use]
pub fn refused_pause_ms(refusals: i32) -> i64 {
    match u32::try_from(refusals) {
        Ok(0) | Err(_) => 0,
        Ok(n) => (REFUSED_MS_FIRST << (n - 1).min(5)).min(REFUSED_MS_MAX),
    }
}

/// What the venue takes of an action; what it does not take waits.
fn permitted(input: &ClosingInput, action: ClosingAction) -> ClosingAction {
    let market = input.market;
    let allowed = match action {
        ClosingAction::CancelEntry => market.takes_cancel(),
        // Beside a working close the stop may go in any case; to make room for one, only where that would execute.
        ClosingAction::CancelStop => {
            market.matches() || (market.takes_cancel() && input.close != OrderView::Gone)
        }
        // A close that rests where nothing matches is the best there is.
        ClosingAction::CancelClose => market.matches(),
        // The stop would be refused like the close.
        ClosingAction::RearmStop | ClosingAction::GiveUp => market.takes_stop(),
        ClosingAction::Submit { .. }
        | ClosingAction::Wait
        | ClosingAction::LookUpStop
        | ClosingAction::StopUnknown
        | ClosingAction::LookUpClose
        | ClosingAction::ReadBalance
        | ClosingAction::Done
        | ClosingAction::Dust => true,
    };
    if allowed { action } else { ClosingAction::Wait }
}

/// What is to be done as far as the orders go: one total match over (stop, close).
fn wanted(input: &ClosingInput) -> ClosingAction {
    use OrderView::{Canceling, Doubtful, Gone, Live, Triggered, Unanswered};
    if input.base.is_zero() {
        return ClosingAction::Done;
    }
    match (input.stop, input.close) {
        (Gone, Gone) => submit(input),
        (Gone, Live) => working(input),
        (Gone | Canceling, Unanswered | Triggered | Canceling) => ClosingAction::Wait,
        (Gone | Canceling, Doubtful) | (Unanswered | Live | Triggered | Doubtful, Doubtful) => {
            ClosingAction::LookUpClose
        }
        (Live, Gone) => first_entry(input).unwrap_or(ClosingAction::CancelStop),
        (Unanswered, Gone) => first_entry(input).unwrap_or(ClosingAction::Wait),
        (Triggered, Gone) => first_entry(input).unwrap_or(ClosingAction::Wait),
        (Canceling, Gone) => cancelling(input),
        (Doubtful, Gone) => doubtful(input),
        // A stop that came alive beside a working close: the close is the reduce order that stays.
        (Live, Unanswered | Live | Triggered | Canceling) => ClosingAction::CancelStop,
        (Canceling, Live) => ClosingAction::Wait,
        (Unanswered | Triggered | Doubtful, Unanswered | Live | Triggered | Canceling) => {
            ClosingAction::Wait
        }
    }
}

/// The entry goes first: otherwise the close meets our own bid, or the entry fills after the exit.
fn first_entry(input: &ClosingInput) -> Option<ClosingAction> {
    if !holds(Rule::CloseMeetsEntry) {
        return None;
    }
    match input.entry {
        OrderView::Live => Some(ClosingAction::CancelEntry),
        OrderView::Gone
        | OrderView::Unanswered
        | OrderView::Triggered
        | OrderView::Canceling
        | OrderView::Doubtful => None,
    }
}

fn cancelling(input: &ClosingInput) -> ClosingAction {
    if let Some(action) = first_entry(input) {
        return action;
    }
    if input.since_cancel_ms >= CANCEL_CONFIRM_MS { doubtful(input) } else { ClosingAction::Wait }
}

fn doubtful(input: &ClosingInput) -> ClosingAction {
    if input.since_cancel_ms >= CANCEL_UNKNOWN_MS {
        ClosingAction::StopUnknown
    } else {
        ClosingAction::LookUpStop
    }
}

/// The stop is gone and nothing sells: send, unless the entry, the balance or the attempts forbid it.
fn submit(input: &ClosingInput) -> ClosingAction {
    if let Some(action) = first_entry(input) {
        return action;
    }
    let entry_ends = input.entry != OrderView::Gone && holds(Rule::CloseMeetsEntry);
    if entry_ends && !input.urgent && input.since_decided_ms < ENTRY_WAIT_MS {
        return ClosingAction::Wait;
    }
    // Dust is judged by the position alone: a balance that was not seen yet is no dust.
    let whole = holds(Rule::FalseDust);
    let judged = if whole { input.base } else { input.base.min(input.available) };
    if judged < input.min_qty {
        return ClosingAction::Dust;
    }
    let qty = floor_to_step(input.base.min(input.available), input.lot);
    if input.available < input.base && input.since_short_ms < BALANCE_WAIT_MS {
        return ClosingAction::Wait;
    }
    if qty < input.min_qty {
        return if input.since_short_ms < 2 * BALANCE_WAIT_MS {
            ClosingAction::ReadBalance
        } else {
            ClosingAction::RearmStop
        };
    }
    // While no stop is taken there is nothing to give up for.
    if input.attempts >= ATTEMPTS_MAX && input.market.takes_stop() {
        return ClosingAction::GiveUp;
    }
    if input.since_refusal_ms < refused_pause_ms(input.refusals) {
        return ClosingAction::Wait;
    }
    let rest = input.maker_wanted && !input.urgent && !input.maker_void && input.attempts == 0;
    match input.market.close(rest) {
        Some(form) => ClosingAction::Submit { qty, form },
        None => ClosingAction::Wait,
    }
}

/// A cancel did not take: a look shows the order live, no request of it is open, and either the stream has been silent
/// about it, or so much time went by that a report of its end would be here. It is cancelled again; a cancel too many
/// is refused and changes nothing. `fresh`: the stream, images included, spoke of the order a short time ago.
#[must_use]
pub const fn cancel_is_lost(request_open: bool, fresh: bool, since_cancel_ms: i64) -> bool {
    !request_open && (!fresh || since_cancel_ms >= CANCEL_UNKNOWN_MS)
}

/// The close is live.
fn working(input: &ClosingInput) -> ClosingAction {
    let over = if input.close_rests {
        input.maker_void || input.since_close_ms >= input.maker_rest_ms
    } else {
        input.since_close_ms >= MARKET_FILL_MS
    };
    if over { ClosingAction::CancelClose } else { ClosingAction::Wait }
}
