//! The owner of the process's mode: who may raise a cause, who reads the mode, what a change does.
//!
//! Purpose: one place that knows the mode. Inputs: causes raised by the parts that see them, the
//! operator's requests, the end of the process. Outputs: the mode for every decision path, rows of
//! `sys_mode_log`, markers. Invariants: worsening is visible to readers before the call that caused it
//! returns; a change is one marker pair and one row. It never freezes exits or protection.

mod owner;

pub use owner::{Changes, ModeHandle, ModeView, Source, run_watchdog};
