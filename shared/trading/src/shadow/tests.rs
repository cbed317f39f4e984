//! Every pair of what a step can show, and what must hold of every price path.

use super::*;
use crate::cell::Source;
use crate::exit::policy::PolicyInput;
use crate::fixtures::{NOW, dec};
use penstock_types::UtcMicros;
use penstock_types::vocab::ExitPolicy;
use proptest::prelude::*;

fn policy(policy: ExitPolicy) -> PolicyInput {
    PolicyInput {
        policy,
        entry_price: dec("100"),
        mid: Some(dec("100")),
        expected_move_bps: dec("200"),
        atr_bps: Some(dec("20")),
        spread_avg_bps: dec("2"),
        round_trip_fees_bps: dec("40"),
        horizon: Horizon::Short,
        tick: dec("0.01"),
        opened_at: NOW,
    }
}

fn trade(direction: Direction, of: ExitPolicy) -> ShadowTrade {
    ShadowTrade::new(direction, &policy(of), dec("45"))
}

fn at(ms: i64) -> UtcMicros {
    NOW.plus_millis(ms)
}

fn ended(step: Step) -> Option<(ShadowOutcome, Option<Decimal>, Option<Decimal>)> {
    match step {
        Step::Pending(_) => None,
        Step::Ended(end) => Some((end.outcome, end.exit_price, end.result_bps)),
    }
}

#[test]
fn a_short_is_the_mirror_image_of_a_long() {
    let long = trade(Direction::Long, ExitPolicy::MakerLadder);
    let short = trade(Direction::Short, ExitPolicy::MakerLadder);
    assert_eq!((long.sl_price, long.tp_price), (Some(dec("99.8")), Some(dec("101.5"))));
    assert_eq!((short.sl_price, short.tp_price), (Some(dec("100.2")), Some(dec("98.5"))));
    assert_eq!((long.expires_at, short.expires_at), (at(120_000), at(120_000)));
    let uneven = PolicyInput { tick: dec("0.07"), ..policy(ExitPolicy::MakerLadder) };
    let (long, short) = (
        ShadowTrade::new(Direction::Long, &uneven, dec("0")),
        ShadowTrade::new(Direction::Short, &uneven, dec("0")),
    );
    assert!(long.sl_price.unwrap() >= dec("99.8"), "the stop's tick is the nearer one");
    assert!(short.sl_price.unwrap() <= dec("100.2"), "and so is its mirror image");
}

/// Where the mid of a step may lie, seen in the direction of the trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Missing,
    Nothing,
    BelowStop,
    AtStop,
    Between,
    AtTarget,
    AboveTarget,
}

const PLACES: [Place; 7] = [
    Place::Missing,
    Place::Nothing,
    Place::BelowStop,
    Place::AtStop,
    Place::Between,
    Place::AtTarget,
    Place::AboveTarget,
];

/// When the state of a step was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    BeforeOpening,
    AtOpening,
    Alive,
    AtExpiry,
    LastThatTells,
    TooLate,
}

const TIMES: [When; 6] = [
    When::BeforeOpening,
    When::AtOpening,
    When::Alive,
    When::AtExpiry,
    When::LastThatTells,
    When::TooLate,
];

#[test]
fn every_pair_of_place_and_time_has_its_outcome() {
    for direction in Direction::ALL {
        let trade = trade(*direction, ExitPolicy::MakerLadder);
        let (stop, target) = (trade.sl_price.unwrap(), trade.tp_price.unwrap());
        let step_up = match direction {
            Direction::Long => dec("0.01"),
            Direction::Short => dec("-0.01"),
        };
        for place in PLACES {
            let mid = match place {
                Place::Missing => None,
                Place::Nothing => Some(dec("0")),
                Place::BelowStop => Some(stop - step_up),
                Place::AtStop => Some(stop),
                Place::Between => Some(trade.ref_price + step_up),
                Place::AtTarget => Some(target),
                Place::AboveTarget => Some(target + step_up),
            };
            for when in TIMES {
                let time = match when {
                    When::BeforeOpening => at(-1),
                    When::AtOpening => at(0),
                    When::Alive => at(1_000),
                    When::AtExpiry => trade.expires_at,
                    When::LastThatTells => trade.expires_at.plus_millis(VOID_AFTER_EXPIRY_MS),
                    When::TooLate => trade.expires_at.plus_millis(VOID_AFTER_EXPIRY_MS + 1),
                };
                let is_over = matches!(when, When::AtExpiry | When::LastThatTells);
                let want = match (place, when) {
                    (_, When::TooLate) => Some(ShadowOutcome::Void),
                    (_, When::BeforeOpening | When::AtOpening)
                    | (Place::Missing | Place::Nothing, _) => None,
                    (Place::BelowStop | Place::AtStop, _) => Some(ShadowOutcome::Sl),
                    (Place::AtTarget | Place::AboveTarget, _) => Some(ShadowOutcome::Tp),
                    (Place::Between, _) => is_over.then_some(ShadowOutcome::Timeout),
                };
                let got = ended(step(&trade, Excursion::default(), mid, time));
                assert_eq!(got.map(|g| g.0), want, "{direction} {place:?} {when:?}");
                let price = match want {
                    Some(ShadowOutcome::Sl) => Some(stop),
                    Some(ShadowOutcome::Tp) => Some(target),
                    Some(ShadowOutcome::Timeout) => mid,
                    Some(ShadowOutcome::Void | ShadowOutcome::Pending) | None => None,
                };
                assert_eq!(got.and_then(|g| g.1), price, "{direction} {place:?} {when:?}");
                let gross = match want {
                    Some(ShadowOutcome::Sl) => Some(dec("-20")),
                    Some(ShadowOutcome::Tp) => Some(dec("150")),
                    Some(ShadowOutcome::Timeout) => Some(dec("1")),
                    Some(ShadowOutcome::Void | ShadowOutcome::Pending) | None => None,
                };
                let net = gross.map(|gross| gross - dec("45"));
                assert_eq!(got.and_then(|g| g.2), net, "{direction} {place:?} {when:?}");
            }
        }
    }
}

