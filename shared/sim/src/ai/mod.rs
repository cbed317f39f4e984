//! A local stand-in for a model behind a chat endpoint: answers that are right, and every way of being wrong.
//!
//! Inputs: questions over HTTP on loopback, a script, a seed. Outputs: answers, counters for each way of answering.
//! Invariants: it shares no code with the product and judges every question by itself, its hash included; a right
//! answer is derived from the question; which way of answering comes next is the script's and the seed's alone. It
//! knows no market and no model.

mod answers;
mod behaviour;
mod http;
mod question;
mod script;
mod server;

pub use behaviour::{Behaviour, Step};
pub use script::{Script, ScriptError};
pub use server::{Address, Counts, Handle, MODEL, Options, start};
