//! The finalists of the last selection.
//!
//! Input: the last row of `cycle_selections`, candidates, published states. Output: the section. Invariants: finalists
//! in the order in which they were handled; a score of at most 0 is 0.

use std::collections::BTreeMap;

use penstock_contracts::dashboard::{Feature, PairAction, PairOver, TopKItemRow, TopKSnapshot};
use penstock_contracts::units::X10000;
use penstock_types::{Decimal, Symbol};
use serde::Deserialize;

use super::candidates::Candidate;
use super::error::ReadError;
use super::form::{symbol, x10000};
use super::sight::{Selection, Sight};

/// What a score is weighed against: half of the range is reached at it.
const SCORE_HALF: Decimal = Decimal::TEN;

pub(super) fn section(
    sight: &Sight<'_>,
    candidates: &BTreeMap<Symbol, Candidate>,
) -> Result<TopKSnapshot, ReadError> {
    let Some(selection) = &sight.selection else {
        return Ok(TopKSnapshot {
            cycle_id: String::new(),
            items: [].into_iter().collect(),
            max_pairwise_corr_x10000: X10000(0),
            pairs_over_limit: [].into_iter().collect(),
        });
    };
    let none = Candidate::default();
    let item = |symbol: &Symbol| {
        let candidate = candidates.get(symbol).unwrap_or(&none);
        let quality = sight.states.get(symbol).map(|state| state.l3_quality);
        TopKItemRow {
            symbol: symbol.clone(),
            score_x10000: score_x10000(candidate.score),
            features_top: features(candidate, quality).into_iter().collect(),
            churn_guard_applied: selection.churn_guard_applied,
        }
    };
    Ok(TopKSnapshot {
        cycle_id: selection.id.to_string(),
        items: selection.finalists.iter().map(item).collect(),
        max_pairwise_corr_x10000: X10000(selection.max_corr_x10000),
        pairs_over_limit: pairs(selection)?.into_iter().collect(),
    })
}

fn features(candidate: &Candidate, l3_quality: Option<Decimal>) -> [Feature; 5] {
    let of = |name: &str, value| Feature { name: name.to_owned(), value_x10000: x10000(value) };
    [
        of("edge", candidate.edge_bps),
        of("surplus", candidate.surplus_bps),
        of("confidence", candidate.confidence),
        of("p_fill", candidate.p_fill),
        of("l3_quality", l3_quality),
    ]
}

/// `10000·s/(s + 10)` for a score above 0, else 0.
fn score_x10000(score: Option<Decimal>) -> X10000 {
    let positive = score.filter(|score| *score > Decimal::ZERO);
    x10000(positive.map(|score| score / (score + SCORE_HALF)))
}

/// A pair as its row holds it.
#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    corr_x10000: i32,
    action: PairAction,
}

fn pairs(selection: &Selection) -> Result<Vec<PairOver>, ReadError> {
    const WHAT: &str = "pairs of finalists that move together";
    let pairs = Vec::<Pair>::deserialize(&selection.pairs).map_err(ReadError::row(WHAT))?;
    pairs
        .into_iter()
        .map(|pair| {
            Ok(PairOver {
                a: symbol(WHAT, &pair.a)?,
                b: symbol(WHAT, &pair.b)?,
                corr_x10000: X10000(pair.corr_x10000),
                action: pair.action,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_keeps_its_order_in_ten_thousandths() {
        let of = |text| score_x10000(Some(Decimal::from_str_exact(text).unwrap())).0;
        assert_eq!((of("10"), of("30"), of("0"), of("-4")), (5_000, 7_500, 0, 0));
        assert_eq!(score_x10000(None).0, 0);
    }
}
