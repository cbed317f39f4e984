//! `penstock verify decisions --session S`: every stored cycle is decided again and compared.
//!
//! Inputs: the decision cluster, read-only; a session. Outputs: how many cycles were compared; the first difference of
//! each cycle that differs, with symbol and field. Status 0 when all are equal, 15 when one differs, 2 without such a
//! session. Invariants: nothing is written; a cycle that was not kept is counted and never called equal; the AI
//! provider is not asked, its recorded answer is.

use penstock_clusters::ClusterKind;
use penstock_execution::cycle::decided;
use penstock_execution::cycle::stored::{CURRENT_INPUT, read_config, read_input};
use penstock_store_decision::ai_gate::{self, DecisionRecords};
use penstock_store_decision::stored_cycles::{self, StoredCycle, StoredInput};
use penstock_trading::decide::{Outcome, decide};
use penstock_types::canonical;
use penstock_types::{EvaluationId, SessionId, Uuid};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Clusters;
use crate::arguments::Output;
use crate::exit;

/// Cycles of one read.
const CYCLES_PER_READ: i64 = 64;

/// Options of `penstock verify decisions`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Session; the newest that evaluated when none is named
    #[arg(long)]
    pub session: Option<Uuid>,
    /// Form of the report
    #[arg(long, value_enum, default_value = "human")]
    pub output: Output,
}

/// The first thing of a cycle that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Cycle.
    pub evaluation_id: EvaluationId,
    /// Symbol; empty when it is not about one.
    pub symbol: String,
    /// Field.
    pub field: String,
    /// What is stored.
    pub stored: String,
    /// What was derived.
    pub derived: String,
}

/// What came of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Cycles that began to read.
    pub cycles: u64,
    /// Cycles that were decided again.
    pub compared: u64,
    /// Of these, cycles without a finalist.
    pub without_finalist: u64,
    /// Cycles whose input was not kept, because they failed or have not ended.
    pub not_kept: Vec<EvaluationId>,
    /// First difference of each cycle that differs.
    pub differences: Vec<Difference>,
}

/// Runs the command.
///
/// # Errors
/// When the cluster cannot be read.
pub(super) async fn run(args: Args, clusters: &Clusters) -> anyhow::Result<i32> {
    let pool = clusters.reader(ClusterKind::Decision).await?;
    let sessions = stored_cycles::sessions(&pool).await?;
    let wanted = args.session.map(SessionId);
    let found = match wanted {
        Some(wanted) => sessions.into_iter().find(|session| *session == wanted),
        None => sessions.into_iter().next(),
    };
    let Some(session) = found else {
        eprintln!(
            "no session {} has evaluated; next: `penstock psql decision -- -c 'select distinct session_id from evaluation_cycles'`",
            wanted.map_or_else(|| "at all".to_owned(), |session| session.to_string())
        );
        return Ok(exit::USAGE);
    };
    let verified = verify(&pool, session).await?;
    Ok(print(session, &verified, args.output))
}

/// Decides every cycle of a session again.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn verify(pool: &PgPool, session: SessionId) -> anyhow::Result<Verified> {
    let mut verified = Verified::default();
    let mut last = EvaluationId(0);
    loop {
        let cycles = stored_cycles::after(pool, session, last, CYCLES_PER_READ).await?;
        let Some(newest) = cycles.last() else { return Ok(verified) };
        last = newest.evaluation_id;
        for cycle in &cycles {
            verified.cycles += 1;
            let Some(input) = &cycle.input else {
                verified.not_kept.push(cycle.evaluation_id);
                continue;
            };
            verified.compared += 1;
            match one(pool, cycle, input).await {
                Ok(outcome) => {
                    verified.without_finalist += u64::from(outcome.finalists.is_empty());
                }
                Err(difference) => verified.differences.push(difference),
            }
        }
    }
}

fn differs(id: EvaluationId, symbol: &str, field: &str, stored: &str, derived: &str) -> Difference {
    Difference {
        evaluation_id: id,
        symbol: symbol.to_owned(),
        field: field.to_owned(),
        stored: stored.to_owned(),
        derived: derived.to_owned(),
    }
}

/// One cycle: its configuration, its input, its rows, its whole outcome.
async fn one(
    pool: &PgPool,
    cycle: &StoredCycle,
    stored: &StoredInput,
) -> Result<Outcome, Difference> {
    let id = cycle.evaluation_id;
    let unreadable = |field: &str, error: &dyn std::fmt::Display| {
        differs(id, "", field, "unreadable", &error.to_string())
    };
    let hash = canonical::hash(&stored.config).map_err(|e| unreadable("config", &e))?;
    if hash != stored.config_hash {
        return Err(differs(id, "", "config_hash", &stored.config_hash, &hash));
    }
    let config =
        read_config(&stored.config_hash, &stored.config).map_err(|e| unreadable("config", &e))?;
    let (input, hash) = read_input(&stored.input).map_err(|e| unreadable("input", &e))?;
    if hash != stored.input_hash {
        return Err(differs(id, "", "input_hash", &stored.input_hash, &hash));
    }
    if input.version != CURRENT_INPUT {
        let (was, is) = (input.version.to_string(), CURRENT_INPUT.to_string());
        return Err(differs(id, "", "version", &was, &is));
    }
    let outcome = decide(&input, &config);
    let kept = ai_gate::of_evaluation(pool, id).await.map_err(|e| unreadable("rows", &e))?;
    let derived = decided::rows(&input, &outcome, Vec::new(), id, &stored.config_hash);
    if let Some(difference) = rows(id, &kept, &derived, &outcome) {
        return Err(difference);
    }
    let hash = outcome.outcome_hash().map_err(|e| unreadable("outcome", &e))?;
    if hash != stored.outcome_hash {
        return Err(differs(id, "", "outcome_hash", &stored.outcome_hash, &hash));
    }
    Ok(outcome)
}

