//! Starting the venue: listeners, sockets, market, and the handle that stops all of it.
//!
//! Inputs: options. Outputs: a handle with the addresses and the credentials. Invariants: every
//! listener is on loopback with a port of its own, and is bound before the handle exists; the
//! generated market has its first quotes before anybody can connect; dropping the handle stops the
//! venue.

use super::first_byte::{FirstByte, StampingListener};
use super::moving::{Moved, report_rate, run_market};
use super::options::{Addresses, MarketSource, Options, StartError, check};
use super::venue::{Venue, wall_us};
use crate::admin::{Endpoint, Script};
use crate::binance::{self, Binance, Routed};
use crate::derivatives::{self, Market, Spec};
use crate::exchange::{Exchange, ExchangeConfig};
use crate::futures::{self, Futures};
use crate::generator::{Clock, Generator, Scenario};
use crate::instruments::Catalog;
use crate::level3::Level3;
use crate::public::{Offer, PublicSide};
use crate::recording::{Progress, Recording, replay};
use crate::rest_private::Credentials;
use crate::{admin, private, public, rest_private, rest_public, socket};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

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
    let script = options.faults.as_deref().map(Script::read).transpose()?;
    let start_us = wall_us();
    let clock = Clock { start_us, speed: options.speed };
    let source = Source::of(&options, clock)?;
    let mut exchange = Exchange::new(ExchangeConfig {
        instruments: source.catalog.instruments(),
        // Ids of two runs must differ, or a client that keeps its database takes the second run's
        // trades for the first's; the market alone repeats with the seed.
        seed: options.seed ^ u64::try_from(start_us).unwrap_or_default(),
        cash_usd: options.cash_usd,
        volume_30d_usd: options.volume_30d_usd,
        recorded: source.recording.is_some(),
        start_us,
    })?;
    exchange.set_tier(options.tier);
    let venue = Venue::new(exchange, Credentials::random());
    if source.generator.is_some() {
        venue.set_generated();
    }
    if let Some(path) = &options.send_log {
        let failed = |source| StartError::SendLog { path: path.clone(), source };
        venue.sends.to_file(path).map_err(failed)?;
    }
    let listeners = Listeners::open().await?;
    let addresses = listeners.addresses(&venue)?;
    let sides = Sides::of(&venue, source, &options, clock);
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let public = Arc::clone(&sides.public);
    sides.run(listeners, &options, clock, &tasks, &cancel);
    if let Some(script) = script {
        tasks.spawn(script.run(Arc::clone(&venue), cancel.clone()));
    }
    tasks.close();
    let _stop_on_drop = cancel.clone().drop_guard();
    Ok(Handle { addresses, venue, public, tasks, cancel, _stop_on_drop })
}

/// All sides of the venue, before they are served.
struct Sides {
    venue: Arc<Venue>,
    public: Arc<PublicSide>,
    level3: Arc<Level3>,
    futures: Arc<Futures>,
    binance: Arc<Binance>,
    generator: Option<Generator>,
    recording: Option<Recording>,
}

impl Sides {
    /// The sides; the generated market has its first quotes.
    fn of(venue: &Arc<Venue>, source: Source, options: &Options, clock: Clock) -> Sides {
        let Source { catalog, mut generator, recording, offer } = source;
        // A recording says nothing of derivatives, so there are none beside it.
        let specs = |list: fn(&Catalog) -> Vec<Spec>| match recording {
            Some(_) => Vec::new(),
            None => list(&catalog),
        };
        let (of_futures, of_binance) = (specs(derivatives::futures), specs(derivatives::binance));
        let both = of_futures.iter().chain(&of_binance);
        venue.set_contracts(both.map(|spec| spec.symbol.clone()).collect());
        let (seed, rate) = (options.seed, options.rate);
        let mut of_futures = Market::new(of_futures, seed, 1, 1, clock).with_rate(rate);
        // Binance numbers the changes of all its books together, so one book sees jumps.
        let mut of_binance = Market::new(of_binance, seed, 2, 40, clock).with_rate(rate);
        if let Some(generator) = generator.as_mut() {
            venue.with(|exchange, _| {
                let markets = &mut [&mut of_futures, &mut of_binance];
                derivatives::run_until(0, exchange, generator, markets);
            });
            of_futures.sleep();
            of_binance.sleep();
        }
        let futures = Futures::new(Arc::clone(venue), of_futures);
        let binance = Binance::new(Arc::clone(venue), of_binance, options.binance);
        let catalog = Arc::new(catalog);
        let public = PublicSide::new(Arc::clone(venue), Arc::clone(&catalog), offer);
        let (offered, points) = (recording.is_none(), options.l3_points_per_s);
        let level3 = Level3::new(Arc::clone(venue), catalog, offered, points);
        let venue = Arc::clone(venue);
        Sides { venue, public, level3, futures, binance, generator, recording }
    }

