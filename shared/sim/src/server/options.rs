//! What the venue can be told at its start, and what it says when it has started.
//!
//! Inputs: options. Outputs: refusals that name the option, its value and the range. It starts
//! nothing.

use crate::account::EngineTier;
use crate::admin::ScriptError;
use crate::binance::Limits;
use crate::exchange::SetupError;
use crate::generator::Story;
use crate::instruments::CatalogError;
use crate::level3;
use crate::recording::RecordingError;
use rust_decimal::Decimal;
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// What the market is.
#[derive(Clone, Debug, PartialEq)]
pub enum MarketSource {
    /// Generated, without a script.
    Calm,
    /// Generated, with pulses.
    Pulses,
    /// Generated, with pump, stacking, tension and cascade.
    Cascade(Story),
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
    /// Tier of the account: both rate counters and the open orders of a pair.
    pub tier: EngineTier,
    /// Factor on the arrival rates of the generated flow.
    pub rate: f64,
    /// Share of the takers that stop within the account's order when they reach one, 0 to 1.
    pub split_share: f64,
    /// Points per second that level 3 subscriptions of one connection may cost.
    pub l3_points_per_s: u32,
    /// Rules of the Binance endpoints.
    pub binance: Limits,
    /// File of timed faults.
    pub faults: Option<PathBuf>,
    /// File that every frame sent is written to.
    pub send_log: Option<PathBuf>,
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
            tier: EngineTier::default(),
            rate: 1.0,
            split_share: 0.0,
            l3_points_per_s: level3::POINTS_STANDARD,
            binance: Limits::default(),
            faults: None,
            send_log: None,
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
    /// The timed faults cannot be read.
    #[error(transparent)]
    Faults(#[from] ScriptError),
    /// The recording cannot be replayed.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The exchange refuses its instruments.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A speed that is not a positive, finite number.
    #[error("speed {0} is not above 0; give market seconds per second, for example 1")]
    Speed(f64),
    /// A rate that is not a positive, finite number.
    #[error("rate {0} is not above 0 and at most 100; give a factor, for example 1")]
    Rate(f64),
    /// A share that is none.
    #[error("split-share {0} is not in 0 to 1; give a share of the takers, for example 0.5")]
    SplitShare(f64),
    /// The send log cannot be written.
    #[error("cannot write the send log {path}: {source}; name a file in a folder that exists")]
    SendLog {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// Level 3 socket.
    pub l3: String,
    /// Kraken Futures, socket.
    pub futures_ws: String,
    /// Kraken Futures, REST base.
    pub futures_rest: String,
    /// Binance USD-M, `/public` route of the socket.
    pub binance_ws_public: String,
    /// Binance USD-M, `/market` route of the socket.
    pub binance_ws_market: String,
    /// Binance USD-M, REST base.
    pub binance_rest: String,
    /// Admin interface.
    pub admin: String,
    /// Key.
    pub api_key: String,
    /// Secret, base64.
    pub api_secret: String,
    /// Another key of the account, without trading rights: it gives tokens of the level 3 socket.
    pub data_key: String,
    /// Its secret, base64.
    pub data_secret: String,
}

pub(super) fn check(options: &Options) -> Result<(), StartError> {
    if !(options.speed.is_finite() && options.speed > 0.0) {
        return Err(StartError::Speed(options.speed));
    }
    if !(options.rate.is_finite() && options.rate > 0.0 && options.rate <= 100.0) {
        return Err(StartError::Rate(options.rate));
    }
    if !(0.0..=1.0).contains(&options.split_share) {
        return Err(StartError::SplitShare(options.split_share));
    }
    let amounts = [("cash", options.cash_usd), ("volume-30d", options.volume_30d_usd)];
    match amounts.into_iter().find(|(_, value)| *value < Decimal::ZERO) {
        Some((name, value)) => Err(StartError::Negative { name, value }),
        None => Ok(()),
    }
}
