//! Answers from made-up rows: which gate is first, what is said of it, what to do.

use penstock_store_decision::why::{Cause, LastEvaluation, Membership};

use super::*;

fn time(secs: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_771_243_200 + secs, 0).unwrap()
}

fn evaluation(age_ms: i64) -> LastEvaluation {
    LastEvaluation {
        evaluation_id: 7,
        started_at: time(0),
        age_ms,
        sys_mode: "NORMAL".to_owned(),
        verdict: None,
        block_type: None,
        snapshot_id: Some(1),
    }
}

fn facts(gate: &str, reason: &str) -> Facts {
    Facts {
        is_listed: true,
        evaluation: Some(evaluation(900)),
        gate: Some(Gate {
            gate: Some(gate.to_owned()),
            stage: Some("DEEP_SCAN".to_owned()),
            reason: Some(reason.to_owned()),
            value: Some(Decimal::new(-12_500, 4)),
            limit: Some(Decimal::ZERO),
            unit: Some("bps".to_owned()),
            since: time(0),
            closed: vec![gate.to_owned()],
            evaluation_id: Some(6),
        }),
        membership: Some(Membership {
            snapshot_id: 1,
            in_execution: true,
            in_pool: true,
            excluded_for: None,
            since: Some(time(-100)),
        }),
        mode: Some(Mode {
            mode: "NORMAL".to_owned(),
            since: time(-50),
            reasons: Vec::new(),
            values: serde_json::json!({}),
        }),
        causes: Vec::new(),
        best: None,
        order: None,
    }
}

#[test]
fn the_row_speaks_for_the_symbol_in_sentences_with_numbers_and_a_step() {
    let answer = of("BTC/USD", &facts("EdgeNegative", "STRAT_EDGE_NEGATIVE"), time(200));
    assert_eq!(answer.standing, Standing::Closed);
    let text = answer.text();
    for part in [
        "BTC/USD is not traded. EdgeNegative closes it in DEEP_SCAN (STRAT_EDGE_NEGATIVE",
        "Measured -1.25 bps, limit 0 bps.",
        "(3 min)",
        "next: wait",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_mode_that_is_not_normal_stands_before_the_symbols_own_gate() {
    let mut facts = facts("EdgeNegative", "STRAT_EDGE_NEGATIVE");
    let mode = facts.mode.as_mut().unwrap();
    (mode.mode, mode.reasons) = ("PAUSE".to_owned(), vec!["OPERATOR_REQUEST".to_owned()]);
    let answer = of("BTC/USD", &facts, time(0));
    assert_eq!(answer.gate.as_deref(), Some("ModeBlocked"));
    assert_eq!(answer.since, Some(time(-50)));
    assert_eq!(answer.closed, ["ModeBlocked", "EdgeNegative"]);
    assert!(answer.text().contains("Measured PAUSE, limit NORMAL."), "{}", answer.text());
    assert!(answer.next.contains("penstock mode NORMAL"), "{}", answer.next);
}

#[test]
fn a_symbol_outside_the_universe_says_why_and_since_which_snapshot_even_without_a_row() {
    let mut facts = facts("EdgeNegative", "STRAT_EDGE_NEGATIVE");
    facts.gate = None;
    let universe = facts.membership.as_mut().unwrap();
    (universe.in_execution, universe.in_pool) = (false, false);
    universe.excluded_for = Some("UNIVERSE_QUOTE_MISMATCH".to_owned());
    let answer = of("BTC/EUR", &facts, time(0));
    assert_eq!(answer.gate.as_deref(), Some("UNIVERSE_QUOTE_MISMATCH"));
    assert_eq!(answer.since, Some(time(-100)));
    assert!(answer.next.contains("universe_quotes"), "{}", answer.next);
}

#[test]
fn what_nobody_names_is_unknown_and_what_nobody_judged_is_not_judged() {
    let mut facts = facts("EdgeNegative", "STRAT_EDGE_NEGATIVE");
    facts.gate = None;
    assert_eq!(of("BTC/USD", &facts, time(0)).standing, Standing::NotJudged);
    facts.membership = None;
    facts.is_listed = false;
    let answer = of("BTX/USD", &facts, time(0));
    assert_eq!(answer.standing, Standing::Unknown);
    assert!(answer.text().starts_with("BTX/USD is unknown"), "{}", answer.text());
}

#[test]
fn an_old_evaluation_is_called_one() {
    let mut facts = facts("HardBlocked", "SYMBOL_HARD_BLOCKED");
    facts.evaluation = Some(evaluation(600_000));
    let (cause, mode) = ("operator".to_owned(), "hard_blocked".to_owned());
    facts.causes = vec![Cause { cause, mode, expires_at: None }];
    let text = of("BTC/USD", &facts, time(0)).text();
    assert!(text.contains("ended 10 min ago"), "{text}");
    assert!(text.contains("Safety: operator demands hard_blocked until it is cleared."), "{text}");
    assert!(text.contains("next: `penstock status`"), "{text}");
}

#[test]
fn every_gate_has_a_next_step() {
    for blocker in Blocker::ALL {
        let facts = facts(blocker.as_str(), "RISK_MODE_BLOCK");
        let answer = of("BTC/USD", &facts, time(0));
        assert!(!answer.next.is_empty(), "{blocker}");
    }
    for code in ReasonCode::ALL {
        let answer = of("BTC/USD", &facts(code.as_str(), code.as_str()), time(0));
        assert!(!answer.next.is_empty(), "{code}");
    }
}