#[test]
fn a_step_that_shows_both_ends_is_the_stop() {
    let crossed = ShadowTrade {
        tp_price: Some(dec("99")),
        ..trade(Direction::Long, ExitPolicy::MakerLadder)
    };
    let got = ended(step(&crossed, Excursion::default(), Some(dec("99.5")), at(1_000)));
    assert_eq!(got.map(|g| g.0), Some(ShadowOutcome::Sl));
}

#[test]
fn the_target_of_the_decaying_policy_falls_to_its_fees() {
    for (direction, first, last) in
        [(Direction::Long, "101.2", "100.42"), (Direction::Short, "98.8", "99.58")]
    {
        let trade = trade(direction, ExitPolicy::TimeDecay);
        assert_eq!(trade.target_at(NOW), Some(dec(first)), "{direction}");
        assert_eq!(trade.target_at(trade.expires_at), Some(dec(last)), "{direction}");
    }
    let still = trade(Direction::Long, ExitPolicy::TrailingStop);
    assert_eq!(still.target_at(NOW), still.target_at(still.expires_at));
}

#[test]
fn without_known_costs_there_is_no_result() {
    let unknown = ShadowTrade { cost_bps: None, ..trade(Direction::Long, ExitPolicy::MakerLadder) };
    let got = ended(step(&unknown, Excursion::default(), Some(dec("90")), at(1_000)));
    assert_eq!(got, Some((ShadowOutcome::Void, None, None)));
}

#[test]
fn only_what_could_have_been_traded_and_was_worth_it_is_wanted() {
    let also = Blocker::StrategyMismatch;
    let wanted = |direction, blocker| source(direction, &[also, blocker], Some(dec("0")));
    for blocker in Blocker::ALL {
        let made = [Blocker::PositionOpen, Blocker::SymbolLocked, Blocker::RegimeChaos];
        let want =
            if made.contains(blocker) { Source::ShadowUnwanted } else { Source::ShadowWanted };
        assert_eq!(wanted(Direction::Long, *blocker), want, "{blocker}");
        assert_eq!(wanted(Direction::Short, *blocker), Source::ShadowUnwanted, "{blocker}");
        for surplus in [None, Some(dec("-0.0001"))] {
            let got = source(Direction::Long, &[*blocker], surplus);
            assert_eq!(got, Source::ShadowUnwanted, "{blocker}");
        }
    }
}

proptest! {
    /// Along every path of mids: it ends exactly once and stays within its levels, what was seen only widens, and a
    /// short on the mirrored path comes to the same.
    #[test]
    fn every_path_ends_once_and_its_mirror_image_alike(
        moves in prop::collection::vec((-400_i64..400, 1_i64..40_000, prop::bool::weighted(0.9)), 1..80),
        of in prop::sample::select(ExitPolicy::ALL.to_vec()),
    ) {
        let fine = PolicyInput { tick: dec("0.000001"), ..policy(of) };
        let both = [Direction::Long, Direction::Short].map(|d| ShadowTrade::new(d, &fine, dec("45")));
        let mut seen = [Excursion::default(); 2];
        let (mut bps, mut ms) = (0_i64, 0_i64);
        for (change, waited, is_valid) in moves {
            bps = (bps + change).clamp(-5_000, 5_000);
            ms += waited;
            let mids = [bps, -bps].map(|b| is_valid.then(|| dec("100") + Decimal::new(b, 2)));
            let steps = [0, 1].map(|i| step(&both[i], seen[i], mids[i], at(ms)));
            match (steps[0], steps[1]) {
                (Step::Pending(long), Step::Pending(short)) => {
                    prop_assert_eq!(long, short);
                    prop_assert!(long.mfe_bps >= seen[0].mfe_bps && long.mae_bps <= seen[0].mae_bps);
                    prop_assert!(at(ms) < both[0].expires_at || !is_valid);
                    seen = [long, short];
                }
                (Step::Ended(long), Step::Ended(short)) => {
                    prop_assert_eq!((long.outcome, long.result_bps), (short.outcome, short.result_bps));
                    prop_assert_eq!(long.outcome == ShadowOutcome::Void, long.result_bps.is_none());
                    prop_assert!(long.outcome != ShadowOutcome::Pending);
                    if let Some(net) = long.result_bps {
                        let gross = net + dec("45");
                        prop_assert!(long.outcome == ShadowOutcome::Timeout
                            || (long.outcome == ShadowOutcome::Tp) == (gross > Decimal::ZERO));
                    }
                    return Ok(());
                }
                other => prop_assert!(false, "one ended alone: {:?}", other),
            }
        }
    }
}
