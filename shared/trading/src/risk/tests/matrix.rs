//! Every rule alone: at its limit it passes, one step beyond it refuses, and without it nothing refuses.

use std::collections::{BTreeMap, BTreeSet};

use penstock_contracts::ai::AiGateResult;
use penstock_contracts::vocab::RiskVerdictType;
use penstock_types::vocab::{ReasonCode, ReasonCode as C};

use super::super::case::judge_without;
use super::super::rule::Rule as R;
use super::super::{Rule, judge};
use super::cases::{self, Case, Change, call};
use super::world::World;
use super::{counts, money};
use crate::fixtures::dec;

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    [cases::of_decision(), cases::of_engine(), counts::of_counters(), money::of_amounts()].concat()
}

pub(super) fn changed(change: Change) -> World {
    let mut world = World::new();
    change(&mut world);
    world
}

/// Each case alone, and every reason of every rule has one.
pub(super) fn check() {
    let mut shown: BTreeMap<Rule, BTreeSet<&str>> = BTreeMap::new();
    for (rule, code, passes, refuses) in cases() {
        let name = format!("{rule} {code}");
        let world = changed(passes);
        let (verdict, hits) = judge(&world.case());
        assert_eq!(hits, [], "{name}: at its limit");
        assert_eq!(verdict.verdict, RiskVerdictType::Allow, "{name}");
        assert_eq!(verdict.breaches(), [], "{name}");

        let world = changed(refuses);
        let (verdict, hits) = judge(&world.case());
        let found: Vec<(i64, ReasonCode)> = hits.iter().map(|hit| (hit.rule, hit.code)).collect();
        assert_eq!(found, [(rule.number(), code)], "{name}: one step beyond, alone");
        assert_eq!((verdict.verdict, verdict.reasons), (RiskVerdictType::Block, vec![code]));

        let (verdict, hits) = judge_without(&world.case(), rule);
        assert_eq!((hits, verdict.verdict), (vec![], RiskVerdictType::Allow), "{name}: left out");
        // Leaving out its neighbour changes nothing: the switch is one of this rule alone.
        let next = Rule::of_number(rule.number() % 34 + 1).unwrap();
        let (verdict, _) = judge_without(&world.case(), next);
        assert_eq!(verdict.verdict, RiskVerdictType::Block, "{name} without {next}");
        shown.entry(rule).or_default().insert(code.as_str());
    }
    for rule in Rule::ALL.iter().filter(|rule| !rule.codes().is_empty()) {
        let all: BTreeSet<&str> = rule.codes().iter().map(|code| code.as_str()).collect();
        assert_eq!(shown.get(rule), Some(&all), "{rule}: every reason has its case");
    }
    assert!(shown.contains_key(&Rule::Gate), "the gate's reasons are its own");
}

/// The smaller of an absolute and a relative cap acts, and is the one that is shown.
pub(super) fn check_smaller_caps() {
    let shown = |e: &str| {
        let mut world = World::new();
        world.inputs.sizing_equity_quote = dec(e);
        let limits = judge(&world.case()).0.risk_limits;
        (limits.max_exposure_symbol_quote.value(), limits.max_exposure_total_quote.value())
    };
    assert_eq!(shown("9500"), (dec("200"), dec("500")), "the absolute caps");
    assert_eq!(shown("1500"), (dec("150"), dec("450")), "the shares of equity");
    let acts = |e: &str, used: &str| {
        let mut world = World::new();
        world.inputs.sizing_equity_quote = dec(e);
        world.inputs.exposure_symbol_quote = dec(used);
        judge(&world.case()).1.iter().map(|hit| hit.rule).collect::<Vec<_>>()
    };
    assert_eq!(acts("9500", "71.4999"), [23]);
    assert_eq!(acts("1500", "21.4999"), [26]);
    assert_eq!(acts("1500", "71.4999"), [23, 26], "both are recorded, in their order");
}

