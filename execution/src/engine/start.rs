//! How this process runs the engine, from its configuration; and what a start found, said aloud.
//!
//! Input: the resolved configuration. Output: [`EngineRun`], or none: without a token, or with its gates off,
//! there is nothing that an engine could say. Invariants: no default stands here; a symbol that two tokens
//! claim belongs to the one with the lower id.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use penstock_config::Config;
use penstock_config::engine::Gates;
use penstock_engine::EngineConfig;
use penstock_engine_io::{Code, EngineDirs, Fault, Mode, StartOptions, Started};
use penstock_telemetry::marker;
use penstock_trading::engine_gate::EngineGates;
use penstock_types::Symbol;
use penstock_types::vocab::Venue;

/// How the engine is run.
#[derive(Debug, Clone)]
pub struct EngineRun {
    /// Start of its files.
    pub options: StartOptions,
    /// Longest time from a frame's write to its sync.
    pub journal_group: Duration,
    /// Alerts of the first kind reach the table.
    pub publish_build: bool,
    /// SHA-256 of the token bindings, hex.
    pub bindings_hash: String,
    /// Spot symbols of tokens.
    pub symbols: BTreeMap<Symbol, u16>,
    /// What becomes of closed days.
    pub keep: Keep,
}

/// What becomes of closed days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// They are compressed.
    pub compress: bool,
    /// How long they stay, days.
    pub days: u32,
    /// How long those stay on which an order of ours was sent, days.
    pub days_traded: u32,
    /// How long the snapshot of a day's end stays among the snapshots, days.
    pub snapshot_days: u32,
}

impl EngineRun {
    /// The engine of a configuration; none without a token or with its gates off.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let engine = &config.engine;
        let local = &engine.local;
        if local.gates == Gates::Off || engine.config.tokens.is_empty() {
            return None;
        }
        Some(Self {
            options: StartOptions {
                dirs: EngineDirs {
                    log: local.log_dir.clone(),
                    journal: local.journal_dir.clone(),
                    snapshots: local.snapshot_dir.clone(),
                    alerts: local.alerts_dir.clone(),
                    manifests: local.manifest_dir.clone(),
                },
                config: engine.config.clone(),
                mode: Mode::Live,
                is_cold: false,
                accept_config: None,
                snapshot: None,
                from_genesis: false,
                disk_free_min_bytes: local.disk_free_min_bytes,
                signing_key: Some(local.signing_key_file.clone()),
                hooks: super::failpoints::hooks(),
            },
            journal_group: Duration::from_millis(local.journal_group_ms),
            publish_build: local.publish_build,
            bindings_hash: hex::encode(config.bindings.hash()),
            symbols: symbols(&engine.config),
            keep: Keep {
                compress: local.compress,
                days: local.keep_days,
                days_traded: local.keep_days_traded,
                snapshot_days: local.snapshot_keep_days,
            },
        })
    }
}

/// The gates of a configuration as the decision reads them.
#[must_use]
pub const fn gates(config: &Config) -> EngineGates {
    match config.engine.local.gates {
        Gates::Enforce => EngineGates::Enforce,
        Gates::Shadow => EngineGates::Shadow,
        Gates::Off => EngineGates::Off,
    }
}

/// Spot symbols that a token is bound to.
fn symbols(config: &EngineConfig) -> BTreeMap<Symbol, u16> {
    let mut symbols = BTreeMap::new();
    for token in &config.tokens {
        let spot = token.instruments.iter().filter(|one| one.venue == Venue::KrakenSpot);
        for symbol in spot.filter_map(|one| Symbol::new(&one.symbol).ok()) {
            symbols.entry(symbol).or_insert(token.id);
        }
    }
    symbols
}

/// What the engine is started with.
pub(super) fn say_start(run: &EngineRun) {
    let StartOptions { config, mode, is_cold, dirs, .. } = &run.options;
    marker!(
        ENGINE_START,
        mode = mode.name(),
        engine_version = env!("CARGO_PKG_VERSION"),
        tokens = config.tokens.len(),
        symbols = run.symbols.len(),
        is_cold = is_cold,
        log_dir = dirs.log.display().to_string()
    );
    marker!(
        ENGINE_CONFIG,
        config_sha256 = hex::encode(config.sha256()),
        bindings_hash = run.bindings_hash,
        schema_version = penstock_engine::config::SCHEMA
    );
}

/// What a start found and did.
pub(super) fn say_started(started: &Started, took: Duration) {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if let Some(tick) = started.snapshot_tick {
        marker!(ENGINE_SNAPSHOT_LOADED, tick = tick);
    }
    for file in &started.cut {
        marker!(ENGINE_LOG_TRUNCATED, file = file.display().to_string());
    }
    if started.rolled_ticks > 0 {
        marker!(
            ENGINE_ROLL_FORWARD,
            from_tick = started.snapshot_tick,
            to_tick = started.last_tick,
            ticks = started.rolled_ticks,
            refetched_frames = started.refetched_frames
        );
    }
    marker!(
        ENGINE_RECOVERED,
        snapshot_tick = started.snapshot_tick,
        log_tick = started.log_tick,
        last_tick = started.last_tick,
        changed_at = started.changed_at,
        duration_ms = ms
    );
}

/// Whether bytes were not those that were written.
const fn is_checksum(code: Code) -> bool {
    matches!(
        code,
        Code::SnapChecksum
            | Code::LogCorrupt
            | Code::LogHeader
            | Code::JrnChain
            | Code::FrameCrc
            | Code::ManHash
    )
}

/// A fault with everything that it knows.
pub(super) fn say_fatal(fault: &Fault) {
    let file = fault.file.as_ref().map(|file| file.display().to_string());
    marker!(
        ENGINE_FATAL,
        code = fault.code.name(),
        reason = fault.what,
        tick = fault.tick,
        token = fault.token,
        file = file,
        offset = fault.offset,
        expected = fault.expected.as_deref(),
        actual = fault.actual.as_deref()
    );
    if is_checksum(fault.code) {
        counter!("engine_checksum_failures_total").increment(1);
    }
    if fault.code == Code::Determinism {
        counter!("engine_replay_mismatch_total").increment(1);
        marker!(
            ENGINE_DETERMINISM_BREACH,
            reason = fault.what,
            tick = fault.tick,
            token = fault.token,
            file = file
        );
    }
}
