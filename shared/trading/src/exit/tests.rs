//! Exit policies, plan states, triggers and the closing sequence under tables and random ticks.

use super::closing::{self, ClosingAction, ClosingInput, OrderView};
use super::market::{CloseForm, Market};
use super::order::Asked;
use super::plan::{self, PlanEvent};
use super::policy::{PlanTerms, PolicyInput, plan_terms};
use super::regime::{self, Drift, Due, RegimeAction, RegimeWatch};
use super::trigger::{Decision, Quote, RaiseCause, TickInput, judge, stop_ceiling};
use penstock_types::vocab::{ExitPolicy, ExitReason, Horizon, PlanState, Regime, RegimeSub};
use penstock_types::{Decimal, UtcMicros};
use proptest::prelude::*;

pub(super) fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn terms(policy: ExitPolicy, mx: &str, atr: Option<&str>) -> PlanTerms {
    plan_terms(&PolicyInput {
        policy,
        entry_price: d("100"),
        mid: Some(d("99.5")),
        expected_move_bps: d(mx),
        atr_bps: atr.map(d),
        spread_avg_bps: d("2"),
        round_trip_fees_bps: d("30"),
        horizon: Horizon::Medium,
        tick: d("0.01"),
        opened_at: UtcMicros(0),
    })
}

pub(super) fn input(policy: ExitPolicy) -> TickInput {
    let plan = terms(policy, "100", Some("40"));
    TickInput {
        policy,
        avg_entry: d("100"),
        sl_bps: plan.sl_bps,
        sl_price: plan.sl_price,
        tp_bps: plan.tp_bps,
        trail_bps: plan.trail_bps,
        breakeven_arm_bps: plan.breakeven_arm_bps,
        panic_bps: plan.panic_bps,
        time_stop_at: plan.time_stop_at,
        opened_at: UtcMicros(0),
        tp_raised: false,
        peak: d("100"),
        trough: d("100"),
        round_trip_fees_bps: d("30"),
        tick: d("0.01"),
        loss_cap_bps: d("100"),
        loss_since: None,
        mid_300s_ago: None,
        regime: None,
        quote: None,
        quote_age_ms_max: 3_000,
        flatten: false,
        asked: Asked::default(),
        tp_closes: false,
        raised_at: None,
        raise_interval_ms: 5_000,
        now: UtcMicros::from_millis(10_000),
    }
}

pub(super) fn quoted(policy: ExitPolicy, bid: &str, ask: &str) -> TickInput {
    let quote = Quote { bid: d(bid), ask: d(ask), age_ms: 100 };
    TickInput { quote: Some(quote), ..input(policy) }
}

#[test]
fn policies_freeze_the_tables_numbers() {
    let ladder = terms(ExitPolicy::MakerLadder, "100", Some("40"));
    assert_eq!((ladder.sl_bps, ladder.tp_bps), (d("20"), Some(d("100"))));
    assert_eq!((ladder.sl_price, ladder.tp_price), (d("99.8"), Some(d("101"))));
    assert_eq!(ladder.time_stop_at, UtcMicros::from_millis(300_000));
    let trailing = terms(ExitPolicy::TrailingStop, "200", Some("40"));
    assert_eq!((trailing.sl_bps, trailing.trail_bps), (d("100"), Some(d("70"))));
    assert_eq!(trailing.panic_bps, d("200"));
    // an average true range that does not exist yet drops out
    let young = terms(ExitPolicy::TrailingStop, "20", None);
    assert_eq!((young.sl_bps, young.trail_bps), (d("60"), Some(d("60"))));
    let decay = terms(ExitPolicy::TimeDecay, "100", Some("40"));
    assert_eq!((decay.sl_bps, decay.tp_bps), (d("25"), Some(d("60"))));
    let recovered = terms(ExitPolicy::Recovered, "0", None);
    assert_eq!(recovered.sl_price, d("98.01"));
    assert_eq!(recovered.tp_bps, None);
}

#[test]
fn plan_states_take_every_pair_or_refuse_it() {
    for from in PlanState::ALL {
        for event in PlanEvent::ALL {
            let Ok(to) = plan::step(*from, *event) else { continue };
            // base that is gone ends every plan, and nothing else does
            assert_eq!(
                to == PlanState::Closed && *from != to,
                *event == PlanEvent::BaseGone && *from != PlanState::Closed,
                "{from} {event}"
            );
            // a decided close goes back only when the sequence gives up or what is left is dust
            if matches!(from, PlanState::Triggered | PlanState::Exiting)
                && !matches!(to, PlanState::Triggered | PlanState::Exiting | PlanState::Closed)
            {
                let back = matches!(event, PlanEvent::CloseFailed | PlanEvent::BelowMinimum);
                assert!(back, "{from} {event}");
            }
            // armed means acknowledged
            if to == PlanState::Armed && *from != to {
                assert_eq!(*event, PlanEvent::StopAcked, "{from}");
            }
        }
    }
    assert!(plan::step(PlanState::Closed, PlanEvent::StopAcked).is_err());
}

