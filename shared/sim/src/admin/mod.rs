//! The administrator's side of the venue: faults, transfers, ledger and counters over HTTP.

mod faults;
mod router;
mod view;

pub use self::faults::{Endpoint, ExecutionFault, FaultRequest, Faults, FrameFault, HttpFault};
pub(crate) use self::router::router;
