//! The simulated venues and a simulated AI endpoint: a Kraken spot venue that speaks the real protocols over real sockets,
//! matches with price-time priority, and keeps a ledger of its own. It shares no code with the
//! product, so that it can disagree with it.

pub mod account;
pub mod admin;
pub mod ai;
pub mod binance;
pub mod derivatives;
pub mod exchange;
pub mod futures;
pub mod generator;
pub mod instruments;
pub mod ledger;
pub mod level3;
pub mod private;
pub mod public;
pub mod recording;
pub mod rest_private;
pub mod rest_public;
pub mod server;
pub mod socket;
