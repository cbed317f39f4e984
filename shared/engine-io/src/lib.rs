//! The deterministic engine on disk: what it takes and gives, written so that a crash at any byte loses nothing
//! that was promised, and read so strictly that every changed byte is named.
//!
//! Purpose: input journal, event logs, alert and transition streams, snapshots, signed manifests; start,
//! recovery and end of the engine; replay from files alone. Inputs: frames with their quote blocks, a resolved
//! configuration, directories. Outputs: files, reports, faults with stable codes. Invariants: the state of the
//! engine changes through `Engine::step` alone; live, recovery and replay feed the same engine with the same
//! code; time, keys and randomness are handed in. It opens no socket and no database.

pub mod archive;
pub mod archived;
pub mod bundle;
pub mod compress;
mod core;
pub mod day_lock;
pub mod error;
pub mod files;
mod hooks;
pub mod janitor;
pub mod journal;
pub mod keys;
pub mod layout;
pub mod lifecycle;
pub mod log;
pub mod manifest;
pub mod merkle;
pub mod origin;
pub mod recovery;
pub mod replay;
pub mod retention;
pub mod session;
pub mod snapshots;
mod spans;
pub mod stored;
pub mod streams;
pub mod tar;
mod writer;

pub use core::{CHECKPOINT_TICKS, Checkpoint};
pub use error::{Code, Fault};
pub use hooks::{CrashPoint, Hooks, JanitorHooks, JanitorPoint};
pub use layout::{Day, EngineDirs};
pub use lifecycle::Mode;
pub use session::{Delivered, FrameStore, NoStore, Session, StartOptions, Started, Taken};
