//! Kraken spot: WebSocket v2 (public and private) and REST, as values.
//!
//! Reading: [`decode`] turns a frame's text into a [`Frame`] with borrowed fields; numbers stay text
//! ([`Num`]) until somebody names a scale, because a detour through binary floating point breaks
//! every checksum. Writing: [`request`] and [`rest`]. State that outlives a frame (book, sequence,
//! nonce, counters, liveness) lives in its own module as a pure state machine; times come in as
//! arguments.

pub mod book;
pub mod book_sync;
pub mod error_table;
mod frame;
pub mod instrument;
pub(crate) mod json_text;
pub mod level3;
pub mod level3_book;
pub mod level3_flow;
pub mod level3_plan;
pub mod liveness;
pub mod nonce;
pub mod private;
pub mod public;
pub mod rates;
pub mod reconnect;
pub mod request;
pub mod response;
pub mod rest;
pub mod signing;
pub mod sniff;
pub mod symbols;
pub mod vocabulary;

pub use crate::number::{self, NumberError};
pub use crate::wire::{self, DecodeError};
pub use frame::{ChannelKind, Frame, decode};
pub use wire::{Num, Tag, Text, Unknown, Unknowns, WireTime};
