//! The AI gate's call: one question about one proposed entry, and always an answer that can be recorded.
//!
//! Purpose: the sequence of a call, from the question to the verdict with its records, around the pure half in
//! `penstock-contracts`. Inputs: a decision with its snapshot and limits, an endpoint that speaks the chat protocol, a
//! clock, what must not be kept. Outputs: a verdict, what follows from it, one record for each attempt, and what a
//! replay derives the same verdict from. Invariants: whatever happens there is a verdict and a record; one call is in
//! flight; a body is read up to its limit and no further; no redirect is followed; nothing leaves this host in plain
//! text; the key is in no record. It stores nothing and changes no mode: what has to follow is said in its result.

mod gate;
mod provider;
mod records;

pub use gate::{Asked, Asking, Evaluation, Gate, GateError, Settings};
pub use provider::received;
