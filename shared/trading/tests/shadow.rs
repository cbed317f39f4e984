//! Which refusals open a shadow trade, and that nothing of it touches the decision.

use std::collections::BTreeSet;

use penstock_trading::decide::DecideConfig;
use penstock_trading::decide::config::Participation;
use penstock_trading::decide::shadow::{Opening, openings};
use penstock_trading::fixtures::{NOW, config, dec, hot, input, symbol};
use penstock_trading::shadow::{Direction, WayKey};
use penstock_trading::{CycleInput, decide};
use penstock_types::Decimal;
use penstock_types::FencingToken;
use penstock_types::rows::{ExecLockRow, SafetyRow};
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{
    Blocker, Horizon, Regime, RouteType, SafetyMode, StageName, Strategy, SysMode,
};
use proptest::prelude::*;

const N: usize = 8;
const HOT: usize = N - 1;
const MAX: usize = 20;

fn open(input: &CycleInput, config: &DecideConfig) -> Vec<Opening> {
    openings(input, config, &decide(input, config), &BTreeSet::new(), MAX)
}

/// The hot symbol is refused because its strategy is a shadow.
fn shadowed() -> DecideConfig {
    let mut c = config();
    c.strategy.momentum = Participation::Shadow;
    c
}

fn falling(row: &mut StateRow) {
    hot(row);
    row.drift_1m_bps = Some(dec("-85"));
    row.drift_5m_bps = Some(dec("-85"));
    row.drift_15m_bps = Some(dec("-90"));
    row.ofi_1m = Some(dec("-0.9"));
    row.microprice_dev_bps = Some(dec("-0.1"));
}

#[test]
fn a_refused_breakout_opens_with_the_terms_of_its_policy() {
    let found = open(&input(N), &shadowed());
    let of_hot: Vec<_> = found.iter().filter(|o| o.way.symbol == symbol(HOT)).collect();
    assert_eq!(of_hot.len(), 2, "the short horizon does not even pay its fees: {found:#?}");
    for opening in of_hot {
        let way = &opening.way;
        assert_eq!((way.direction, way.strategy), (Direction::Long, Strategy::Momentum));
        assert_eq!(way.route_type, RouteType::BreakoutContinuation);
        assert_eq!(
            (opening.stage, opening.blocker),
            (StageName::DeepScan, Blocker::StrategyMismatch)
        );
        let t = &opening.trade;
        assert_eq!((t.ref_price, t.opened_at), (dec("100"), NOW));
        assert_eq!(t.expires_at, NOW.plus_millis(900_000));
        assert!(t.sl_price.unwrap() < dec("99.41") && t.sl_price.unwrap() >= dec("95"), "{t:?}");
        assert_eq!(t.tp_price, Some(dec("110")), "the guard against a runaway");
        let terms = opening.candidate.terms.unwrap();
        assert_eq!(t.cost_bps, Some(terms.total_bps()));
        assert_eq!(opening.promise_bps, terms.p_fill * terms.capturable_bps - terms.fees_bps());
        assert!(opening.promise_bps > Decimal::ZERO);
    }
    assert!(found.iter().all(|o| o.way.symbol == symbol(HOT)), "calm symbols promise too little");
}

type Spoil = fn(&mut CycleInput, &mut DecideConfig);

#[test]
fn a_trade_that_is_made_opens_none_and_neither_does_what_data_or_safety_refused() {
    let c = config();
    // The winner is entered, its other horizons lost to it: nobody refused them.
    assert_eq!(open(&input(N), &c), []);
    let spoil: [(&str, Spoil); 6] = [
        ("mode", |i, _| i.sys_mode = SysMode::Degrade),
        ("switched off", |_, c| c.execution_enable = false),
        ("book", |i, _| i.states[HOT].book_ok = false),
        ("old message", |i, _| i.states[HOT].msg_age_ms = 70_000),
        ("no mid", |i, _| i.states[HOT].mid = None),
        ("quiet", |i, _| {
            i.safety.push(SafetyRow {
                symbol: symbol(HOT),
                mode: SafetyMode::Quiet,
                causes: Vec::new(),
                quiet_until: None,
                hard_block_until: None,
                is_quarantine: false,
            });
        }),
    ];
    for (name, spoil) in spoil {
        let (mut i, mut c) = (input(N), shadowed());
        spoil(&mut i, &mut c);
        assert_eq!(open(&i, &c), [], "{name}");
    }
}

#[test]
fn a_lock_is_an_economic_refusal() {
    let mut i = input(N);
    i.locks.push(ExecLockRow {
        symbol: symbol(HOT),
        owner: "exit".to_owned(),
        fencing_token: FencingToken(7),
        expires_at: NOW.plus_millis(10_000),
    });
    let found = open(&i, &config());
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|o| o.blocker == Blocker::SymbolLocked), "{found:#?}");
}

#[test]
fn a_finalist_that_a_rule_refused_opens_in_the_stage_of_its_refusal() {
    let mut c = config();
    c.risk_max_trades_per_day = 0;
    let decision = decide(&input(N), &c);
    let finalist = &decision.finalists[0];
    assert_eq!(finalist.blocker, Some(Blocker::RiskBlocked));
    let found = open(&input(N), &c);
    assert_eq!(found.len(), 1, "its other horizons lost to it: {found:#?}");
    assert_eq!((found[0].stage, found[0].blocker), (StageName::RiskVerdict, Blocker::RiskBlocked));
    assert_eq!(found[0].candidate.ordinal, finalist.ordinal);
}

