//! The deterministic engine: one frame of exchange events in, one 64-byte record per token out.
//!
//! Purpose: per token a structural state of its market (how cheap it is to break it now), per cluster the
//! breadth of such states, per scheduled event its phase, and alerts on all of them. It places no order and
//! predicts nothing. Invariants: the same frames, configuration and version give the same bytes; a tick
//! reads no clock, no random source and no file, allocates nothing, and knows no floating point; layers run
//! in one order and none reads a layer behind it. A broken invariant stops the engine with a code: it never
//! repairs, skips or guesses.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::float_arithmetic,
        clippy::float_cmp,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::wildcard_enum_match_arm
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod alert;
pub mod cluster;
pub mod config;
pub mod cost;
mod engine;
pub mod fault;
pub mod feature;
pub mod frame_view;
pub mod fsm;
pub mod num;
pub mod phase;
pub mod record;
pub mod snapshot;
pub mod tier;

pub use config::{ConfigError, EngineConfig};
pub use engine::{
    ClusterTransition, Engine, PhaseTransition, Retrace, Retraced, TickOutput, TokenTransition,
    Transition,
};
pub use fault::EngineFault;
pub use frame_view::{FrameView, expand_gap};
