//! Sockets and polls of the derivative venues, for exactly the instruments that tokens bind.
//!
//! Input: the venues' addresses, the bound instruments. Output: the sockets as the core has to know them;
//! their events flow into the core's queue. A venue that is off, or whose instruments nothing binds, is not
//! touched. Every task ends with the stop of the sockets.

use crate::core::clock::RecordingClock;
use crate::core::deriv_input::{BoundInstrument, DerivEvent, DerivInput, DerivSocket, Instruments};
use crate::core::event_metrics;
use crate::core::run::Input;
use crate::exit::Exit;
use crate::lifecycle::venue_clocks::VenueClocks;
use penstock_types::vocab::Venue;
use penstock_venue_feeds::derivative::{
    BinanceSession, FuturesSession, LinkEvent, LinksConfig, SYMBOLS_PER_SOCKET_MAX, spawn_links,
};
use penstock_venue_feeds::poll::{
    OiRule, PollConfig, PollEvent, PollInbox, PollRule, PollVenue, TradesAsk, spawn_poll,
};
use penstock_venue_feeds::{FeedEvent, SharedConnectBudget, SocketPolicy};
use penstock_venues::binance::stream::Route;
use penstock_venues::kraken::reconnect::{ConnectBudget, PUBLIC, ReconnectRule};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Events of one socket that may wait for their forwarder.
const SOCKET_EVENTS_MAX: usize = 1_024;
/// Bodies of one poll that may wait.
const POLL_EVENTS_MAX: usize = 64;
/// Gaps of trades that may wait; a further one stays missing.
const TRADES_ASKED_MAX: usize = 256;
/// Products of one Futures socket: a lost socket costs that many.
const FUTURES_PER_SOCKET: usize = 100;
/// Connects to Binance per window; the venue admits 300 per 5 min and address.
const BINANCE_CONNECTS_MAX: usize = 200;
const BINANCE_CONNECTS_WINDOW_MS: i64 = 300_000;
/// Seconds between two looks at the lengths of funding periods.
const PERIODS_S: i64 = 3_600;
/// Seconds between two looks at Binance's clock; each weighs 1.
const CLOCK_S: i64 = 60;
/// Weight per minute that Binance admits.
const BINANCE_WEIGHT_MAX: u64 = 2_400;
/// Binance: one second to one minute, and a second between any two attempts.
const BINANCE_POLICY: SocketPolicy = SocketPolicy {
    rule: ReconnectRule { base_ms: 1_000, cap_ms: 60_000, healthy_ms: 60_000, first_at_once: true },
    spacing_ms: 1_000,
};
const FUTURES_POLICY: SocketPolicy = SocketPolicy { rule: PUBLIC, spacing_ms: 0 };

/// Addresses of Kraken Futures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FuturesUrls {
    /// Socket.
    pub ws: String,
    /// REST, with `/derivatives/api/v3`.
    pub rest: String,
}

/// Addresses of Binance USD-M.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BinanceUrls {
    /// Sockets of what the engine pushes, with `/public`.
    pub ws_public: String,
    /// Sockets of what is aggregated, with `/market`.
    pub ws_market: String,
    /// REST, without `/fapi`.
    pub rest: String,
}

/// The derivative venues as configured.
#[derive(Debug, Clone)]
pub(crate) struct Derivatives {
    pub(crate) instruments: Vec<BoundInstrument>,
    /// Kraken Futures; none when it is off.
    pub futures: Option<FuturesUrls>,
    /// Binance USD-M; none when it is off.
    pub binance: Option<BinanceUrls>,
    /// Age at which a Binance socket is replaced.
    pub rotate: Duration,
    /// Seconds between two polls of funding.
    pub funding_s: i64,
    /// Seconds between two polls of a symbol's open interest.
    pub oi_s: i64,
    /// Polls of open interest per second.
    pub oi_per_s: i64,
}

/// What every task of a venue is made of.
pub(crate) struct Opening<'a> {
    pub clock: &'a RecordingClock,
    /// Connects of both Kraken venues.
    pub kraken_budget: SharedConnectBudget,
    pub events: mpsc::Sender<Input>,
    /// Where a venue's clock is compared.
    pub clocks: VenueClocks,
    pub forwarders: TaskTracker,
    pub stop: CancellationToken,
}

