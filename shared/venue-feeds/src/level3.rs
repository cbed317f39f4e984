//! One socket of order-by-order books as a task.
//!
//! Input: address, symbols, depth, the account. Output: a connector like any other: the same events, the
//! same commands. What is its own is that it opens only with a token and that its subscriptions share the
//! account's budget with the other connections.

use std::sync::Arc;

use penstock_venue_net::Clock;
use penstock_venues::endpoint::EndpointError;
use penstock_venues::kraken::reconnect::PUBLIC;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::connector::{FeedHandle, Shared, SharedConnectBudget, SocketPolicy, spawn};
use crate::session::{FeedEvent, Session, SharedSubscribeBudget};
use crate::token::Tokens;

/// What a connector of order-by-order books needs.
#[derive(Clone, Debug)]
pub struct Level3Config {
    /// Address, with `/v2`.
    pub url: String,
    /// Symbols; at most [`penstock_venues::kraken::level3_plan::SYMBOLS_PER_CONNECTION_MAX`].
    pub symbols: Vec<String>,
    /// One of the venue's depths of this channel, price levels.
    pub depth: u32,
    /// Number of the connection within the account.
    pub connection: usize,
    /// The account's budget of subscriptions.
    pub subscriptions: SharedSubscribeBudget,
}

/// Starts a connector of order-by-order books.
///
/// # Errors
/// The address is refused.
pub fn spawn_level3(
    config: Level3Config,
    tokens: &Tokens,
    (clock, budget): (Arc<dyn Clock>, SharedConnectBudget),
    events: mpsc::Sender<FeedEvent>,
    cancel: CancellationToken,
) -> Result<FeedHandle, EndpointError> {
    let Level3Config { url, symbols, depth, connection, subscriptions } = config;
    let session = Session::level3(symbols, depth, connection, subscriptions);
    let policy = SocketPolicy { rule: PUBLIC, spacing_ms: 0 };
    let shared = Shared { clock, budget, tokens: Some(tokens.asks.clone()) };
    spawn(&url, session, policy, shared, events, cancel)
}
