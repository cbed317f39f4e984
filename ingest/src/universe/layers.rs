//! The standing universe and how it changes: which pair is on which socket.
//!
//! Input: pairs, volumes, the newest state, pinned and blocked symbols. Output: the sets, and the
//! commands that bring the core there. Additions are subscribed before removals are dropped.

use super::reference::{Pairs, candidates};
use crate::core::run::{CoreCommand, TrackedPair};
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
    pub universe: Universe,
    tracked: BTreeMap<Symbol, TrackedPair>,
}

impl Layers {
    pub(crate) fn new(rules: UniverseRules, l2_depth: u32, symbols_per_socket: usize) -> Self {
        let (universe, tracked) = (Universe::default(), BTreeMap::new());
        Self { rules, l2_depth, symbols_per_socket, universe, tracked }
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
            let group =
                self.tracked.get(symbol).map_or_else(|| self.group_with_room(), |t| t.group);
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
        let mut commands = Vec::new();
        if !changed.is_empty() {
            commands.push(CoreCommand::Track(changed));
        }
        if !removed.is_empty() {
            commands.push(CoreCommand::Untrack(removed));
        }
        commands
    }

    fn group_with_room(&self) -> usize {
        let load = |group| self.tracked.values().filter(|t| t.group == group).count();
        (0..).find(|g| load(*g) < self.symbols_per_socket).unwrap_or(0)
    }

    /// Every pair that is tracked.
    pub(crate) fn tracked(&self) -> impl Iterator<Item = &TrackedPair> {
        self.tracked.values()
    }

    /// Sockets that the standing universe uses, at least one.
    pub(crate) fn sockets(&self) -> usize {
        self.tracked.values().map(|t| t.group + 1).max().unwrap_or(1)
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
            figure.faults = i64::from(row.checksum_fail_w) + gap_minutes;
            figure.has_tickers = i64::from(row.ticker_count_w) >= input.tickers_min;
        }
    }
    figures
}
