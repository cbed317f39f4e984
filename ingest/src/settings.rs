//! The configuration as this service uses it: one place that turns keys into values of the parts.

use crate::exit::Exit;
use crate::universe::derivatives::{BinanceUrls, Derivatives, FuturesUrls};
use crate::universe::level3::Level3;
use penstock_alerts::AlertSource;
use penstock_config::{Config, Endpoint, Value};
use penstock_market::canonical::InstrumentBinding;
use penstock_market::universe::UniverseRules;
use penstock_market::{CoreConfig, FoldConfig};
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Pairs of one socket: the venue admits far more subscriptions; a lost socket costs that many pairs.
const SYMBOLS_PER_SOCKET: usize = 100;

/// What the service is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Domain.
    pub domain: String,
    /// URL of the ingest cluster.
    pub ingest_url: String,
    /// URL of the decision cluster.
    pub decision_url: String,
    /// Both may be one cluster, for development.
    pub allow_single_cluster: bool,
    /// Connections per pool.
    pub pool_max: u32,
    /// Directory of the lock file.
    pub state_dir: PathBuf,
    /// Directory of the spools.
    pub spool_dir: PathBuf,
    /// Lease of the fence.
    pub fence_ttl_ms: i64,
    /// Longest wait for the fence.
    pub fence_timeout: Duration,
    /// Public socket.
    pub ws_url: String,
    /// REST, without `/0`.
    pub rest_url: String,
    /// Depth of L2 books.
    pub l2_depth: u32,
    /// Pairs of one socket: ticker, trade and book of each stay far below the venue's limits.
    pub symbols_per_socket: usize,
    /// The market core.
    pub core: CoreConfig,
    /// When a symbol whose book is lost too often rests, and for how long.
    pub book_quarantine: BookQuarantineRule,
    /// The universe.
    pub universe: UniverseRules,
    /// Least size of the entry set.
    pub min_universe: usize,
    /// Ticker rows per symbol and 300 s.
    pub min_ticker_per_symbol: i64,
    /// Warm-up.
    pub warmup: Duration,
    /// Between two epochs.
    pub epoch_interval: Duration,
    /// Window of an epoch.
    pub epoch_window: Duration,
    /// Oldest epoch that is still published.
    pub epoch_max_age: Duration,
    /// Between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Oldest checkpoint of a warm start; zero never starts warm.
    pub warm_start_max_age: Duration,
    /// Slowest publication that is no anomaly.
    pub refresh_max: Duration,
    /// Lag of the spool's sync above which an epoch is not durable.
    pub spool_sync_max_ms: u64,
    /// Load lag that is told.
    pub raw_stall_max: Duration,
    /// Between two looks at the process's resources; zero for none.
    pub resources: Duration,
    /// Alerts and where they go.
    pub alerts: penstock_alerts::Settings,
    /// Between two heartbeat rows.
    pub heartbeat: Duration,
    /// Longest run, when limited.
    pub run_duration_max: Option<(Duration, String)>,
    /// Age of a run at which it rolls over.
    pub rollover: Duration,
    /// Spool limits.
    pub spool: SpoolLimits,
    /// Hash of the configuration.
    pub config_hash: String,
    /// The derivative venues.
    pub(crate) derivatives: Derivatives,
    /// Order-by-order books.
    pub(crate) level3: Level3,
    /// Caps of the L2, L3 and execution layers that were set.
    pub(crate) limit_overrides: (Option<u32>, Option<u32>, Option<u32>),
    /// Instruments of the bound tokens.
    pub instruments: Vec<InstrumentBinding>,
    /// Canonical JSON of the token bindings.
    pub bindings: Arc<serde_json::Value>,
    /// Its SHA-256 in hex.
    pub bindings_hash: String,
}

/// Limits of the raw and the frame spool.
#[derive(Debug, Clone)]
pub struct SpoolLimits {
    /// Limit of all segments.
    pub bytes_max: u64,
    /// Space to leave on the filesystem.
    pub free_bytes_min: u64,
    /// Length of a segment.
    pub segment_bytes: u64,
    /// Memory for unsynced records.
    pub ring_bytes: u64,
    /// Between two syncs.
    pub fsync: Duration,
    /// First alert.
    pub high_pct: u64,
    /// Limit of the frame spool.
    pub frame_bytes_max: u64,
    /// Oldest frame that still waits.
    pub frame_age_max: Duration,
    /// Rows of one load transaction.
    pub copy_rows_max: usize,
    /// Between two load transactions.
    pub copy_interval: Duration,
}

