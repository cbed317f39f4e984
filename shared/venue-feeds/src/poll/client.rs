//! The task that asks, as its plan says.
//!
//! Input: the plan, a counter of the stream's reconnects. Output: [`PollEvent`]s in one bounded channel:
//! bodies, undecoded, stamped at their receipt. At most a few requests are under way at once, so that a
//! slow answer does not hold the others up; bodies are limited.

use std::sync::Arc;
use std::time::Duration;

use penstock_types::UtcMicros;
use penstock_venue_net::{Clock, NetError, Stamp, http_client};
use penstock_venues::binance;
use penstock_venues::endpoint::{Endpoint, Transport};
use penstock_venues::venue_clock::ClockSample;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::history::{History, Pace};
use super::open_interest::IntervalChange;
use super::plan::{Ask, Outcome, PollPlan, PollRule};
use super::trades::{Pages, TradesAsk};
use crate::connector::MESSAGE_BYTES_MAX;

/// Time of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Distance of looks at the plan.
const TICK: Duration = Duration::from_millis(50);
/// Path of the venue's clock.
const TIME: &str = "/fapi/v1/time";
/// Requests under way at once.
const UNDER_WAY_MAX: usize = 8;

/// Which venue is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollVenue {
    /// Kraken Futures: one request gives mark, index, funding and open interest of all products.
    KrakenFutures,
    /// Binance USD-M: one request for funding of all symbols, one per symbol for open interest.
    BinanceUm,
}

/// What a poll needs.
#[derive(Clone, Debug)]
pub struct PollConfig {
    /// Venue.
    pub venue: PollVenue,
    /// Address: of Kraken Futures with `/derivatives/api/v3`, of Binance without `/fapi`.
    pub base_url: String,
    /// Symbols whose open interest is asked for, and whether they are bound.
    pub symbols: Vec<(String, bool)>,
    /// Numbers of the plan.
    pub rule: PollRule,
}

/// What a poll tells its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEvent {
    /// A body.
    Body {
        /// When it was received.
        at: Stamp,
        /// Path of its request, as the decoders know it.
        path: &'static str,
        /// Its text.
        text: String,
    },
    /// The interval of the open interest changed.
    Interval(IntervalChange),
    /// A page of trades that were asked for after a gap.
    Trades {
        /// When it was received.
        at: Stamp,
        /// What it was asked for.
        ask: TradesAsk,
        /// Its text.
        text: String,
    },
    /// The venue told its time.
    Clock(ClockSample),
    /// Nothing more comes for a range that was asked for.
    TradesEnded(TradesAsk),
    /// A request gave no body that could be used.
    Failed {
        /// Path of the request.
        path: &'static str,
        /// Why.
        error: String,
    },
}

/// What a poll listens to.
#[derive(Debug)]
pub struct PollInbox {
    /// Connects of the stream: each makes everything due.
    pub connects: watch::Receiver<u64>,
    /// Trades that are missing.
    pub trades: mpsc::Receiver<TradesAsk>,
}

/// Starts a poll.
///
/// # Errors
/// The address is refused, or the client cannot be built.
pub fn spawn_poll(
    config: PollConfig,
    clock: Arc<dyn Clock>,
    inbox: PollInbox,
    events: mpsc::Sender<PollEvent>,
    cancel: CancellationToken,
) -> Result<JoinHandle<()>, NetError> {
    let endpoint = Endpoint::new(&config.base_url, Transport::Rest)?;
    let base = endpoint.url().trim_end_matches('/').to_owned();
    let client = http_client(REQUEST_TIMEOUT)?;
    let is_bound: Vec<bool> = config.symbols.iter().map(|(_, is_bound)| *is_bound).collect();
    let plan = PollPlan::new(config.rule, &is_bound, clock.now().mono_ms());
    let pace = (config.venue == PollVenue::KrakenFutures).then(Arc::<Pace>::default);
    let is_fetching = false;
    let poll = Poll { config, base, client, plan, clock, pace, is_fetching, inbox, events, cancel };
    Ok(tokio::spawn(async move {
        // The reader went away or the process stops; both are the owner's own doing.
        let _ = poll.run().await;
    }))
}

