//! One story per kind of order.

use super::desk::{Desk, S, dec, limit, market, stop};
use crate::account::{AddOrder, ExecType as E, OrderStatus, SelfTrade, TimeInForce};
use crate::exchange::{Qty, Side};
use rstest::rstest;

fn change(mut order: AddOrder, change: impl FnOnce(&mut AddOrder)) -> AddOrder {
    change(&mut order);
    order
}

#[test]
fn a_resting_limit_waits_behind_those_before_it_and_pays_the_maker_rate() {
    let mut desk = Desk::new();
    desk.add(&limit(Side::Buy, "0.1", "50000.0")).expect("accepted");
    assert_eq!(desk.story(), [(E::PendingNew, "pending_new"), (E::New, "new")]);
    assert_eq!(desk.exchange.account().hold("USD").to_string(), "5010.00000");
    desk.sweep(Side::Sell, 100_000_000);
    assert_eq!(desk.story(), [], "one BTC was ahead");
    desk.sweep(Side::Sell, 4_000_000);
    assert_eq!(desk.story(), [(E::Trade, "partially_filled")]);
    desk.sweep(Side::Sell, 100_000_000);
    assert_eq!(desk.story(), [(E::Trade, "partially_filled"), (E::Filled, "filled")]);
    let fees: Vec<String> =
        desk.exchange.account().trades().iter().map(|trade| trade.fee.to_string()).collect();
    assert_eq!(fees, ["2.00000", "3.00000"]);
    assert_eq!(desk.balance("USD"), "4995.000000000");
    assert_eq!(desk.balance("BTC"), "0.10000000");
    assert!(desk.exchange.account().hold("USD").is_zero());
}

#[test]
fn a_market_order_walks_the_book_and_pays_the_taker_rate() {
    let mut desk = Desk::new();
    desk.sweep(Side::Buy, 99_999_999 - 5_000_000);
    desk.story();
    desk.add(&market(Side::Buy, "0.1")).expect("accepted");
    let expected = [
        (E::PendingNew, "pending_new"),
        (E::New, "new"),
        (E::Trade, "partially_filled"),
        (E::Trade, "partially_filled"),
        (E::Filled, "filled"),
    ];
    assert_eq!(desk.story(), expected);
    let prices: Vec<i64> =
        desk.exchange.account().trades().iter().map(|trade| trade.price.0).collect();
    assert_eq!(prices, [500_010, 500_020]);
}

#[test]
fn a_market_order_ends_with_what_the_book_has() {
    let mut desk = Desk::new();
    desk.exchange.transfer("BTC", dec("20"), desk.now_us).expect("deposited");
    desk.story();
    desk.add(&market(Side::Sell, "12.0")).expect("accepted");
    let story = desk.story();
    assert_eq!(story.last(), Some(&(E::Canceled, "canceled")));
    let order = desk.exchange.account().orders().next().expect("the order");
    assert_eq!(order.cum_qty.0, 1_000_000_000);
    assert!(desk.exchange.account().hold("BTC").is_zero());
}

#[test]
fn a_market_buy_by_cost_spends_no_more_than_that() {
    let mut desk = Desk::new();
    let order = change(market(Side::Buy, "1.0"), |order| {
        order.qty = None;
        order.cash_qty = Some(dec("1000.0"));
    });
    desk.add(&order).expect("accepted");
    let order = desk.exchange.account().orders().next().expect("the order");
    assert_eq!(order.status, OrderStatus::Filled);
    assert_eq!(order.cum_qty.0, 1_999_960);
    assert!(order.cum_cost <= dec("1000"));
}

#[rstest]
#[case::would_take("50001.0", &[(E::PendingNew, "pending_new"), (E::Canceled, "canceled")])]
#[case::rests("50000.5", &[(E::PendingNew, "pending_new"), (E::New, "new")])]
fn a_post_only_order_never_takes(#[case] price: &str, #[case] story: &[(E, &'static str)]) {
    let mut desk = Desk::new();
    let order = change(limit(Side::Buy, "0.1", price), |order| order.post_only = true);
    desk.add(&order).expect("accepted by the gateway");
    assert_eq!(desk.story(), story);
    let order = desk.exchange.account().orders().next().expect("the order");
    assert!(order.trades.is_empty());
    if order.status == OrderStatus::Canceled {
        assert_eq!(order.reason.as_deref(), Some("Post only order"));
    }
}

#[rstest]
#[case::ioc_part(TimeInForce::Ioc, "50001.0", &[E::PendingNew, E::New, E::Trade, E::Canceled])]
#[case::ioc_nothing(TimeInForce::Ioc, "49000.0", &[E::PendingNew, E::New, E::Canceled])]
#[case::fok_too_little(TimeInForce::Fok, "50001.0", &[E::PendingNew, E::New, E::Canceled])]
#[case::fok_enough(TimeInForce::Fok, "50002.0", &[E::PendingNew, E::New, E::Trade, E::Trade, E::Filled])]
fn an_instant_order_does_not_rest(
    #[case] tif: TimeInForce,
    #[case] price: &str,
    #[case] story: &[E],
) {
    let mut desk = Desk::new();
    desk.exchange.transfer("USD", dec("90000"), desk.now_us).expect("deposited");
    desk.story();
    desk.add(&change(limit(Side::Buy, "1.5", price), |order| order.tif = tif)).expect("accepted");
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, story);
    assert_eq!(desk.exchange.account().open_orders().count(), 0);
    assert!(desk.exchange.account().hold("USD").is_zero());
}