    /// Serves everything until `cancel`.
    fn run(
        self,
        listeners: Listeners,
        options: &Options,
        clock: Clock,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) {
        let Sides { venue, public, level3, futures, binance, generator, recording } = self;
        let stop = || cancel.clone();
        let events = venue.public_events();
        tasks.spawn(Arc::clone(&public).publish(stop()));
        tasks.spawn(Arc::clone(&level3).publish(events, stop()));
        tasks.spawn(public::serve(listeners.ws_public, Arc::clone(&public), stop()));
        tasks.spawn(private::serve(listeners.ws_private, Arc::clone(&venue), stop()));
        tasks.spawn(socket::serve(listeners.l3, level3, stop()));
        tasks.spawn(socket::serve(listeners.futures_ws, Arc::clone(&futures), stop()));
        for (listener, route) in [
            (listeners.binance_ws_public, Endpoint::BinancePublic),
            (listeners.binance_ws_market, Endpoint::BinanceMarket),
        ] {
            let side = Arc::new(Routed { binance: Arc::clone(&binance), endpoint: route });
            tasks.spawn(socket::serve(listener, side, stop()));
        }
        tasks.spawn(serve_rest(listeners.rest, Arc::clone(&public), stop()));
        let router = futures::router(Arc::clone(&futures));
        tasks.spawn(serve_http(listeners.futures_rest, router, stop()));
        let router = binance::router(Arc::clone(&binance));
        tasks.spawn(serve_http(listeners.binance_rest, router, stop()));
        tasks.spawn(serve_http(listeners.admin, admin::router(Arc::clone(&venue)), stop()));
        tasks.spawn(report_rate(Arc::clone(&venue), stop()));
        let moved = Moved {
            side: Arc::clone(&public),
            generator,
            futures,
            binance,
            clock,
            skew_us: 0,
            market_us: 0,
        };
        tasks.spawn(run_market(moved, stop()));
        if let Some(recording) = recording {
            let progress = Progress::new(&recording);
            venue.stats.set_replay(Arc::clone(&progress));
            tasks.spawn(replay(public, recording, options.speed, progress, stop()));
        }
    }
}

/// One listener per endpoint, bound.
struct Listeners {
    rest: TcpListener,
    ws_public: TcpListener,
    ws_private: TcpListener,
    l3: TcpListener,
    futures_ws: TcpListener,
    futures_rest: TcpListener,
    binance_ws_public: TcpListener,
    binance_ws_market: TcpListener,
    binance_rest: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    async fn open() -> io::Result<Listeners> {
        Ok(Listeners {
            rest: listen().await?,
            ws_public: listen().await?,
            ws_private: listen().await?,
            l3: listen().await?,
            futures_ws: listen().await?,
            futures_rest: listen().await?,
            binance_ws_public: listen().await?,
            binance_ws_market: listen().await?,
            binance_rest: listen().await?,
            admin: listen().await?,
        })
    }

    fn addresses(&self, venue: &Venue) -> io::Result<Addresses> {
        let url = |scheme: &str, listener: &TcpListener, path: &str| {
            listener.local_addr().map(|address| format!("{scheme}://{address}{path}"))
        };
        Ok(Addresses {
            rest: url("http", &self.rest, "")?,
            ws_public: url("ws", &self.ws_public, "/v2")?,
            ws_private: url("ws", &self.ws_private, "/v2")?,
            l3: url("ws", &self.l3, "/v2")?,
            futures_ws: url("ws", &self.futures_ws, "/ws/v1")?,
            futures_rest: url("http", &self.futures_rest, "/derivatives/api/v3")?,
            binance_ws_public: url("ws", &self.binance_ws_public, "/public")?,
            binance_ws_market: url("ws", &self.binance_ws_market, "/market")?,
            binance_rest: url("http", &self.binance_rest, "")?,
            admin: url("http", &self.admin, "")?,
            api_key: venue.credentials.key.clone(),
            api_secret: venue.credentials.secret.clone(),
            data_key: venue.data_credentials.key.clone(),
            data_secret: venue.data_credentials.secret.clone(),
        })
    }
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
            MarketSource::Cascade(story) => Some(Scenario::Cascade(*story)),
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
        let generator = scenario.map(|scenario| {
            Generator::new(&catalog, options.seed, scenario, clock)
                .with_rate(options.rate)
                .with_split_share(options.split_share)
        });
        let complete_symbols =
            generator.as_ref().map_or(options.symbols, Generator::scenario_symbols);
        let offer = Offer { depth: None, complete_symbols };
        Ok(Source { catalog, generator, recording: None, offer })
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

async fn serve_http(listener: TcpListener, router: axum::Router, cancel: CancellationToken) {
    let server = axum::serve(listener, router);
    ended(
        "an HTTP interface",
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
