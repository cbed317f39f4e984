//! The token of the order-by-order socket.
//!
//! Input: the configuration, with the key that ingest uses. Output: a token of its own for this recording, or
//! what has to be set. The key needs no right to trade; neither key nor token is ever shown.

use std::sync::Arc;

use penstock_config::Config;
use penstock_venue_feeds::{DataKey, SessionToken, SystemClock, TokenError, fetch_token};
use penstock_venues::kraken::signing::PrivateKey;
use secrecy::ExposeSecret;

use super::plan::PlanError;
use crate::exit;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// What was asked for is not offered.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] penstock_config::ConfigError),
    /// No key.
    #[error(
        "level3 needs a key of the venue, without trading rights; next: set PENSTOCK_INGEST_API_KEY and PENSTOCK_INGEST_API_SECRET"
    )]
    NoKey,
    /// A secret that is none.
    #[error("PENSTOCK_INGEST_API_SECRET: {0}; next: set it as the venue gave it")]
    Secret(String),
    /// The venue gives none.
    #[error("{0}; next: look at PENSTOCK_INGEST_API_KEY and its right to sockets")]
    Token(#[from] TokenError),
}

impl AccessError {
    /// Exit status of the command.
    pub(super) const fn exit(&self) -> i32 {
        match self {
            Self::Plan(_) => exit::USAGE,
            Self::Config(_) | Self::NoKey | Self::Secret(_) => exit::CONFIG,
            Self::Token(_) => exit::UNAVAILABLE,
        }
    }
}

/// Asks the venue for a token.
pub(super) async fn token(
    config: &Config,
    rest_url: Option<&str>,
) -> Result<SessionToken, AccessError> {
    let venues = &config.areas.venues;
    // The rules of the configuration admit both or neither.
    let (Some(key), Some(secret)) =
        (&venues.penstock_ingest_api_key, &venues.penstock_ingest_api_secret)
    else {
        return Err(AccessError::NoKey);
    };
    let (key, secret) = (key.expose_secret(), secret.expose_secret());
    let secret = PrivateKey::from_base64(secret).map_err(|e| AccessError::Secret(e.to_string()))?;
    let key = DataKey { key: key.to_owned(), secret };
    let configured = venues.kraken_rest_url.to_string();
    let base = rest_url.unwrap_or(&configured).trim_end_matches('/');
    // One call: the clock's nonce is above all that this key has used, unless the clock went back, which the
    // venue tells.
    Ok(fetch_token(base, key, None, Arc::new(SystemClock::new())).await?)
}
