//! What a venue says and how it wants to be spoken to, without a socket, a clock or a random source.
//!
//! * [`kraken`]: frames, books and checksums, requests, REST bodies, signing, nonces, error texts,
//!   rate budgets, liveness and reconnect policies of Kraken spot.
//! * [`kraken_futures`], [`binance`]: public frames, books and REST bodies of the two derivative
//!   venues.
//! * [`sequence`], [`depth_book`]: numbers of messages, and books that are kept by them.
//! * [`wire`], [`number`], [`whole`]: the leaves that all venues share: borrowed text, number text, vocabularies,
//!   exact conversions.
//! * [`venue_clock`]: how far a venue's clock is from ours.
//! * [`endpoint`]: addresses, and where plain text is allowed.
//! * [`recording`]: the container format of recorded frames and the check over a whole recording.
//!
//! Inputs are texts and times that the caller read; outputs are values. Nothing here waits, sends,
//! reads a clock or stores anything, so every module can be replayed from what was recorded.

pub mod binance;
pub mod depth_book;
pub mod endpoint;
pub mod kraken;
pub mod kraken_futures;
pub mod number;
pub mod recording;
pub mod sequence;
pub mod venue_clock;
pub mod whole;
pub mod wire;
