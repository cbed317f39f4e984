//! What became of a request.
//!
//! The four outcomes of an order request and the two of a REST call, as ordinary values. *Unknown* is
//! one of them: a caller has to handle it, because nobody may swallow it as an error.

use penstock_venues::kraken::error_table::{self, ErrorOutcome, Judgement};
use penstock_venues::kraken::response::Response;
use penstock_venues::kraken::rest::{RestAnswer, UnknownReason};
use thiserror::Error;

use crate::gate::Shut;
use penstock_venue_net::Stamp;

/// Why a request did not leave this process. Nothing happened at the venue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotSent {
    /// No private socket is open.
    #[error("no private socket is open")]
    NotConnected,
    /// The modelled rate counter has no room.
    #[error("the rate counter of {scope} has no room for it; next try in {wait_ms} ms")]
    Budget {
        /// Which counter.
        scope: String,
        /// When it would fit, milliseconds from now.
        wait_ms: i64,
    },
    /// The venue asked for a pause.
    #[error("{scope} is paused for another {wait_ms} ms")]
    Paused {
        /// What is paused.
        scope: String,
        /// For how long, milliseconds.
        wait_ms: i64,
    },
    /// The process just started without knowing what was sent before.
    #[error("started without the venue's counters; no new order for another {wait_ms} ms")]
    ColdStart {
        /// For how long, milliseconds.
        wait_ms: i64,
    },
    /// Too little time is left until the order's deadline.
    #[error("{left_ms} ms are left until its deadline, {needed_ms} ms are needed")]
    DeadlineTooClose {
        /// Milliseconds that are left.
        left_ms: i64,
        /// Milliseconds that are needed.
        needed_ms: i64,
    },
    /// The gate of the account is shut for this process.
    #[error(transparent)]
    Shut(#[from] Shut),
    /// Too many requests wait for the socket or for REST.
    #[error("too many requests wait")]
    QueueFull,
    /// The client has stopped.
    #[error("the client has stopped")]
    Stopped,
}

/// What became of an order request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    /// The gateway took it; what happens to the order is told by the executions channel.
    Acked {
        /// The venue's order id.
        order_id: Option<String>,
        /// Our order id, as the venue repeats it.
        cl_ord_id: Option<String>,
        /// Id of an amend.
        amend_id: Option<String>,
        /// Number of cancelled orders.
        count: Option<u64>,
        /// What the venue wants us to know.
        warnings: Vec<String>,
    },
    /// The engine did not take it.
    Rejected {
        /// The venue's words.
        text: String,
        /// How the table reads them; its outcome is `Refused` or `Expired`.
        judgement: Judgement,
    },
    /// Nothing is proven: look it up, never send it again.
    Unknown {
        /// Why.
        reason: UnknownReason,
        /// How the table reads it.
        judgement: Judgement,
    },
    /// It did not leave this process.
    NotSent(NotSent),
}

/// An outcome with its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderAnswer {
    /// What became of it.
    pub outcome: OrderOutcome,
    /// The moment directly before its first byte was written.
    pub sent_at: Option<Stamp>,
    /// When the answer was received.
    pub answered_at: Option<Stamp>,
}

impl OrderAnswer {
    pub(crate) const fn not_sent(reason: NotSent) -> Self {
        Self { outcome: OrderOutcome::NotSent(reason), sent_at: None, answered_at: None }
    }

    pub(crate) const fn unknown(reason: UnknownReason, sent_at: Option<Stamp>) -> Self {
        let judgement = error_table::TRANSPORT;
        Self { outcome: OrderOutcome::Unknown { reason, judgement }, sent_at, answered_at: None }
    }
}

/// What became of a REST call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestOutcome {
    /// It did not leave this process.
    NotSent(NotSent),
    /// It was sent; the answer may still be "lost".
    Sent(RestAnswer),
}

impl RestOutcome {
    /// The answer, if it was sent.
    pub const fn answer(&self) -> Option<&RestAnswer> {
        match self {
            Self::Sent(answer) => Some(answer),
            Self::NotSent(_) => None,
        }
    }
}

