//! One world of a test: a venue whose market the test moves, a decision database, a published market, and
//! the directory of the service. Inputs: where the database is. Outputs: lives of the service, words of the
//! database. Each test has worlds of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use penstock_sim::admin::FaultRequest;
use penstock_sim::exchange::{Price, Qty, Side, SymbolNo};
use penstock_sim::server::{Handle, MarketSource, Options, start};
use penstock_store::ClusterRole;
use penstock_store::pools::{self, PoolSettings};
use penstock_store::testing::TestPair;
use penstock_types::{Decimal, Symbol};
use sqlx::PgPool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::market::{Listed, Market, Picture};
use super::process::Execution;

/// Longest wait for anything; what takes seconds takes minutes on a machine that builds beside it.
pub(crate) const LIMIT: Duration = Duration::from_secs(200);
/// Distance of two looks.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
/// First mid of every symbol, ticks: a spread of two is one basis point.
const MID_TICKS: i64 = 20_000;
/// Pairs of the venue; the last by name is the one that breaks out.
const SYMBOLS: usize = 8;
/// Distance of frames: longer than a tick, so that no two share one.
const BEAT: Duration = Duration::from_millis(260);
/// Every so many beats a generation.
const GENERATION_BEATS: i64 = 3;
/// Every so many beats an epoch, and the lease with it.
const EPOCH_BEATS: i64 = 19;

/// URLs of the decision database for the logins that a test needs.
pub(crate) struct Access {
    pub(crate) service: String,
    pub(crate) publisher: String,
    pub(crate) operator: String,
    pub(crate) observer: String,
}

impl Access {
    pub(crate) fn new(url: impl Fn(&str) -> String) -> Self {
        Self {
            service: url("exec_rw"),
            publisher: url("publisher_rw"),
            operator: url("ops_rw"),
            observer: url("observer_ro"),
        }
    }
}

/// What is published, changed by the test while it is published.
pub(crate) struct Mood {
    hot: AtomicBool,
    mid_ticks: AtomicI64,
}

impl Mood {
    fn picture(&self) -> Picture {
        Picture {
            hot: self.hot.load(Ordering::Relaxed),
            mid_ticks: self.mid_ticks.load(Ordering::Relaxed),
        }
    }
}

/// A world.
pub(crate) struct World {
    pub(crate) venue: Handle,
    /// Reads everything.
    pub(crate) pool: PgPool,
    pub(crate) directory: tempfile::TempDir,
    access: Access,
    mood: Arc<Mood>,
    publisher: JoinHandle<()>,
    hot: SymbolNo,
    panel: Mutex<SocketAddr>,
    _pair: Option<TestPair>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.publisher.abort();
        if std::thread::panicking() {
            // The logs of its lives are what explains the failure.
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}

impl World {
    /// A world on the shared test clusters.
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// The same; the market may be changed before anything is published.
    pub(crate) async fn with(change: impl FnOnce(&mut Market)) -> Self {
        let pair = TestPair::new().await.unwrap();
        let access = Access::new(|login| pair.url(ClusterRole::Decision, login));
        Self::at(access, Some(pair), change).await
    }

