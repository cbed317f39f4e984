//! Each trigger alone, each neighbouring pair at once, and every subset of what may stand at one time.

use super::{Asked, Trigger, asks};
use crate::exit::regime::RegimeAction;
use crate::exit::review::ReviewAction;
use crate::exit::tests::{d, quoted};
use crate::exit::trigger::{Decision, Moment, Quote, RaiseCause, TickInput, judge};
use penstock_types::vocab::{ExitPolicy, ExitReason};
use penstock_types::{Decimal, UtcMicros};

/// Triggers that ask, whatever the others do.
fn asking(view: &TickInput) -> Vec<Trigger> {
    let Some(at) = Moment::of(view) else { return Vec::new() };
    Trigger::ALL.into_iter().filter(|trigger| asks(*trigger, &at).is_some()).collect()
}

/// A quiet position that entered at 100 with its stop at 99; nothing asks.
fn quiet() -> TickInput {
    let view = TickInput {
        sl_bps: d("100"),
        sl_price: d("99"),
        panic_bps: d("200"),
        tp_bps: Some(d("100")),
        trail_bps: Some(d("70")),
        ..quoted(ExitPolicy::TrailingStop, "99.99", "100.01")
    };
    assert_eq!(asking(&view), []);
    assert_eq!(judge(&view).decision, Decision::Hold);
    view
}

fn at(view: TickInput, bid: &str, ask: &str) -> TickInput {
    TickInput { quote: Some(Quote { bid: d(bid), ask: d(ask), age_ms: 0 }), ..view }
}

/// Old enough for the stale loser, its time not up.
fn aged(view: TickInput) -> TickInput {
    TickInput { now: UtcMicros::from_millis(300_000), ..view }
}

fn timed_out(view: TickInput) -> TickInput {
    TickInput { now: UtcMicros::from_millis(900_000), ..view }
}

/// A loss beyond the cap of 125 for half a second.
fn capped(view: TickInput) -> TickInput {
    let since = Some(view.now.plus_millis(-500));
    TickInput { loss_since: since, ..at(view, "98.7", "98.72") }
}

fn asked(view: TickInput, asked: Asked) -> TickInput {
    TickInput { asked, ..view }
}

const FIRED: Asked = Asked { stop_fired: true, regime: None, engine: None };
const REGIME: Asked = Asked { stop_fired: false, regime: Some(RegimeAction::Close), engine: None };
const ENGINE: Asked =
    Asked { stop_fired: false, regime: None, engine: Some(ReviewAction::Tighten) };

/// A view in which one trigger alone asks.
fn alone(trigger: Trigger) -> TickInput {
    let view = quiet();
    match trigger {
        Trigger::Operator => TickInput { flatten: true, ..view },
        Trigger::Panic => at(view, "97.9", "97.92"),
        Trigger::LossCap => capped(view),
        Trigger::Stop => asked(view, FIRED),
        Trigger::Regime => asked(view, REGIME),
        Trigger::Engine => asked(view, ENGINE),
        // No trail, and the stop is already above what breakeven asks for.
        Trigger::TakeProfit => {
            TickInput { trail_bps: None, sl_price: d("100.5"), ..at(view, "101.1", "101.12") }
        }
        Trigger::TimeStop => timed_out(view),
        Trigger::StaleLoser => TickInput { mid_300s_ago: Some(d("100")), ..aged(view) },
        Trigger::Breakeven => TickInput { trail_bps: None, ..at(view, "100.34", "100.36") },
        Trigger::Trail => at(view, "100.26", "100.28"),
    }
}

/// A view in which a trigger and the next one ask, and no other.
fn both(first: Trigger) -> Option<(Trigger, TickInput)> {
    let view = quiet();
    Some(match first {
        Trigger::Operator => (Trigger::Panic, TickInput { flatten: true, ..alone(Trigger::Panic) }),
        Trigger::Panic => (Trigger::LossCap, at(capped(view), "97.9", "97.92")),
        Trigger::LossCap => (Trigger::Stop, asked(capped(view), FIRED)),
        Trigger::Stop => (Trigger::Regime, asked(view, Asked { stop_fired: true, ..REGIME })),
        Trigger::Regime => {
            (Trigger::Engine, asked(view, Asked { regime: REGIME.regime, ..ENGINE }))
        }
        Trigger::Engine => (Trigger::TakeProfit, asked(alone(Trigger::TakeProfit), ENGINE)),
        Trigger::TakeProfit => (Trigger::TimeStop, timed_out(alone(Trigger::TakeProfit))),
        Trigger::TimeStop => (Trigger::StaleLoser, timed_out(alone(Trigger::StaleLoser))),
        // A loser has no room for a stop at its entry: see the test of its own.
        Trigger::StaleLoser => return None,
        Trigger::Breakeven => (Trigger::Trail, at(view, "100.34", "100.36")),
        Trigger::Trail => return None,
    })
}

