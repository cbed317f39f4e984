//! The administrator's side of the venue: faults, transfers, ledger and counters over HTTP.

mod commit;
mod endpoint;
mod faults;
mod owner;
mod request;
mod router;
mod script;
mod view;

pub use self::commit::FaultLog;
pub use self::endpoint::Endpoint;
pub use self::faults::{Faults, HttpFault};
pub use self::request::{ExecutionFault, FaultRequest, FrameFault, RequestFault};
pub(crate) use self::router::router;
pub use self::script::{FAULTS_LIMIT, Script, ScriptError};
