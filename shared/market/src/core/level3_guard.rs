//! Repeated resyncs of order-by-order books: when a symbol is blocked, when it is free again.
//!
//! ```text
//! Free ──resync, the limit is reached──▶ Blocked ──its time is over──▶ Free, counter cleared
//! ```
//!
//! Input: the losses of a tick, which books are lost at its end, the time. Output: notes for markers, the
//! blocks that stand. A symbol is blocked when its resyncs of the last ten minutes reach the limit. When
//! more than half of the books are lost at once, the cause is not theirs: such losses are not counted, and
//! what of them was counted before the wave was seen is forgiven. A single lost book is never a wave.

use super::Note;
use penstock_types::{Symbol, UtcMicros};
use std::collections::{BTreeMap, VecDeque};

/// Time over which resyncs are counted, seconds.
const WINDOW_SECS: i64 = 600;
/// Books that must be lost at once before their share means anything.
const WAVE_MIN: usize = 2;

/// State of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Entries are allowed.
    Free,
    /// Entries are forbidden for a time.
    Blocked,
}

/// What happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// Its book was lost, below the limit.
    Resync,
    /// Its book was lost, and that reaches the limit.
    Limit,
    /// Its book was lost together with more than half of all.
    Wave,
    /// The time of its block is over.
    TimeOver,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Nothing.
    None,
    /// The resync stays counted.
    Count,
    /// What was counted of this loss is taken back.
    Forgive,
    /// It is blocked.
    Block,
    /// The counter is cleared.
    Clear,
}

/// The whole table.
const fn step(state: State, event: Event) -> (State, Action) {
    use {Action as A, Event as E, State as S};
    match (state, event) {
        (S::Free, E::Resync) => (S::Free, A::Count),
        (S::Free, E::Limit) => (S::Blocked, A::Block),
        (S::Free, E::Wave) => (S::Free, A::Forgive),
        (S::Free, E::TimeOver) => (S::Free, A::None),
        // A block has its time; what happens in it neither extends nor ends it.
        (S::Blocked, E::Resync | E::Limit | E::Wave) => (S::Blocked, A::None),
        (S::Blocked, E::TimeOver) => (S::Free, A::Clear),
    }
}

/// A symbol that is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level3Block {
    /// Symbol.
    pub symbol: Symbol,
    /// Resyncs of the ten minutes before.
    pub resyncs: u32,
    /// End of the block.
    pub until: UtcMicros,
}

#[derive(Debug)]
struct Entry {
    state: State,
    resyncs: VecDeque<UtcMicros>,
    block: (u32, UtcMicros),
}

/// Counts and blocks of all symbols.
#[derive(Debug)]
pub(super) struct Guard {
    resync_max: usize,
    block_ms: i64,
    entries: BTreeMap<Symbol, Entry>,
    systemic_at: Option<UtcMicros>,
}

impl Guard {
    pub(super) fn new(resync_max: u32, hard_block_secs: i64) -> Self {
        Self {
            resync_max: usize::try_from(resync_max).unwrap_or(usize::MAX).max(1),
            block_ms: hard_block_secs.saturating_mul(1_000),
            entries: BTreeMap::new(),
            systemic_at: None,
        }
    }

    /// Takes over blocks that an earlier process set and that stand until their own time.
    pub(super) fn restore(&mut self, blocks: Vec<Level3Block>) {
        for Level3Block { symbol, resyncs, until } in blocks {
            let entry =
                Entry { state: State::Blocked, resyncs: VecDeque::new(), block: (resyncs, until) };
            self.entries.insert(symbol, entry);
        }
    }

    /// Takes over a resync that an earlier process recorded: it counts for its ten minutes and blocks
    /// nothing by itself.
    pub(super) fn recall(&mut self, symbol: Symbol, at: UtcMicros) {
        let (state, block) = (State::Free, (0, UtcMicros(0)));
        let held = self.entries.entry(symbol);
        let entry = held.or_insert_with(|| Entry { state, resyncs: VecDeque::new(), block });
        // One below the limit: the next loss is the one that blocks.
        if entry.state == State::Free && entry.resyncs.len() + 1 < self.resync_max {
            entry.resyncs.push_back(at);
        }
    }

