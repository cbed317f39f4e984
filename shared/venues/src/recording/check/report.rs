//! What a check found: the counts, the findings, the problems in words.
//!
//! Input: what the check of a protocol says of each line. Output: a [`Report`]. Invariant: `frames` =
//! lines = `decoded` + `errors` + `unknown`. Lists are limited, counts are not.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::recording::{Line, LineFault};
use crate::wire::DecodeError;

/// Problems that are kept in words; counts go on.
pub const PROBLEMS_MAX: usize = 20;

/// Findings that are kept; counts go on.
pub const FINDINGS_MAX: usize = 1_000;

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
    /// Symbols of all rows, sorted.
    pub symbols: Vec<String>,
    /// Prints, those of images included.
    pub trades: u64,
    /// Book messages whose checksum agrees, images included.
    pub checksums_ok: u64,
    /// Book messages whose checksum does not agree, or that the book cannot hold.
    pub checksums_bad: u64,
    /// Places where the numbers of a sequence jump.
    pub gaps: u64,
    /// Prints and book changes whose number had been there before.
    pub duplicates: u64,
    /// The first findings, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// What this recording cannot show, whatever was lost.
    pub notes: Vec<&'static str>,
    /// The first problems in words, at most [`PROBLEMS_MAX`].
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

/// Kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The checksum of the frame is not that of the book.
    Checksum,
    /// The book cannot hold the frame: a number that does not fit, an order that it does not know.
    BookUnusable,
    /// Book changes are missing before this line.
    BookGap,
    /// A book change whose number had been there before.
    BookDuplicate,
    /// Prints are missing before this line.
    TradeGap,
    /// A print whose number had been there before.
    TradeDuplicate,
    /// A print that had been missing.
    TradeLate,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Number of the line, from 1.
    pub line: u64,
    /// What.
    pub kind: FindingKind,
    /// Symbol.
    pub symbol: String,
    /// The number or checksum that belongs there: of a gap the first missing number (of a chain, the
    /// last number that came), of a checksum that of the frame.
    pub expected: Option<i128>,
    /// What came: of a gap the number (of a chain, the predecessor that the frame names), of a
    /// checksum that of the book.
    pub got: Option<i128>,
}

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

/// A report that is being written.
#[derive(Debug)]
pub(super) struct Tally {
    report: Report,
    symbols: BTreeSet<String>,
}

impl Tally {
    pub(super) fn new(protocol: &'static str) -> Self {
        let report = Report {
            protocol,
            frames: 0,
            decoded: 0,
            errors: 0,
            unknown: 0,
            symbols: Vec::new(),
            trades: 0,
            checksums_ok: 0,
            checksums_bad: 0,
            gaps: 0,
            duplicates: 0,
            findings: Vec::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        };
        Self { report, symbols: BTreeSet::new() }
    }

    /// A line was read; exactly one of `decoded`, `unknown` and an error follows.
    pub(super) fn frame(&mut self) {
        self.report.frames += 1;
    }

    pub(super) fn decoded(&mut self) {
        self.report.decoded += 1;
    }

    pub(super) fn unknown(&mut self) {
        self.report.unknown += 1;
    }

    pub(super) fn undecodable(&mut self, line: &Line<'_>, error: &DecodeError) {
        if line.ended {
            let byte = line.frame_byte + error.byte.saturating_sub(1) as u64;
            self.error(line.number, byte, error.to_string());
        } else {
            let fault = LineFault::Cut { reason: error.reason.clone() };
            let byte = line.frame_byte + line.frame.len() as u64;
            self.error(line.number, byte, fault.to_string());
        }
    }

    pub(super) fn error(&mut self, line: u64, byte: u64, text: String) {
        self.report.errors += 1;
        self.problem(line, byte, text);
    }

    pub(super) fn symbol(&mut self, symbol: &str) {
        if !self.symbols.contains(symbol) {
            self.symbols.insert(symbol.to_owned());
        }
    }

    pub(super) fn trade(&mut self) {
        self.report.trades += 1;
    }

    pub(super) fn checksum_ok(&mut self) {
        self.report.checksums_ok += 1;
    }

    pub(super) fn checksum_bad(
        &mut self,
        line: &Line<'_>,
        symbol: &str,
        expected: u32,
        computed: u32,
    ) {
        self.report.checksums_bad += 1;
        self.finding(line, FindingKind::Checksum, symbol, Some(expected), Some(computed));
        let text = format!(
            "{symbol} book: checksum {expected} of the frame is not {computed} of the book"
        );
        self.problem(line.number, line.frame_byte, text);
    }

    /// A message that the book cannot hold.
    pub(super) fn book_unusable(&mut self, line: &Line<'_>, symbol: &str, text: String) {
        self.report.checksums_bad += 1;
        self.finding(line, FindingKind::BookUnusable, symbol, None::<u32>, None::<u32>);
        self.problem(line.number, line.frame_byte, text);
    }

    pub(super) fn gap<T: Into<i128> + Copy>(
        &mut self,
        line: &Line<'_>,
        kind: FindingKind,
        symbol: &str,
        expected: T,
        got: T,
    ) {
        self.report.gaps += 1;
        self.finding(line, kind, symbol, Some(expected), Some(got));
        let what = if kind == FindingKind::TradeGap { "prints" } else { "book changes" };
        let (expected, got): (i128, i128) = (expected.into(), got.into());
        let text = format!("{symbol}: {what} are missing: expected {expected}, got {got}");
        self.problem(line.number, line.frame_byte, text);
    }

    pub(super) fn duplicate<T: Into<i128>>(
        &mut self,
        line: &Line<'_>,
        kind: FindingKind,
        symbol: &str,
        expected: Option<T>,
        got: T,
    ) {
        self.report.duplicates += 1;
        self.finding(line, kind, symbol, expected, Some(got));
    }

    pub(super) fn finding<E: Into<i128>, G: Into<i128>>(
        &mut self,
        line: &Line<'_>,
        kind: FindingKind,
        symbol: &str,
        expected: Option<E>,
        got: Option<G>,
    ) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding {
                line: line.number,
                kind,
                symbol: symbol.to_owned(),
                expected: expected.map(Into::into),
                got: got.map(Into::into),
            });
        }
    }

    pub(super) fn note(&mut self, note: &'static str) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    pub(super) fn problem(&mut self, line: u64, byte: u64, text: String) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { line, byte, text });
        }
    }

    pub(super) fn finish(mut self) -> Report {
        self.report.symbols = self.symbols.into_iter().collect();
        let r = &self.report;
        assert_eq!(r.frames, r.decoded + r.errors + r.unknown, "every line is counted once");
        self.report
    }
}
