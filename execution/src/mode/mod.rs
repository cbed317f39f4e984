//! The owner of the process's mode: who may raise a cause, who reads the mode, what a change does.
//!
//! Purpose: one place that knows the mode. Inputs: causes raised by the parts that see them, the
//! operator's requests, the end of the process. Outputs: the mode for every decision path, rows of
//! `sys_mode_log`, markers. Invariants: worsening is visible to readers before the call that caused it
//! returns; a change is one marker pair and one row. It never freezes exits or protection.

mod log;
mod owner;
mod told;
mod watchdog;

#[cfg(test)]
pub(crate) use log::row;
pub use log::run_log;
pub use owner::{Changes, ModeHandle, ModeView, Source};
pub use told::{RecoveryReport, Told};
#[cfg(test)]
pub(crate) use watchdog::look;
pub use watchdog::{WATCHDOG_EVERY, Watchdog};
