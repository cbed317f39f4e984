//! The faults that can be asked for, as the admin interface and the file of timed faults write them.
//!
//! Inputs: JSON. Outputs: `FaultRequest` values. Invariant: an unknown kind or field is refused. It does
//! not commit anything.

use super::Endpoint;
use serde::{Deserialize, Serialize};

/// What happens to the next execution reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionFault {
    /// Not sent, but its `sequence` number is used up.
    Drop,
    /// Sent twice with one `sequence` number.
    Duplicate,
    /// Sent later by `delay_ms`; what follows waits behind it.
    Delay,
}

/// What happens to the next frames of a public channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameFault {
    /// Not sent.
    Drop,
    /// Sent twice.
    Duplicate,
    /// Sent after the next frame of its channel and symbol.
    Reorder,
}

/// What happens to the next requests of a method before the engine sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestFault {
    /// Never carried out, never answered.
    Drop,
    /// Carried out later by `delay_ms`; what follows goes ahead.
    Delay,
    /// Carried out after the next request, or after `delay_ms` when none comes.
    Reorder,
}

/// One fault, as the admin interface takes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultRequest {
    /// The next book frame of the symbol has a wrong checksum.
    BadChecksum {
        /// v2 symbol.
        symbol: String,
        /// `book` or `level3`.
        #[serde(default = "book")]
        channel: String,
    },
    /// All connections of an endpoint end now, without a close frame; for `for_ms` it takes no new
    /// ones.
    Cut {
        /// Which.
        endpoint: Endpoint,
        /// How long nobody gets in, ms; 0: the next attempt succeeds.
        #[serde(default)]
        for_ms: u32,
    },
    /// All connections of an endpoint stay open, but nothing is read or written for a while.
    Stall {
        /// Which.
        endpoint: Endpoint,
        /// How long, ms.
        for_ms: u32,
    },
    /// REST shows the account as it was so long ago: younger orders, ends and trades are not
    /// there yet; 0 ends it.
    RestLag {
        /// How far behind, ms.
        ms: u32,
    },
    /// A channel says nothing for a while; state goes on changing.
    Silence {
        /// A channel's name as in the counters.
        channel: String,
        /// Only this symbol; all when missing.
        symbol: Option<String>,
        /// How long, ms.
        for_ms: u32,
    },
    /// The next frames of a public channel are dropped, doubled or sent in the wrong order.
    Frames {
        /// A public channel's name as in the counters.
        channel: String,
        /// Symbol as the channel's venue writes it.
        symbol: String,
        /// What happens to them.
        action: FrameFault,
        /// To how many.
        count: u32,
    },
    /// The next execution reports are dropped, doubled or delayed.
    Executions {
        /// What happens to them.
        action: ExecutionFault,
        /// To how many.
        count: u32,
        /// For `delay`, ms.
        #[serde(default)]
        delay_ms: u32,
    },
    /// The next requests of a method are carried out and never answered.
    LostAck {
        /// Socket or REST method.
        method: String,
        /// How many.
        count: u32,
    },
    /// The next requests of a method do not reach the engine, or reach it late.
    Request {
        /// Socket or REST method, `ping` and `subscribe` among them.
        method: String,
        /// What happens to them.
        action: RequestFault,
        /// To how many.
        #[serde(default = "once")]
        count: u32,
        /// For `delay`, and the longest wait of `reorder`, ms.
        #[serde(default = "a_second")]
        delay_ms: u32,
    },
    /// An open order is in no list of REST and in no image of the executions channel for a while; it
    /// stands and trades all the same.
    Vanish {
        /// The venue's id; without it the oldest open order.
        order_id: Option<String>,
        /// How long, ms.
        for_ms: u32,
    },
    /// The next fills that complete an order trade more than was ordered.
    Overfill {
        /// How many.
        count: u32,
        /// By so much of the ordered quantity, basis points.
        #[serde(default = "a_tenth")]
        bps: u32,
    },
    /// What the account's key may do, as `GetApiKeyInfo` says it.
    KeyPermission {
        /// It may withdraw.
        withdraw: bool,
    },
    /// The next requests of a method are answered with this error text.
    Error {
        /// Socket or REST method.
        method: String,
        /// The text.
        text: String,
        /// How many.
        count: u32,
        /// True when they are carried out all the same.
        #[serde(default)]
        executed: bool,
    },
    /// The next REST requests of a method are answered by something before the API.
    Http {
        /// REST method.
        method: String,
        /// How many.
        count: u32,
        /// HTTP status.
        status: u16,
        /// Body, sent as HTML.
        #[serde(default)]
        body: String,
        /// True when the request is carried out before it is answered so.
        #[serde(default)]
        executed: bool,
    },
    /// Every answer of public REST, of all venues, is late by so much; 0 ends it.
    RestDelay {
        /// Delay, ms.
        ms: u32,
    },
    /// Every answer to a private request is late by so much; 0 ends it.
    VenueDelay {
        /// Delay, ms.
        ms: u32,
    },
    /// REST of Kraken Futures numbers trades by so much otherwise than its stream; 0 ends it.
    HistoryShift {
        /// Added to each number.
        by: i64,
    },
    /// The venue's clock is wrong by so much from now on; 0 ends it.
    ClockSkew {
        /// Ahead of the true time, ms; negative: behind.
        ms: i32,
    },
    /// The venue's status changes.
    SystemStatus {
        /// `online`, `maintenance`, `cancel_only`, `post_only`, `limit_only`.
        status: String,
    },
    /// A pair's status changes.
    PairStatus {
        /// v2 symbol.
        symbol: String,
        /// Word of the `instrument` channel.
        status: String,
    },
    /// All faults that have not happened yet are forgotten.
    Clear,
}

const fn once() -> u32 {
    1
}

const fn a_second() -> u32 {
    1_000
}

/// Basis points.
const fn a_tenth() -> u32 {
    1_000
}

fn book() -> String {
    "book".to_owned()
}
