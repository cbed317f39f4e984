//! The check over a whole recording: every frame decoded, every checksum verified, every sequence
//! followed.
//!
//! Input: the unzipped text, and whether its file was cut. Output: a [`Report`] whose counts add up
//! (`frames` = lines = `decoded` + `errors` + `unknown`), the findings (gaps, duplicates, bad
//! checksums) with line and symbol, the problems in words, and what the recording cannot show. The
//! first frame of a known shape tells the protocol of the file. Each protocol has its own check; REST
//! rows are decoded by their address.

mod binance;
mod futures;
mod report;
mod rest;
mod spot;
mod trades;

use thiserror::Error;

pub use report::{FINDINGS_MAX, Finding, FindingKind, PROBLEMS_MAX, Problem, Report};

use super::container::{Cut, Line, lines};
use super::protocol::{Protocol, recognise};
use binance::BinanceCheck;
use futures::FuturesCheck;
use report::Tally;
use spot::SpotCheck;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckError {
    /// No frame tells its protocol.
    #[error("protocol not known: none of the {lines} lines has a frame of a known shape")]
    NotRecognised {
        /// Lines looked at.
        lines: u64,
    },
    /// The protocol is known by name, but this version has no decoder for it.
    #[error(
        "protocol not known: the frames are those of {protocol}, which this version does not decode; it decodes kraken_spot_v2, kraken_futures and binance_um"
    )]
    NotDecoded {
        /// Its name.
        protocol: &'static str,
    },
}

/// Checks a recording.
///
/// # Errors
/// The protocol is not known.
pub fn check(bytes: &[u8], cut: Option<&Cut>) -> Result<Report, CheckError> {
    let (mut venue, name) = venue_check(bytes, cut)?;
    let mut tally = Tally::new(name);
    for item in lines(bytes, cut) {
        tally.frame();
        match item {
            Ok(line) => venue.line(&mut tally, &line),
            Err(error) => tally.error(error.line, error.byte, error.fault.to_string()),
        }
    }
    Ok(tally.finish())
}

/// The check of the protocol that the first frame of a known shape tells.
fn venue_check(bytes: &[u8], cut: Option<&Cut>) -> Result<(VenueCheck, &'static str), CheckError> {
    let mut count = 0;
    for item in lines(bytes, cut) {
        count += 1;
        let Some(protocol) = item.ok().and_then(|line| recognise(line.frame)) else { continue };
        let check = match protocol {
            Protocol::KrakenSpotV2 => VenueCheck::Spot(Box::new(SpotCheck::new(bytes, cut))),
            Protocol::KrakenFutures => VenueCheck::Futures(FuturesCheck::default()),
            Protocol::BinanceUm => VenueCheck::Binance(BinanceCheck::default()),
            Protocol::KrakenSpotV1 | Protocol::Rest => {
                return Err(CheckError::NotDecoded { protocol: protocol.name() });
            }
        };
        return Ok((check, protocol.name()));
    }
    Err(CheckError::NotRecognised { lines: count })
}

enum VenueCheck {
    Spot(Box<SpotCheck>),
    Futures(FuturesCheck),
    Binance(BinanceCheck),
}

impl VenueCheck {
    fn line(&mut self, tally: &mut Tally, line: &Line<'_>) {
        match rest::rest_line(line) {
            Some(Err(error)) => tally.undecodable(line, &error),
            Some(Ok(row)) => match self {
                Self::Spot(_) => SpotCheck::rest_line(tally, line, &row),
                Self::Futures(_) => FuturesCheck::rest_line(tally, line, &row),
                Self::Binance(check) => check.rest_line(tally, line, &row),
            },
            None => match self {
                Self::Spot(check) => check.line(tally, line),
                Self::Futures(check) => check.line(tally, line),
                Self::Binance(check) => check.line(tally, line),
            },
        }
    }
}
