//! The standing universe and how it changes: which pair is on which socket.
//!
//! Input: pairs, volumes, the newest state, pinned and blocked symbols. Output: the sets, and the
//! commands that bring the core there. Additions are subscribed before removals are dropped.

use super::directory::Directory;
use super::reference::{Pairs, candidates};
use crate::core::feed_input::GroupKind;
use crate::core::level3_input::Level3Pair;
use crate::core::run::{CoreCommand, TrackedPair};
use crate::settings::Settings;
use crate::universe::level3::Level3;
use penstock_market::universe::{Figures, Universe, UniverseRules, build};
use penstock_market::{Gaps, StateCut};
use penstock_telemetry::marker;
use penstock_types::{Decimal, Symbol, UtcMicros};
use std::collections::{BTreeMap, BTreeSet};

/// What a build looks at.
pub(crate) struct BuildInput<'a> {
    pub pairs: &'a Pairs,
    pub volumes: &'a BTreeMap<Symbol, Decimal>,
    /// Newest state; none at the first build.
    pub state: Option<(&'a StateCut, &'a Gaps)>,
    pub pinned: BTreeSet<Symbol>,
    pub hard_blocked: BTreeSet<Symbol>,
    /// Ticker rows that a symbol of the execution set needs in the window.
    pub tickers_min: i64,
    pub window_start: UtcMicros,
}

/// The universe as it stands.
#[derive(Debug)]
pub(crate) struct Layers {
    rules: UniverseRules,
    l2_depth: u32,
    symbols_per_socket: usize,
    /// Depth of order-by-order books, and how many of them a socket carries.
    level3: (u32, usize),
    pub universe: Universe,
    sockets: Directory,
    tracked: BTreeMap<Symbol, TrackedPair>,
    level3_pairs: BTreeMap<Symbol, Level3Pair>,
}

impl Layers {
    pub(crate) fn new(settings: &Settings) -> Self {
        let level3 = match &settings.level3 {
            Level3::On(on) => (on.depth, on.symbols_per_socket),
            // The rules give an empty layer.
            Level3::Off | Level3::NoKey => (0, 0),
        };
        Self {
            rules: settings.universe.clone(),
            l2_depth: settings.l2_depth,
            symbols_per_socket: settings.symbols_per_socket,
            level3,
            universe: Universe::default(),
            sockets: Directory::new(),
            tracked: BTreeMap::new(),
            level3_pairs: BTreeMap::new(),
        }
    }

    /// Builds the sets anew and swaps them as a whole; returns what the core has to do.
    pub(crate) fn rebuild(&mut self, input: &BuildInput<'_>) -> Vec<CoreCommand> {
        let figures = figures(input);
        let pairs = candidates(input.pairs);
        let before = std::mem::take(&mut self.universe);
        self.universe =
            build(&self.rules, &pairs, &figures, &input.pinned, &input.hard_blocked, &before);
        let missing_pinned: Vec<&Symbol> =
            input.pinned.iter().filter(|s| !before.tracked.contains(s)).collect();
        if !missing_pinned.is_empty() && !before.tracked.is_empty() {
            marker!(UNIVERSE_RECOVERY_EXPAND, missing_pinned = missing_pinned);
        }
        self.commands(input.pairs)
    }

