//! The private side of the venue: credentials, state file, REST client, socket.
//!
//! Purpose: open what orders are sent through. Inputs: settings. Outputs: [`Venue`]. Invariants: the secret
//! leaves the configuration here and goes into the signer only; plain text is refused for any host but this
//! one by the configuration.

use std::sync::Arc;

use penstock_config::table::services::KrakenTier;
use penstock_venue_orders::{
    Clock, CounterShares, Credentials, PrivateEvent, PrivateRest, RunningSocket, SharedVenueState,
    SocketConfig, SystemClock, spawn_order_socket,
};
use penstock_venues::kraken::rates::Tier;
use penstock_venues::kraken::signing::PrivateKey;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::exit::StartError;
use crate::settings::Settings;

/// Events of the private stream that may wait: beyond it the stream counts as lost.
const EVENTS_LEN_LIMIT: usize = 4_096;

/// The open private side.
pub struct Venue {
    /// Signed REST.
    pub rest: PrivateRest,
    /// The socket.
    pub socket: RunningSocket,
    /// Its events.
    pub events: mpsc::Receiver<PrivateEvent>,
    /// Clock of both.
    pub clock: Arc<dyn Clock>,
    /// Writes the state file.
    pub keeper: tokio::task::JoinHandle<()>,
    /// What the account remembers.
    pub state: SharedVenueState,
}

impl std::fmt::Debug for Venue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Venue").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// The key of the account.
///
/// # Errors
/// [`StartError::Refused`] when a part is missing or no base64.
pub fn credentials(settings: &Settings) -> Result<Credentials, StartError> {
    let venues = &settings.config.areas.venues;
    let (Some(key), Some(secret)) = (&venues.kraken_api_key, &venues.kraken_api_secret) else {
        return Err(StartError::Refused(
            "KRAKEN_API_KEY and KRAKEN_API_SECRET are not set; next: set both, or use `penstock demo`"
                .to_owned(),
        ));
    };
    let secret = PrivateKey::from_base64(secret.expose_secret())
        .map_err(|e| StartError::Refused(format!("KRAKEN_API_SECRET: {e}; next: copy it again")))?;
    Ok(Credentials { key: key.expose_secret().to_owned(), secret })
}

/// Opens the private side.
///
/// # Errors
/// [`StartError`].
pub fn open(context: &Context) -> Result<Venue, StartError> {
    let settings = &context.settings;
    let areas = &settings.config.areas;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let tier = match areas.venues.kraken_tier {
        KrakenTier::Starter => Tier::Starter,
        KrakenTier::Intermediate => Tier::Intermediate,
        KrakenTier::Pro => Tier::Pro,
    };
    let path = areas.clusters.state_directory.join("venue.json");
    let state = SharedVenueState::open(path, context.host.to_string(), tier, Arc::clone(&clock));
    let churn = &areas.churn;
    state.lock().set_shares(CounterShares {
        entry_pct: churn.risk_counter_entry_pct,
        repeg_pct: churn.risk_counter_repeg_pct,
    });
    let refused = |e: &dyn std::fmt::Display| StartError::Refused(e.to_string());
    let base = areas.venues.kraken_rest_url.as_str().trim_end_matches('/');
    let rest = PrivateRest::new(base, credentials(settings)?, state.clone(), context.lease.clone())
        .map_err(|e| refused(&e))?;
    let (sender, events) = mpsc::channel(EVENTS_LEN_LIMIT);
    let mut config = SocketConfig::new(areas.venues.kraken_ws_auth_url.as_str());
    let int = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
    config.ack_timeout_ms = int(areas.orders.submit_ack_timeout_ms);
    config.silent_ms = int(areas.orders.private_stream_silent_secs).saturating_mul(1_000);
    let socket = spawn_order_socket(config, rest.clone(), sender, context.end.clone())
        .map_err(|e| refused(&e))?;
    let keeper = state.spawn_keeper(context.end.clone());
    Ok(Venue { rest, socket, events, clock, keeper, state })
}
