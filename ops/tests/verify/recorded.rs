//! Three runs that a real ingest recorded from the simulated venue, and the tool on them.

use penstock_config::{Process, Sources, resolve};
use penstock_sim::server::{MarketSource, Options, start};
use penstock_store::ClusterRole;
use penstock_store::testing::{SUPERUSER_LOGIN, TestPair};
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::BTreeMap;
use std::process::Output;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Longest wait for one step.
const PATIENCE: Duration = Duration::from_secs(150);
/// Tokens with instruments of all three venues.
const TOKENS: &str = r#"
[[engine.token]]
id = 1
symbol = "BTC"
profile = "DERIV"
instruments = [
  { venue = "binance_um", symbol = "BTCUSDT", roles = ["price_ref", "deriv_primary", "flow", "oi_set"] },
  { venue = "kraken_futures", symbol = "PF_XBTUSD", roles = ["flow", "oi_set"] },
  { venue = "kraken", symbol = "BTC/USD", roles = ["spot_primary"] },
]
[[engine.token]]
id = 2
symbol = "ETH"
profile = "DERIV"
instruments = [
  { venue = "kraken_futures", symbol = "PF_ETHUSD", roles = ["price_ref", "deriv_primary", "flow", "oi_set"] },
  { venue = "kraken", symbol = "ETH/USD", roles = ["spot_primary"] },
]
"#;
const ROLLOVER: Duration = Duration::from_secs(10);

pub(crate) struct Recorded {
    pair: TestPair,
    directory: TempDir,
    ingest: PgPool,
    decision: PgPool,
    owner: PgPool,
}

/// Records until three runs stand, and stops.
pub(crate) async fn recorded() -> Recorded {
    let pair = TestPair::new().await.unwrap();
    let market = MarketSource::Pulses;
    let venue = start(Options { market, symbols: 8, ..Options::default() }).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ingest = pair.pool(ClusterRole::Ingest, "ops_rw").await.unwrap();
    let decision = pair.pool(ClusterRole::Decision, "ops_rw").await.unwrap();
    let owner = pair.pool(ClusterRole::Ingest, SUPERUSER_LOGIN).await.unwrap();
    let environment: BTreeMap<String, String> = [
        ("INGEST_DATABASE_URL", pair.url(ClusterRole::Ingest, "ingest_rw")),
        ("DECISION_DATABASE_URL", pair.url(ClusterRole::Decision, "publisher_rw")),
        ("PENSTOCK_DATA", directory.path().display().to_string()),
        ("KRAKEN_WS_PUBLIC_URL", venue.addresses.ws_public.clone()),
        ("KRAKEN_REST_URL", venue.addresses.rest.clone()),
        ("METRICS_PORT_INGEST", "0".to_owned()),
        ("SPOOL_MIN_FREE_BYTES", "0".to_owned()),
        ("KRAKEN_FUTURES_WS_URL", venue.addresses.futures_ws.clone()),
        ("KRAKEN_FUTURES_REST_URL", venue.addresses.futures_rest.clone()),
        ("BINANCE_UM_WS_PUBLIC_URL", venue.addresses.binance_ws_public.clone()),
        ("BINANCE_UM_WS_MARKET_URL", venue.addresses.binance_ws_market.clone()),
        ("BINANCE_UM_REST_URL", venue.addresses.binance_rest.clone()),
        ("INGEST_WARMUP_SECS", "5".to_owned()),
        ("CHECKPOINT_INTERVAL_SECS", "30".to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let config = resolve(&Sources {
        process: Process::Ingest,
        file: Some(("tokens.toml".to_owned(), TOKENS.to_owned())),
        environment,
        secret_files: BTreeMap::new(),
    })
    .unwrap();
    let mut settings = penstock_ingest::settings::Settings::from_config(&config).unwrap();
    settings.rollover = ROLLOVER;
    let stop = CancellationToken::new();
    let service = tokio::spawn(penstock_ingest::service::run(settings, stop.clone()));
    let found = Recorded { pair, directory, ingest, decision, owner };
    let runs = "select count(distinct run_id) from state_generations";
    found.reaches(runs, 3).await;
    let venues = "select count(distinct venue) from trade_samples where run_id >= 2";
    found.reaches(venues, 3).await;
    let trades = "select count(*) from trade_samples where run_id = (
        select max(run_id) from trade_samples)";
    found.reaches(trades, 20).await;
    let generations = "select count(*) from state_generations where run_id = (
        select max(run_id) from state_generations)";
    found.reaches(generations, 3).await;
    stop.cancel();
    service.await.unwrap().unwrap();
    found.reaches("select -count(*) from raw_load_cursor where not complete", 0).await;
    venue.stop().await;
    found
}

impl Recorded {
    /// Runs, ascending.
    pub(crate) async fn runs(&self) -> Vec<i64> {
        let text = "select run_id from observation_runs order by run_id";
        sqlx::query_scalar(text).fetch_all(&self.ingest).await.unwrap()
    }

    /// The newest run that has generations.
    pub(crate) async fn last(&self) -> i64 {
        self.number(ClusterRole::Ingest, "select max(run_id) from state_generations").await
    }

    /// One number.
    pub(crate) async fn number(&self, cluster: ClusterRole, query: &str) -> i64 {
        let pool = match cluster {
            ClusterRole::Ingest => &self.ingest,
            ClusterRole::Decision => &self.decision,
        };
        let text = AssertSqlSafe(query.to_owned());
        sqlx::query_scalar(text).fetch_one(pool).await.unwrap()
    }

    /// Statements on the ingest cluster of the superuser, who alone may change what is recorded.
    pub(crate) async fn owner(&self, statements: &str) {
        let text = AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(text).execute(&self.owner).await.unwrap();
    }

    async fn reaches(&self, query: &str, want: i64) {
        let deadline = Instant::now() + PATIENCE;
        let mut beat = tokio::time::interval(Duration::from_millis(100));
        loop {
            beat.tick().await;
            let found = self.number(ClusterRole::Ingest, query).await;
            if found >= want {
                return;
            }
            assert!(Instant::now() < deadline, "{found} of {want}: {query}");
        }
    }

    /// A command of the tool.
    pub(crate) async fn called(&self, arguments: &[&str]) -> Output {
        self.called_as("ops_rw", arguments).await
    }

    /// The same under another login of the ingest cluster.
    pub(crate) async fn called_as(&self, login: &str, arguments: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_penstock"))
            .args(arguments)
            .current_dir(self.directory.path())
            .env("PENSTOCK_DATA", self.directory.path())
            .env("INGEST_DATABASE_URL", self.pair.url(ClusterRole::Ingest, login))
            .env("DECISION_DATABASE_URL", self.pair.url(ClusterRole::Decision, "ops_rw"))
            .output()
            .await
            .unwrap()
    }

    /// Its status and its JSON, null when it printed none.
    pub(crate) async fn json(&self, arguments: &[&str]) -> (i32, serde_json::Value) {
        let mut words = arguments.to_vec();
        words.extend(["--output", "json"]);
        let output = self.called(&words).await;
        let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let code = output.status.code().unwrap_or(-1);
        if !matches!(code, 0 | 15) {
            println!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        (code, said)
    }
}
