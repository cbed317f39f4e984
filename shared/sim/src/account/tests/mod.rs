//! The account's operations against the engine: every refusal with its words, every order kind
//! with its story, the limits, and the sums that must hold whatever happens.

mod desk;
mod kinds;
mod life;
mod refusals;
mod sums;