impl Settings {
    /// Takes the values of a checked configuration.
    ///
    /// # Errors
    /// [`Exit::Refused`] when a URL is missing or the deny file cannot be read.
    pub fn from_config(config: &Config) -> Result<Self, Exit> {
        let areas = &config.areas;
        let clusters = &areas.clusters;
        let url = |value: &Option<secrecy::SecretString>, key: &str| {
            value.as_ref().map(|s| s.expose_secret().to_owned()).ok_or_else(|| {
                Exit::Refused(format!("{key} is not set; next: set it, or run `penstock up`"))
            })
        };
        let limits = &areas.spool;
        let epochs = &areas.epochs;
        let state = &areas.state;
        let hours = |h: penstock_types::Decimal| {
            Duration::from_secs_f64(penstock_types::decimal::to_feature(h) * 3_600.0)
        };
        let level3 = Level3::from_config(config)?;
        Ok(Self {
            domain: clusters.domain.clone(),
            ingest_url: url(&clusters.ingest_database_url, "INGEST_DATABASE_URL")?,
            decision_url: url(&clusters.decision_database_url, "DECISION_DATABASE_URL")?,
            allow_single_cluster: clusters.allow_single_cluster,
            pool_max: config.db_pool_max(),
            state_dir: clusters.state_directory.clone(),
            spool_dir: limits.spool_dir.clone(),
            fence_ttl_ms: signed(areas.fences.fence_ttl_ms),
            fence_timeout: Duration::from_secs(areas.fences.fence_acquire_timeout_secs),
            ws_url: areas.venues.kraken_ws_public_url.to_string(),
            rest_url: areas.venues.kraken_rest_url.to_string().trim_end_matches('/').to_owned(),
            l2_depth: areas.feeds.l2_depth,
            symbols_per_socket: SYMBOLS_PER_SOCKET,
            core: core_config(config),
            book_quarantine: BookQuarantineRule::of(config),
            universe: universe_rules(config, &level3)?,
            min_universe: areas.universe.execution_min_universe_size as usize,
            min_ticker_per_symbol: i64::from(epochs.min_ticker_per_symbol),
            warmup: Duration::from_secs(state.ingest_warmup_secs),
            epoch_interval: Duration::from_secs(epochs.epoch_interval_secs),
            epoch_window: Duration::from_secs(epochs.epoch_window_secs),
            epoch_max_age: Duration::from_secs(config.epoch_max_age_secs()),
            checkpoint_interval: Duration::from_secs(state.checkpoint_interval_secs),
            warm_start_max_age: Duration::from_secs(state.warm_start_max_age_secs),
            refresh_max: Duration::from_secs(state.refresh_max_duration_secs),
            spool_sync_max_ms: limits.spool_sync_max_ms,
            raw_stall_max: Duration::from_secs(limits.raw_stall_max_secs),
            resources: Duration::from_secs(areas.telemetry.resource_telemetry_interval_secs),
            alerts: penstock_alerts::Settings::of(config, AlertSource::Ingest),
            heartbeat: Duration::from_millis(areas.telemetry.heartbeat_interval_ms),
            run_duration_max: state
                .ingest_max_run_duration_hours
                .map(|h| (hours(h), h.normalize().to_string())),
            rollover: hours(state.run_rollover_hours),
            spool: spool_limits(config),
            config_hash: config.hash().to_owned(),
            derivatives: derivatives(config)?,
            level3,
            limit_overrides: (
                areas.universe.universe_l2_limit_override,
                areas.universe.universe_l3_limit_override,
                areas.universe.universe_exec_limit_override,
            ),
            instruments: crate::bindings::instruments(&config.bindings)?,
            bindings: Arc::new(config.bindings.to_json()),
            bindings_hash: hex::encode(config.bindings.hash()),
        })
    }
}

fn spool_limits(config: &Config) -> SpoolLimits {
    let limits = &config.areas.spool;
    SpoolLimits {
        bytes_max: limits.spool_max_bytes,
        free_bytes_min: limits.spool_min_free_bytes,
        segment_bytes: limits.spool_segment_bytes,
        ring_bytes: limits.spool_ring_bytes,
        fsync: Duration::from_millis(limits.spool_fsync_ms),
        high_pct: u64::from(limits.spool_high_pct),
        frame_bytes_max: limits.frame_spool_max_bytes,
        frame_age_max: Duration::from_secs(u64::from(limits.frame_spool_hours) * 3_600),
        copy_rows_max: limits.raw_copy_max_rows as usize,
        copy_interval: Duration::from_millis(limits.raw_copy_interval_ms),
    }
}