/// Reads the gateway's answer to an order request.
pub(crate) fn read(response: &Response<'_>) -> OrderOutcome {
    let unknown = |reason, judgement| OrderOutcome::Unknown { reason, judgement };
    if let Some(text) = &response.error {
        let judgement = error_table::judge(text);
        match judgement.outcome {
            ErrorOutcome::Refused | ErrorOutcome::Expired => {
                return OrderOutcome::Rejected { text: text.to_string(), judgement };
            }
            ErrorOutcome::Unknown => {
                return unknown(UnknownReason::Text(text.to_string()), judgement);
            }
            ErrorOutcome::Accepted => {}
        }
    }
    let result = match response.order() {
        Ok(result) => result,
        Err(error) => {
            let reason = UnknownReason::Body { reason: error.to_string(), body: String::new() };
            return unknown(reason, error_table::TRANSPORT);
        }
    };
    let Some(result) = result.filter(|_| response.success == Some(true)) else {
        return unknown(UnknownReason::Empty, error_table::UNLISTED);
    };
    let names_something = result.order_id.is_some()
        || result.cl_ord_id.is_some()
        || result.amend_id.is_some()
        || result.count.is_some()
        // The dead man's switch names times and no order.
        || &*response.method == "cancel_all_orders_after";
    // An add without the venue's order id is no acceptance.
    if !names_something || (&*response.method == "add_order" && result.order_id.is_none()) {
        return unknown(UnknownReason::Empty, error_table::UNLISTED);
    }
    let owned = |text: Option<penstock_venues::kraken::Text<'_>>| text.map(|t| t.to_string());
    OrderOutcome::Acked {
        order_id: owned(result.order_id),
        cl_ord_id: owned(result.cl_ord_id),
        amend_id: owned(result.amend_id),
        count: result.count,
        warnings: result.warnings.unwrap_or_default().iter().map(|t| t.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_venues::kraken::{Frame, decode};

    fn outcome(text: &str) -> OrderOutcome {
        let Ok(Frame::Response(response)) = decode(text) else { panic!("no response: {text}") };
        read(&response)
    }

    #[test]
    fn only_an_answer_with_an_id_is_an_acceptance() {
        let acked =
            r#"{"method":"add_order","success":true,"result":{"order_id":"O","cl_ord_id":"c"}}"#;
        assert!(matches!(outcome(acked), OrderOutcome::Acked { .. }));
        for text in [
            r#"{"method":"add_order","success":true,"result":{"cl_ord_id":"c"}}"#,
            r#"{"method":"add_order","success":true}"#,
            r#"{"method":"add_order","success":false}"#,
            r#"{"method":"add_order","result":{"order_id":"O"}}"#,
            r#"{"method":"add_order","success":true,"result":[1]}"#,
            r#"{"method":"add_order","success":false,"error":"EService:Busy"}"#,
            r#"{"method":"add_order","success":false,"error":"EOrder:Never heard of"}"#,
            r#"{"method":"add_order","success":false,"error":"EOrder:cl_ord_id in use"}"#,
            r#"{"method":"cancel_order","success":false,"error":"EOrder:Unknown order"}"#,
        ] {
            assert!(matches!(outcome(text), OrderOutcome::Unknown { .. }), "{text}");
        }
    }

    #[test]
    fn the_dead_mans_switch_is_answered_without_an_order() {
        let text = r#"{"method":"cancel_all_orders_after","success":true,
            "result":{"currentTime":"2026-11-27T00:00:00Z","triggerTime":"2026-11-27T00:01:00Z"}}"#;
        assert!(matches!(outcome(text), OrderOutcome::Acked { order_id: None, .. }));
        for text in [
            r#"{"method":"cancel_all_orders_after","success":true}"#,
            r#"{"method":"cancel_all_orders_after","success":false,"result":{}}"#,
        ] {
            assert!(matches!(outcome(text), OrderOutcome::Unknown { .. }), "{text}");
        }
    }

    #[test]
    fn refusals_are_rejections() {
        let text = r#"{"method":"add_order","success":false,"error":"EOrder:Insufficient funds"}"#;
        assert!(matches!(outcome(text), OrderOutcome::Rejected { .. }));
        let text = r#"{"method":"add_order","success":false,"error":"EService:Deadline elapsed"}"#;
        let OrderOutcome::Rejected { judgement, .. } = outcome(text) else { panic!("{text}") };
        assert_eq!(judgement.outcome, ErrorOutcome::Expired);
    }

    #[test]
    fn a_cancel_is_answered_by_either_id() {
        for id in ["order_id", "cl_ord_id"] {
            let text =
                format!(r#"{{"method":"cancel_order","success":true,"result":{{"{id}":"x"}}}}"#);
            assert!(matches!(outcome(&text), OrderOutcome::Acked { .. }));
        }
    }
}
