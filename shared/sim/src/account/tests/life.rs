//! Amends, cancels, the dead man's switch, transfers, and recorded books.

use super::desk::{BTC, Desk, S, dec, limit, market, stop};
use crate::account::{AmendOrder, ExecType as E, OrderRef, OrderStatus, VenueError};
use crate::exchange::instrument::tests::btc_usd;
use crate::exchange::{Exchange, ExchangeConfig, LevelChange, Price, Qty, Side, SystemStatus};
use rust_decimal::Decimal;

fn amend(txid: &str) -> AmendOrder {
    AmendOrder {
        order: OrderRef::Txid(txid.to_owned()),
        qty: None,
        limit: None,
        trigger: None,
        post_only: false,
        deadline_us: None,
    }
}

fn ahead(desk: &Desk, txid: &str) -> Option<i64> {
    let order = desk.exchange.account().order_by_txid(txid)?;
    desk.exchange.market(BTC).book.ahead(order.no).map(|qty| qty.0)
}

#[test]
fn less_quantity_keeps_the_place_more_or_another_price_loses_it() {
    let mut desk = Desk::new();
    let txid = desk.add(&limit(Side::Buy, "0.1", "49999.0")).expect("accepted");
    desk.flow(Side::Buy, 499_990, 7);
    assert_eq!(ahead(&desk, &txid), Some(100_000_000));
    let less = AmendOrder { qty: Some(dec("0.05")), ..amend(&txid) };
    desk.exchange.amend_order(&less, desk.now_us).expect("amended");
    assert_eq!(ahead(&desk, &txid), Some(100_000_000));
    let more = AmendOrder { qty: Some(dec("0.06")), ..amend(&txid) };
    desk.exchange.amend_order(&more, desk.now_us).expect("amended");
    assert_eq!(ahead(&desk, &txid), Some(100_000_007));
    let price = AmendOrder { limit: Some(dec("50000.5")), ..amend(&txid) };
    desk.exchange.amend_order(&price, desk.now_us).expect("amended");
    assert_eq!(ahead(&desk, &txid), Some(0));
    let back = AmendOrder { limit: Some(dec("49999.0")), ..amend(&txid) };
    desk.exchange.amend_order(&back, desk.now_us).expect("amended");
    assert_eq!(ahead(&desk, &txid), Some(100_000_007));
    let held = desk.exchange.account().hold("USD").to_string();
    assert_eq!(held, "3005.93988");
}

#[test]
fn an_amend_may_take_and_a_post_only_one_is_refused_instead() {
    let mut desk = Desk::new();
    let txid = desk.add(&limit(Side::Buy, "0.1", "49999.0")).expect("accepted");
    desk.story();
    let post = AmendOrder { limit: Some(dec("50001.0")), post_only: true, ..amend(&txid) };
    assert_eq!(desk.exchange.amend_order(&post, desk.now_us), Err(VenueError::PostOnly));
    assert_eq!(desk.story(), []);
    let take = AmendOrder { post_only: false, ..post };
    desk.exchange.amend_order(&take, desk.now_us).expect("amended");
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [E::Amended, E::Trade, E::Filled]);
}