#[test]
fn triggers_act_in_their_order() {
    let ladder = ExitPolicy::MakerLadder;
    // panic before loss cap
    let panic = judge(&quoted(ladder, "97.99", "98.01"));
    assert_eq!(panic.decision, Decision::CloseMarket(ExitReason::PanicExit));
    // the cap needs half a second
    let mut deep = quoted(ladder, "98.9", "98.92");
    let first = judge(&deep);
    assert_eq!(first.decision, Decision::Hold);
    deep.loss_since = first.loss_since;
    deep.now = deep.now.plus_millis(500);
    assert_eq!(judge(&deep).decision, Decision::CloseMarket(ExitReason::LossCap));
    // the operator before all
    deep.flatten = true;
    assert_eq!(judge(&deep).decision, Decision::CloseMarket(ExitReason::Operator));
    // take-profit raises the stop to its distance from the bid
    let tp = judge(&quoted(ladder, "101.1", "101.12"));
    let raised = Decision::Raise { to: d("101.04"), cause: RaiseCause::TakeProfit };
    assert_eq!(tp.decision, raised);
    assert_eq!(stop_ceiling(d("101.1"), d("0.01")), d("101.04"));
    // breakeven, two steps
    let one = judge(&quoted(ladder, "100.34", "100.36"));
    let to_entry = Decision::Raise { to: d("100"), cause: RaiseCause::Breakeven };
    assert_eq!(one.decision, to_entry);
    let two = judge(&quoted(ladder, "100.64", "100.66"));
    let to_fees = Decision::Raise { to: d("100.3"), cause: RaiseCause::Breakeven };
    assert_eq!(two.decision, to_fees);
}

#[test]
fn time_stop_extends_a_trailing_position_once_and_only_in_a_trend() {
    let mut view = quoted(ExitPolicy::TrailingStop, "100.05", "100.07");
    view.now = UtcMicros::from_millis(900_000);
    assert_eq!(judge(&view).decision, Decision::CloseMaker(ExitReason::TimeStop));
    view.regime = Some(Regime::Trend);
    let to = UtcMicros::from_millis(1_020_000);
    assert_eq!(judge(&view).decision, Decision::ExtendTimeStop { to });
    view.time_stop_at = to;
    view.now = to;
    assert_eq!(judge(&view).decision, Decision::CloseMaker(ExitReason::TimeStop));
    view.quote = Some(Quote { bid: d("99.9"), ask: d("99.92"), age_ms: 0 });
    assert_eq!(judge(&view).decision, Decision::CloseMarket(ExitReason::TimeStop));
}

#[test]
fn a_stale_loser_is_closed_and_a_stale_quote_closes_nothing() {
    let mut view = quoted(ExitPolicy::TrailingStop, "99.8", "99.82");
    view.now = UtcMicros::from_millis(300_000);
    view.mid_300s_ago = Some(d("99.83"));
    assert_eq!(judge(&view).decision, Decision::CloseMarket(ExitReason::StalePosition));
    let old = Quote { bid: d("50"), ask: d("50.1"), age_ms: 3_001 };
    view.quote = Some(old);
    assert_eq!(judge(&view).decision, Decision::InputStale);
    view.quote = Some(Quote { bid: d("100.1"), ask: d("100"), age_ms: 0 });
    assert_eq!(judge(&view).decision, Decision::InputStale);
    view.flatten = true;
    assert_eq!(judge(&view).decision, Decision::CloseMarket(ExitReason::Operator));
}

#[test]
fn a_decaying_take_profit_falls_to_fees_at_its_time_stop() {
    let mut view = quoted(ExitPolicy::TimeDecay, "100.4", "100.42");
    assert_eq!(super::trigger::take_profit_bps(&view), Some(d("59.0667")));
    view.now = view.time_stop_at;
    assert_eq!(super::trigger::take_profit_bps(&view), Some(d("32")));
}

const DRIFTS: [Drift; 4] = [Drift::With, Drift::Still, Drift::Falling, Drift::Against];

