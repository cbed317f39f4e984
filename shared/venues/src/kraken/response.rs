//! Answers to requests: subscription acks, order answers, pong.
//!
//! Input: the frame's text. Output: [`Response`] with the result kept raw until its method is known.
//! A response is the gateway's answer, not the engine's story: what happened to an order is told by
//! the executions channel, and either may come first.

use serde_json::value::RawValue;

use super::wire::{DecodeError, Num, Text, WireTime, wire_object};

/// Answer to one request.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// Method of the request; `pong` for a ping.
    pub method: Text<'a>,
    /// Whether the gateway took it; absent on a pong.
    pub success: Option<bool>,
    /// The result, object or array.
    pub result: Option<&'a RawValue>,
    /// Error text.
    pub error: Option<Text<'a>>,
    /// The symbol that a refusal is about.
    pub symbol: Option<Text<'a>>,
    /// Number of the request.
    pub req_id: Option<u64>,
    /// When the gateway got the request.
    pub time_in: Option<WireTime>,
    /// When the gateway answered.
    pub time_out: Option<WireTime>,
}

wire_object! {
    /// Result of a subscribe or unsubscribe request, one per symbol.
    SubscriptionResult {
        /// Channel.
        req channel: Text<'a> = "channel",
        /// Symbol; absent on channels without symbols.
        opt symbol: Text<'a> = "symbol",
        /// Book depth in effect.
        opt depth: u32 = "depth",
        /// Whether an image follows.
        opt snapshot: bool = "snapshot",
        /// Candle length in minutes.
        opt interval: i64 = "interval",
        /// Ceiling of the engine counter of the account's tier.
        opt maxratecount: Num<'a> = "maxratecount",
        /// Trigger of the ticker.
        opt event_trigger: Text<'a> = "event_trigger",
        /// What the venue wants us to know.
        opt warnings: Vec<Text<'a>> = "warnings",
    }
}

wire_object! {
    /// Result of add, amend and cancel.
    OrderResult {
        /// The venue's order id.
        opt order_id: Text<'a> = "order_id",
        /// Our order id.
        opt cl_ord_id: Text<'a> = "cl_ord_id",
        /// Group tag.
        opt order_userref: i64 = "order_userref",
        /// Id of an amend.
        opt amend_id: Text<'a> = "amend_id",
        /// Number of cancelled orders.
        opt count: u64 = "count",
        /// What the venue wants us to know.
        opt warnings: Vec<Text<'a>> = "warnings",
    }
}

impl<'a> Response<'a> {
    /// The result as that of a subscription.
    ///
    /// # Errors
    /// The result has another shape.
    pub fn subscription(&self) -> Result<Option<SubscriptionResult<'a>>, DecodeError> {
        self.typed("subscription result")
    }

    /// The result as that of an order request.
    ///
    /// # Errors
    /// The result has another shape.
    pub fn order(&self) -> Result<Option<OrderResult<'a>>, DecodeError> {
        self.typed("order result")
    }

    fn typed<T: serde::Deserialize<'a>>(
        &self,
        what: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let Some(raw) = self.result else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|source| DecodeError::new(what, &source))
    }

    /// Whether the gateway took the request: `success` is true and there is no error text.
    pub fn accepted(&self) -> bool {
        self.success == Some(true) && self.error.is_none()
    }
}