/// The rows of a cycle as documents, each with its symbol.
fn documents(records: &DecisionRecords) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    if let Some(row) = &records.selection {
        let value = json!({
            "topn": row.topn, "topk_pre": row.topk_pre, "topk_final": row.topk_final,
            "churn_guard_applied": row.churn_guard_applied,
            "correlation_applied": row.correlation_applied,
            "max_pairwise_corr_x10000": row.max_pairwise_corr_x10000,
            "corr_pairs": row.corr_pairs, "config_hash": row.config_hash,
        });
        all.push((String::new(), "selection".to_owned(), value));
    }
    for row in &records.snapshots {
        all.push((row.snapshot.symbol.to_string(), "snapshot".to_owned(), json!(row.snapshot)));
    }
    for row in &records.decisions {
        let name = format!("decision[{}]", row.version);
        all.push((row.decision.symbol.to_string(), name, json!(row.decision)));
    }
    for row in &records.verdicts {
        let value = json!({
            "verdict": row.verdict, "reasons": row.reasons, "limits": row.limits,
            "costs": row.costs, "adjusted_min_edge_bps": row.adjusted_min_edge_bps.normalize(),
            "multiplier_x10000": row.multiplier_x10000,
            "sized_qty": row.sized_qty.normalize(), "sized_quote": row.sized_quote.normalize(),
        });
        let of = records.decisions.iter().find(|d| d.decision.decision_id == row.decision_id);
        let symbol = of.map_or_else(String::new, |d| d.decision.symbol.to_string());
        all.push((symbol, "risk_verdict".to_owned(), value));
    }
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all
}

/// The first difference between the rows that stand and those that are derived.
fn rows(
    id: EvaluationId,
    kept: &DecisionRecords,
    derived: &DecisionRecords,
    outcome: &Outcome,
) -> Option<Difference> {
    let (kept_all, derived_all) = (documents(kept), documents(derived));
    for (symbol, name, value) in &derived_all {
        let stands = kept_all.iter().find(|(s, n, _)| s == symbol && n == name);
        let Some((_, _, stored)) = stands else {
            return Some(differs(id, symbol, name, "no row", "a row"));
        };
        if let Some((path, a, b)) = first_difference(name, stored, value) {
            return Some(differs(id, symbol, &path, &a, &b));
        }
    }
    let extra = |(symbol, name, _): &&(String, String, Value)| {
        !derived_all.iter().any(|(s, n, _)| s == symbol && n == name)
    };
    if let Some((symbol, name, _)) = kept_all.iter().find(extra) {
        return Some(differs(id, symbol, name, "a row", "no row"));
    }
    answers(id, kept, outcome)
}

/// The last record of each question against the verdict that its recorded answer makes.
fn answers(id: EvaluationId, kept: &DecisionRecords, outcome: &Outcome) -> Option<Difference> {
    for finalist in &outcome.finalists {
        let (Some(decision), Some(gate)) = (&finalist.decision, &finalist.gate) else { continue };
        let last = kept.gate.iter().rev().find(|row| row.decision_id == decision.decision_id);
        let stored = last.map(|row| {
            json!({
                "verdict": row.verdict, "reasons": row.reasons, "error_code": row.error_code,
                "raw_hash": row.raw_hash, "input_hash": row.input_hash, "model": row.model,
            })
        });
        let derived = json!({
            "verdict": gate.verdict, "reasons": gate.reasons, "error_code": gate.error_code,
            "raw_hash": gate.raw_hash, "input_hash": gate.input_hash, "model": gate.model,
        });
        let symbol = finalist.symbol.as_str();
        let Some(stored) = stored else {
            return Some(differs(id, symbol, "ai_gate", "no row", "a row"));
        };
        if let Some((path, a, b)) = first_difference("ai_gate", &stored, &derived) {
            return Some(differs(id, symbol, &path, &a, &b));
        }
    }
    None
}

/// Path and both values of the first leaf that differs.
fn first_difference(path: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or(Value::Null)
                };
                first_difference(&format!("{path}.{key}"), &of(x), &of(y))
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => x
            .iter()
            .zip(y)
            .enumerate()
            .find_map(|(at, (x, y))| first_difference(&format!("{path}[{at}]"), x, y)),
        (a, b) => (a != b).then(|| (path.to_owned(), a.to_string(), b.to_string())),
    }
}

fn print(session: SessionId, found: &Verified, output: Output) -> i32 {
    let differs: Vec<Value> = found
        .differences
        .iter()
        .map(|d| {
            json!({ "cycle": d.evaluation_id.0, "symbol": d.symbol, "field": d.field,
                "stored": d.stored, "derived": d.derived })
        })
        .collect();
    match output {
        Output::Human => {
            for d in &found.differences {
                println!(
                    "cycle {} {} {}: stored {}, derived {}",
                    d.evaluation_id,
                    if d.symbol.is_empty() { "-" } else { &d.symbol },
                    d.field,
                    d.stored,
                    d.derived
                );
            }
            println!(
                "{}: session {session}, {} cycles, {} compared ({} without a finalist), {} not kept, {} differ",
                if differs.is_empty() { "Equal" } else { "Different" },
                found.cycles,
                found.compared,
                found.without_finalist,
                found.not_kept.len(),
                differs.len()
            );
        }
        Output::Json => println!(
            "{}",
            json!({ "session": session, "cycles": found.cycles, "compared": found.compared,
                "without_finalist": found.without_finalist,
                "not_kept": found.not_kept.iter().map(|id| id.0).collect::<Vec<_>>(),
                "differences": differs })
        ),
    }
    if found.differences.is_empty() { exit::CLEAN } else { exit::DIFFERENT }
}