#[test]
fn a_stop_is_amended_in_place_and_less_than_filled_ends_an_order() {
    let mut desk = Desk::new();
    desk.add(&market(Side::Buy, "0.1")).expect("bought");
    let txid = desk.add(&stop(Side::Sell, "0.05", "49000.0")).expect("accepted");
    let grow = AmendOrder { qty: Some(dec("0.1")), ..amend(&txid) };
    desk.exchange.amend_order(&grow, desk.now_us).expect("amended");
    let over = AmendOrder { qty: Some(dec("0.2")), ..amend(&txid) };
    let refused = desk.exchange.amend_order(&over, desk.now_us);
    assert_eq!(refused, Err(VenueError::InsufficientFunds));
    let raise = AmendOrder { trigger: Some(dec("49500.0")), ..amend(&txid) };
    desk.exchange.amend_order(&raise, desk.now_us).expect("amended");
    let order = desk.exchange.account().order_by_txid(&txid).expect("the stop");
    assert_eq!((order.qty, order.trigger), (Qty(10_000_000), Some(Price(495_000))));
    assert_eq!(desk.exchange.account().hold("BTC").to_string(), "0.10000000");
    let resting = desk.add(&limit(Side::Buy, "0.01", "50000.0")).expect("accepted");
    desk.sweep(Side::Sell, 100_500_000);
    let shrink = AmendOrder { qty: Some(dec("0.005")), ..amend(&resting) };
    desk.exchange.amend_order(&shrink, desk.now_us).expect("ended");
    let order = desk.exchange.account().order_by_txid(&resting).expect("the order");
    assert_eq!((order.status, order.cum_qty), (OrderStatus::Canceled, Qty(500_000)));
}

#[test]
fn amends_of_closed_unknown_and_late_requests_are_refused() {
    let mut desk = Desk::new();
    let unknown = AmendOrder { qty: Some(dec("1")), ..amend("OAAAAA-AAAAA-AAAAAA") };
    assert_eq!(desk.exchange.amend_order(&unknown, desk.now_us), Err(VenueError::UnknownOrder));
    let no_id = AmendOrder { qty: Some(dec("1")), ..amend("hello") };
    assert_eq!(desk.exchange.amend_order(&no_id, desk.now_us), Err(VenueError::InvalidOrderId));
    let txid = desk.add(&limit(Side::Buy, "0.1", "49999.0")).expect("accepted");
    let late =
        AmendOrder { qty: Some(dec("0.05")), deadline_us: Some(desk.now_us), ..amend(&txid) };
    assert_eq!(desk.exchange.amend_order(&late, desk.now_us), Err(VenueError::DeadlineElapsed));
    let nothing = amend(&txid);
    assert!(desk.exchange.amend_order(&nothing, desk.now_us).is_err());
}

#[test]
fn cancels_work_in_every_mode_but_maintenance() {
    for status in SystemStatus::ALL {
        let mut desk = Desk::new();
        let txid = desk.add(&limit(Side::Buy, "0.1", "49999.0")).expect("accepted");
        desk.exchange.set_status(status, desk.now_us);
        let cancelled = desk.exchange.cancel_order(&OrderRef::Txid(txid), desk.now_us);
        assert_eq!(cancelled.is_ok(), status != SystemStatus::Maintenance, "{status:?}");
    }
}

#[test]
fn a_young_cancel_is_charged_and_an_old_one_is_free() {
    let mut desk = Desk::new();
    let young = desk.add(&limit(Side::Buy, "0.01", "49000.0")).expect("accepted");
    desk.exchange.cancel_order(&OrderRef::Txid(young), desk.now_us).expect("cancelled");
    assert_eq!(desk.exchange.account().ratecount(BTC, desk.now_us), dec("9"));
    let old = desk.add(&limit(Side::Buy, "0.01", "49000.0")).expect("accepted");
    desk.now_us += 301 * S;
    desk.exchange.cancel_order(&OrderRef::Txid(old), desk.now_us).expect("cancelled");
    assert_eq!(desk.exchange.account().ratecount(BTC, desk.now_us), dec("0"));
}

