//! `penstock record FILE --symbols A,B`: the market frames of a venue, byte for byte.
//!
//! Inputs: a venue, symbols, channels, an end (seconds, frames or Ctrl-C); for order-by-order books the key
//! that ingest uses, which buys one token. Outputs: a recording that `penstock check-recording` reads, and
//! what was written. Invariants: every frame that was received or sent is a line, in the order of arrival; a
//! file that is there is never overwritten; the token of a request is struck out before it is a line. A lost connection ends the recording, because a hole in it
//! would look like one of the venue; the file is whole up to there.

mod access;
mod plan;
mod session;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use penstock_config::{Endpoint, Process};
use penstock_venue_feeds::SessionToken;
use penstock_venue_net::SystemClock;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exit;
pub use access::AccessError;
pub use plan::{Addresses, Channel, PlanError, Venue};
use plan::{Wanted, connections};
use session::{Captured, SessionError};
use writer::{Writer, WriterError};

/// Arguments of `penstock record`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// File to be made; compressed when its name ends with `.gz`
    pub file: PathBuf,
    /// Venue
    #[arg(long, value_enum, default_value = "kraken-spot")]
    pub venue: Venue,
    /// Symbols as the venue writes them: BTC/USD, PF_XBTUSD, BTCUSDT
    #[arg(long, required = true, value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Channels
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["book", "trade"])]
    pub channels: Vec<Channel>,
    /// Depth of Kraken spot's books, of orders too
    #[arg(long, default_value_t = 10)]
    pub depth: u32,
    /// End after this many seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// End after this many received frames
    #[arg(long)]
    pub frames: Option<u64>,
    /// Address of the socket (default: the configured one); of Binance its `/public` route
    #[arg(long)]
    pub url: Option<String>,
    /// Address of Kraken spot's order-by-order socket (default: the configured one)
    #[arg(long)]
    pub l3_url: Option<String>,
    /// Address at which the token of that socket is asked for (default: the configured one)
    #[arg(long)]
    pub rest_url: Option<String>,
    /// Address of Binance's `/market` route (default: the configured one, or that beside --url)
    #[arg(long)]
    pub market_url: Option<String>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames that the venue sent.
    pub received: u64,
    /// Frames that were sent to it.
    pub sent: u64,
    /// Refusals of the venue, in its own words.
    pub refusals: Vec<String>,
}

/// Why a recording ended early or was not made.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// What was asked for is not offered.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A connection.
    #[error("{source}; {lines} lines were written and are whole")]
    Session {
        /// Lines in the file.
        lines: u64,
        /// Cause.
        source: SessionError,
    },
}

/// Frames that wait for the file; beyond it the sockets are not read.
const QUEUE_LEN_LIMIT: usize = 4_096;
/// Refusals that are shown.
const REFUSALS_MAX: usize = 20;

/// Runs the command.
///
/// # Errors
/// None beyond those it prints.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let Some(found) = addresses(&args, config_file.as_deref()) else {
        eprintln!("no address of {} is configured; next: --url wss://…", args.venue.name());
        return Ok(exit::USAGE);
    };
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(error) => {
            eprintln!("{error}");
            return Ok(exit::CONFIG);
        }
    };
    let token = match token(&args, &addresses, config_file.as_deref()).await {
        Ok(token) => token,
        Err(error) => {
            eprintln!("{error}");
            return Ok(error.exit());
        }
    };
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let listener = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let recorded = record(&args, &addresses, token.as_ref(), cancel).await;
    listener.abort();
    match recorded {
        Ok(summary) => {
            println!(
                "{}: {} frames received, {} sent; next: penstock check-recording {0}",
                args.file.display(),
                summary.received,
                summary.sent
            );
            for refusal in &summary.refusals {
                eprintln!("the venue refused: {refusal}");
            }
            Ok(if summary.refusals.is_empty() { exit::CLEAN } else { exit::UNAVAILABLE })
        }
        Err(error) => {
            eprintln!("{}: {error}", args.file.display());
            Ok(match error {
                RecordError::Plan(_) => exit::USAGE,
                RecordError::Writer(_) => 1,
                RecordError::Session { .. } => exit::UNAVAILABLE,
            })
        }
    }
}