    /// A world on a migrated database.
    pub(crate) async fn at(
        access: Access,
        pair: Option<TestPair>,
        change: impl FnOnce(&mut Market),
    ) -> Self {
        let options =
            Options { market: MarketSource::Still, symbols: SYMBOLS, ..Options::default() };
        let venue = start(options).await.unwrap();
        let (listed, hot) = listed(&venue);
        let mut market = Market::new(pool(&access.publisher, 3).await, listed).await.unwrap();
        change(&mut market);
        let mood =
            Arc::new(Mood { hot: AtomicBool::new(false), mid_ticks: AtomicI64::new(MID_TICKS) });
        let publisher = tokio::spawn(publish(market, Arc::clone(&mood)));
        let world = Self {
            pool: pool(&access.observer, 2).await,
            directory: tempfile::tempdir().unwrap(),
            venue,
            access,
            mood,
            publisher,
            hot,
            panel: Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0))),
            _pair: pair,
        };
        world.book();
        world.configure("");
        world
    }

    /// Writes the configuration of the lives to come.
    pub(crate) fn configure(&self, more: &str) {
        let file = format!(
            "domain = \"test\"\nstate_directory = \"{}\"\nexecution_enable = true\n\
             metrics_port_execution = 0\nlive_evaluation_interval_secs = 1\n\
             degrade_exit_stable_window_ms = 1000\nunknown_order_grace_secs = 60\n\
             risk_max_exposure_symbol_quote = \"100\"\n{more}",
            self.directory.path().join("state").display()
        );
        std::fs::write(self.directory.path().join("penstock.toml"), file).unwrap();
    }

    /// A life of the service; `failpoints` as the variable of that name.
    pub(crate) fn execution(&self, life: &str, failpoints: Option<&str>) -> Execution {
        self.life(life, &[], failpoints, &[])
    }

    /// A life with more in its environment, which goes before its file.
    pub(crate) fn execution_with(&self, life: &str, more: &[(&'static str, String)]) -> Execution {
        self.life(life, &[], None, more)
    }

    /// A life that takes the engine's state over under the configuration of this hash.
    pub(crate) fn accepting(&self, life: &str, sha256: &str) -> Execution {
        self.life(life, &["--accept-config", sha256], None, &[])
    }

    fn life(
        &self,
        life: &str,
        arguments: &[&str],
        failpoints: Option<&str>,
        more: &[(&'static str, String)],
    ) -> Execution {
        let at = &self.venue.addresses;
        let mut environment = vec![
            ("DECISION_DATABASE_URL", self.access.service.clone()),
            ("KRAKEN_REST_URL", at.rest.clone()),
            ("KRAKEN_WS_AUTH_URL", at.ws_private.clone()),
            ("KRAKEN_API_KEY", at.api_key.clone()),
            ("KRAKEN_API_SECRET", at.api_secret.clone()),
            ("PENSTOCK_DATA", self.data().display().to_string()),
            ("ENGINE_DISK_FREE_MIN_BYTES", "0".to_owned()),
        ];
        // Two lives may overlap, and each has its panel.
        let (address, port) = penstock_clusters::testing::own_place();
        environment.push(("WEBUI_BIND", address.to_string()));
        environment.push(("WEBUI_PORT", port.to_string()));
        *self.panel.lock().unwrap() = SocketAddr::from((address, port));
        environment.extend(failpoints.map(|text| ("FAILPOINTS", text.to_owned())));
        environment.extend(more.iter().cloned());
        Execution::start(self.directory.path(), life, arguments, &environment)
    }

    /// Where the panel of the newest life is.
    pub(crate) fn panel(&self) -> SocketAddr {
        *self.panel.lock().unwrap()
    }

    /// The data root of its lives.
    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    /// The last symbol breaks out, or calms down.
    pub(crate) fn heat(&self, hot: bool) {
        self.mood.hot.store(hot, Ordering::Relaxed);
    }

    /// The market rises by so many ticks, with a print up there.
    pub(crate) fn rise(&self, ticks: i64) {
        self.mood.mid_ticks.fetch_add(ticks, Ordering::Relaxed);
        self.venue.venue.with(|e, now| {
            let all = Qty(i64::MAX / 4);
            e.flow_market(self.hot, Side::Buy, all, now);
        });
        self.book();
        let lot = self.units(1);
        self.venue.venue.with(|e, now| e.flow_market(self.hot, Side::Buy, lot, now));
    }

    /// Five levels on both sides of the mid, deep enough for every order of a test.
    fn book(&self) {
        let mid = self.mood.picture().mid_ticks;
        let deep = self.units(1_000_000);
        self.venue.venue.with(|e, now| {
            for level in 1..=5 {
                e.flow_limit(self.hot, Side::Buy, Price(mid - level), deep, now);
                e.flow_limit(self.hot, Side::Sell, Price(mid + level), deep, now);
            }
        });
    }

    /// The pair that breaks out.
    pub(crate) const fn hot(&self) -> SymbolNo {
        self.hot
    }

    fn units(&self, count: i64) -> Qty {
        let decimals = self.venue.venue.with(|e, _| e.market(self.hot).instrument.qty_decimals);
        Qty(count * 10_i64.pow(decimals))
    }

    pub(crate) fn fault(&self, json: &str) {
        let request: FaultRequest = serde_json::from_str(json).unwrap();
        self.venue.venue.faults.add(&request, self.venue.venue.now_us());
    }

    /// What the venue's admin interface answers.
    pub(crate) async fn admin(&self, path: &str) -> serde_json::Value {
        let host = self.venue.addresses.admin.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Asks the service for something, as the operator's tool does.
    pub(crate) async fn ask(&self, kind: &str) {
        let operator = pool(&self.access.operator, 1).await;
        let nothing = serde_json::json!({});
        penstock_store_decision::control::ask(&operator, kind, &nothing, "test").await.unwrap();
        operator.close().await;
    }

    /// One text of the database; empty when there is none, or no answer.
    pub(crate) async fn word(&self, sql: &'static str) -> String {
        let found: Result<Option<Option<String>>, _> =
            sqlx::query_scalar(sql).fetch_optional(&self.pool).await;
        found.ok().flatten().flatten().unwrap_or_default()
    }

    pub(crate) async fn until_word(&self, life: &Execution, sql: &'static str, wanted: &[&str]) {
        let end = Instant::now() + LIMIT;
        let mut looks = interval(LOOK);
        loop {
            let found = self.word(sql).await;
            if wanted.contains(&found.as_str()) {
                return;
            }
            assert!(
                Instant::now() < end,
                "{sql}: {wanted:?} wanted, {found:?} found\n{}",
                life.last_words()
            );
            looks.tick().await;
        }
    }
}

pub(crate) async fn pool(url: &str, connections_max: u32) -> PgPool {
    let settings = PoolSettings::service("penstock-test", connections_max);
    pools::open(url, ClusterRole::Decision, &settings, Duration::from_secs(60)).await.unwrap()
}

/// The venue's pairs with its rules, ascending by name, and the number of the last.
fn listed(venue: &Handle) -> (Vec<Listed>, SymbolNo) {
    venue.venue.with(|e, _| {
        let mut all: Vec<(Listed, SymbolNo)> = (0..SYMBOLS)
            .map(|no| {
                let one = &e.market(SymbolNo(no)).instrument;
                assert_eq!(one.tick, Price(1), "{}: a price step is one unit", one.symbol);
                let listed = Listed {
                    symbol: Symbol::new(&one.symbol).unwrap(),
                    price_decimals: one.price_decimals,
                    qty_decimals: one.qty_decimals,
                    qty_min: Decimal::new(one.qty_min.0, one.qty_decimals),
                    cost_min: one.cost_min,
                };
                (listed, SymbolNo(no))
            })
            .collect();
        all.sort_by(|a, b| a.0.symbol.as_str().cmp(b.0.symbol.as_str()));
        let hot = all.last().unwrap().1;
        (all.into_iter().map(|(one, _)| one).collect(), hot)
    })
}

/// Publishes until it is aborted. An error is an outage that a test wants: the next beat tries again.
async fn publish(mut market: Market, mood: Arc<Mood>) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0_i64.. {
        beat.tick().await;
        let picture = mood.picture();
        let mut done = Ok(());
        if n % GENERATION_BEATS == 0 {
            done = market.generation(1 + n, picture).await.map(|_| ());
        }
        if done.is_ok() && n % EPOCH_BEATS == 0 {
            done = market.epoch(1 + n).await;
        }
        if done.is_ok() {
            done = market.frame(picture).await.map(|_| ());
        }
        if let Err(error) = done {
            eprintln!("not published: {error}");
        }
    }
}