/// What the table says: rows are the regime at entry, columns the present one.
fn by_table(then: Regime, now: Regime, sub: Option<RegimeSub>, drift: Drift) -> RegimeAction {
    use Regime::{Chaos, HighVolatility, LowLiquidity, Range, Trend};
    use RegimeAction::{Close, Keep, TakeProfitAtFees, TightenPct, TrailOnly};
    let close_if = |close: bool, other| if close { Close } else { other };
    let rides = sub == Some(RegimeSub::ChaosDirectional) && drift == Drift::With;
    let falls = matches!(drift, Drift::Falling | Drift::Against);
    match then {
        Range => match now {
            Range => Keep,
            Trend => close_if(falls, TrailOnly),
            HighVolatility => TightenPct(60),
            LowLiquidity => TakeProfitAtFees,
            Chaos => Close,
        },
        Trend => match now {
            Range | LowLiquidity => TightenPct(50),
            Trend => close_if(drift == Drift::Against, Keep),
            HighVolatility => TightenPct(80),
            Chaos => close_if(!rides, TightenPct(60)),
        },
        HighVolatility => match now {
            Range | LowLiquidity => TightenPct(50),
            Trend | HighVolatility => Keep,
            Chaos => close_if(!rides, TightenPct(60)),
        },
        LowLiquidity => match now {
            Range | LowLiquidity => Keep,
            Trend => close_if(falls, Keep),
            HighVolatility => close_if(ANY_PROFIT < Decimal::ZERO, Keep),
            Chaos => Close,
        },
        Chaos => close_if(now == Chaos, Keep),
    }
}

#[test]
fn regimes_decide_every_pair() {
    for then in Regime::ALL {
        for now in Regime::ALL {
            for sub in [None, Some(RegimeSub::ChaosDirectional), Some(RegimeSub::ChaosNoise)] {
                for drift in DRIFTS {
                    let act = regime::action(*then, *now, sub, drift, ANY_PROFIT);
                    let wanted = by_table(*then, *now, sub, drift);
                    assert_eq!(act, wanted, "{then:?} {now:?} {sub:?} {drift:?}");
                }
            }
        }
    }
    let losing = regime::action(
        Regime::LowLiquidity,
        Regime::HighVolatility,
        None,
        Drift::With,
        -ANY_PROFIT,
    );
    assert_eq!(losing, RegimeAction::Close);
}

#[test]
fn a_regime_tightens_once_and_closes_when_its_pair_begins_to_ask_for_it() {
    let chaos = |sub, drift| {
        regime::action(Regime::HighVolatility, Regime::Chaos, Some(sub), drift, ANY_PROFIT)
    };
    // The rise becomes chaos: the stop is tightened, once.
    let rise = chaos(RegimeSub::ChaosDirectional, Drift::With);
    assert_eq!(regime::due(None, Regime::Chaos, rise), Due::First);
    let acted = Some((Regime::Chaos, rise));
    assert_eq!(regime::due(acted, Regime::Chaos, rise), Due::Nothing);
    // The fall takes the rise back: still the same regime, and the pair says close.
    for fall in [
        chaos(RegimeSub::ChaosNoise, Drift::With),
        chaos(RegimeSub::ChaosDirectional, Drift::Still),
        chaos(RegimeSub::ChaosDirectional, Drift::Falling),
    ] {
        assert_eq!(regime::due(acted, Regime::Chaos, fall), Due::First);
        let acted = Some((Regime::Chaos, fall));
        assert_eq!(regime::due(acted, Regime::Chaos, fall), Due::Again, "until it is taken");
    }
    // Another regime may ask for the same again.
    assert_eq!(regime::due(acted, Regime::Range, RegimeAction::TightenPct(60)), Due::First);
    assert_eq!(regime::due(acted, Regime::Chaos, RegimeAction::Keep), Due::Nothing);
}

const ANY_PROFIT: Decimal = Decimal::ONE;

