//! Which configuration was in force when: stretches of log segments, and the ticks at which they begin.
//!
//! Input: headers and first records of the logs, the archived configurations. Output: spans in their order.
//! Invariants: whoever changes the configuration opens a segment under the same number for every token, so the
//! segments of a number have one configuration; a header that cannot be read says nothing here and is told of
//! where its log is read; a span of which no record exists has no tick.

use crate::archived;
use crate::error::Fault;
use crate::files;
use crate::layout::{Day, EngineDirs};
use crate::log::{LOG_HEADER_LEN, LogHeader, segments};
use crate::stored::Stored;
use penstock_engine::EngineConfig;
use penstock_engine::record::{RECORD_LEN, Record};
use penstock_types::engine_view::TokenFlags;
use std::collections::BTreeMap;

/// Day and number of a segment.
pub(crate) type Segment = (Day, u16);

/// A segment as its first readable log has it.
#[derive(Debug, Clone, Copy)]
struct Head {
    fingerprint: u32,
    first_tick: Option<u64>,
    is_cold: bool,
}

/// Segments under one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// Its first segment.
    pub from: Segment,
    /// The first segment that is not in it.
    pub until: Option<Segment>,
    /// First tick of its first segment that has a record.
    pub first_tick: Option<u64>,
    /// Configuration.
    pub config: EngineConfig,
    /// Its SHA-256, for which the whole of it is written out.
    pub sha256: [u8; 32],
}

impl Span {
    /// What the headers of its logs carry.
    pub(crate) fn fingerprint(&self) -> u32 {
        LogHeader::fingerprint(&self.sha256)
    }
}

/// How the engine began at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Segment that was opened.
    pub segment: Segment,
    /// Anew, and not by a change of the configuration.
    pub is_cold: bool,
    /// Position of its span.
    pub span: usize,
}

/// Spans of the logs, and where the engine began but for its first tick of all.
#[derive(Debug, Clone)]
pub(crate) struct Spans {
    /// At least one.
    pub all: Vec<Span>,
    /// By first tick: cold starts and changes of the configuration.
    pub begins: BTreeMap<u64, Begin>,
}

/// Tokens that have logs.
///
/// # Errors
/// [`crate::Code::Storage`].
pub(crate) fn tokens(dirs: &EngineDirs) -> Result<Vec<u16>, Fault> {
    let mut found: Vec<u16> =
        files::names(&dirs.log)?.iter().filter_map(|name| name.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// Segments of all tokens, each with the tokens that have it.
///
/// # Errors
/// [`crate::Code::Storage`].
pub(crate) fn all_segments(dirs: &EngineDirs) -> Result<BTreeMap<Segment, Vec<u16>>, Fault> {
    let mut found: BTreeMap<Segment, Vec<u16>> = BTreeMap::new();
    for token in tokens(dirs)? {
        for segment in segments(dirs, token)? {
            found.entry(segment).or_default().push(token);
        }
    }
    Ok(found)
}

/// Header and first record of a log; `None` when the header cannot be read.
fn head(dirs: &EngineDirs, token: u16, (day, segment): Segment) -> Option<Head> {
    let mut bytes = [0; LOG_HEADER_LEN + RECORD_LEN];
    let filled = Stored::open(&dirs.log_file(token, day, segment)).ok()?.fill(&mut bytes).ok()?;
    let header =
        LogHeader::decode(bytes.first_chunk()?).ok().filter(|_| filled >= LOG_HEADER_LEN)?;
    let record = bytes.last_chunk().filter(|_| filled == LOG_HEADER_LEN + RECORD_LEN);
    let record = record.and_then(|record| Record::decode(record).ok());
    Some(Head {
        fingerprint: header.fingerprint,
        first_tick: record.map(|record| record.tick_id),
        is_cold: record.is_some_and(|record| record.flags.contains(TokenFlags::COLD_START)),
    })
}

/// The fingerprint of the newest segment behind one; `None` when there is none behind it.
///
/// # Errors
/// [`crate::Code::Storage`].
pub(crate) fn newest_behind(
    dirs: &EngineDirs,
    behind: Segment,
) -> Result<Option<(Segment, u32)>, Fault> {
    for (segment, tokens) in all_segments(dirs)?.into_iter().rev() {
        if segment <= behind {
            break;
        }
        if let Some(head) = tokens.iter().find_map(|token| head(dirs, *token, segment)) {
            return Ok(Some((segment, head.fingerprint)));
        }
    }
    Ok(None)
}

/// The configuration that a fingerprint names, with its hash: `known` if it is that one, else the archived one.
fn config_of(
    dirs: &EngineDirs,
    (known, sha256): (&EngineConfig, [u8; 32]),
    fingerprint: u32,
) -> Result<(EngineConfig, [u8; 32]), Fault> {
    if LogHeader::fingerprint(&sha256) == fingerprint {
        return Ok((known.clone(), sha256));
    }
    Ok(match archived::of_fingerprint(dirs, fingerprint)? {
        Some(config) => {
            let sha256 = config.sha256();
            (config, sha256)
        }
        // Whoever reads the log says that it is of another configuration.
        None => (known.clone(), sha256),
    })
}

impl Spans {
    /// Those of the logs; `known` is the configuration of the newest, or of all when nothing else is archived.
    ///
    /// # Errors
    /// What is wrong with an archived configuration; [`crate::Code::Storage`].
    pub(crate) fn of(dirs: &EngineDirs, known: &EngineConfig) -> Result<Self, Fault> {
        let mut heads: Vec<(Segment, Head)> = Vec::new();
        for (segment, tokens) in all_segments(dirs)? {
            let found = tokens.iter().find_map(|token| head(dirs, *token, segment));
            heads.extend(found.map(|head| (segment, head)));
        }
        let known = (known, known.sha256());
        let mut spans = Self { all: Vec::new(), begins: BTreeMap::new() };
        let mut before = None;
        for (segment, head) in heads {
            let is_first = spans.all.is_empty();
            if before != Some(head.fingerprint) {
                if let Some(last) = spans.all.last_mut() {
                    last.until = Some(segment);
                }
                let (config, sha256) = config_of(dirs, known, head.fingerprint)?;
                let (first_tick, until) = (head.first_tick, None);
                spans.all.push(Span { from: segment, until, first_tick, config, sha256 });
            }
            let is_changed = before != Some(head.fingerprint);
            before = Some(head.fingerprint);
            let span = spans.all.len().saturating_sub(1);
            let Some(tick) = head.first_tick else { continue };
            if let Some(own) = spans.all.last_mut() {
                own.first_tick.get_or_insert(tick);
            }
            if head.is_cold || (is_changed && !is_first) {
                spans.begins.insert(tick, Begin { segment, is_cold: head.is_cold, span });
            }
        }
        if spans.all.is_empty() {
            let (config, sha256) = (known.0.clone(), known.1);
            let (from, until, first_tick) = ((Day(0), 0), None, None);
            spans.all.push(Span { from, until, first_tick, config, sha256 });
        }
        Ok(spans)
    }

    /// Position of the span of a segment.
    pub(crate) fn at(&self, segment: Segment) -> usize {
        self.all.partition_point(|span| span.from <= segment).saturating_sub(1)
    }

    /// Position of the span whose records hold a tick.
    pub(crate) fn at_tick(&self, tick: u64) -> usize {
        let begun = |span: &Span| span.first_tick.is_some_and(|first| first <= tick);
        self.all.iter().rposition(begun).unwrap_or(0)
    }
}