/// What each decides.
fn wanted(trigger: Trigger) -> Decision {
    let raise = |to: &str, cause| Decision::Raise { to: d(to), cause };
    match trigger {
        Trigger::Operator => Decision::CloseMarket(ExitReason::Operator),
        Trigger::Panic => Decision::CloseMarket(ExitReason::PanicExit),
        Trigger::LossCap => Decision::CloseMarket(ExitReason::LossCap),
        Trigger::Stop => Decision::AwaitStop,
        Trigger::Regime => Decision::Regime(RegimeAction::Close),
        Trigger::Engine => Decision::Engine(ReviewAction::Tighten),
        Trigger::TakeProfit => raise("101.04", RaiseCause::TakeProfit),
        Trigger::TimeStop => Decision::CloseMarket(ExitReason::TimeStop),
        Trigger::StaleLoser => Decision::CloseMarket(ExitReason::StalePosition),
        Trigger::Breakeven => raise("100", RaiseCause::Breakeven),
        Trigger::Trail => raise("99.57", RaiseCause::Trail),
    }
}

#[test]
fn each_of_the_eleven_triggers_acts_alone() {
    for trigger in Trigger::ALL {
        let view = alone(trigger);
        assert_eq!(asking(&view), [trigger], "{trigger:?} alone");
        let tick = judge(&view);
        assert_eq!((tick.trigger, tick.decision), (Some(trigger), wanted(trigger)));
    }
}

#[test]
fn of_each_neighbouring_pair_at_once_the_earlier_acts() {
    let mut pairs = 0;
    for first in Trigger::ALL {
        let Some((second, view)) = both(first) else { continue };
        assert_eq!(asking(&view), [first, second], "{first:?} and {second:?}, and no other");
        let tick = judge(&view);
        assert_eq!((tick.trigger, tick.decision), (Some(first), wanted(first)), "{first:?}");
        pairs += 1;
    }
    assert_eq!(pairs, 9, "the tenth pair is the next test");
}

#[test]
fn a_stale_loser_whose_peak_had_reached_breakeven_is_closed_and_no_stop_fits_above_its_bid() {
    // The peak of 40 reached the first step; now it loses one and has not moved for five minutes.
    let reached = TickInput { peak: d("100.4"), trail_bps: None, ..quiet() };
    assert_eq!(judge(&reached).decision, Decision::Hold, "the level is above the bid");
    let stale = TickInput { mid_300s_ago: Some(d("100")), ..aged(reached) };
    assert_eq!(judge(&stale).decision, wanted(Trigger::StaleLoser));
    // With room below the bid the step acts, and then it is no loser.
    let room = at(stale, "100.1", "100.12");
    assert_eq!(asking(&room), [Trigger::Breakeven]);
    assert_eq!(judge(&room).decision, wanted(Trigger::Breakeven));
}

#[test]
fn of_whatever_stands_at_once_the_first_in_order_acts() {
    // Prices, times and what others ask for, in all combinations: 6 × 3 × 2 × 8 × 2 views.
    let (mut judged, mut at_once) = (0, 0);
    for (bid, ask) in [
        ("97.9", "97.92"),
        ("98.7", "98.72"),
        ("99.99", "100.01"),
        ("100.26", "100.28"),
        ("100.34", "100.36"),
        ("101.1", "101.12"),
    ] {
        for ms in [10_000, 300_000, 900_000] {
            for before in [None, Some(d("100"))] {
                for bits in 0..8_u8 {
                    for flatten in [false, true] {
                        let now = UtcMicros::from_millis(ms);
                        let view = TickInput {
                            now,
                            flatten,
                            mid_300s_ago: before,
                            loss_since: Some(now.plus_millis(-500)),
                            asked: Asked {
                                stop_fired: bits & 1 != 0,
                                regime: (bits & 2 != 0).then_some(RegimeAction::Close),
                                engine: (bits & 4 != 0).then_some(ReviewAction::Tighten),
                            },
                            ..at(quiet(), bid, ask)
                        };
                        let all = asking(&view);
                        assert_eq!(judge(&view).trigger, all.first().copied());
                        judged += 1;
                        at_once += usize::from(all.len() > 1);
                    }
                }
            }
        }
    }
    println!("{judged} views judged, {at_once} with more than one trigger");
    assert_eq!(judged, 576);
    assert!(at_once > 400, "{at_once}");
}

#[test]
fn without_a_quote_the_operator_alone_is_heard() {
    for trigger in Trigger::ALL {
        let view = TickInput { quote: None, ..alone(trigger) };
        let heard = if trigger == Trigger::Operator {
            (Some(trigger), wanted(trigger))
        } else {
            (None, Decision::InputStale)
        };
        let tick = judge(&view);
        assert_eq!((tick.trigger, tick.decision, tick.loss_since), (heard.0, heard.1, None));
    }
    assert_eq!(
        Decimal::ZERO,
        judge(&TickInput { quote: None, ..quiet() }).g_bps.unwrap_or_default()
    );
}