/// The derivative venues; each is on with all of its addresses or off with none.
fn derivatives(config: &Config) -> Result<Derivatives, Exit> {
    let venues = &config.areas.venues;
    let all = |urls: &[(&str, &Endpoint)]| {
        let on = urls.iter().filter(|(_, url)| **url != Endpoint::Off).count();
        let off = urls.iter().find(|(_, url)| **url == Endpoint::Off);
        match off {
            Some((key, _)) if on > 0 => Err(Exit::Refused(format!(
                "{key} is off and other addresses of its venue are not; next: set all or none"
            ))),
            Some(_) => Ok(None),
            None => Ok(Some(urls.iter().map(|(_, url)| text(url)).collect::<Vec<_>>())),
        }
    };
    let futures = all(&[
        ("KRAKEN_FUTURES_WS_URL", &venues.kraken_futures_ws_url),
        ("KRAKEN_FUTURES_REST_URL", &venues.kraken_futures_rest_url),
    ])?;
    let binance = all(&[
        ("BINANCE_UM_WS_PUBLIC_URL", &venues.binance_um_ws_public_url),
        ("BINANCE_UM_WS_MARKET_URL", &venues.binance_um_ws_market_url),
        ("BINANCE_UM_REST_URL", &venues.binance_um_rest_url),
    ])?;
    Ok(Derivatives {
        instruments: crate::bindings::derivatives(&config.bindings)?,
        futures: futures.and_then(|urls| {
            let [ws, rest] = urls.try_into().ok()?;
            Some(FuturesUrls { ws, rest })
        }),
        binance: binance.and_then(|urls| {
            let [ws_public, ws_market, rest] = urls.try_into().ok()?;
            Some(BinanceUrls { ws_public, ws_market, rest })
        }),
        rotate: Duration::from_secs(venues.binance_um_rotate_secs),
        funding_s: engine(config, "engine.poll.funding_s", 60),
        oi_s: engine(config, "engine.poll.oi_s", 5),
        oi_per_s: engine(config, "engine.poll.oi_rps", 10),
    })
}

fn text(url: &Endpoint) -> String {
    match url {
        Endpoint::Off => String::new(),
        Endpoint::At(url) => url.to_string().trim_end_matches('/').to_owned(),
    }
}

/// A whole number of the engine's table; every key has a default there.
fn engine(config: &Config, key: &str, default: i64) -> i64 {
    match config.values().get(key).map(|resolved| &resolved.value) {
        Some(Value::Int(number)) => *number,
        _ => default,
    }
}

/// The rule of quarantine that is ingest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookQuarantineRule {
    /// Losses of a book within ten minutes.
    pub resyncs_max: u32,
    /// Length of a quarantine, milliseconds.
    pub ttl_ms: i64,
    /// It ends by itself; else the operator ends it.
    pub auto_release: bool,
}

impl BookQuarantineRule {
    fn of(config: &Config) -> Self {
        let churn = &config.areas.churn;
        Self {
            resyncs_max: churn.risk_quarantine_max_resyncs_per_10min,
            ttl_ms: signed(churn.risk_quarantine_ttl_seconds.saturating_mul(1_000)),
            auto_release: churn.risk_quarantine_auto_release,
        }
    }
}

fn core_config(config: &Config) -> CoreConfig {
    let (feeds, state) = (&config.areas.feeds, &config.areas.state);
    let window = u16::try_from(config.areas.epochs.epoch_window_secs).unwrap_or(300);
    CoreConfig {
        fold: FoldConfig {
            epoch_window_secs: window,
            l3_sample_interval_ms: signed(feeds.l3_sample_interval_ms),
            ..FoldConfig::default()
        },
        refresh_interval_ms: signed(state.state_refresh_interval_ms),
        l2_sample_interval_ms: signed(feeds.l2_sample_interval_ms),
        quote_silence_ms: signed(feeds.quote_silence_ms),
        gap_secs: signed(feeds.ingest_gap_secs),
        l3_resync_max: feeds.l3_resync_max,
        l3_hard_block_secs: signed(feeds.l3_hard_block_secs),
    }
}

fn universe_rules(config: &Config, level3: &Level3) -> Result<UniverseRules, Exit> {
    let universe = &config.areas.universe;
    let set = |words: &[String]| words.iter().map(|w| w.trim().to_owned()).collect::<BTreeSet<_>>();
    let deny = match &universe.universe_exclude_file {
        None => BTreeSet::new(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| {
                let path = path.display();
                Exit::Refused(format!(
                    "UNIVERSE_EXCLUDE_FILE {path}: {e}; next: name a readable file"
                ))
            })?
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect(),
    };
    Ok(UniverseRules {
        quotes: set(&universe.universe_quotes),
        stablecoins: set(&universe.universe_stablecoins),
        fx: set(&universe.universe_fx),
        deny,
        pool_limit: universe.execution_universe_limit as usize,
        l2_limit: universe.universe_l2_limit_override.map(|n| n as usize),
        execution_limit: universe.universe_exec_limit_override.map(|n| n as usize),
        l3_limit: level3.limit(universe.universe_l3_limit_override.map(|n| n as usize)),
    })
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
