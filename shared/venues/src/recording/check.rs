//! The check over a whole recording: every frame decoded, every checksum verified.
//!
//! Input: the unzipped text, and whether its file was cut. Output: a [`Report`] whose counts add up
//! (`frames` = lines = `decoded` + `errors` + `unknown`) and the problems with line and byte. A book's
//! depth is that of its subscription's answer, else the smallest depth of the venue that holds the
//! longest side of any image in the file; its digits are those of an instrument frame, else those of
//! the symbol's first image. So the text is read twice: once for these, once for the books.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use super::container::{Cut, Line, LineFault, lines};
use super::protocol::{Protocol, recognise};
use crate::kraken::book::{Book, Precision, Verdict, depth_for};
use crate::kraken::public::{BookRow, LevelRow};
use crate::kraken::{DecodeError, Frame, decode};

/// What a recording holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name of the protocol.
    pub protocol: &'static str,
    /// Lines.
    pub frames: u64,
    /// Frames that decoded.
    pub decoded: u64,
    /// Lines without a frame, and frames that did not decode.
    pub errors: u64,
    /// Frames of a channel or shape without a decoder.
    pub unknown: u64,
    /// Symbols of ticker, trade, book and candle rows, sorted.
    pub symbols: Vec<String>,
    /// Prints.
    pub trades: u64,
    /// Book messages whose checksum agrees, images included.
    pub checksums_ok: u64,
    /// Book messages whose checksum does not agree, or whose numbers the book cannot hold.
    pub checksums_bad: u64,
    /// The first problems, at most [`PROBLEMS_MAX`].
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

/// Problems that are kept; counts go on.
pub const PROBLEMS_MAX: usize = 20;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Number of the line, from 1.
    pub line: u64,
    /// Offset in the unzipped text.
    pub byte: u64,
    /// What is wrong.
    pub text: String,
}

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}, byte {}: {}", self.line, self.byte, self.text)
    }
}

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
        "protocol not known: the frames are those of {protocol}, which this version does not decode; it decodes kraken_spot_v2"
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
    let protocol = recognised(bytes, cut)?;
    let hints = Hints::read(bytes, cut);
    let mut checker = Checker::new(protocol, hints);
    for item in lines(bytes, cut) {
        checker.report.frames += 1;
        match item {
            Ok(line) => checker.line(&line),
            Err(error) => {
                checker.error(error.line, error.byte, error.fault.to_string());
            }
        }
    }
    Ok(checker.finish())
}

fn recognised(bytes: &[u8], cut: Option<&Cut>) -> Result<Protocol, CheckError> {
    let mut count = 0;
    for item in lines(bytes, cut) {
        count += 1;
        let Some(protocol) = item.ok().and_then(|line| recognise(line.frame)) else { continue };
        if protocol.is_decoded() {
            return Ok(protocol);
        }
        return Err(CheckError::NotDecoded { protocol: protocol.name() });
    }
    Err(CheckError::NotRecognised { lines: count })
}

/// What the whole file says about its books.
#[derive(Debug, Default)]
struct Hints {
    depth_of_ack: BTreeMap<String, u32>,
    longest_side: usize,
    precision_of_instrument: BTreeMap<String, Precision>,
    precision_of_snapshot: BTreeMap<String, Precision>,
}

impl Hints {
    fn read(bytes: &[u8], cut: Option<&Cut>) -> Self {
        let mut hints = Self::default();
        for line in lines(bytes, cut).filter_map(Result::ok) {
            if let Ok(frame) = decode(line.frame) {
                hints.note(&frame);
            }
        }
        hints
    }

    fn note(&mut self, frame: &Frame<'_>) {
        match frame {
            Frame::Response(response) => {
                let Ok(Some(ack)) = response.subscription() else { return };
                if let (Some(symbol), Some(depth), "book") =
                    (&ack.symbol, ack.depth, ack.channel.as_str())
                {
                    self.depth_of_ack.insert(symbol.to_string(), depth);
                }
            }
            Frame::Book(message) if message.is_snapshot() => {
                for row in &message.rows {
                    self.longest_side = self.longest_side.max(row.bids.len()).max(row.asks.len());
                    self.precision_of_snapshot
                        .entry(row.symbol.to_string())
                        .or_insert_with(|| digits_of(row));
                }
            }
            Frame::Instrument(message) => {
                for pair in message.rows.pairs.iter().flatten() {
                    let precision =
                        Precision { price: pair.price_precision, qty: pair.qty_precision };
                    self.precision_of_instrument
                        .entry(pair.symbol.to_string())
                        .or_insert(precision);
                }
            }
            _ => {}
        }
    }

