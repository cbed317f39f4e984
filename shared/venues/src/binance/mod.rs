//! Binance USD-M futures, public data: sockets and REST, as values.
//!
//! [`decode`] turns a frame's text, with or without the envelope of combined streams, into a [`Frame`]
//! with borrowed fields. Numbers are strings on the wire and stay text. Which of the venue's addresses
//! carries a stream is [`stream`]'s table: a stream asked for at the wrong address is acknowledged and
//! silent for ever. The local book and its rule for the first change are in [`book`].

pub mod book;
mod frame;
pub mod request;
pub mod rest;
pub mod rest_rows;
pub mod rows;
pub mod stream;

pub use frame::{Event, Frame, decode};
