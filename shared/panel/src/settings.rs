//! What a panel is told once.

use std::net::SocketAddr;
use std::time::Duration;

use penstock_types::{Decimal, SessionId};

/// Lengths of lists that the configuration sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// Intents.
    pub intents: usize,
    /// Differences to the venue.
    pub diffs: usize,
    /// Symbols.
    pub symbols: usize,
}

/// What never changes in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Domain of the session.
    pub domain: String,
    /// Session.
    pub session_id: SessionId,
    /// Commit of the program, or empty.
    pub git_commit: String,
    /// Version of the program.
    pub version: String,
    /// Hash of the configuration.
    pub config_hash: String,
    /// `sim` or `kraken`.
    pub venue: String,
    /// Asset in which amounts are.
    pub quote_asset: String,
    /// Policy of the AI gate.
    pub ai_dec: i64,
    /// Orders may be sent.
    pub execution_enable: bool,
    /// How the engine is used.
    pub engine_mode: String,
    /// A critical alert sounds.
    pub alert_sound: bool,
    /// Daily loss limit in the quote asset.
    pub daily_loss_limit_quote: Decimal,
    /// The same in basis points of the day's opening equity.
    pub daily_loss_limit_bps: Decimal,
    /// Rest of a symbol after an exit, seconds.
    pub cooldown_s: i64,
    /// Score of differences at which the mode is DEGRADE.
    pub drift_degrade_x10000: i64,
}

/// Limits of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Where it listens; loopback only.
    pub address: SocketAddr,
    /// Time between two documents.
    pub every: Duration,
    /// Most open connections; a further one is closed when it is accepted.
    pub connections_max: usize,
    /// Most streams; a further one is answered with 503.
    pub streams_max: usize,
    /// Lengths of lists.
    pub lengths: Lengths,
}