#[test]
fn a_gtd_order_expires_at_its_time_and_releases_its_hold() {
    let mut desk = Desk::new();
    let order = change(limit(Side::Buy, "0.1", "49000.0"), |order| {
        order.tif = TimeInForce::Gtd;
        order.expire_us = Some(1_010 * S);
    });
    desk.add(&order).expect("accepted");
    desk.story();
    desk.exchange.tick(1_010 * S - 1);
    assert_eq!(desk.story(), []);
    desk.exchange.tick(1_010 * S);
    assert_eq!(desk.story(), [(E::Expired, "expired")]);
    assert!(desk.exchange.account().hold("USD").is_zero());
    assert_eq!(desk.exchange.depth(super::desk::BTC, Side::Buy, 20).len(), 10);
}

#[rstest]
#[case::newest(SelfTrade::CancelNewest, OrderStatus::New, OrderStatus::Canceled)]
#[case::oldest(SelfTrade::CancelOldest, OrderStatus::Canceled, OrderStatus::Filled)]
#[case::both(SelfTrade::CancelBoth, OrderStatus::Canceled, OrderStatus::Canceled)]
fn the_account_never_trades_with_itself(
    #[case] rule: SelfTrade,
    #[case] resting: OrderStatus,
    #[case] arriving: OrderStatus,
) {
    let mut desk = Desk::new();
    desk.add(&market(Side::Buy, "0.05")).expect("bought");
    desk.add(&limit(Side::Buy, "0.05", "50000.9")).expect("rests as best bid");
    let sell = change(limit(Side::Sell, "0.05", "50000.0"), |order| order.self_trade = rule);
    desk.add(&sell).expect("accepted");
    let statuses: Vec<OrderStatus> =
        desk.exchange.account().orders().skip(1).map(|order| order.status).collect();
    assert_eq!(statuses, [resting, arriving]);
}

#[rstest]
#[case::above(49_995, false)]
#[case::at(49_990, true)]
#[case::below(49_985, true)]
fn a_sell_stop_fires_when_the_last_trade_reaches_it(#[case] last: i64, #[case] fires: bool) {
    let mut desk = Desk::new();
    desk.exchange.transfer("BTC", dec("0.5"), desk.now_us).expect("deposited");
    desk.add(&stop(Side::Sell, "0.5", "49990.0")).expect("accepted");
    assert_eq!(desk.exchange.account().hold("BTC").to_string(), "0.50000000");
    desk.story();
    desk.exchange.flow_limit(
        super::desk::BTC,
        Side::Sell,
        crate::exchange::Price(499_910),
        crate::exchange::Qty(1_000_000_000),
        desk.now_us,
    );
    desk.flow(Side::Buy, last * 10, 200_000_000);
    desk.sweep(Side::Sell, 1_000_000);
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    let fired = [E::Status, E::Trade, E::Filled];
    assert_eq!(kinds, if fires { &fired[..] } else { &[] });
}

#[test]
fn a_stop_already_reached_fires_at_once() {
    let mut desk = Desk::new();
    desk.exchange.transfer("BTC", dec("0.5"), desk.now_us).expect("deposited");
    desk.story();
    desk.add(&stop(Side::Sell, "0.5", "50001.0")).expect("accepted");
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [E::PendingNew, E::New, E::Status, E::Trade, E::Filled]);
}

#[test]
fn a_buy_stop_that_the_purse_cannot_pay_ends_cancelled() {
    let mut desk = Desk::new();
    desk.add(&stop(Side::Buy, "0.19", "50500.0")).expect("accepted");
    desk.sweep(Side::Buy, 1_000_000_000);
    desk.flow(Side::Sell, 600_000, 100_000_000);
    desk.story();
    desk.sweep(Side::Buy, 1_000);
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [E::Status, E::Canceled]);
    assert!(desk.exchange.account().hold("USD").is_zero());
}

#[test]
fn a_fired_stop_can_execute_over_time_and_an_amend_below_what_it_sold_ends_it() {
    let mut desk = Desk::new();
    desk.add(&market(Side::Buy, "0.1")).expect("bought");
    let txid = desk.add(&stop(Side::Sell, "0.1", "49995.0")).expect("armed");
    desk.exchange.set_stop_slice(Some(Qty(3_000_000)));
    desk.sweep(Side::Sell, 600_000_000);
    let state = |desk: &Desk| {
        let order = desk.exchange.account().order_by_txid(&txid).expect("known");
        (order.status.text(), order.cum_qty, order.triggered)
    };
    assert_eq!(state(&desk), ("partially_filled", Qty(3_000_000), true));
    desk.now_us += S;
    desk.exchange.tick(desk.now_us);
    assert_eq!(state(&desk), ("partially_filled", Qty(6_000_000), true));
    let amend = crate::account::AmendOrder {
        order: crate::account::OrderRef::Txid(txid.clone()),
        qty: Some(dec("0.06")),
        limit: None,
        trigger: None,
        post_only: false,
        deadline_us: None,
    };
    desk.exchange.amend_order(&amend, desk.now_us).expect("taken");
    let (status, sold, _) = state(&desk);
    assert_eq!((status, sold), ("canceled", Qty(9_000_000)), "every operation sells a part first");
}
