//! The public side over real connections: generated and recorded markets.
//!
//! One binary, so that the parts share the client that knows only the documented rules.

mod common;
mod recorded;
mod socket;
