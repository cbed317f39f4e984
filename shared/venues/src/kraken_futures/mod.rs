//! Kraken Futures, public data: socket version 1 and REST version 3, as values.
//!
//! [`decode`] turns a frame's text into a [`Frame`] with borrowed fields. The names of its fields come
//! in no fixed order, and a feed's name may stand anywhere, so the head is read first unless the frame
//! begins with it. Numbers stay text; whole numbers may be spelled `1000.0` ([`Whole`]). The book is
//! kept by sequence numbers ([`book`]): there is no checksum.

pub mod book;
mod frame;
pub mod request;
pub mod rest;
pub mod rows;

pub use crate::whole::Whole;
pub use frame::{EventKind, FeedKind, Frame, decode};