    fn commands(&mut self, pairs: &Pairs) -> Vec<CoreCommand> {
        let wanted: BTreeSet<&Symbol> =
            self.universe.tracked.iter().filter(|s| pairs.contains_key(*s)).collect();
        let removed: Vec<Symbol> =
            self.tracked.keys().filter(|s| !wanted.contains(s)).cloned().collect();
        let mut changed = Vec::new();
        for symbol in &self.universe.tracked {
            let Some(info) = pairs.get(symbol) else { continue };
            let group = match self.tracked.get(symbol) {
                Some(tracked) => tracked.group,
                None => {
                    let carried = |at| self.tracked.values().filter(|t| t.group == at).count();
                    let max = self.symbols_per_socket;
                    self.sockets.with_room(GroupKind::Public, max, carried)
                }
            };
            let pair = TrackedPair {
                symbol: symbol.clone(),
                precision: info.precision,
                book_depth: self.universe.l2.contains(symbol).then_some(self.l2_depth),
                group,
            };
            if self.tracked.get(symbol) != Some(&pair) {
                self.tracked.insert(symbol.clone(), pair.clone());
                changed.push(pair);
            }
        }
        for symbol in &removed {
            self.tracked.remove(symbol);
        }
        marker!(
            UNIVERSE_VALIDATION_OK,
            added = changed.len(),
            removed = removed.len(),
            missing_pinned = 0
        );
        let (level3_changed, level3_removed) = self.level3_changes(pairs);
        let mut commands = Vec::new();
        if !changed.is_empty() {
            commands.push(CoreCommand::Track(changed));
        }
        if !level3_changed.is_empty() {
            commands.push(CoreCommand::TrackLevel3(level3_changed));
        }
        if !level3_removed.is_empty() {
            commands.push(CoreCommand::UntrackLevel3(level3_removed));
        }
        if !removed.is_empty() {
            commands.push(CoreCommand::Untrack(removed));
        }
        commands
    }

    /// Order-by-order books that are new or have other digits, and those that go. Places of what goes are
    /// free only afterwards: the new ones are subscribed first.
    fn level3_changes(&mut self, pairs: &Pairs) -> (Vec<Level3Pair>, Vec<Symbol>) {
        let (depth, max) = self.level3;
        let mut changed = Vec::new();
        for symbol in &self.universe.l3 {
            let Some(info) = pairs.get(symbol) else { continue };
            let group = match self.level3_pairs.get(symbol) {
                Some(pair) => pair.group,
                None => {
                    let carried = |at| self.level3_pairs.values().filter(|p| p.group == at).count();
                    self.sockets.with_room(GroupKind::Level3, max, carried)
                }
            };
            let pair =
                Level3Pair { symbol: symbol.clone(), precision: info.precision, depth, group };
            if self.level3_pairs.get(symbol) != Some(&pair) {
                self.level3_pairs.insert(symbol.clone(), pair.clone());
                changed.push(pair);
            }
        }
        let stays: BTreeSet<&Symbol> =
            self.universe.l3.iter().filter(|s| pairs.contains_key(*s)).collect();
        let removed: Vec<Symbol> =
            self.level3_pairs.keys().filter(|s| !stays.contains(s)).cloned().collect();
        for symbol in &removed {
            self.level3_pairs.remove(symbol);
        }
        (changed, removed)
    }

    /// Every pair that is tracked.
    pub(crate) fn tracked(&self) -> impl Iterator<Item = &TrackedPair> {
        self.tracked.values()
    }

    /// Every pair that has an order-by-order book.
    pub(crate) fn level3(&self) -> impl Iterator<Item = &Level3Pair> {
        self.level3_pairs.values()
    }

    /// Sockets that there are to be, at least one.
    pub(crate) const fn sockets(&self) -> &Directory {
        &self.sockets
    }
}

fn figures(input: &BuildInput<'_>) -> BTreeMap<Symbol, Figures> {
    let mut figures: BTreeMap<Symbol, Figures> = input
        .volumes
        .iter()
        .map(|(symbol, volume)| {
            let volume_24h_quote = Some(*volume);
            (symbol.clone(), Figures { volume_24h_quote, ..Figures::default() })
        })
        .collect();
    if let Some((cut, gaps)) = input.state {
        let gap_minutes = gaps.minutes_within(input.window_start, cut.as_of);
        for row in &cut.rows {
            let figure = figures.entry(row.symbol.clone()).or_default();
            figure.spread_avg_bps = row.spread_avg_bps;
            figure.trades_5m = Some(row.trades_5m);
            let lost = i64::from(row.checksum_fail_w) + i64::from(row.l3_resync_w);
            figure.faults = lost + gap_minutes;
            figure.has_tickers = i64::from(row.ticker_count_w) >= input.tickers_min;
        }
    }
    figures
}
