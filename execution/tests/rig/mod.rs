//! A published market and an account that remembers what it was asked, for tests of the cycle.

pub(crate) mod market;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use penstock_config::{Process, Sources, resolve};
use penstock_execution::account::{Account, EntryOutcome, EntryRequest};
use penstock_execution::attach::{Session, start};
use penstock_execution::settings::{RunMode, Settings};
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_trading::cycle::{StreamStatus, VenueCounter};
use penstock_trading::fixtures::{dec, symbol};
use penstock_types::{Decimal, OrderId, Symbol};

pub(crate) use market::{Listed, Market, Picture};

pub(crate) const N: usize = 8;

/// Remembers requests; answers them as sent.
#[derive(Default)]
pub(crate) struct Ledgerless {
    pub(crate) requests: Mutex<Vec<EntryRequest>>,
    /// Happens once, between the read of a cycle and its decision.
    pub(crate) after_read: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Account for Ledgerless {
    fn stream_status(&self) -> StreamStatus {
        StreamStatus { connected: true, snapshots_ok: true, silent_ms: 10 }
    }

    fn latency_us(&self) -> i64 {
        let happens = self.after_read.lock().unwrap().take();
        if let Some(happens) = happens {
            happens();
        }
        250_000
    }

    fn foreign_holds_quote(&self) -> Decimal {
        Decimal::ZERO
    }

    fn venue_counters(&self, _: &[&Symbol]) -> Vec<VenueCounter> {
        Vec::new()
    }

    fn is_busy(&self, _: &Symbol) -> bool {
        false
    }

    async fn submit_entry(&self, request: EntryRequest) -> EntryOutcome {
        self.requests.lock().unwrap().push(request);
        EntryOutcome::Sent { order_id: OrderId(1) }
    }
}

/// The market of the fixtures: prices around 100.
pub(crate) const PICTURE: Picture = Picture { mid_ticks: 10_000, hot: true };

/// The symbols of the fixtures.
pub(crate) async fn market(pair: &TestPair) -> Market {
    let pool = pair.pool(ClusterRole::Decision, "publisher_rw").await.unwrap();
    let listed = |i| Listed {
        symbol: symbol(i),
        price_decimals: 2,
        qty_decimals: 4,
        qty_min: dec("0.001"),
        cost_min: dec("0.5"),
    };
    Market::new(pool, (0..N).map(listed).collect()).await.unwrap()
}

/// Settings of the demo's kind against a test pair, with further lines.
pub(crate) fn settings(
    pair: &TestPair,
    state_dir: &std::path::Path,
    enable: bool,
    more: &str,
) -> Settings {
    settings_with(pair, state_dir, enable, more, BTreeMap::new())
}

/// The same, with further variables.
pub(crate) fn settings_with(
    pair: &TestPair,
    state_dir: &std::path::Path,
    enable: bool,
    more: &str,
    mut environment: BTreeMap<String, String>,
) -> Settings {
    let url = pair.url(ClusterRole::Decision, "exec_rw");
    environment.insert("DECISION_DATABASE_URL".to_owned(), url);
    let state_dir = state_dir.display();
    let file = format!(
        "domain = \"test\"\nexecution_enable = {enable}\nstate_directory = \"{state_dir}\"\n\
         audit_dir = \"{state_dir}/audit\"\ndegrade_exit_stable_window_ms = 1000\nrisk_max_exposure_symbol_quote = \"100\"\n\
         {more}"
    );
    let sources = Sources {
        process: Process::Execution,
        file: Some(("test.toml".to_owned(), file)),
        environment,
        secret_files: BTreeMap::new(),
    };
    Settings::new(resolve(&sources).unwrap(), RunMode::Attach).unwrap()
}

/// A session on a test pair, its account funded.
pub(crate) async fn session(pair: &TestPair, settings: Settings) -> Session {
    let pool = pair.pool(ClusterRole::Decision, "exec_rw").await.unwrap();
    sqlx::query(
        "insert into exchange_balances (asset, balance, as_of, source, updated_at)
         values ('USD', 10000, clock_timestamp(), 'test', clock_timestamp())",
    )
    .execute(&pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into fee_tiers (as_of, maker_bps, taker_bps, source)
         values (clock_timestamp(), 10, 20, 'live')",
    )
    .execute(&pool)
    .await
    .unwrap();
    start(settings, pool).await.unwrap()
}

/// Waits until a condition holds, at most ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what} did not come");
        beat.tick().await;
    }
}