/// The reader is gone.
struct Ended;

enum Answer {
    Asked {
        ask: Ask,
        sent: Stamp,
        at: Stamp,
        path: &'static str,
        result: Result<(String, Option<u64>), (Outcome, String)>,
    },
    Trades {
        ask: TradesAsk,
        refused: Option<Outcome>,
    },
}

struct Poll {
    config: PollConfig,
    base: String,
    client: reqwest::Client,
    plan: PollPlan,
    clock: Arc<dyn Clock>,
    /// Distance of requests, where the venue's budget is ours to keep.
    pace: Option<Arc<Pace>>,
    /// A gap of a venue with such a distance is being fetched: the others wait.
    is_fetching: bool,
    inbox: PollInbox,
    events: mpsc::Sender<PollEvent>,
    cancel: CancellationToken,
}

impl Poll {
    async fn run(mut self) -> Result<(), Ended> {
        let mut under_way: JoinSet<Answer> = JoinSet::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if let Some(change) = self.plan.first_change() {
            self.emit(PollEvent::Interval(change)).await?;
        }
        loop {
            tokio::select! {
                // Biased: a stop first; then answers, which may stop the plan; gaps are rare and wait
                // for nothing; the tick last.
                biased;
                () = self.cancel.cancelled() => return Ok(()),
                Some(ended) = under_way.join_next() => {
                    if let Ok(answer) = ended {
                        self.ended(answer).await?;
                    }
                }
                Ok(()) = self.inbox.connects.changed() => {
                    self.plan.reconnected(self.clock.now().mono_ms());
                }
                Some(ask) = self.inbox.trades.recv(), if !self.is_fetching => self.ask_trades(ask, &mut under_way),
                _ = tick.tick() => {
                    while under_way.len() < UNDER_WAY_MAX
                        && let Some(ask) = self.plan.next(self.clock.now().mono_ms())
                    {
                        self.ask(ask, &mut under_way);
                    }
                }
            }
        }
    }

    fn ask(&self, ask: Ask, under_way: &mut JoinSet<Answer>) {
        let (path, suffix) = match (self.config.venue, ask) {
            (
                PollVenue::KrakenFutures,
                Ask::Funding | Ask::Periods | Ask::Clock | Ask::OpenInterest(_),
            ) => ("/derivatives/api/v3/tickers", "/tickers"),
            (PollVenue::BinanceUm, Ask::Clock) => (TIME, TIME),
            (PollVenue::BinanceUm, Ask::Funding) => {
                ("/fapi/v1/premiumIndex", "/fapi/v1/premiumIndex")
            }
            (PollVenue::BinanceUm, Ask::Periods) => {
                ("/fapi/v1/fundingInfo", "/fapi/v1/fundingInfo")
            }
            (PollVenue::BinanceUm, Ask::OpenInterest(_)) => {
                ("/fapi/v1/openInterest", "/fapi/v1/openInterest")
            }
        };
        let mut request = self.client.get(format!("{}{suffix}", self.base));
        if let (PollVenue::BinanceUm, Ask::OpenInterest(position)) = (self.config.venue, ask)
            && let Some((symbol, _)) = self.config.symbols.get(position)
        {
            request = request.query(&[("symbol", symbol)]);
        }
        let (clock, pace) = (Arc::clone(&self.clock), self.pace.clone());
        under_way.spawn(async move {
            if let Some(pace) = pace {
                pace.turn().await;
            }
            let sent = clock.now();
            let result = fetch(request).await;
            Answer::Asked { ask, sent, at: clock.now(), path, result }
        });
    }