/// The addresses of the command line, else the configured ones; `None` where the configuration leaves
/// the venue out.
fn addresses(
    args: &Args,
    config_file: Option<&Path>,
) -> Option<Result<Addresses, penstock_config::ConfigError>> {
    let wants_level3 = args.wants_level3();
    if let Some(url) = &args.url
        && (!wants_level3 || args.l3_url.is_some())
    {
        let addresses = Addresses::of(url, args.market_url.as_deref());
        return Some(Ok(addresses.with_level3(args.l3_url.clone())));
    }
    let config = match penstock_config::load(Process::Tool, config_file) {
        Ok(config) => config,
        Err(error) => return Some(Err(error)),
    };
    let venues = &config.areas.venues;
    let at = |endpoint: &Endpoint| match endpoint {
        Endpoint::Off => None,
        Endpoint::At(url) => Some(url.to_string()),
    };
    let market = args.market_url.clone().or_else(|| at(&venues.binance_um_ws_market_url));
    let level3 = args.l3_url.clone().unwrap_or_else(|| venues.kraken_ws_l3_url.to_string());
    let configured = match args.venue {
        Venue::KrakenSpot => Some(venues.kraken_ws_public_url.to_string()),
        Venue::KrakenFutures => at(&venues.kraken_futures_ws_url),
        Venue::BinanceUm => at(&venues.binance_um_ws_public_url),
    };
    let url = args.url.clone().or(configured);
    url.map(|url| Ok(Addresses::of(&url, market.as_deref()).with_level3(Some(level3))))
}

/// The token of the order-by-order socket; none when it is not asked for. What the plan refuses is refused
/// before.
async fn token(
    args: &Args,
    addresses: &Addresses,
    config_file: Option<&Path>,
) -> Result<Option<SessionToken>, AccessError> {
    if !args.wants_level3() {
        return Ok(None);
    }
    connections(args.venue, addresses, &args.wanted(None))?;
    let config = penstock_config::load(Process::Tool, config_file)?;
    access::token(&config, args.rest_url.as_deref()).await.map(Some)
}

impl Args {
    fn wants_level3(&self) -> bool {
        self.channels.contains(&Channel::Level3)
    }

    fn wanted<'a>(&'a self, token: Option<&'a SessionToken>) -> Wanted<'a> {
        let Self { symbols, channels, depth, .. } = self;
        Wanted { symbols, channels, depth: *depth, token: token.map_or("", SessionToken::expose) }
    }
}

/// Records until the end that the arguments name, or until it is cancelled; `token` opens the order-by-order
/// socket, where that is asked for.
///
/// # Errors
/// [`RecordError`]; the file holds what came before.
pub async fn record(
    args: &Args,
    addresses: &Addresses,
    token: Option<&SessionToken>,
    cancel: CancellationToken,
) -> Result<Summary, RecordError> {
    let plan = connections(args.venue, addresses, &args.wanted(token))?;
    let mut writer = Writer::create(&args.file)?;
    let (frames, inbox) = mpsc::channel(QUEUE_LEN_LIMIT);
    let clock = Arc::new(SystemClock::new());
    let mut sessions = JoinSet::new();
    for connection in plan {
        let (frames, clock, cancel) = (frames.clone(), clock.clone(), cancel.clone());
        sessions.spawn(async move {
            let ended = session::run(connection, clock, frames, cancel.clone()).await;
            if ended.is_err() {
                cancel.cancel();
            }
            ended
        });
    }
    drop(frames);
    let written = write_all(args, &mut writer, inbox, &cancel).await;
    cancel.cancel();
    let mut failed = None;
    while let Some(ended) = sessions.join_next().await {
        // A session that panics is a defect and must not look like the end of a recording.
        let ended = ended.unwrap_or_else(|error| Err(SessionError::Broken(error.to_string())));
        if let Err(error) = ended {
            failed.get_or_insert(error);
        }
    }
    let summary = written?;
    let lines = summary.received + summary.sent;
    writer.finish()?;
    match failed {
        Some(source) => Err(RecordError::Session { lines, source }),
        None => Ok(summary),
    }
}

/// Writes what comes; stops the sessions at the end that was asked for, and then still writes what they
/// had received.
async fn write_all(
    args: &Args,
    writer: &mut Writer,
    mut inbox: mpsc::Receiver<Captured>,
    cancel: &CancellationToken,
) -> Result<Summary, RecordError> {
    let mut summary = Summary::default();
    let end = tokio::time::sleep(Duration::from_secs(args.seconds));
    tokio::pin!(end);
    loop {
        let frame = tokio::select! {
            // Biased: the end goes before frames that may come without a pause.
            biased;
            () = &mut end, if !cancel.is_cancelled() => {
                cancel.cancel();
                continue;
            }
            frame = inbox.recv() => frame,
        };
        // Every session has ended and nothing waits any more.
        let Some(frame) = frame else { return Ok(summary) };
        let goes_on = writer.line(&frame)?;
        if frame.is_received() {
            summary.received += 1;
            if let Some(refusal) = plan::refusal(args.venue, &frame.text)
                && summary.refusals.len() < REFUSALS_MAX
            {
                summary.refusals.push(refusal);
            }
        } else {
            summary.sent += 1;
        }
        if !goes_on || args.frames.is_some_and(|most| summary.received >= most) {
            cancel.cancel();
        }
    }
}

#[cfg(test)]
mod tests;
