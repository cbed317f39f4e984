//! Order-by-order books as a part of the universe: whether there are any, how many, who pays for them.
//!
//! Input: the configuration, what the venue says about the key. Output: the cap of their layer, the task
//! that fetches tokens, an alert while the venue refuses the key. A key that is missing or refused costs
//! these books and nothing else.

use crate::core::clock::RecordingClock;
use crate::exit::Exit;
use crate::lifecycle::alerts::{Alerts, Reason};
use penstock_config::Config;
use penstock_venue_feeds::{DataKey, SharedSubscribeBudget, TokenStatus, Tokens, spawn_tokens};
use penstock_venues::kraken::level3_plan::{SubscribeBudget, subscription_points};
use penstock_venues::kraken::signing::PrivateKey;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Seconds within which the budget has to admit the whole layer: a connection that was lost is whole
/// again within a minute, and a warm-up covers all of it.
const SUBSCRIBE_SECS: u32 = 60;

/// Whether there are order-by-order books.
#[derive(Debug, Clone)]
pub(crate) enum Level3 {
    /// They are turned off.
    Off,
    /// They are wanted by default and there is no key.
    NoKey,
    /// There are.
    On(Box<Level3On>),
}

/// How they are subscribed.
#[derive(Debug, Clone)]
pub(crate) struct Level3On {
    /// Their socket.
    pub url: String,
    /// Price levels.
    pub depth: u32,
    /// Symbols of one socket.
    pub symbols_per_socket: usize,
    /// Budget of the account.
    pub points_per_s: u32,
    /// The key that tokens are fetched with.
    pub key: DataKey,
}

impl Level3 {
    /// Takes the values of a checked configuration.
    ///
    /// # Errors
    /// [`Exit::Refused`] when the secret of the key cannot be one.
    pub(crate) fn from_config(config: &Config) -> Result<Self, Exit> {
        let (feeds, venues) = (&config.areas.feeds, &config.areas.venues);
        if !feeds.l3_enable {
            return Ok(Self::Off);
        }
        // The rules of the configuration admit both or neither, and neither only by default.
        let (Some(key), Some(secret)) = (&venues.kraken_api_key, &venues.kraken_api_secret) else {
            return Ok(Self::NoKey);
        };
        let secret = PrivateKey::from_base64(secret.expose_secret())
            .map_err(|e| Exit::Refused(format!("KRAKEN_API_SECRET: {e}")))?;
        Ok(Self::On(Box::new(Level3On {
            url: venues.kraken_ws_l3_url.to_string(),
            depth: feeds.l3_depth,
            symbols_per_socket: feeds.l3_symbols_per_conn as usize,
            points_per_s: feeds.l3_subscribe_rate,
            key: DataKey { key: key.expose_secret().to_owned(), secret },
        })))
    }

    /// Cap of the layer: what the budget admits within a minute, or less where that is asked for. None
    /// when these books are off, 0 when they are wanted and cannot be.
    pub(crate) fn limit(&self, asked_for: Option<usize>) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::NoKey => Some(0),
            Self::On(on) => {
                let points = subscription_points(on.depth).unwrap_or(u32::MAX);
                let admitted = (on.points_per_s * SUBSCRIBE_SECS / points) as usize;
                Some(asked_for.map_or(admitted, |cap| cap.min(admitted)))
            }
        }
    }
}

/// The account that order-by-order sockets share.
#[derive(Debug)]
pub(crate) struct Level3Account {
    pub on: Level3On,
    pub tokens: Tokens,
    pub subscriptions: SharedSubscribeBudget,
}

impl Level3Account {
    /// Starts what fetches tokens. Nothing is asked before the first socket.
    ///
    /// # Errors
    /// [`Exit::Refused`] for an address.
    pub(crate) fn open(
        on: &Level3On,
        (rest_url, nonce_file): (&str, PathBuf),
        clock: &RecordingClock,
        stop: CancellationToken,
    ) -> Result<Self, Exit> {
        let tokens = spawn_tokens(rest_url, on.key.clone(), Some(nonce_file), clock.shared(), stop)
            .map_err(|e| Exit::Refused(format!("venue address: {e}")))?;
        let subscriptions = Arc::new(Mutex::new(SubscribeBudget::new(on.points_per_s)));
        Ok(Self { on: on.clone(), tokens, subscriptions })
    }
}

/// Says once that there are no order-by-order books although nobody turned them off.
pub(crate) fn tell_no_key(alerts: &Alerts) {
    let summary = "no order-by-order books: no key of the venue is set";
    tracing::warn!(
        "{summary}; next: set KRAKEN_API_KEY and KRAKEN_API_SECRET, a key without trading rights, or L3_ENABLE=false"
    );
    alerts.occurred(Reason::FeedGap, summary, serde_json::json!({ "stream": "l3" }));
}

/// Raises an alert while the venue gives no token; ends with the task that fetches them.
pub(crate) async fn watch_tokens(mut status: watch::Receiver<TokenStatus>, alerts: Alerts) {
    const CONDITION: &str = "level3_token";
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        match now {
            TokenStatus::Unknown => {}
            TokenStatus::Given => alerts.ends(Reason::FeedGap, CONDITION),
            TokenStatus::Refused(text) => {
                let summary = format!("no order-by-order books: the venue refuses the key: {text}");
                tracing::warn!("{summary}; next: give the key of ingest the right to sockets");
                alerts.begins(Reason::FeedGap, CONDITION, &summary);
            }
            TokenStatus::Missing(reason) => {
                let summary = format!("no token for order-by-order books: {reason}");
                tracing::warn!("{summary}");
                alerts.begins(Reason::FeedGap, CONDITION, &summary);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(depth: u32, points_per_s: u32) -> Level3 {
        let secret = PrivateKey::from_base64("c2VjcmV0").unwrap();
        let key = DataKey { key: "k".to_owned(), secret };
        let (url, symbols_per_socket) = ("wss://l3.example/v2".to_owned(), 200);
        Level3::On(Box::new(Level3On { url, depth, symbols_per_socket, points_per_s, key }))
    }

    #[test]
    fn the_layer_is_what_the_budget_subscribes_within_a_minute() {
        assert_eq!(on(10, 200).limit(None), Some(2_400));
        assert_eq!(on(100, 200).limit(None), Some(480));
        assert_eq!(on(1_000, 500).limit(None), Some(300));
        assert_eq!(on(1_000, 200).limit(Some(50)), Some(50));
        assert_eq!(on(1_000, 200).limit(Some(500)), Some(120));
        assert_eq!(Level3::NoKey.limit(Some(5)), Some(0));
        assert_eq!(Level3::Off.limit(None), None);
    }
}
