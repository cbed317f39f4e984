//! Replay: what files say, derived a second time and compared.
//!
//! Purpose: a proof that anybody can repeat without a database, a key or a clock. Level A derives states,
//! clusters, phases and alerts from the logs; level B derives every byte from the journal. Invariants: nothing
//! under the engine's directories is written; the first difference ends it with tick, token and field; damage
//! of a file is a fault with its own code and not a difference.

mod ahead;
mod compare;
mod fields;
mod level_a;
mod level_b;
mod log_streams;
mod logs;
mod report;
mod rows;
mod state_chain;

pub use fields::first_difference;
pub use level_a::{Lead, level_a, level_a_after, level_a_on};
pub use level_b::{ReplayStart, level_b};
pub use logs::LogStream;
pub use report::{Mismatch, Report, Verdict};
