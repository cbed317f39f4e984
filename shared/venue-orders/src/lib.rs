//! The private side of Kraken spot: one authenticated socket, one signed REST client, and what both
//! remember about the account.
//!
//! * [`PrivateRest`]: signed requests, one in flight, paid from the modelled counter, with outcomes
//!   that keep "unknown" apart from "refused".
//! * [`spawn_order_socket`]: the socket with executions and balances as an ordered bounded channel of
//!   raw frames, and [`OrderSocket`] to add, amend and cancel. An outcome is `Acked`, `Rejected`,
//!   `Unknown` or `NotSent`, never an error that hides one of them.
//! * [`SendGate`]: asked before the bytes of every private request whether this process may send.
//! * [`SharedVenueState`]: nonce, counters and back-offs, kept in one small file.
//!
//! It decides nothing about orders: no retry, no re-send, no lock per order. Public market data is
//! not reachable from here.

mod gate;
mod outcome;
mod private_rest;
mod socket;
mod state;
mod state_file;

pub use gate::{SendGate, Sending, Shut, SoleUser};
pub use outcome::{NotSent, OrderAnswer, OrderOutcome, RestOutcome};
pub use penstock_venue_net::{Clock, NetError, Stamp, SystemClock};
pub use penstock_venues::kraken::rest::{RestAnswer, UnknownReason};
pub use private_rest::{Credentials, PrivateRest};
pub use socket::{
    BeforeWrite, DisconnectReason, OrderSocket, PrivateEvent, RunningSocket, SocketConfig,
    StreamHealth, spawn_order_socket,
};
pub use state::{CounterLook, CounterShares, EngineUse, Scope, Standing, VenueState, Way};
pub use state_file::{SharedVenueState, StateFileError};