#[test]
fn a_regime_settles_by_time_and_publications_and_chaos_at_once() {
    let mut watch = RegimeWatch::new(UtcMicros(0));
    assert_eq!(watch.drift(UtcMicros(0)), Drift::Still);
    for n in 0..=20 {
        let at = UtcMicros::from_millis(n * 1_000);
        watch.observe(Regime::Trend, d("-1"), at);
        let wanted = if n < 20 { Drift::Falling } else { Drift::Against };
        assert_eq!(watch.drift(at), wanted, "after {n} s");
    }
    let now = UtcMicros::from_millis(20_000);
    assert_eq!(watch.settled(now), Some(Regime::Trend));
    assert_eq!(watch.drift(now), Drift::Against);
    watch.observe(Regime::Chaos, d("1"), now);
    assert_eq!(watch.settled(now), Some(Regime::Chaos));
    assert_eq!(watch.drift(now), Drift::With);
    watch.observe(Regime::Range, d("0"), now);
    assert_eq!(watch.settled(now), None);
    assert_eq!(watch.drift(now), Drift::Still);
    watch.observe(Regime::Range, d("-1"), now);
    assert_eq!(watch.drift(now), Drift::Falling);
}

const VIEWS: [OrderView; 6] = [
    OrderView::Gone,
    OrderView::Unanswered,
    OrderView::Live,
    OrderView::Triggered,
    OrderView::Canceling,
    OrderView::Doubtful,
];

fn closing_input(stop: OrderView, close: OrderView) -> ClosingInput {
    ClosingInput {
        stop,
        close,
        entry: OrderView::Gone,
        urgent: false,
        close_rests: false,
        maker_wanted: false,
        base: d("1.005"),
        available: d("1.005"),
        min_qty: d("0.1"),
        lot: d("0.01"),
        attempts: 0,
        since_decided_ms: 0,
        since_cancel_ms: 0,
        since_close_ms: 0,
        since_short_ms: 0,
        maker_rest_ms: 10_000,
        maker_void: false,
        market: Market::Online,
        refusals: 0,
        since_refusal_ms: 0,
    }
}

#[test]
fn nothing_is_sold_while_the_stop_may_live() {
    for stop in VIEWS {
        for close in VIEWS {
            for entry in VIEWS {
                for ms in [0, 2_000, 5_000, 60_000] {
                    let mut view = closing_input(stop, close);
                    view.entry = entry;
                    (view.since_cancel_ms, view.since_close_ms, view.since_short_ms) = (ms, ms, ms);
                    view.since_decided_ms = ms;
                    if let ClosingAction::Submit { qty, .. } = closing::next(&view) {
                        assert_eq!((stop, close), (OrderView::Gone, OrderView::Gone));
                        assert_ne!(entry, OrderView::Live);
                        assert_eq!(qty, d("1"));
                    }
                }
            }
        }
    }
}

#[test]
fn the_sequence_cancels_entry_then_stop_then_sells_what_is_free() {
    let mut view = closing_input(OrderView::Live, OrderView::Gone);
    view.entry = OrderView::Live;
    assert_eq!(closing::next(&view), ClosingAction::CancelEntry);
    view.entry = OrderView::Canceling;
    assert_eq!(closing::next(&view), ClosingAction::CancelStop);
    view.stop = OrderView::Canceling;
    assert_eq!(closing::next(&view), ClosingAction::Wait);
    view.since_cancel_ms = 2_000;
    assert_eq!(closing::next(&view), ClosingAction::LookUpStop);
    view.since_cancel_ms = 5_000;
    assert_eq!(closing::next(&view), ClosingAction::StopUnknown);
    view.stop = OrderView::Gone;
    assert_eq!(closing::next(&view), ClosingAction::Wait, "the entry may still fill");
    view.urgent = true;
    let sell = ClosingAction::Submit { qty: d("1"), form: CloseForm::Market };
    assert_eq!(closing::next(&view), sell);
    view.available = d("0.5");
    assert_eq!(closing::next(&view), ClosingAction::Wait, "the balance may lag the fill");
    view.since_short_ms = 2_000;
    assert_eq!(
        closing::next(&view),
        ClosingAction::Submit { qty: d("0.5"), form: CloseForm::Market }
    );
    view.available = Decimal::ZERO;
    assert_eq!(closing::next(&view), ClosingAction::ReadBalance);
    view.since_short_ms = 4_000;
    assert_eq!(closing::next(&view), ClosingAction::RearmStop, "never dust by the balance");
}

#[test]
fn a_maker_close_gives_up_for_market_and_five_attempts_end_the_sequence() {
    let mut view = closing_input(OrderView::Gone, OrderView::Gone);
    view.maker_wanted = true;
    assert_eq!(closing::next(&view), ClosingAction::Submit { qty: d("1"), form: CloseForm::Rest });
    view.close = OrderView::Live;
    view.close_rests = true;
    assert_eq!(closing::next(&view), ClosingAction::Wait);
    view.maker_void = true;
    assert_eq!(closing::next(&view), ClosingAction::CancelClose);
    view.close = OrderView::Gone;
    view.attempts = 1;
    assert_eq!(
        closing::next(&view),
        ClosingAction::Submit { qty: d("1"), form: CloseForm::Market }
    );
    view.attempts = 5;
    assert_eq!(closing::next(&view), ClosingAction::GiveUp);
    view.base = d("0.05");
    assert_eq!(closing::next(&view), ClosingAction::Dust);
    view.base = Decimal::ZERO;
    assert_eq!(closing::next(&view), ClosingAction::Done);
}

