//! Starting the venue: listeners, sockets, market, and the handle that stops all of it.
//!
//! Inputs: options. Outputs: a handle with the addresses and the credentials. Invariants: every
//! listener is on loopback with a port of its own, and is bound before the handle exists; the
//! generated market has its first quotes before anybody can connect; dropping the handle stops the
//! venue.

use super::first_byte::{FirstByte, StampingListener};
use super::venue::{Venue, wall_us};
use crate::exchange::{Exchange, ExchangeConfig, SetupError};
use crate::generator::{Clock, Generator, Scenario};
use crate::instruments::{Catalog, CatalogError};
use crate::public::{Offer, PublicSide};
use crate::recording::{Progress, Recording, RecordingError, replay};
use crate::rest_private::Credentials;
use crate::{admin, private, public, rest_private, rest_public};
use rust_decimal::Decimal;
use serde::Serialize;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How often the market is moved on.
const MARKET_STEP: Duration = Duration::from_millis(5);

/// What the market is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarketSource {
    /// Generated, without a script.
    Calm,
    /// Generated, with pulses.
    Pulses,
    /// Nothing moves but what the test does itself.
    Still,
    /// A recording of the public socket, replayed once; it brings its own pairs.
    Recorded(PathBuf),
}

/// Options of the venue.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of the market; ids differ from run to run.
    pub seed: u64,
    /// The market.
    pub market: MarketSource,
    /// Number of pairs.
    pub symbols: usize,
    /// Market seconds per second.
    pub speed: f64,
    /// Opening balance, USD.
    pub cash_usd: Decimal,
    /// 30-day volume that fixes the fee tier, USD.
    pub volume_30d_usd: Decimal,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            market: MarketSource::Pulses,
            symbols: 32,
            speed: 1.0,
            cash_usd: Decimal::from(10_000),
            volume_30d_usd: Decimal::from(250_000),
        }
    }
}

/// The venue cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port on loopback.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[from] io::Error),
    /// The list of pairs cannot be made.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The recording cannot be replayed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The exchange refuses its instruments.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A speed that is not a positive, finite number.
    #[error("speed {0} is not above 0; give market seconds per second, for example 1")]
    Speed(f64),
    /// A negative opening balance or volume.
    #[error("{name} {value} is negative; give an amount in USD")]
    Negative {
        /// The option.
        name: &'static str,
        /// Its value.
        value: Decimal,
    },
}

/// Where the venue listens, and how to sign: the first line of `venue-sim`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// REST base without `/0`.
    pub rest: String,
    /// Public socket.
    pub ws_public: String,
    /// Private socket.
    pub ws_private: String,
    /// Admin interface.
    pub admin: String,
    /// Key.
    pub api_key: String,
    /// Secret, base64.
    pub api_secret: String,
}

