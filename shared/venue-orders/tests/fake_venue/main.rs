//! The private side against a fake venue over real sockets.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod fake;
mod gate;
mod memory;
mod orders;
mod rest;