    fn book(&self, symbol: &str) -> Option<Book> {
        let precision = self
            .precision_of_instrument
            .get(symbol)
            .or_else(|| self.precision_of_snapshot.get(symbol))?;
        let depth = self.depth_of_ack.get(symbol).copied().or(depth_for(self.longest_side));
        // An image longer than any depth of the venue is kept whole.
        let depth = depth.unwrap_or(u32::try_from(self.longest_side).unwrap_or(u32::MAX));
        Some(Book::new(depth, *precision))
    }
}

fn digits_of(row: &BookRow<'_>) -> Precision {
    let most = |digits: fn(&LevelRow<'_>) -> u8| {
        row.bids.iter().chain(&row.asks).map(digits).max().unwrap_or(0)
    };
    Precision {
        price: most(|level| level.price.fraction_digits()),
        qty: most(|level| level.qty.fraction_digits()),
    }
}

struct Checker {
    hints: Hints,
    /// `None` after numbers that do not fit: nothing can be verified until the next image.
    books: BTreeMap<String, Option<Book>>,
    symbols: BTreeSet<String>,
    report: Report,
}

impl Checker {
    fn new(protocol: Protocol, hints: Hints) -> Self {
        let report = Report {
            protocol: protocol.name(),
            frames: 0,
            decoded: 0,
            errors: 0,
            unknown: 0,
            symbols: Vec::new(),
            trades: 0,
            checksums_ok: 0,
            checksums_bad: 0,
            problems: Vec::new(),
        };
        Self { hints, books: BTreeMap::new(), symbols: BTreeSet::new(), report }
    }

    fn line(&mut self, line: &Line<'_>) {
        match decode(line.frame) {
            Ok(Frame::Unknown { .. }) => self.report.unknown += 1,
            Ok(frame) => {
                self.report.decoded += 1;
                self.frame(line, &frame);
            }
            Err(error) => self.undecodable(line, &error),
        }
    }

    fn undecodable(&mut self, line: &Line<'_>, error: &DecodeError) {
        if line.ended {
            let byte = line.frame_byte + error.byte.saturating_sub(1) as u64;
            self.error(line.number, byte, error.to_string());
        } else {
            let fault = LineFault::Cut { reason: error.reason.clone() };
            let byte = line.frame_byte + line.frame.len() as u64;
            self.error(line.number, byte, fault.to_string());
        }
    }

    fn frame(&mut self, line: &Line<'_>, frame: &Frame<'_>) {
        match frame {
            Frame::Trade(message) => {
                self.report.trades += message.rows.len() as u64;
                self.symbols(message.rows.iter().map(|row| row.symbol.as_str()));
            }
            Frame::Ticker(message) => {
                self.symbols(message.rows.iter().map(|row| row.symbol.as_str()));
            }
            Frame::Ohlc(message) => {
                self.symbols(message.rows.iter().map(|row| row.symbol.as_str()));
            }
            Frame::Book(message) => {
                self.symbols(message.rows.iter().map(|row| row.symbol.as_str()));
                for row in &message.rows {
                    self.book_row(line, message.is_snapshot(), row);
                }
            }
            Frame::Heartbeat
            | Frame::Status(_)
            | Frame::Instrument(_)
            | Frame::Executions(_)
            | Frame::Balances(_)
            | Frame::Response(_)
            | Frame::Request { .. }
            | Frame::Unknown { .. } => {}
        }
    }

    fn symbols<'s>(&mut self, symbols: impl Iterator<Item = &'s str>) {
        for symbol in symbols {
            if !self.symbols.contains(symbol) {
                self.symbols.insert(symbol.to_owned());
            }
        }
    }

    fn book_row(&mut self, line: &Line<'_>, is_snapshot: bool, row: &BookRow<'_>) {
        if is_snapshot {
            let book = self.hints.book(&row.symbol);
            self.books.insert(row.symbol.to_string(), book);
        }
        // A change before the first image, or after unusable numbers, proves nothing either way.
        let Some(Some(book)) = self.books.get_mut(row.symbol.as_str()) else { return };
        let problem = match book.apply_update(row) {
            Ok(Verdict::Verified | Verdict::Crossed) => {
                self.report.checksums_ok += 1;
                return;
            }
            Ok(Verdict::Mismatch { expected, computed }) => format!(
                "{} book: checksum {expected} of the frame is not {computed} of the book",
                row.symbol
            ),
            Err(error) => {
                self.books.insert(row.symbol.to_string(), None);
                error.to_string()
            }
        };
        self.report.checksums_bad += 1;
        self.problem(line.number, line.frame_byte, problem);
    }

    fn error(&mut self, line: u64, byte: u64, text: String) {
        self.report.errors += 1;
        self.problem(line, byte, text);
    }

    fn problem(&mut self, line: u64, byte: u64, text: String) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { line, byte, text });
        }
    }

    fn finish(mut self) -> Report {
        self.report.symbols = self.symbols.into_iter().collect();
        let r = &self.report;
        assert_eq!(r.frames, r.decoded + r.errors + r.unknown, "every line is counted once");
        self.report
    }
}
