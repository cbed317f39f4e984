//! `penstock soak --private`: the whole product on the demo's profile with a fault of the private side every so often,
//! judged by the venue's own account.
//!
//! Inputs: length, spacing, faults by their names, seed. Outputs: the list of faults with its count, every uncovered
//! interval with its cause, counts, verdicts, one JSON object. Invariants: a fault that could not be staged fails the
//! run; nothing is judged by what the product says of itself where the venue has a witness; the numbers that an
//! hour has to reach are judged in runs of an hour and longer, and shown in all.

mod course;
mod deeds;
mod judge;
mod kind;
mod money;
mod panel;
mod plan;
mod report;
mod second;

pub(super) use course::run;
pub(crate) use kind::Wanted;