#[test]
fn an_active_short_opens_whatever_it_promises_and_is_no_candidate() {
    let mut i = input(N);
    falling(&mut i.states[HOT]);
    let decision = decide(&i, &config());
    let found = open(&i, &config());
    assert_eq!(found.len(), 3, "{found:#?}");
    for opening in &found {
        assert_eq!(opening.way.direction, Direction::Short);
        assert_eq!(opening.way.route_type, RouteType::BreakoutContinuation);
        let t = &opening.trade;
        assert!(t.sl_price.unwrap() > t.ref_price && t.tp_price.unwrap() < t.ref_price);
        let same = |c: &&penstock_trading::decide::Candidate| {
            c.symbol == symbol(HOT) && c.ordinal == opening.candidate.ordinal
        };
        assert!(decision.candidates.iter().find(same).is_none(), "its number is its own");
    }
    // The same symbol rising the same way, seen by a strategy that is a shadow, has the same costs.
    let mut rising = input(N);
    hot(&mut rising.states[HOT]);
    let long = open(&rising, &shadowed());
    assert_eq!(long.len(), 2);
    for (short, long) in found.iter().zip(&long) {
        assert_eq!(short.candidate.terms, long.candidate.terms);
        assert_eq!(short.promise_bps, long.promise_bps);
    }
    assert!(found[2].promise_bps < Decimal::ZERO, "one that does not pay its fees opens too");
    let mut off = config();
    off.route.breakout_continuation = Participation::Off;
    assert_eq!(open(&i, &off), [], "a route that is off is not judged either way");
}

#[test]
fn in_chaos_every_way_that_promises_enough_is_a_shadow() {
    let mut i = input(N);
    i.states[HOT].regime = Regime::Chaos;
    let found = open(&i, &config());
    assert!(!found.is_empty());
    for opening in &found {
        assert_eq!(opening.way.symbol, symbol(HOT));
        assert_eq!(
            (opening.blocker, opening.way.direction),
            (Blocker::RegimeChaos, Direction::Long)
        );
        assert!(opening.promise_bps > Decimal::ZERO);
        assert_eq!(opening.candidate.regime, Regime::Chaos);
        // A pair that no regime offers is none here either.
        assert_ne!(
            (opening.way.strategy, opening.way.route_type),
            (Strategy::Liquidity, RouteType::BreakoutContinuation)
        );
    }
    let ordinals: BTreeSet<i64> = found.iter().map(|o| o.candidate.ordinal).collect();
    assert_eq!(ordinals.len(), found.len());
}

#[test]
fn a_way_with_a_pending_shadow_opens_no_other_and_leaves_its_place_to_the_next() {
    let (i, c) = (input(N), shadowed());
    let decision = decide(&i, &c);
    let all = openings(&i, &c, &decision, &BTreeSet::new(), MAX);
    let first = openings(&i, &c, &decision, &BTreeSet::new(), 1);
    assert_eq!(first[..], all[..1]);
    let pending: BTreeSet<WayKey> = first.iter().map(|o| o.way.clone()).collect();
    assert_eq!(openings(&i, &c, &decision, &pending, 1)[..], all[1..]);
    assert_eq!(openings(&i, &c, &decision, &BTreeSet::new(), 0), []);
    let horizons: Vec<Horizon> = all.iter().map(|o| o.way.horizon).collect();
    assert_eq!(horizons, [Horizon::Long, Horizon::Medium], "best promise first");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// For any market: the order is total and free of the order of rows, each way comes once, the bound holds, and the
    /// decision stays what it was.
    #[test]
    fn openings_are_bounded_ordered_and_free_of_the_order_of_rows(
        moods in prop::collection::vec(0_u8..5, N),
        max in 0_usize..30,
        turn in 0_usize..N,
    ) {
        let mut i = input(N);
        for (row, mood) in i.states.iter_mut().zip(&moods) {
            match mood {
                0 => hot(row),
                1 => falling(row),
                2 => row.regime = Regime::Chaos,
                3 => row.vwap_dev_bps = Some(dec("-60")),
                _ => {}
            }
        }
        let c = config();
        let decision = decide(&i, &c);
        let hash = decision.outcome_hash();
        let all = openings(&i, &c, &decision, &BTreeSet::new(), usize::MAX);
        let some = openings(&i, &c, &decision, &BTreeSet::new(), max);
        prop_assert_eq!(&some[..], &all[..max.min(all.len())]);
        let ways: BTreeSet<&WayKey> = all.iter().map(|o| &o.way).collect();
        prop_assert_eq!(ways.len(), all.len());
        let key = |o: &Opening| (std::cmp::Reverse(o.promise_bps), o.way.clone());
        prop_assert!(all.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
        let mut turned = i.clone();
        turned.states.rotate_left(turn);
        turned.instruments.rotate_left(turn);
        let again = decide(&turned, &c);
        prop_assert_eq!(openings(&turned, &c, &again, &BTreeSet::new(), max), some);
        prop_assert!(hash.is_ok());
        prop_assert_eq!(decide(&i, &c).outcome_hash().ok(), hash.ok());
    }
}
