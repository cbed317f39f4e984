//! The contracts of a decision: what is known, what is decided, what is allowed, each with one hash and one form.
//!
//! Purpose: snapshot, decision, plans, verdicts and the intents of orders as types with the field names that documents
//! carry; their rules; the pure half of the AI gate. No sockets, no clock, no randomness, no database, and no number
//! with a binary fraction: amounts are decimal text.

pub mod ai;
pub mod alert;
pub mod amount;
pub mod dashboard;
pub mod decision;
pub mod edge;
pub mod fixtures;
pub mod invalid;
pub mod order_intent;
pub mod plans;
pub mod risk;
pub mod schema;
pub mod shape;
pub mod snapshot;
pub mod units;
pub mod vocab;

pub use amount::DecStr;
pub use decision::Decision;
pub use invalid::Invalid;
pub use order_intent::OrderIntentHashPayload;
pub use risk::RiskVerdict;
pub use snapshot::Snapshot;
