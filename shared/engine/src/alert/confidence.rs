//! Confidence of an alert: how much activity, cheapness and breadth agree, 0 to 100. It is no probability.

use crate::num::{ArithError, SCORE_MAX, add, div, mul, sub};

/// Confidence of `activity` (Score), `cost` (Score) and `cluster_weight` (Score).
///
/// # Errors
/// [`ArithError`] when an input is no score.
pub fn confidence(
    weights: &[i64; 3],
    activity: i64,
    cost: i64,
    cluster_weight: i64,
) -> Result<u8, ArithError> {
    let [w_activity, w_cost, w_cluster] = *weights;
    let cheapness = sub(SCORE_MAX, cost)?;
    let first = add(mul(w_activity, activity)?, mul(w_cost, cheapness)?)?;
    let sum = add(first, mul(w_cluster, cluster_weight)?)?;
    let of = add(add(w_activity, w_cost)?, w_cluster)?;
    let points = div(div(sum, of)?, 10_000)?;
    u8::try_from(points.clamp(0, 100)).map_err(|_| ArithError)
}