/// Opens everything.
///
/// # Errors
/// [`Exit::Refused`] for an address.
pub(crate) fn open(derivatives: &Derivatives, with: &Opening<'_>) -> Result<DerivInput, Exit> {
    let venues: BTreeSet<Venue> = derivatives.instruments.iter().map(|i| i.venue).collect();
    let mut input = DerivInput {
        instruments: Instruments::new(&derivatives.instruments),
        venues: venues.into_iter().collect(),
        ..DerivInput::default()
    };
    if let Some(urls) = &derivatives.futures {
        open_futures(derivatives, urls, with, &mut input)?;
    }
    if let Some(urls) = &derivatives.binance {
        open_binance(derivatives, urls, with, &mut input)?;
    }
    for venue in &input.venues {
        let off = match venue {
            Venue::KrakenSpot => false,
            Venue::KrakenFutures => derivatives.futures.is_none(),
            Venue::BinanceUm => derivatives.binance.is_none(),
        };
        if off {
            tracing::warn!(
                venue = venue.as_str(),
                "tokens bind instruments of a venue that is off"
            );
        }
    }
    Ok(input)
}

fn symbols(derivatives: &Derivatives, venue: Venue) -> Vec<(String, bool)> {
    let own = derivatives.instruments.iter().filter(|i| i.venue == venue);
    own.map(|i| (i.symbol.as_str().to_owned(), i.is_oi)).collect()
}

fn refused(error: impl std::fmt::Display) -> Exit {
    Exit::Refused(format!("venue address: {error}"))
}

fn open_futures(
    derivatives: &Derivatives,
    urls: &FuturesUrls,
    with: &Opening<'_>,
    input: &mut DerivInput,
) -> Result<(), Exit> {
    let products = symbols(derivatives, Venue::KrakenFutures);
    if products.is_empty() {
        return Ok(());
    }
    let (connects, connects_seen) = watch::channel(0);
    let connects = Arc::new(connects);
    for (nth, chunk) in products.chunks(FUTURES_PER_SOCKET).enumerate() {
        let names: Vec<String> = chunk.iter().map(|(name, _)| name.clone()).collect();
        let config = LinksConfig { url: urls.ws.clone(), policy: FUTURES_POLICY, rotate: None };
        let (to, from) = mpsc::channel(SOCKET_EVENTS_MAX);
        let shared = (with.clock.shared(), Arc::clone(&with.kraken_budget));
        let make = move || FuturesSession::new(&names);
        spawn_links(config, make, shared, to, with.stop.clone()).map_err(refused)?;
        adopt(with, input, (Venue::KrakenFutures, format!("futures-{nth}")), from, &connects);
    }
    let rule = PollRule {
        funding_s: derivatives.funding_s,
        open_interest: None,
        periods_s: None,
        clock_s: None,
    };
    let config = PollConfig {
        venue: PollVenue::KrakenFutures,
        base_url: urls.rest.clone(),
        symbols: Vec::new(),
        rule,
    };
    let trades = poll(with, Venue::KrakenFutures, config, connects_seen)?;
    input.trades.insert(Venue::KrakenFutures, trades);
    Ok(())
}

fn open_binance(
    derivatives: &Derivatives,
    urls: &BinanceUrls,
    with: &Opening<'_>,
    input: &mut DerivInput,
) -> Result<(), Exit> {
    let all = symbols(derivatives, Venue::BinanceUm);
    if all.is_empty() {
        return Ok(());
    }
    let budget = ConnectBudget::new(BINANCE_CONNECTS_MAX, BINANCE_CONNECTS_WINDOW_MS);
    let budget: SharedConnectBudget = Arc::new(Mutex::new(budget));
    let (connects, connects_seen) = watch::channel(0);
    let connects = Arc::new(connects);
    for (nth, chunk) in all.chunks(SYMBOLS_PER_SOCKET_MAX).enumerate() {
        for (route, base, word) in
            [(Route::Public, &urls.ws_public, "public"), (Route::Market, &urls.ws_market, "market")]
        {
            let names: Vec<String> = chunk.iter().map(|(name, _)| name.clone()).collect();
            let url = format!("{}/stream", base.trim_end_matches('/'));
            let rotate = Some(derivatives.rotate);
            let config = LinksConfig { url, policy: BINANCE_POLICY, rotate };
            let (to, from) = mpsc::channel(SOCKET_EVENTS_MAX);
            let shared = (with.clock.shared(), Arc::clone(&budget));
            let make = move || BinanceSession::new(route, &names);
            spawn_links(config, make, shared, to, with.stop.clone()).map_err(refused)?;
            adopt(with, input, (Venue::BinanceUm, format!("{word}-{nth}")), from, &connects);
        }
    }
    let open_interest = OiRule {
        interval_s: derivatives.oi_s,
        requests_per_s: derivatives.oi_per_s,
        weight_max: BINANCE_WEIGHT_MAX,
    };
    let bound = all.iter().filter(|(_, is_bound)| *is_bound).count();
    event_metrics::say_interval(open_interest.interval_s_of(bound));
    let rule = PollRule {
        funding_s: derivatives.funding_s,
        open_interest: Some(open_interest),
        periods_s: Some(PERIODS_S),
        clock_s: Some(CLOCK_S),
    };
    let config =
        PollConfig { venue: PollVenue::BinanceUm, base_url: urls.rest.clone(), symbols: all, rule };
    let trades = poll(with, Venue::BinanceUm, config, connects_seen)?;
    input.trades.insert(Venue::BinanceUm, trades);
    Ok(())
}

