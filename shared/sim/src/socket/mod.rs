//! What the public feeds beside the spot socket have in common: one client at a time, its queue,
//! its faults, and what is kept of every frame that was sent.
//!
//! Inputs: a listener and a [`Feed`], which answers requests and knows the venue's rules. Outputs:
//! frames. The parts: `client` moves frames, `outgoing` is a frame on its way, `shuffle` commits
//! the faults of single frames. It knows no protocol.

mod client;
pub(crate) mod http;
mod outgoing;
mod shuffle;

pub(crate) use client::{Feed, Rules, serve};
pub use outgoing::{CONNECTION_QUEUE_LEN_LIMIT, Content, Outgoing};
pub(crate) use outgoing::{Line, Lines};
pub(crate) use shuffle::Shuffle;
