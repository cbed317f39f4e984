//! Which of the ranked candidates become finalists: few, not all alike, and not another three at every look.
//!
//! Purpose: the best `topk_size` symbols after the churn guard and the limit of correlation. Inputs: the winners of
//! their symbols in ranking order, what earlier evaluations chose, returns of five minutes. Outputs: a [`Selection`].
//! Invariants: pure; membership is guarded, the order never is; what cannot be compared counts as alike unless the
//! settings allow it.

pub mod correlation;
pub mod returns;

use std::collections::BTreeSet;

use penstock_types::vocab::ReasonCode;
use penstock_types::{Decimal, Symbol};
use serde::{Deserialize, Serialize};

pub use correlation::{Correlation, Returns};
pub use returns::{Closes, ReturnSeries};

use crate::decide::config::SelectionConfig;

/// Score at which the ten-thousandths reach one half.
const HALF_SCORE: i64 = 10;
/// One as times 10,000.
const UNIT_X10000: i64 = 10_000;

/// The ranking score as ten-thousandths: `s/(s + 10)` for `s > 0`, else 0; monotone, so the order is the same.
#[must_use]
pub fn score_x10000(score: Decimal) -> i64 {
    if score <= Decimal::ZERO {
        return 0;
    }
    let of = |score: Decimal| {
        let whole = score.checked_mul(Decimal::from(UNIT_X10000))?;
        whole.checked_div(score.checked_add(Decimal::from(HALF_SCORE))?)
    };
    of(score)
        .and_then(|share| i64::try_from(penstock_types::decimal::round_to(share, 0)).ok())
        .unwrap_or(UNIT_X10000)
}

/// A finalist of earlier evaluations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Symbol.
    pub symbol: Symbol,
    /// Evaluations since it became one, this one not counted.
    pub evaluations: i64,
}

/// What earlier evaluations of the session chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionMemory {
    /// Finalists of the last evaluation that chose any, symbols ascending.
    pub members: Vec<Member>,
}

impl SelectionMemory {
    /// The memory after an evaluation that chose.
    #[must_use]
    pub fn after(&self, chosen: &[Symbol]) -> Self {
        let mut members: Vec<Member> = chosen
            .iter()
            .map(|symbol| {
                let before = self.members.iter().find(|m| &m.symbol == symbol);
                let evaluations = before.map_or(1, |m| m.evaluations.saturating_add(1));
                Member { symbol: symbol.clone(), evaluations }
            })
            .collect();
        members.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        Self { members }
    }

    fn is_young(&self, symbol: &Symbol, config: &SelectionConfig) -> bool {
        config.churn_guard_enabled
            && self
                .members
                .iter()
                .any(|m| &m.symbol == symbol && m.evaluations < config.churn_guard_min_cycles)
    }
}

/// The winner of a symbol, as the selection sees it.
#[derive(Debug, Clone, Copy)]
pub struct Contender<'a> {
    /// Symbol.
    pub symbol: &'a Symbol,
    /// Ranking score.
    pub score: Decimal,
}

/// Two symbols that were compared and found alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlikePair {
    /// The one that was chosen.
    pub a: Symbol,
    /// The one that was not.
    pub b: Symbol,
    /// Correlation times 10,000.
    pub corr_x10000: i64,
    /// It could not be computed.
    pub is_unknown: bool,
}

/// A contender that is no finalist, or is one in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Symbol.
    pub symbol: Symbol,
    /// Why.
    pub reason: ReasonCode,
}

/// Finalists and why the others are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The best by rank alone.
    pub topk_pre: Vec<Symbol>,
    /// Finalists in ranking order.
    pub topk_final: Vec<Symbol>,
    /// The guard of membership changed the set.
    pub churn_guard_applied: bool,
    /// The limit of correlation changed the set.
    pub correlation_applied: bool,
    /// Greatest correlation of two symbols that were compared; 0 when none were.
    pub max_pairwise_corr_x10000: i64,
    /// Pairs over the limit.
    pub pairs: Vec<AlikePair>,
    /// Why contenders are no finalists, and which finalist stands for another, in ranking order.
    pub notes: Vec<Note>,
}

