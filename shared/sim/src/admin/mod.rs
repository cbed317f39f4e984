//! The administrator's side of the venue: faults, transfers, ledger and counters over HTTP.

mod faults;

pub use self::faults::{Endpoint, ExecutionFault, FaultRequest, Faults, HttpFault};