/// Makes a socket known and lets its events flow; a new connection makes the venue's polls due.
fn adopt(
    with: &Opening<'_>,
    input: &mut DerivInput,
    (venue, stream): (Venue, String),
    mut from: mpsc::Receiver<LinkEvent>,
    connects: &Arc<watch::Sender<u64>>,
) {
    let socket = input.sockets.len();
    input.sockets.push(DerivSocket::new(venue, stream));
    let (to, connects) = (with.events.clone(), Arc::clone(connects));
    with.forwarders.spawn(async move {
        while let Some(event) = from.recv().await {
            if matches!(event.event, FeedEvent::Connected { .. }) {
                connects.send_modify(|count| *count += 1);
            }
            let event = DerivEvent::Socket { socket, event };
            if to.send(Input::Deriv(event)).await.is_err() {
                return;
            }
        }
    });
}

fn poll(
    with: &Opening<'_>,
    venue: Venue,
    config: PollConfig,
    connects: watch::Receiver<u64>,
) -> Result<mpsc::Sender<TradesAsk>, Exit> {
    let (to, mut from) = mpsc::channel::<PollEvent>(POLL_EVENTS_MAX);
    let (trades, trades_in) = mpsc::channel(TRADES_ASKED_MAX);
    let inbox = PollInbox { connects, trades: trades_in };
    spawn_poll(config, with.clock.shared(), inbox, to, with.stop.clone()).map_err(refused)?;
    let (to, clocks) = (with.events.clone(), with.clocks.clone());
    with.forwarders.spawn(async move {
        while let Some(event) = from.recv().await {
            if let PollEvent::Clock(sample) = &event {
                clocks.take(venue, *sample);
                continue;
            }
            if to.send(Input::Deriv(DerivEvent::Poll { venue, event })).await.is_err() {
                return;
            }
        }
    });
    Ok(trades)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::alerts::tests::with_window;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use penstock_types::Symbol;

    /// Venues that nobody reaches, and so many Binance symbols whose open interest a token needs.
    fn derivatives(bound: usize) -> Derivatives {
        let instruments = (0..bound).map(|n| BoundInstrument {
            venue: Venue::BinanceUm,
            symbol: Symbol::new(&format!("T{n}USDT")).unwrap(),
            funding_secs: 28_800,
            is_oi: true,
        });
        let nowhere = |scheme: &str| format!("{scheme}://127.0.0.1:9");
        Derivatives {
            instruments: instruments.collect(),
            futures: None,
            binance: Some(BinanceUrls {
                ws_public: nowhere("ws"),
                ws_market: nowhere("ws"),
                rest: nowhere("http"),
            }),
            rotate: Duration::from_secs(3_600),
            funding_s: 60,
            oi_s: 5,
            oi_per_s: 10,
        }
    }

    /// What is exposed once everything is opened, before a task has had its first turn.
    fn exposed(derivatives: &Derivatives) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let stop = CancellationToken::new();
        stop.cancel();
        let budget = ConnectBudget::new(BINANCE_CONNECTS_MAX, BINANCE_CONNECTS_WINDOW_MS);
        let opening = Opening {
            clock: &RecordingClock::start(),
            kraken_budget: Arc::new(Mutex::new(budget)),
            events: mpsc::channel(1).0,
            clocks: VenueClocks::new(&with_window(Duration::ZERO)),
            forwarders: TaskTracker::new(),
            stop,
        };
        let opened = metrics::with_local_recorder(&recorder, || open(derivatives, &opening));
        assert!(opened.is_ok());
        recorder.handle().render()
    }

    #[tokio::test]
    async fn the_distance_of_open_interest_polls_is_exposed_from_the_start_stretched_or_not() {
        for (bound, interval_s) in [(1, 5), (50, 5), (51, 6), (120, 12)] {
            let text = exposed(&derivatives(bound));
            let line = format!("engine_oi_poll_interval_seconds {interval_s}");
            assert!(text.lines().any(|found| found == line), "{bound} symbols: {text}");
        }
        let none = exposed(&derivatives(0));
        assert!(!none.contains("engine_oi_poll_interval_seconds"), "nothing is polled: {none}");
    }
}
