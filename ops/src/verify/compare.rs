//! Derived ticks against the frames that were published.
//!
//! Compared are the flags but that of the delivery, the events with their numbers relative to the token's
//! first event in the run, and the quotes. After a number that was shed or refused nothing is proven until
//! a block of all quotes is equal again; ticks up to and with it are incomplete.

use std::collections::BTreeMap;

use penstock_market::frame_replay::DerivedTick;
use penstock_store_decision::frames_read::ReadFrame;
use penstock_types::TickId;
use penstock_types::frame::{
    FrameEvent, FrameFlags, QuoteBlock, QuoteEntry, decode_frame, decode_quotes,
};

/// A tick that is not as it was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameDifference {
    /// Tick.
    pub tick_id: TickId,
    /// Which part.
    pub what: String,
    /// Published.
    pub expected: String,
    /// Derived.
    pub got: String,
}

/// Part, published value, derived value.
type Found = (String, String, String);

/// Counts over a run.
#[derive(Debug, Default)]
pub(crate) struct Comparer {
    pub equal: u64,
    pub incomplete: u64,
    pub different: u64,
    pub without_frame: u64,
    pub first: Option<FrameDifference>,
    /// Published minus derived number of each token's events.
    bases: BTreeMap<u16, i128>,
    is_unsure: bool,
}

impl Comparer {
    /// A number of the run is missing for a known reason: what follows rests on less than was recorded.
    pub(super) fn doubt(&mut self) {
        self.is_unsure = true;
    }

    /// A published frame for which no tick was derived.
    pub(super) fn not_derived(&mut self, frame: &ReadFrame) {
        let what = "a tick before the run's first row".to_owned();
        self.differs(frame.tick_id, (what, "a frame".to_owned(), "none".to_owned()));
    }

    /// Counts a difference that belongs to no single frame.
    pub(super) fn differs(&mut self, tick_id: TickId, found: Found) {
        self.different += 1;
        let (what, expected, got) = found;
        self.first.get_or_insert(FrameDifference { tick_id, what, expected, got });
    }

    /// Compares one tick.
    pub(super) fn compare(&mut self, derived: &DerivedTick, frame: &ReadFrame) {
        if self.is_unsure {
            self.bases.clear();
        }
        let found = self.difference(derived, frame);
        match (self.is_unsure, found) {
            (true, found) => {
                self.incomplete += 1;
                self.is_unsure = found.is_some() || !derived.sealed.quotes.full;
            }
            (false, Some(found)) => self.differs(frame.tick_id, found),
            (false, None) => self.equal += 1,
        }
    }

    fn difference(&mut self, derived: &DerivedTick, frame: &ReadFrame) -> Option<Found> {
        let broken =
            |what: &str, error: String| Some((what.to_owned(), "readable".to_owned(), error));
        let (header, events) = match decode_frame(&frame.frame) {
            Ok(decoded) => decoded,
            Err(error) => return broken("bytes of the frame", error.to_string()),
        };
        let quotes = match decode_quotes(&frame.quotes) {
            Ok(decoded) => decoded,
            Err(error) => return broken("bytes of the quotes", error.to_string()),
        };
        let sealed = &derived.sealed;
        let empty = if sealed.events.is_empty() { FrameFlags::EMPTY } else { FrameFlags(0) };
        let (published, made) =
            (header.flags.without(FrameFlags::GAP_BEFORE), sealed.flags.with(empty));
        // A header that says another tick than its row is a difference of the tick.
        differing("tick", header.tick_id.0, derived.tick_id.0)
            .or_else(|| differing("flags", published.0, made.0))
            .or_else(|| self.events(&events, &sealed.events))
            .or_else(|| quote_difference(&quotes, &sealed.quotes))
    }

    fn events(&mut self, published: &[FrameEvent], made: &[FrameEvent]) -> Option<Found> {
        if let Some(found) = differing("events", published.len(), made.len()) {
            return Some(found);
        }
        published.iter().zip(made).enumerate().find_map(|(i, (published, made))| {
            let distance = i128::from(published.local_seq) - i128::from(made.local_seq);
            let base = *self.bases.entry(published.token_id).or_insert(distance);
            let plain = FrameEvent { local_seq: 0, ..*published };
            if plain != (FrameEvent { local_seq: 0, ..*made }) {
                let what = format!("event {i} of token {}", published.token_id);
                return Some((what, format!("{plain:?}"), format!("{made:?}")));
            }
            let what = format!("number of event {i} of token {}", published.token_id);
            differing(&what, published.local_seq.into(), i128::from(made.local_seq) + base)
        })
    }
}

fn differing<T: PartialEq + ToString>(what: &str, published: T, made: T) -> Option<Found> {
    (published != made).then(|| (what.to_owned(), published.to_string(), made.to_string()))
}

fn quote_difference(published: &QuoteBlock, made: &QuoteBlock) -> Option<Found> {
    if let Some(found) = differing("all quotes in the block", published.full, made.full) {
        return Some(found);
    }
    let by_no = |block: &QuoteBlock| -> BTreeMap<u16, QuoteEntry> {
        block.entries.iter().map(|entry| (entry.symbol_no, *entry)).collect()
    };
    let (published, made) = (by_no(published), by_no(made));
    let shown = |entry: Option<&QuoteEntry>| {
        entry.map_or_else(|| "unchanged".to_owned(), |entry| format!("{entry:?}"))
    };
    let mut numbers: Vec<u16> = published.keys().chain(made.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.into_iter().find_map(|no| {
        let (expected, got) = (published.get(&no), made.get(&no));
        (expected != got).then(|| (format!("quote of number {no}"), shown(expected), shown(got)))
    })
}

#[cfg(test)]
#[path = "compare/tests.rs"]
mod tests;
