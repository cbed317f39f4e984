//! The deterministic engine inside the service: frames go in by one queue, a view comes out after each tick.
//!
//! Purpose: the way of sealed frames through the engine's core, its files and its rows. Inputs: the table of
//! frames, the resolved configuration, the bindings of each run. Outputs: files, rows, the board that gates
//! and exits read. Invariants: the core lives on one thread of its own and waits for nobody; a fault of it
//! stops it for the life of the process and leaves exits alone; no frame of a run with other bindings is
//! taken. What the engine makes of a frame is not decided here.

mod board;
mod checkpoints;
mod closed;
mod driver;
pub mod failpoints;
mod janitor;
mod lines;
mod place;
mod rows;
mod sizes;
mod source;
mod start;
mod stats;
mod store;
mod tail;
mod worker;

pub use board::EngineBoard;
pub use driver::{Engine, EngineEnd};
pub use start::{EngineRun, Keep, gates};