#[test]
fn the_dead_mans_switch_cancels_everything_once_unless_renewed() {
    let mut desk = Desk::new();
    desk.exchange.cancel_all_after(60, desk.now_us).expect("armed");
    desk.add(&limit(Side::Buy, "0.01", "49000.0")).expect("accepted");
    desk.exchange.tick(desk.now_us + 59 * S);
    assert_eq!(desk.exchange.account().open_orders().count(), 1);
    desk.exchange.cancel_all_after(60, desk.now_us + 59 * S).expect("renewed");
    desk.exchange.tick(desk.now_us + 100 * S);
    assert_eq!(desk.exchange.account().open_orders().count(), 1);
    desk.exchange.tick(desk.now_us + 119 * S);
    assert_eq!(desk.exchange.account().open_orders().count(), 0);
    desk.now_us += 120 * S;
    desk.add(&limit(Side::Buy, "0.01", "49000.0")).expect("accepted");
    desk.exchange.tick(desk.now_us + 999 * S);
    assert_eq!(desk.exchange.account().open_orders().count(), 1, "off after it has fired");
    assert!(desk.exchange.cancel_all_after(86_400, desk.now_us).is_err());
}

#[test]
fn a_withdrawal_never_touches_what_orders_hold() {
    let mut desk = Desk::new();
    desk.add(&limit(Side::Buy, "0.1", "49000.0")).expect("accepted");
    let refused = desk.exchange.transfer("USD", dec("-6000"), desk.now_us);
    assert_eq!(refused.err(), Some(VenueError::InsufficientFunds));
    desk.exchange.transfer("USD", dec("-5000"), desk.now_us).expect("withdrawn");
    assert!(desk.exchange.transfer("XYZ", dec("1"), desk.now_us).is_err());
    assert!(desk.exchange.transfer("USD", dec("0"), desk.now_us).is_err());
    assert_eq!(desk.balance("USD"), "5000.0000");
}

#[test]
fn nothing_matches_while_the_market_is_post_only() {
    let mut desk = Desk::new();
    desk.exchange.set_status(SystemStatus::PostOnly, desk.now_us);
    assert_eq!(desk.exchange.flow_market(BTC, Side::Buy, Qty(5), desk.now_us), Qty::ZERO);
    let crossing = desk.exchange.flow_limit(BTC, Side::Buy, Price(500_100), Qty(5), desk.now_us);
    assert_eq!((crossing.resting, crossing.filled), (None, Qty::ZERO));
    desk.exchange.set_status(SystemStatus::Online, desk.now_us);
    assert_eq!(desk.exchange.flow_market(BTC, Side::Buy, Qty(5), desk.now_us), Qty(5));
}

#[test]
fn in_a_recorded_book_our_order_trades_only_when_a_recorded_level_crosses_it() {
    let config = ExchangeConfig {
        instruments: vec![btc_usd()],
        seed: 7,
        cash_usd: Decimal::from(10_000),
        volume_30d_usd: Decimal::ZERO,
        recorded: true,
        start_us: 0,
    };
    let mut desk = Desk { exchange: Exchange::new(config).expect("sets up"), now_us: S };
    let level = |side, price, qty| LevelChange { side, price: Price(price), qty: Qty(qty) };
    let snapshot = [level(Side::Buy, 500_000, 50), level(Side::Sell, 500_010, 60)];
    desk.exchange.set_levels(BTC, &snapshot, true, None, desk.now_us);
    desk.add(&limit(Side::Buy, "0.1", "50000.0")).expect("accepted");
    desk.exchange.record_trade(BTC, Price(500_000), 77, desk.now_us);
    desk.story();
    let update = [level(Side::Buy, 500_000, 0), level(Side::Sell, 500_010, 0)];
    desk.exchange.set_levels(BTC, &update, false, None, desk.now_us);
    assert_eq!(desk.story(), []);
    let crossing = [level(Side::Sell, 499_990, 4_000_000)];
    desk.exchange.set_levels(BTC, &crossing, false, None, desk.now_us);
    let kinds: Vec<E> = desk.story().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [E::Trade]);
    let trade = desk.exchange.account().trades().last().expect("a fill");
    assert_eq!((trade.price, trade.qty, trade.trade_id), (Price(500_000), Qty(4_000_000), 77));
    assert_eq!(desk.exchange.market(BTC).book.total(Side::Sell, Price(499_990)), Qty(4_000_000));
}