    /// Judges the books that were `lost` in the tick that ends at `end`; `missing` are those that are lost
    /// at its end, each with the time since when, of `tracked` in all.
    pub(super) fn judge(
        &mut self,
        lost: &[Symbol],
        missing: &[(Symbol, UtcMicros)],
        tracked: usize,
        end: UtcMicros,
        notes: &mut Vec<Note>,
    ) {
        let is_wave = missing.len() >= WAVE_MIN && missing.len() * 2 > tracked;
        if is_wave {
            self.systemic_at = Some(end);
            notes.push(Note::Level3Systemic { lost: missing.len(), tracked });
            for (symbol, since) in missing {
                if let Some(entry) = self.entries.get_mut(symbol)
                    && step(entry.state, Event::Wave).1 == Action::Forgive
                {
                    entry.resyncs.retain(|at| at <= since);
                }
            }
        }
        for symbol in lost {
            let (count, block) =
                if is_wave { (self.count(symbol, end), None) } else { self.resync(symbol, end) };
            notes.push(Note::Level3Resync { symbol: symbol.clone(), count });
            notes.extend(block.map(Note::Level3Blocked));
        }
    }

    /// Counted resyncs of the last ten minutes.
    fn count(&self, symbol: &Symbol, end: UtcMicros) -> u32 {
        let from = end.plus_millis(-WINDOW_SECS * 1_000);
        let resyncs = self.entries.get(symbol).map(|entry| &entry.resyncs);
        let counted = resyncs.map_or(0, |times| times.iter().filter(|at| **at > from).count());
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// Counts a resync; returns those of the last ten minutes, and the block that it causes.
    fn resync(&mut self, symbol: &Symbol, end: UtcMicros) -> (u32, Option<Level3Block>) {
        let entry = self.entries.entry(symbol.clone()).or_insert_with(|| Entry {
            state: State::Free,
            resyncs: VecDeque::new(),
            block: (0, UtcMicros(0)),
        });
        let from = end.plus_millis(-WINDOW_SECS * 1_000);
        entry.resyncs.retain(|at| *at > from);
        // A blocked symbol that flaps is counted no further: the limit bounds what is kept.
        if entry.resyncs.len() < self.resync_max {
            entry.resyncs.push_back(end);
        }
        let resyncs = u32::try_from(entry.resyncs.len()).unwrap_or(u32::MAX);
        let is_limit = entry.resyncs.len() >= self.resync_max;
        let event = if is_limit { Event::Limit } else { Event::Resync };
        let (state, action) = step(entry.state, event);
        entry.state = state;
        if action != Action::Block {
            return (resyncs, None);
        }
        let until = end.plus_millis(self.block_ms);
        entry.block = (resyncs, until);
        (resyncs, Some(Level3Block { symbol: symbol.clone(), resyncs, until }))
    }

    /// Ends the blocks whose time is over and forgets what no longer counts; returns the freed symbols.
    pub(super) fn expire(&mut self, now: UtcMicros) -> Vec<Symbol> {
        let from = now.plus_millis(-WINDOW_SECS * 1_000);
        let mut freed = Vec::new();
        self.entries.retain(|symbol, entry| {
            if entry.state == State::Free || now >= entry.block.1 {
                let (state, action) = step(entry.state, Event::TimeOver);
                entry.state = state;
                if action == Action::Clear {
                    entry.resyncs.clear();
                    freed.push(symbol.clone());
                }
            }
            entry.state == State::Blocked || entry.resyncs.iter().any(|at| *at > from)
        });
        freed
    }

    /// Blocks that stand.
    pub(super) fn blocks(&self) -> Vec<Level3Block> {
        let blocked = self.entries.iter().filter(|(_, entry)| entry.state == State::Blocked);
        let block = |(symbol, entry): (&Symbol, &Entry)| Level3Block {
            symbol: symbol.clone(),
            resyncs: entry.block.0,
            until: entry.block.1,
        };
        blocked.map(block).collect()
    }

    /// When more than half of the books were last lost at once.
    pub(super) const fn systemic_at(&self) -> Option<UtcMicros> {
        self.systemic_at
    }
}

#[cfg(test)]
mod tests;