/// Everything that a close may find, in every state of the market.
#[test]
fn no_stop_is_cancelled_for_a_close_that_the_market_cannot_take() {
    for market in Market::ALL {
        for stop in VIEWS {
            for close in VIEWS {
                for entry in VIEWS {
                    for ms in [0, 2_000, 5_000, 60_000] {
                        let mut view = closing_input(stop, close);
                        (view.entry, view.market, view.maker_wanted) = (entry, market, ms == 0);
                        (view.since_cancel_ms, view.since_close_ms) = (ms, ms);
                        view.since_decided_ms = ms;
                        let action = closing::next(&view);
                        let sells = matches!(action, ClosingAction::Submit { .. });
                        assert!(!sells || market.close(view.maker_wanted).is_some(), "{view:?}");
                        match action {
                            ClosingAction::CancelStop => {
                                assert!(market.matches() || close != OrderView::Gone, "{view:?}");
                                assert!(market.takes_cancel(), "{view:?}");
                            }
                            ClosingAction::CancelEntry => assert!(market.takes_cancel()),
                            ClosingAction::CancelClose => assert!(market.matches()),
                            _ => {}
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn refused_closes_are_repeated_with_growing_pauses_and_a_market_without_stops_has_no_end_of_them() {
    let pauses = [0, 1, 2, 3, 4, 5, 6, 60].map(closing::refused_pause_ms);
    assert_eq!(pauses, [0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    let mut view = closing_input(OrderView::Gone, OrderView::Gone);
    (view.refusals, view.since_refusal_ms) = (3, 999);
    assert_eq!(closing::next(&view), ClosingAction::Wait);
    view.since_refusal_ms = 1_000;
    assert_eq!(
        closing::next(&view),
        ClosingAction::Submit { qty: d("1"), form: CloseForm::Market }
    );
    view.attempts = 5;
    assert_eq!(closing::next(&view), ClosingAction::GiveUp);
    for (market, wanted) in [
        (Market::LimitOnly, ClosingAction::Submit { qty: d("1"), form: CloseForm::Limit }),
        (Market::PostOnly, ClosingAction::Submit { qty: d("1"), form: CloseForm::Rest }),
        (Market::CancelOnly, ClosingAction::Wait),
        (Market::Closed, ClosingAction::Wait),
    ] {
        view.market = market;
        assert_eq!(closing::next(&view), wanted, "{market:?}");
    }
}

proptest! {
    /// A stop never loosens, stays below the bid, and moves in steps that are worth an amend.
    #[test]
    fn raises_are_monotone(
        policy in 0_usize..4,
        moves in prop::collection::vec((-60_i64..60, 0_i64..4_000), 1..200)
    ) {
        let policy = ExitPolicy::ALL[policy];
        let mut view = input(policy);
        let mut mid = 10_000_i64;
        for (step, ms) in moves {
            mid = (mid + step).max(5_000);
            view.now = view.now.plus_millis(ms);
            let quote = Quote {
                bid: Decimal::new(mid - 1, 2),
                ask: Decimal::new(mid + 1, 2),
                age_ms: 0,
            };
            view.quote = Some(quote);
            let tick = judge(&view);
            (view.peak, view.trough, view.loss_since) = (tick.peak, tick.trough, tick.loss_since);
            match tick.decision {
                Decision::Raise { to, cause } => {
                    prop_assert!(to > view.sl_price);
                    prop_assert!(to <= stop_ceiling(quote.bid, view.tick));
                    view.sl_price = to;
                    view.raised_at = Some(view.now);
                    view.tp_raised |= cause == RaiseCause::TakeProfit;
                }
                Decision::ExtendTimeStop { to } => view.time_stop_at = to,
                Decision::CloseMarket(_) | Decision::CloseMaker(_) => break,
                Decision::Hold | Decision::InputStale | Decision::AwaitStop => {}
                Decision::Regime(_) | Decision::Engine(_) => prop_assert!(false, "nobody asked"),
            }
        }
    }
}
