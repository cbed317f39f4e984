//! The feeds beside the public spot socket over real connections: level 3, futures, Binance.
//!
//! One binary, so that the parts share the client that knows only the documented rules.

mod binance;
mod common;
mod futures;
mod l3;
