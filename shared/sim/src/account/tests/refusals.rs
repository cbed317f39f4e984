//! Every refusal of a new order, with the venue's words.

use super::desk::{BTC, Desk, S, dec, limit, market, stop};
use crate::account::{AddOrder, FeePreference, TimeInForce, VenueError};
use crate::exchange::{PairStatus, Side, SystemStatus};
use rstest::rstest;

fn change(mut order: AddOrder, change: impl FnOnce(&mut AddOrder)) -> AddOrder {
    change(&mut order);
    order
}

fn buy() -> AddOrder {
    limit(Side::Buy, "0.01", "49000.0")
}

#[rstest]
#[case::qty_min(limit(Side::Buy, "0.00004", "49000.0"), "EOrder:Order minimum not met")]
#[case::cost_min(limit(Side::Buy, "0.00005", "9000.0"), "EOrder:Cost minimum not met")]
#[case::digits_of_price(limit(Side::Buy, "0.01", "49000.01"), "EOrder:Invalid price")]
#[case::price_zero(limit(Side::Buy, "0.01", "0.0"), "EOrder:Invalid price")]
#[case::price_negative(limit(Side::Buy, "0.01", "-1.0"), "EOrder:Invalid price")]
#[case::digits_of_qty(
    limit(Side::Buy, "0.010000001", "49000.0"),
    "EGeneral:Invalid arguments:order_qty"
)]
#[case::qty_zero(limit(Side::Buy, "0.0", "49000.0"), "EGeneral:Invalid arguments:order_qty")]
#[case::funds(limit(Side::Buy, "0.21", "49000.0"), "EOrder:Insufficient funds")]
#[case::fee_is_part_of_the_need(limit(Side::Buy, "0.2", "50000.0"), "EOrder:Insufficient funds")]
#[case::no_base_to_sell(limit(Side::Sell, "0.01", "51000.0"), "EOrder:Insufficient funds")]
#[case::no_base_for_a_stop(stop(Side::Sell, "0.01", "49000.0"), "EOrder:Insufficient funds")]
#[case::market_beyond_the_purse(market(Side::Buy, "0.2"), "EOrder:Insufficient funds")]
#[case::post_only_market(change(market(Side::Buy, "0.01"), |o| o.post_only = true), "EOrder:Invalid order")]
#[case::post_only_ioc(change(buy(), |o| { o.post_only = true; o.tif = TimeInForce::Ioc; }), "EOrder:Invalid order")]
#[case::fok_stop(change(stop(Side::Sell, "0.01", "49000.0"), |o| o.tif = TimeInForce::Fok), "EOrder:Invalid order")]
#[case::gtd_without_end(change(buy(), |o| o.tif = TimeInForce::Gtd), "EGeneral:Invalid arguments:expire_time")]
#[case::gtd_in_the_past(change(buy(), |o| { o.tif = TimeInForce::Gtd; o.expire_us = Some(999 * S); }), "EGeneral:Invalid arguments:expire_time")]
#[case::gtd_beyond_a_month(change(buy(), |o| { o.tif = TimeInForce::Gtd; o.expire_us = Some(40 * 86_400 * S); }), "EGeneral:Invalid arguments:expire_time")]
#[case::end_without_gtd(change(buy(), |o| o.expire_us = Some(2_000 * S)), "EGeneral:Invalid arguments:expire_time")]
#[case::deadline_over(change(buy(), |o| o.deadline_us = Some(1_000 * S)), "EService:Deadline elapsed")]
#[case::deadline_too_far(change(buy(), |o| o.deadline_us = Some(1_061 * S)), "EGeneral:Invalid arguments:deadline")]
#[case::long_client_id(change(buy(), |o| o.cl_ord_id = Some("a-name-of-19-letter".into())), "EGeneral:Invalid arguments:cl_ord_id")]
#[case::client_id_and_tag(change(buy(), |o| { o.cl_ord_id = Some("a".into()); o.userref = 4; }), "EGeneral:Invalid arguments:cl_ord_id")]
#[case::limit_without_price(change(buy(), |o| o.limit = None), "EGeneral:Invalid arguments:limit_price")]
#[case::market_with_price(change(market(Side::Buy, "0.01"), |o| o.limit = Some(dec("1.0"))), "EGeneral:Invalid arguments:limit_price")]
#[case::stop_without_trigger(change(stop(Side::Buy, "0.01", "51000.0"), |o| o.trigger = None), "EGeneral:Invalid arguments:triggers")]
#[case::limit_with_trigger(change(buy(), |o| o.trigger = Some(dec("1.0"))), "EGeneral:Invalid arguments:triggers")]
#[case::no_qty(change(buy(), |o| o.qty = None), "EGeneral:Invalid arguments:order_qty")]
#[case::cash_on_a_limit(change(buy(), |o| { o.qty = None; o.cash_qty = Some(dec("10.0")); }), "EGeneral:Invalid arguments:cash_order_qty")]
fn a_wrong_order_is_refused_with_the_venues_words(#[case] order: AddOrder, #[case] text: &str) {
    let mut desk = Desk::new();
    let refused = desk.add(&order).expect_err("refused");
    assert_eq!(refused.to_string(), text);
    assert_eq!(desk.story(), []);
    assert_eq!(desk.exchange.account().orders().count(), 0);
    assert!(desk.exchange.account().hold("USD").is_zero());
    let charged = desk.exchange.account().ratecount(BTC, desk.now_us);
    let before_the_engine = matches!(refused, VenueError::DeadlineElapsed)
        || text == "EGeneral:Invalid arguments:deadline";
    assert_eq!(charged, if before_the_engine { dec("0") } else { dec("1") });
}