/// A running venue.
#[derive(Debug)]
pub struct Handle {
    /// Where it listens.
    pub addresses: Addresses,
    /// The venue, for tests in the same process.
    pub venue: Arc<Venue>,
    /// The public side, for tests in the same process.
    pub public: Arc<PublicSide>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Handle {
    /// Stops the venue and waits until all its tasks have ended.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

/// Starts a venue inside the running tokio runtime.
///
/// # Errors
/// An option is out of range, the recording cannot be read, or loopback has no free port.
pub async fn start(options: Options) -> Result<Handle, StartError> {
    check(&options)?;
    let start_us = wall_us();
    let clock = Clock { start_us, speed: options.speed };
    let source = Source::of(&options, clock)?;
    let exchange = Exchange::new(ExchangeConfig {
        instruments: source.catalog.instruments(),
        // Ids of two runs must differ, or a client that keeps its database takes the second run's
        // trades for the first's; the market alone repeats with the seed.
        seed: options.seed ^ u64::try_from(start_us).unwrap_or_default(),
        cash_usd: options.cash_usd,
        volume_30d_usd: options.volume_30d_usd,
        recorded: source.recording.is_some(),
        start_us,
    })?;
    let venue = Venue::new(exchange, Credentials::random());
    let [rest, ws_public, ws_private, admin_port] =
        [listen().await?, listen().await?, listen().await?, listen().await?];
    let addresses = Addresses {
        rest: format!("http://{}", rest.local_addr()?),
        ws_public: format!("ws://{}/v2", ws_public.local_addr()?),
        ws_private: format!("ws://{}/v2", ws_private.local_addr()?),
        admin: format!("http://{}", admin_port.local_addr()?),
        api_key: venue.credentials.key.clone(),
        api_secret: venue.credentials.secret.clone(),
    };
    let (mut generator, offer) = (source.generator, source.offer);
    if let Some(generator) = generator.as_mut() {
        venue.with(|exchange, _| generator.run_until(0, exchange));
    }
    let side = PublicSide::new(Arc::clone(&venue), Arc::new(source.catalog), offer);
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(Arc::clone(&side).publish(cancel.clone()));
    tasks.spawn(public::serve(ws_public, Arc::clone(&side), cancel.clone()));
    tasks.spawn(private::serve(ws_private, Arc::clone(&venue), cancel.clone()));
    tasks.spawn(serve_rest(rest, Arc::clone(&side), cancel.clone()));
    tasks.spawn(serve_admin(admin_port, Arc::clone(&venue), cancel.clone()));
    tasks.spawn(run_market(Arc::clone(&side), generator, clock, cancel.clone()));
    if let Some(recording) = source.recording {
        let progress = Progress::new(&recording);
        venue.stats.set_replay(Arc::clone(&progress));
        let side = Arc::clone(&side);
        tasks.spawn(replay(side, recording, options.speed, progress, cancel.clone()));
    }
    tasks.close();
    let _stop_on_drop = cancel.clone().drop_guard();
    Ok(Handle { addresses, venue, public: side, tasks, cancel, _stop_on_drop })
}

/// Where the market comes from, resolved.
struct Source {
    catalog: Catalog,
    generator: Option<Generator>,
    recording: Option<Recording>,
    offer: Offer,
}

impl Source {
    fn of(options: &Options, clock: Clock) -> Result<Source, StartError> {
        let scenario = match &options.market {
            MarketSource::Calm => Some(Scenario::Calm),
            MarketSource::Pulses => Some(Scenario::Pulses),
            MarketSource::Still => None,
            MarketSource::Recorded(path) => {
                let recording = Recording::open(path)?;
                let catalog = recording.catalog.clone();
                let complete_symbols = catalog.listings().len();
                let offer = Offer { depth: Some(recording.depth), complete_symbols };
                return Ok(Source { catalog, generator: None, recording: Some(recording), offer });
            }
        };
        let catalog = Catalog::generated(options.symbols)?;
        let generator =
            scenario.map(|scenario| Generator::new(&catalog, options.seed, scenario, clock));
        let complete_symbols =
            generator.as_ref().map_or(options.symbols, Generator::scenario_symbols);
        let offer = Offer { depth: None, complete_symbols };
        Ok(Source { catalog, generator, recording: None, offer })
    }
}

fn check(options: &Options) -> Result<(), StartError> {
    if !(options.speed.is_finite() && options.speed > 0.0) {
        return Err(StartError::Speed(options.speed));
    }
    let amounts = [("cash", options.cash_usd), ("volume-30d", options.volume_30d_usd)];
    match amounts.into_iter().find(|(_, value)| *value < Decimal::ZERO) {
        Some((name, value)) => Err(StartError::Negative { name, value }),
        None => Ok(()),
    }
}

async fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
}

async fn serve_rest(listener: TcpListener, side: Arc<PublicSide>, cancel: CancellationToken) {
    let router = rest_private::router(Arc::clone(&side.venue)).merge(rest_public::router(side));
    let service = router.into_make_service_with_connect_info::<FirstByte>();
    let server = axum::serve(StampingListener::new(listener), service);
    ended(
        "REST",
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            ended = async { server.await } => ended,
        },
    );
}

async fn serve_admin(listener: TcpListener, venue: Arc<Venue>, cancel: CancellationToken) {
    let server = axum::serve(listener, admin::router(venue));
    ended(
        "admin interface",
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            ended = async { server.await } => ended,
        },
    );
}

fn ended(what: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "{what} has ended");
    }
}

/// Moves the market and the exchange's own clock on, in small steps, so that expiries and the
/// dead man's switch happen on time also when nothing trades.
async fn run_market(
    side: Arc<PublicSide>,
    mut generator: Option<Generator>,
    clock: Clock,
    cancel: CancellationToken,
) {
    let complete = side.complete();
    let mut step = tokio::time::interval(MARKET_STEP);
    step.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            _ = step.tick() => {}
        }
        side.venue.with(|exchange, now_us| {
            if let Some(generator) = generator.as_mut() {
                let market_us = ((now_us - clock.start_us) as f64 * clock.speed) as i64;
                if *complete.borrow() {
                    generator.start_scenario(market_us);
                }
                generator.run_until(market_us, exchange);
            }
            exchange.tick(now_us);
        });
    }
}