impl Selection {
    /// Why a contender is no finalist.
    #[must_use]
    pub fn cut(&self, symbol: &Symbol) -> Option<ReasonCode> {
        let of = |n: &&Note| &n.symbol == symbol && n.reason != ReasonCode::RiskDiversifyApplied;
        self.notes.iter().find(of).map(|n| n.reason)
    }

    /// Those that only the lack of returns keeps out: they come next when a finalist fails.
    #[must_use]
    pub fn waits_for_returns(&self, symbol: &Symbol) -> bool {
        self.cut(symbol) == Some(ReasonCode::TopkReturnsMissing)
    }
}

/// Chooses among contenders in ranking order; `places` is how many finalists there may be.
#[must_use]
pub fn select(
    contenders: &[Contender<'_>],
    memory: &SelectionMemory,
    returns: &Returns<'_>,
    places: usize,
    config: &SelectionConfig,
) -> Selection {
    let plain: Vec<usize> = (0..contenders.len()).collect();
    let guarded = guarded_order(contenders, memory, config);
    let chosen = pick(contenders, &guarded, places, Some((returns, config)));
    let unguarded = pick(contenders, &plain, places, Some((returns, config)));
    let unlimited = pick(contenders, &guarded, places, None);
    let mut selection = Selection {
        topk_pre: plain.iter().take(places).map(|at| contenders[*at].symbol.clone()).collect(),
        topk_final: chosen.set.iter().map(|at| contenders[*at].symbol.clone()).collect(),
        churn_guard_applied: chosen.set != unguarded.set,
        correlation_applied: chosen.set != unlimited.set,
        max_pairwise_corr_x10000: chosen.most.unwrap_or(0),
        ..Selection::default()
    };
    for (at, contender) in contenders.iter().enumerate() {
        let reason = if chosen.set.contains(&at) {
            if unlimited.set.contains(&at) {
                continue;
            }
            ReasonCode::RiskDiversifyApplied
        } else if let Some(pair) = chosen.alike.iter().find(|p| &p.b == contender.symbol) {
            if pair.is_unknown {
                ReasonCode::TopkReturnsMissing
            } else {
                ReasonCode::RiskCorrelationTooHigh
            }
        } else if unguarded.set.contains(&at) {
            ReasonCode::TopkChurnGuard
        } else {
            ReasonCode::TopkCut
        };
        selection.notes.push(Note { symbol: contender.symbol.clone(), reason });
    }
    selection.pairs = chosen.alike;
    selection
}

/// Ranking order with the bonus of young members; ties keep the ranking order.
fn guarded_order(
    contenders: &[Contender<'_>],
    memory: &SelectionMemory,
    config: &SelectionConfig,
) -> Vec<usize> {
    let bonus = config.churn_guard_min_score_delta_x10000;
    let weight = |at: &usize| {
        let contender = contenders[*at];
        let guard = if memory.is_young(contender.symbol, config) { bonus } else { 0 };
        score_x10000(contender.score) + guard
    };
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(weight(at)));
    order
}

#[derive(Default)]
struct Picked {
    set: BTreeSet<usize>,
    alike: Vec<AlikePair>,
    most: Option<i64>,
}

/// Greedy: in order, each that is not alike one that was picked, until the places are taken.
fn pick(
    contenders: &[Contender<'_>],
    order: &[usize],
    places: usize,
    limit: Option<(&Returns<'_>, &SelectionConfig)>,
) -> Picked {
    let mut picked = Picked::default();
    for at in order {
        if picked.set.len() >= places {
            break;
        }
        let own = contenders[*at].symbol;
        let mut rejected = None;
        if let Some((returns, config)) = limit {
            for other in &picked.set {
                let theirs = contenders[*other].symbol;
                let correlation = returns.between(theirs, own);
                let Some(value) = correlation.value(config) else { continue };
                picked.most = Some(picked.most.map_or(value, |most| most.max(value)));
                if rejected.is_none() && value >= config.corr_max_x10000 {
                    rejected = Some(AlikePair {
                        a: theirs.clone(),
                        b: own.clone(),
                        corr_x10000: value,
                        is_unknown: matches!(correlation, Correlation::Unknown),
                    });
                }
            }
        }
        match rejected {
            Some(pair) => picked.alike.push(pair),
            None => {
                picked.set.insert(*at);
            }
        }
    }
    picked
}

#[cfg(test)]
mod tests;
