//! A whole ingest for tests: scratch databases on two clusters, a simulated venue, the service in this
//! process or as a child.

use crate::clusters::OwnPair;
use penstock_config::{Process, Sources, resolve};
use penstock_ingest::exit::Exit;
use penstock_ingest::service;
use penstock_ingest::settings::Settings;
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_store::ClusterRole;
use penstock_store::pools::{PoolSettings, open};
use penstock_store::testing::TestPair;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the databases of a world are.
pub(crate) enum Bases {
    /// On the clusters that all tests share.
    Shared(TestPair),
    /// On clusters of its own, which it may stop and kill.
    Own(OwnPair),
}

impl Bases {
    pub(crate) fn url(&self, role: ClusterRole, login: &str) -> String {
        match self {
            Self::Shared(pair) => pair.url(role, login),
            Self::Own(pair) => pair.url(role, login),
        }
    }

    pub(crate) async fn pool(&self, role: ClusterRole, login: &str) -> PgPool {
        let settings = PoolSettings::service("penstock-test", 4);
        open(&self.url(role, login), role, &settings, PATIENCE).await.unwrap()
    }
}

pub(crate) struct World {
    pub(crate) bases: Bases,
    pub(crate) venue: Handle,
    pub(crate) dir: TempDir,
    pub(crate) ingest: PgPool,
    pub(crate) decision: PgPool,
    pub(crate) extra: BTreeMap<String, String>,
    /// Text of the configuration file.
    pub(crate) file: String,
}

pub(crate) async fn world(market: MarketSource, symbols: usize) -> World {
    world_of(market, symbols, 1.0).await
}

pub(crate) async fn world_of(market: MarketSource, symbols: usize, speed: f64) -> World {
    let bases = Bases::Shared(TestPair::new().await.unwrap());
    world_on(bases, Options { market, symbols, speed, ..Options::default() }).await
}

/// A world whose market only the test moves.
pub(crate) async fn still_world(symbols: usize) -> World {
    world(MarketSource::Still, symbols).await
}

/// A world on clusters of its own.
pub(crate) async fn own_world(symbols: usize) -> World {
    let bases = Bases::Own(OwnPair::new().await);
    world_on(bases, Options { symbols, ..Options::default() }).await
}

async fn world_on(bases: Bases, options: Options) -> World {
    let venue = start(options).await.unwrap();
    let ingest = bases.pool(ClusterRole::Ingest, "ops_rw").await;
    let decision = bases.pool(ClusterRole::Decision, "ops_rw").await;
    let dir = TempDir::new().unwrap();
    let (extra, file) = (BTreeMap::new(), String::new());
    World { bases, venue, dir, ingest, decision, extra, file }
}

impl World {
    /// The world's own clusters.
    pub(crate) fn clusters(&mut self) -> &mut OwnPair {
        match &mut self.bases {
            Bases::Own(pair) => pair,
            Bases::Shared(_) => panic!("shared clusters are nobody's to stop"),
        }
    }

    /// The environment of a service in this world.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<String, String> = [
            ("INGEST_DATABASE_URL", self.bases.url(ClusterRole::Ingest, "ingest_rw")),
            ("DECISION_DATABASE_URL", self.bases.url(ClusterRole::Decision, "publisher_rw")),
            ("PENSTOCK_DATA", self.dir.path().display().to_string()),
            ("KRAKEN_WS_PUBLIC_URL", self.venue.addresses.ws_public.clone()),
            ("KRAKEN_REST_URL", self.venue.addresses.rest.clone()),
            ("INGEST_WARMUP_SECS", "5".to_owned()),
            ("EPOCH_INTERVAL_SECS", "10".to_owned()),
            ("EPOCH_WINDOW_SECS", "10".to_owned()),
            ("EPOCH_MAX_AGE_SECS", "120".to_owned()),
            ("L2_SAMPLE_INTERVAL_MS", "250".to_owned()),
            ("METRICS_PORT_INGEST", "0".to_owned()),
            ("SPOOL_MIN_FREE_BYTES", "0".to_owned()),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        environment.extend(self.extra.clone());
        environment
    }

    pub(crate) fn settings(&self) -> Settings {
        let config = resolve(&Sources {
            process: Process::Ingest,
            file: Some(("penstock.toml".to_owned(), self.file.clone())),
            environment: self.environment(),
            secret_files: BTreeMap::new(),
        })
        .unwrap();
        Settings::from_config(&config).unwrap()
    }

    /// Starts the service in this process.
    pub(crate) fn service(&self) -> Service {
        service_of(self.settings())
    }

    /// Waits until a query about the decision cluster gives at least `want`.
    pub(crate) async fn decision_reaches(&self, query: &'static str, want: i64) -> i64 {
        reaches(&self.decision, query, want).await
    }
}

/// Starts a service in this process.
pub(crate) fn service_of(settings: Settings) -> Service {
    let stop = CancellationToken::new();
    let task = tokio::spawn(service::run(settings, stop.clone()));
    Service { stop, task }
}

pub(crate) struct Service {
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<Result<(), Exit>>,
}

impl Service {
    pub(crate) async fn stopped(self) -> Result<(), Exit> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

/// Polls a count until it reaches `want`.
pub(crate) async fn reaches(pool: &PgPool, query: &'static str, want: i64) -> i64 {
    reaches_text(pool, query, want).await
}

/// The same for a query that the test puts together.
pub(crate) async fn reaches_text(pool: &PgPool, query: &str, want: i64) -> i64 {
    let deadline = Instant::now() + PATIENCE;
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    loop {
        beat.tick().await;
        let text = sqlx::AssertSqlSafe(query.to_owned());
        let found: i64 = sqlx::query_scalar(text).fetch_one(pool).await.unwrap();
        if found >= want {
            return found;
        }
        assert!(Instant::now() < deadline, "{found} of {want}: {query}");
    }
}

/// One number.
pub(crate) async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar::<_, i64>(query).fetch_one(pool).await.unwrap()
}

/// A pool of the superuser of the ingest cluster, for tests that spoil rows.
pub(crate) async fn owner_of(world: &World) -> PgPool {
    world.bases.pool(ClusterRole::Ingest, penstock_store::testing::SUPERUSER_LOGIN).await
}
