//! Purpose: keys that both services share: clusters, places, log, locks, venue addresses. Invariants:
//! as in [`crate::area`]. It holds no logic.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::area::area;
use crate::key::{any, int};
use crate::value::Endpoint;

area! {
    /// Clusters and where things are kept.
    pub struct Clusters ("clusters") {
        /// URL of the ingest cluster. Refused in the execution process. `penstock up` sets it for managed clusters.
        [I X] ingest_database_url: Option<SecretString> = None, any();
        /// URL of the decision cluster; several with commas.
        [I E X] decision_database_url: Option<SecretString> = None, any();
        /// Both URLs may name one cluster. Development only: every proof that needs two clusters fails.
        [I E X] allow_single_cluster: bool = Some("false"), any();
        /// Connections in a pool; unset is 8 for ingest and 6 for execution.
        [I E] db_pool_max: Option<u32> = None, int(1, 100);
        /// Name of the universe, state and pair of fences that belong together.
        [I E X] domain: String = Some("kraken_spot"), any();
        /// Data root: clusters, sockets, state, spool, logs. Unset is `.data` in the clone.
        [I E X] penstock_data: Option<PathBuf> = None, any();
        /// Directory of PostgreSQL server programs.
        [X] penstock_pg_bin: Option<PathBuf> = None, any();
        /// User that runs PostgreSQL when the caller is root.
        [X] penstock_pg_user: Option<String> = None, any();
        /// Which clusters tests use: auto, managed, docker, url.
        [X] penstock_test_pg: Option<String> = None, any();
        /// Directory of recordings for tests.
        [X] penstock_recordings: PathBuf = Some("../shared/data/recordings"), any();
        /// Lock files, installation, request files. A local file system, never shared between hosts.
        [I E X] state_directory: PathBuf = Some("${PENSTOCK_DATA}/state"), any();
    }
}

area! {
    /// Log, metrics, telemetry of resources.
    pub struct Telemetry ("telemetry") {
        /// Level (error, warn, info, debug) or a list (`info,penstock_venues=debug`).
        [I E X] log_level: String = Some("info"), any();
        /// Loopback port of ingest's metrics; 0 turns it off.
        [I] metrics_port_ingest: u16 = Some("9101"), int(0, 65_535);
        /// Loopback port of execution's metrics; 0 turns it off.
        [E] metrics_port_execution: u16 = Some("9102"), int(0, 65_535);
        /// Seconds between two RESOURCE_TELEMETRY markers; 0 turns them off.
        [I E] resource_telemetry_interval_secs: u64 = Some("60"), int(0, 86_400);
        /// Milliseconds between two heartbeat rows.
        [I E] heartbeat_interval_ms: u64 = Some("5000"), int(1_000, 60_000);
    }
}

area! {
    /// Fences between instances.
    pub struct Fences ("fences") {
        /// Lease of a fence in milliseconds; waited for only where the lock file proves nothing.
        [I E] fence_ttl_ms: u64 = Some("15000"), int(5_000, 120_000);
        /// Seconds after which a busy fence ends the start with exit 75.
        [I E] fence_acquire_timeout_secs: u64 = Some("60"), int(1, 600);
    }
}

area! {
    /// Addresses and keys of the venues.
    pub struct Venues ("venues") {
        /// Kraken public WebSocket v2.
        [I] kraken_ws_public_url: Url = Some("wss://ws.kraken.com/v2"), any();
        /// Kraken level 3 WebSocket v2.
        [I] kraken_ws_l3_url: Url = Some("wss://ws-l3.kraken.com/v2"), any();
        /// Kraken private WebSocket v2.
        [E] kraken_ws_auth_url: Url = Some("wss://ws-auth.kraken.com/v2"), any();
        /// Kraken REST, without `/0`.
        [I E X] kraken_rest_url: Url = Some("https://api.kraken.com"), any();
        /// Kraken Futures WebSocket; `off` leaves the venue out.
        [I] kraken_futures_ws_url: Endpoint = Some("off"), any().or_off();
        /// Kraken Futures REST; `off` leaves the venue out.
        [I] kraken_futures_rest_url: Endpoint = Some("off"), any().or_off();
        /// Binance USD-M public WebSocket; `off` leaves the venue out.
        [I] binance_um_ws_public_url: Endpoint = Some("off"), any().or_off();
        /// Binance USD-M market WebSocket; `off` leaves the venue out.
        [I] binance_um_ws_market_url: Endpoint = Some("off"), any().or_off();
        /// Binance USD-M REST; `off` leaves the venue out.
        [I] binance_um_rest_url: Endpoint = Some("off"), any().or_off();
        /// Age in seconds at which a Binance socket is replaced with overlap.
        [I] binance_um_rotate_secs: u64 = Some("82800"), int(60, 86_000);
        /// Kraken API key. Execution: query, create, modify and cancel orders; a key that may withdraw is refused. Ingest: another key, without trading rights, for level 3 books.
        [E I] kraken_api_key: Option<SecretString> = None, any();
        /// Kraken API secret.
        [E I] kraken_api_secret: Option<SecretString> = None, any();
        /// Key without trading rights that `penstock up` gives to ingest as KRAKEN_API_KEY.
        [X] penstock_ingest_api_key: Option<SecretString> = None, any();
        /// Its secret.
        [X] penstock_ingest_api_secret: Option<SecretString> = None, any();
        /// Key of `penstock verify ledger`: it may query funds, closed orders and trades, nothing else. Without it the recorded messages of the private stream stand in the venue's place.
        [X] kraken_verify_api_key: Option<SecretString> = None, any();
        /// Its secret.
        [X] kraken_verify_api_secret: Option<SecretString> = None, any();
        /// Rate tier of the account.
        [E] kraken_tier: KrakenTier = Some("intermediate"), any();
    }
}

crate::area::choice! {
    /// Rate tier of a Kraken account.
    pub enum KrakenTier {
        /// Least budget.
        Starter = "starter",
        /// Verified account.
        Intermediate = "intermediate",
        /// Greatest budget.
        Pro = "pro",
    }
}
