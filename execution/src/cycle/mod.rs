//! The evaluation cycle: when to look, what to read, what to decide, what to submit, what to keep.
//!
//! Purpose: run `decide` on every due generation and carry out what it planned. Inputs: the decision
//! cluster, quotes, the account's status. Outputs: entries, one row per cycle with everything that repeats
//! it, markers, causes of the mode. Each generation, and the lack of one, is looked at for the mode between
//! evaluations too. Invariants: one evaluation at a time; a generation is evaluated at most
//! once; nothing is submitted that was not decided from one whole generation and checked again right
//! before. Exits do not run here.

mod causes;
pub mod decided;
mod detail;
mod equity;
mod evaluate;
mod facts;
mod gate;
mod gate_book;
mod load;
mod record;
mod run;
mod said;
mod shadow;
mod stages;
pub mod stored;
mod submit;
mod trigger;
mod watch;

pub use evaluate::{Evaluated, Evaluator};
pub use gate::AiGate;
pub use run::{LoopEnd, run_loop};
pub(crate) use shadow::say_suspended;
pub use trigger::Scheduler;
