//! Protection under tables and random inputs.

use super::{ProtectAction, ProtectInput, StopView, next, retry_ms};
use crate::exit::closing::OrderView;
use crate::exit::market::Market;
use penstock_types::Decimal;
use proptest::prelude::*;

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn input(stop: StopView) -> ProtectInput {
    ProtectInput {
        stop,
        base: d("2.005"),
        sl_price: d("99"),
        min_qty: d("0.1"),
        lot: d("0.01"),
        amend_refusals: 0,
        since_amend_refusal_ms: None,
        ceiling: Some(d("1000000")),
        market: Market::Online,
        failures: 0,
        since_failure_ms: 0,
        since_fence_ms: 60_000,
        stop_is_inherited: false,
    }
}

fn live(qty: &str, cum: &str, trigger: &str) -> StopView {
    StopView {
        order: OrderView::Live,
        qty: d(qty),
        cum_qty: d(cum),
        trigger: d(trigger),
        mutation_open: false,
    }
}

#[test]
fn a_bare_position_gets_a_stop_over_its_floored_base() {
    let place = ProtectAction::Place { qty: d("2"), trigger: d("99") };
    assert_eq!(next(&input(StopView::NONE)), place);
    let mut small = input(StopView::NONE);
    small.base = d("0.09");
    assert_eq!(next(&small), ProtectAction::BelowMinimum);
    let mut failed = input(StopView::NONE);
    failed.failures = 2;
    failed.since_failure_ms = 499;
    assert_eq!(next(&failed), ProtectAction::Wait);
    failed.since_failure_ms = 500;
    assert_eq!(next(&failed), place);
    assert_eq!([1, 2, 3, 4, 9].map(retry_ms), [250, 500, 1_000, 2_000, 2_000]);
}

#[test]
fn quantity_and_level_follow_in_place_and_never_loosen() {
    let more = ProtectAction::Amend { qty: Some(d("2")), trigger: None };
    assert_eq!(next(&input(live("1", "0", "99"))), more);
    // what the stop has sold already counts into its quantity
    let partly = ProtectAction::Amend { qty: Some(d("2.5")), trigger: None };
    assert_eq!(next(&input(live("2", "0.5", "99"))), partly);
    let up = ProtectAction::Amend { qty: None, trigger: Some(d("99")) };
    assert_eq!(next(&input(live("2", "0", "98"))), up);
    assert_eq!(next(&input(live("2", "0", "99.5"))), ProtectAction::Wait, "never down");
    let mut refused = input(live("1", "0", "99"));
    refused.amend_refusals = 2;
    assert_eq!(next(&refused), ProtectAction::Swap);
}

#[test]
fn an_open_answer_a_trigger_and_a_young_fence_are_waited_for() {
    let mut open = live("1", "0", "99");
    open.mutation_open = true;
    assert_eq!(next(&input(open)), ProtectAction::Wait);
    for order in [OrderView::Triggered, OrderView::Canceling, OrderView::Unanswered] {
        let stop = StopView { order, ..live("1", "0", "98") };
        assert_eq!(next(&input(stop)), ProtectAction::Wait, "{order:?}");
    }
    let mut inherited = input(live("1", "0", "99"));
    inherited.stop_is_inherited = true;
    inherited.since_fence_ms = 3_999;
    assert_eq!(next(&inherited), ProtectAction::Wait);
    inherited.since_fence_ms = 4_000;
    assert!(matches!(next(&inherited), ProtectAction::Amend { .. }));
}

#[test]
fn a_market_that_does_not_take_it_is_asked_for_nothing_and_no_stop_is_given_up() {
    for market in Market::ALL {
        let mut bare = input(StopView::NONE);
        bare.market = market;
        let placed = matches!(next(&bare), ProtectAction::Place { .. });
        assert_eq!(placed, market.takes_stop(), "{market:?}");
        for stop in [live("1", "0", "99"), live("2", "0", "98")] {
            let mut changed = input(stop);
            changed.market = market;
            let amended = matches!(next(&changed), ProtectAction::Amend { .. });
            assert_eq!(amended, market.takes_amend(), "{market:?}");
        }
        let mut refused = input(live("1", "0", "99"));
        (refused.market, refused.amend_refusals) = (market, 2);
        assert_eq!(next(&refused) == ProtectAction::Swap, market.takes_stop(), "{market:?}");
    }
}

#[test]
fn a_refused_change_is_asked_for_again_after_a_pause_and_a_level_above_the_bid_waits() {
    let mut level = input(live("2", "0", "98"));
    level.since_amend_refusal_ms = Some(4_999);
    assert_eq!(next(&level), ProtectAction::Wait);
    level.since_amend_refusal_ms = Some(5_000);
    assert!(matches!(next(&level), ProtectAction::Amend { .. }));
    for ceiling in [None, Some(d("98.99"))] {
        level.ceiling = ceiling;
        assert_eq!(next(&level), ProtectAction::Wait, "{ceiling:?}");
    }
    let mut quantity = input(live("1", "0", "98"));
    (quantity.amend_refusals, quantity.since_amend_refusal_ms) = (1, Some(249));
    assert_eq!(next(&quantity), ProtectAction::Wait);
    quantity.since_amend_refusal_ms = Some(250);
    quantity.ceiling = None;
    let grown = ProtectAction::Amend { qty: Some(d("2")), trigger: None };
    assert_eq!(next(&quantity), grown, "the quantity needs no quote");
}

proptest! {
    #[test]
    fn quantity_is_covered_and_never_above_the_base(
        base in 0_i64..100_000, qty in 0_i64..100_000, cum in 0_i64..100_000,
        trigger in 1_i64..200_000, sl in 1_i64..200_000,
    ) {
        let stop = StopView {
            order: OrderView::Live,
            qty: Decimal::new(qty.max(cum), 3),
            cum_qty: Decimal::new(cum, 3),
            trigger: Decimal::new(trigger, 2),
            mutation_open: false,
        };
        let mut view = input(stop);
        view.base = Decimal::new(base, 3);
        view.sl_price = Decimal::new(sl, 2);
        if let ProtectAction::Amend { qty, trigger } = next(&view) {
            if let Some(qty) = qty {
                prop_assert!(qty - stop.cum_qty <= view.base);
            }
            if let Some(trigger) = trigger {
                prop_assert!(trigger > stop.trigger);
            }
            prop_assert!(qty.is_some() || trigger.is_some());
        }
    }
}
