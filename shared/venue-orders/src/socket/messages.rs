//! What goes in and out of the private socket. Plain values.

use std::sync::Arc;

use penstock_types::UtcMicros;
use penstock_venues::kraken::ChannelKind;
use penstock_venues::kraken::vocabulary::SystemStatus;
use tokio::sync::oneshot;

use crate::gate::{Sending, Shut};
use crate::outcome::OrderAnswer;
use penstock_venue_net::Stamp;

/// Called with the method, our order id and the moment directly before the first byte of an order
/// request is written.
pub type BeforeWrite = Arc<dyn Fn(&str, Option<&str>, Stamp) + Send + Sync>;

/// What the socket needs.
#[derive(Clone)]
pub struct SocketConfig {
    /// Address, with `/v2`.
    pub url: String,
    /// Time of an answer to an order request, milliseconds; then its outcome is unknown.
    pub ack_timeout_ms: i64,
    /// Silence (heartbeats included) after which the connection is given up, milliseconds.
    pub silent_ms: i64,
    /// Time that has to be left until an order's deadline for it to be sent, milliseconds.
    pub deadline_left_ms: i64,
    /// Called directly before an order request is written.
    pub before_write: Option<BeforeWrite>,
}

impl SocketConfig {
    /// The ordinary limits: answer 3 s, silence 15 s, deadline 700 ms.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ack_timeout_ms: 3_000,
            silent_ms: 15_000,
            deadline_left_ms: 700,
            before_write: None,
        }
    }
}

impl core::fmt::Debug for SocketConfig {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SocketConfig")
            .field("url", &self.url)
            .field("ack_timeout_ms", &self.ack_timeout_ms)
            .field("silent_ms", &self.silent_ms)
            .field("deadline_left_ms", &self.deadline_left_ms)
            .finish_non_exhaustive()
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The venue closed it.
    Closed,
    /// The transport failed.
    Failed(String),
    /// No frame for too long.
    Silent {
        /// The silence, milliseconds.
        silent_ms: i64,
    },
    /// A subscription was refused or not answered.
    NotSubscribed {
        /// Its channel.
        channel: ChannelKind,
        /// The venue's words, or that there were none.
        text: String,
    },
    /// The reader did not keep up: a message found no place.
    ReaderSlow,
    /// The gate of the account is shut for this process.
    Shut(Shut),
    /// The process stops.
    Stopped,
}

/// What the private side tells its reader, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateEvent {
    /// The socket is open and its subscriptions are requested. `epoch` counts connections from 1.
    Connected {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
    },
    /// The venue accepted a subscription.
    Subscribed {
        /// Number of the connection.
        epoch: u64,
        /// Its channel.
        channel: ChannelKind,
    },
    /// A frame of executions or balances, as the venue wrote it.
    Frame {
        /// Number of the connection.
        epoch: u64,
        /// When it was received.
        at: Stamp,
        /// Its channel.
        channel: ChannelKind,
        /// Its number within the channel.
        sequence: Option<u64>,
        /// Whether it is an image.
        is_snapshot: bool,
        /// When the image was asked for: it shows the account as it was later than that.
        asked: Option<Stamp>,
        /// Its text; decode it with `penstock_venues`.
        text: String,
    },
    /// A number was skipped: a message is lost. The channel is subscribed anew and its image follows.
    Gap {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
        /// The channel.
        channel: ChannelKind,
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The venue's engine changed its state.
    System {
        /// When.
        at: Stamp,
        /// The state; `None` for a word that is not listed.
        status: Option<SystemStatus>,
    },
    /// An answer that came after its request was given up as unknown. Evidence, not an outcome.
    LateAnswer {
        /// When.
        at: Stamp,
        /// Its text.
        text: String,
    },
    /// A frame that does not decode, or of a channel that was not asked for.
    Unreadable {
        /// When.
        at: Stamp,
        /// What is wrong.
        reason: String,
        /// Its text.
        text: String,
    },
    /// The connection is gone; what happens meanwhile is not seen.
    Disconnected {
        /// Number of the connection.
        epoch: u64,
        /// When.
        at: Stamp,
        /// Why.
        reason: DisconnectReason,
    },
    /// No token or no connection.
    ConnectFailed {
        /// When.
        at: Stamp,
        /// Why.
        error: String,
        /// Delay until the next attempt, milliseconds.
        retry_in_ms: i64,
    },
}

/// How whole the private stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamHealth {
    /// Number of the connection; 0 before the first.
    pub epoch: u64,
    /// Whether a socket is open.
    pub connected: bool,
    /// Executions: image received and no number skipped since.
    pub executions_whole: bool,
    /// Balances: the same.
    pub balances_whole: bool,
    /// Monotonic time of the last frame, heartbeats included; ages of balances count from here. It outlives its
    /// connection; before the first frame it is the socket's start.
    pub last_frame_mono_ns: i64,
    /// The venue's clock minus ours, microseconds, as far as it is certain: by the last answer to a ping that came
    /// quickly enough, less half of its way.
    pub clock_offset_us: Option<i64>,
}

/// One order request on its way to the task.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Method, for the hook and the log.
    pub(super) method: &'static str,
    /// Our order id, for the hook.
    pub(super) cl_ord_id: Option<String>,
    /// Number of the request.
    pub(super) req_id: u64,
    /// Connection whose token the text carries.
    pub(super) epoch: u64,
    /// Symbol, for what the answer teaches about its counter.
    pub(super) symbol: Option<String>,
    /// What the gate is asked for.
    pub(super) sending: Sending,
    /// Deadline inside of the text.
    pub(super) not_after: Option<UtcMicros>,
    /// Monotonic time after which a request without such a deadline is not written, milliseconds.
    pub(super) not_after_ms: Option<i64>,
    /// The frame.
    pub(super) text: String,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<OrderAnswer>,
}
