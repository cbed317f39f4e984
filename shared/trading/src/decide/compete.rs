//! The competition: strategy against strategy within a symbol, symbol against symbol.
//!
//! Purpose: one winner per symbol, in the global order. Inputs: candidates with their scores. Outputs: indexes, best
//! first; what each loser lacks. Invariants: pure; a total order, so that equal scores never depend on rows.

use std::collections::BTreeMap;

use penstock_types::{Decimal, Symbol};

use super::assess::Index;
use super::outcome::{Candidate, WhyLost};
use crate::rank::RankKey;

fn key(c: &Candidate, index: &Index<'_>) -> Option<RankKey> {
    Some(RankKey {
        score: c.score?,
        edge_adj_bps: c.edge_adj_bps?,
        spread_bps: index.states.get(&c.symbol).and_then(|r| r.spread_avg_bps)?,
        symbol: c.symbol.clone(),
        ordinal: c.ordinal,
    })
}

/// The best open candidate of each symbol, in the global order; losers learn by how much they lost.
pub(super) fn compete(candidates: &mut [Candidate], index: &Index<'_>) -> Vec<usize> {
    let mut best: BTreeMap<Symbol, (RankKey, usize)> = BTreeMap::new();
    for (at, c) in candidates.iter().enumerate() {
        let Some(k) = key(c, index).filter(|_| c.is_open()) else { continue };
        match best.get(&c.symbol) {
            Some((winner, _)) if winner.compare(&k).is_lt() => {}
            Some(_) | None => {
                best.insert(c.symbol.clone(), (k, at));
            }
        }
    }
    for c in candidates.iter_mut() {
        let (Some(own), Some((winner, _))) = (key(c, index), best.get(&c.symbol)) else { continue };
        if winner.ordinal != own.ordinal {
            c.why_lost = Some(WhyLost {
                edge_bps: (winner.edge_adj_bps - own.edge_adj_bps).normalize(),
                confidence: Decimal::ZERO,
                score: (winner.score - own.score).normalize(),
            });
        }
    }
    let confidence: BTreeMap<Symbol, Option<Decimal>> =
        best.iter().map(|(s, (_, at))| (s.clone(), candidates[*at].confidence)).collect();
    for c in candidates.iter_mut() {
        let winner = confidence.get(&c.symbol).copied().flatten();
        if let (Some(lost), Some(theirs), Some(own)) = (&mut c.why_lost, winner, c.confidence) {
            lost.confidence = (theirs - own).normalize();
        }
    }
    let mut order: Vec<(RankKey, usize)> = best.into_values().collect();
    order.sort_by(|a, b| a.0.compare(&b.0));
    order.into_iter().map(|(_, at)| at).collect()
}