    fn ask_trades(&mut self, ask: TradesAsk, under_way: &mut JoinSet<Answer>) {
        let (client, base, events) = (self.client.clone(), self.base.clone(), self.events.clone());
        let clock = Arc::clone(&self.clock);
        self.is_fetching = self.pace.is_some();
        let pace = self.pace.clone();
        under_way.spawn(async move {
            let refused = match pace {
                Some(pace) => History { client, base, clock, pace, events }.run(&ask).await,
                None => Pages { client, base, clock, events }.run(&ask).await,
            };
            Answer::Trades { ask, refused }
        });
    }

    async fn ended(&mut self, answer: Answer) -> Result<(), Ended> {
        let (ask, sent, at, path, result) = match answer {
            Answer::Asked { ask, sent, at, path, result } => (ask, sent, at, path, result),
            Answer::Trades { ask, refused } => {
                self.is_fetching = false;
                let now_ms = self.clock.now().mono_ms();
                let change = refused.and_then(|o| self.plan.ended(Ask::Funding, o, now_ms));
                self.emit(PollEvent::TradesEnded(ask)).await?;
                return match change {
                    Some(change) => self.emit(PollEvent::Interval(change)).await,
                    None => Ok(()),
                };
            }
        };
        let (outcome, event) = match result {
            Ok((text, used_weight)) => {
                let event = match ask {
                    Ask::Clock => clock_event(path, &text, sent, at),
                    Ask::Funding | Ask::Periods | Ask::OpenInterest(_) => {
                        PollEvent::Body { at, path, text }
                    }
                };
                (Outcome::Answered { used_weight }, event)
            }
            Err((outcome, error)) => (outcome, PollEvent::Failed { path, error }),
        };
        let change = self.plan.ended(ask, outcome, at.mono_ms());
        self.emit(event).await?;
        if let Some(change) = change {
            self.emit(PollEvent::Interval(change)).await?;
        }
        Ok(())
    }

    async fn emit(&self, event: PollEvent) -> Result<(), Ended> {
        tokio::select! {
            // Biased: a reader that no longer reads must not keep the process alive.
            biased;
            () = self.cancel.cancelled() => Err(Ended),
            sent = self.events.send(event) => sent.map_err(|_| Ended),
        }
    }
}

/// What an answer with the venue's time says.
fn clock_event(path: &'static str, text: &str, sent: Stamp, at: Stamp) -> PollEvent {
    match binance::rest::decode(path, text) {
        Ok(binance::rest::Body::Time(row)) => {
            let venue = UtcMicros(row.server_time_ms.saturating_mul(1_000));
            PollEvent::Clock(ClockSample::of(sent.wall, venue, at.wall))
        }
        Ok(_) => PollEvent::Failed { path, error: format!("no time: {text:.200}") },
        Err(error) => PollEvent::Failed { path, error: error.to_string() },
    }
}

/// Sends a request; gives the body with the used weight, or the outcome and why.
pub(super) async fn fetch(
    request: reqwest::RequestBuilder,
) -> Result<(String, Option<u64>), (Outcome, String)> {
    let failed = |error: String| (Outcome::Failed, error);
    let mut response = request.send().await.map_err(|e| failed(e.to_string()))?;
    let status = response.status();
    let header = |name: &str| response.headers().get(name)?.to_str().ok()?.trim().parse().ok();
    let (used_weight, retry_after) = (header("x-mbx-used-weight-1m"), header("retry-after"));
    if matches!(status.as_u16(), 403 | 418 | 429 | 451) {
        let retry_after_s = retry_after.and_then(|s| i64::try_from(s).ok());
        let outcome = Outcome::Refused { status: status.as_u16(), retry_after_s };
        return Err((outcome, format!("HTTP {status}")));
    }
    if !status.is_success() {
        return Err(failed(format!("HTTP {status}")));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(e.to_string()))? {
        if bytes.len() + chunk.len() > MESSAGE_BYTES_MAX {
            return Err(failed(format!("body longer than {MESSAGE_BYTES_MAX} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("body is not UTF-8".to_owned()))?;
    Ok((text, used_weight))
}