#[rstest]
#[case(SystemStatus::Maintenance, "EService:Unavailable", "EService:Unavailable")]
#[case(
    SystemStatus::CancelOnly,
    "EService:Market in cancel_only mode",
    "EService:Market in cancel_only mode"
)]
#[case(SystemStatus::PostOnly, "EService:Market in post_only mode", "")]
#[case(SystemStatus::LimitOnly, "EService:Market in limit_only mode", "")]
#[case(SystemStatus::Online, "", "")]
fn a_system_mode_admits_what_it_says(
    #[case] status: SystemStatus,
    #[case] taker: &str,
    #[case] maker: &str,
) {
    let mut desk = Desk::new();
    desk.exchange.set_status(status, desk.now_us);
    let post = change(buy(), |order| order.post_only = true);
    let text =
        |result: Result<String, VenueError>| result.err().map_or(String::new(), |e| e.to_string());
    assert_eq!(text(desk.add(&market(Side::Buy, "0.01"))), taker);
    assert_eq!(text(desk.add(&post)), maker);
}

#[rstest]
#[case(
    PairStatus::CancelOnly,
    "EService:Market in cancel_only mode",
    "EService:Market in cancel_only mode"
)]
#[case(PairStatus::PostOnly, "EService:Market in post_only mode", "")]
#[case(PairStatus::LimitOnly, "EService:Market in limit_only mode", "")]
#[case(
    PairStatus::ReduceOnly,
    "EOrder:Reduce only:No position exists",
    "EOrder:Reduce only:No position exists"
)]
#[case(PairStatus::Delisted, "EService:Unavailable", "EService:Unavailable")]
#[case(PairStatus::WorkInProgress, "EService:Unavailable", "EService:Unavailable")]
#[case(PairStatus::Maintenance, "EService:Unavailable", "EService:Unavailable")]
#[case(PairStatus::Online, "", "")]
fn a_pair_status_admits_what_it_says(
    #[case] status: PairStatus,
    #[case] taker: &str,
    #[case] maker: &str,
) {
    let mut desk = Desk::new();
    desk.exchange.set_pair_status(BTC, status, desk.now_us);
    let post = change(buy(), |order| order.post_only = true);
    let text =
        |result: Result<String, VenueError>| result.err().map_or(String::new(), |e| e.to_string());
    assert_eq!(text(desk.add(&market(Side::Buy, "0.01"))), taker);
    assert_eq!(text(desk.add(&post)), maker);
}

#[test]
fn a_client_id_is_unique_among_open_orders_only_and_in_both_uuid_forms() {
    let mut desk = Desk::new();
    let named = |id: &str| change(buy(), |order| order.cl_ord_id = Some(id.into()));
    let hyphens = named("0199a0b0-0000-8000-8000-00000001abcd");
    let plain = named("0199A0B000008000800000000001ABCD");
    let txid = desk.add(&hyphens).expect("accepted");
    assert_eq!(desk.add(&plain), Err(VenueError::DuplicateClientId));
    let name = crate::account::OrderRef::Txid(txid);
    desk.exchange.cancel_order(&name, desk.now_us).expect("cancelled");
    assert!(desk.add(&plain).is_ok(), "reuse after the end is accepted");
}

#[test]
fn the_limit_of_open_orders_and_the_engine_counter_refuse() {
    let mut desk = Desk::new();
    let small = limit(Side::Buy, "0.0001", "40000.0");
    for _ in 0..80 {
        desk.add(&small).expect("below the limit");
    }
    assert_eq!(desk.add(&small), Err(VenueError::OrdersLimit));
    for _ in 81..125 {
        assert_eq!(desk.add(&small), Err(VenueError::OrdersLimit));
    }
    assert_eq!(desk.add(&small), Err(VenueError::OrderRateLimit));
    assert!(desk.exchange.cancel_all(desk.now_us).is_ok_and(|count| count == 80));
    desk.now_us += 600 * S;
    assert!(desk.add(&small).is_ok(), "the counter has decayed");
}

#[test]
fn a_check_only_order_leaves_nothing_behind() {
    let mut desk = Desk::new();
    let check = change(buy(), |order| order.validate = true);
    assert_eq!(desk.add(&check), Ok(String::new()));
    assert_eq!(desk.story(), []);
    assert!(desk.exchange.account().hold("USD").is_zero());
}

#[test]
fn the_default_fee_of_a_sell_is_base_and_falls_back_to_quote_without_spare_base() {
    let mut desk = Desk::new();
    desk.add(&market(Side::Buy, "0.1")).expect("bought");
    let sell_all = change(market(Side::Sell, "0.1"), |order| order.fee_preference = None);
    desk.add(&sell_all).expect("sold");
    let last = desk.exchange.account().trades().last().expect("a trade");
    assert_eq!(last.fee_asset, "USD");
    desk.add(&market(Side::Buy, "0.1")).expect("bought");
    let part = change(market(Side::Sell, "0.05"), |o| o.fee_preference = Some(FeePreference::Base));
    desk.add(&part).expect("sold");
    let last = desk.exchange.account().trades().last().expect("a trade");
    assert_eq!((last.fee_asset.as_str(), last.fee.to_string().as_str()), ("BTC", "0.00010000"));
    assert_eq!(desk.balance("BTC"), "0.04990000");
}