/// All that can be wrong at once is recorded in the order of the rules; the first four end the list.
pub(super) fn check_order() {
    let mut world = World::new();
    let all: Vec<Case> =
        cases().into_iter().filter(|case| !case.0.is_final() && case.0 != R::Size).collect();
    for (.., refuses) in &all {
        refuses(&mut world);
    }
    // The cases of the shares of equity move the caps of quote out of their way.
    world.config.risk_max_exposure_symbol_quote = dec("200");
    world.config.risk_max_exposure_total_quote = dec("500");
    let hits = judge(&world.case()).1;
    assert!(hits.windows(2).all(|pair| pair[0].rule <= pair[1].rule), "{hits:?}");
    let rules: BTreeSet<i64> = hits.iter().map(|hit| hit.rule).collect();
    let wanted: BTreeSet<i64> = (5..=34).filter(|n| *n != 24).collect();
    assert!(wanted.is_subset(&rules), "{:?} are missing", wanted.difference(&rules));
    for (rule, code, _, refuses) in cases().into_iter().filter(|case| case.0.is_final()) {
        let mut world = world.clone();
        refuses(&mut world);
        let hits = judge(&world.case()).1;
        assert_eq!(hits.len(), 1, "{rule} ends the list");
        assert_eq!((hits[0].rule, hits[0].code), (rule.number(), code));
    }
}

/// A proof run trades without an edge, and with a loss only where its settings say so.
pub(super) fn check_proof() {
    use crate::decide::config::ProofConfig;
    let blocks = |edge: &str, allow_negative_edge: bool| {
        let mut world = World::new();
        world.config.proof = Some(ProofConfig { max_order_quote: dec("200"), allow_negative_edge });
        world.set_qty(world.sized_qty());
        world.edge.plan_bps = dec(edge);
        judge(&world.case()).1.iter().map(|hit| hit.rule).collect::<Vec<_>>()
    };
    assert!(blocks("0", false).is_empty());
    assert_eq!(blocks("-0.0001", false), [4]);
    assert!(blocks("-50", true).is_empty());
}

/// A refusal of the gate is never undone, a permission never stands against a rule.
pub(super) fn check_final_word() {
    type Gate = fn() -> Option<AiGateResult>;
    let gates: [(Gate, bool); 7] = [
        (|| None, false),
        (|| Some(AiGateResult::disabled()), false),
        (|| Some(call().allowed(vec![C::AigateOk])), false),
        (|| Some(call().modified(vec![C::AigateConcernCost], World::new().decision)), false),
        (|| Some(call().blocked(vec![C::AigateConcernRegime])), true),
        (|| Some(call().modify_refused(vec![C::AigateConcernCost])), true),
        (|| Some(call().failed(C::AigateHttpError)), true),
    ];
    for (gate, refuses) in gates {
        let mut world = World::new();
        world.gate = gate();
        let (verdict, hits) = judge(&world.case());
        assert_eq!(verdict.verdict == RiskVerdictType::Block, refuses, "{:?}", world.gate);
        assert!(hits.iter().all(|hit| hit.rule == 5));
        let reasons = world.gate.as_ref().map(|gate| gate.reasons.clone()).unwrap_or_default();
        assert!(!refuses || reasons.iter().all(|code| verdict.reasons.contains(code)));
        for (rule, code, _, spoils) in cases().into_iter().filter(|case| case.0 != R::Gate) {
            let mut world = world.clone();
            spoils(&mut world);
            world.gate = gate();
            let (verdict, _) = judge(&world.case());
            assert_eq!(verdict.verdict, RiskVerdictType::Block, "{rule} {code}");
            assert!(verdict.reasons.contains(&code), "{rule} {code}: {:?}", verdict.reasons);
            assert_eq!(verdict.breaches(), [], "{rule} {code}");
        }
    }
    let invalid = changed(|w| w.gate = Some(call().modify_refused(vec![C::AigateConcernCost])));
    let reasons = judge(&invalid.case()).0.reasons;
    assert_eq!(reasons, [C::AigateConcernCost, C::AigateModifyInvalid]);
}
