//! Token bindings of the published run against ours.
//!
//! Purpose: two processes with two configurations must not disagree about an id, a scale or a role.
//! Inputs: the run row's bindings, our configuration. Outputs: equal, or the first difference. Invariants:
//! tokens are compared in ascending order of their id; presence on one side only counts.

use penstock_config::bindings::Bindings;
use penstock_store::StoreError;
use penstock_store_decision::bindings::run_bindings;
use penstock_types::RunId;
use serde_json::Value;
use sqlx::PgPool;

/// Outcome of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingsOutcome {
    /// Both hashes are equal.
    Equal,
    /// They differ.
    Differ {
        /// Theirs, hex.
        theirs: String,
        /// Ours, hex.
        ours: String,
        /// First token that differs.
        token_id: Option<i64>,
        /// Its first field that differs.
        field: String,
    },
    /// The run is not there yet.
    NoRun,
}

/// Compares the bindings of a run with ours.
///
/// # Errors
/// [`StoreError`].
pub async fn compare(
    pool: &PgPool,
    run_id: RunId,
    ours: &Bindings,
) -> Result<BindingsOutcome, StoreError> {
    let Some(theirs) = run_bindings(pool, run_id).await? else {
        return Ok(BindingsOutcome::NoRun);
    };
    let mine = hex::encode(ours.hash());
    if theirs.hash == mine {
        return Ok(BindingsOutcome::Equal);
    }
    let (token_id, field) = first_difference(&theirs.bindings, &ours.to_json());
    Ok(BindingsOutcome::Differ { theirs: theirs.hash, ours: mine, token_id, field })
}

/// First token that differs, and its first field.
fn first_difference(theirs: &Value, ours: &Value) -> (Option<i64>, String) {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let id = |v: &Value| v.get("id").and_then(Value::as_i64);
    let (theirs, ours) = (list(theirs), list(ours));
    let mut ids: Vec<i64> = theirs.iter().chain(&ours).filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    for token in ids {
        let find = |list: &[Value]| list.iter().find(|v| id(v) == Some(token)).cloned();
        match (find(&theirs), find(&ours)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                let fields = a.as_object().cloned().unwrap_or_default();
                let field = fields.iter().find(|(k, v)| b.get(k.as_str()) != Some(*v));
                return (Some(token), field.map_or("?".to_owned(), |(k, _)| k.clone()));
            }
            (None, _) | (_, None) => return (Some(token), "id".to_owned()),
        }
    }
    (None, "hash".to_owned())
}

#[cfg(test)]
mod tests {
    use super::first_difference;
    use serde_json::json;

    #[test]
    fn the_first_token_that_differs_is_named_with_its_field() {
        let ours = json!([{"id": 1, "symbol": "BTC"}, {"id": 3, "symbol": "SOL"}]);
        let theirs = json!([{"id": 1, "symbol": "XBT"}, {"id": 2, "symbol": "ETH"}]);
        assert_eq!(first_difference(&theirs, &ours), (Some(1), "symbol".to_owned()));
        let ours = json!([{"id": 1, "symbol": "XBT"}]);
        assert_eq!(first_difference(&theirs, &ours), (Some(2), "id".to_owned()));
    }
}
