//! From a process to a session that may write: cluster, schema, fence, session row; and its end.
//!
//! Purpose: the order of the start before the venue is touched. Inputs: settings. Outputs: a [`Session`].
//! Invariants: identity is judged before anything is migrated, the fence is held before any row of the
//! session is written; whatever fails here has had no effect at the venue.

mod bindings;
mod check;
pub mod fees;
mod fence;
mod installation;
mod startup;
pub mod venue;

pub use bindings::{BindingsOutcome, compare};
pub use check::run_check;
pub use fence::{FenceEnd, run_renewal, say_fenced_out};
pub use installation::order_id_salt;
pub use startup::{Session, decision_pool, engine_pool, ensure_partitions, start};
