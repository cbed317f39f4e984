//! Sums and orders that must hold after any sequence of operations.

use super::desk::{BTC, Desk, dec, limit, market, stop};
use crate::account::{AmendOrder, OrderRef, SelfTrade};
use crate::exchange::{Price, PublicEvent, Qty, Side};
use proptest::prelude::*;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    FlowLimit(bool, i64, i64),
    FlowMarket(bool, i64),
    Limit(bool, i64, i64, bool, u8),
    Market(bool, i64),
    Stop(bool, i64, i64),
    Amend(usize, i64, i64),
    Cancel(usize),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let qty = 1_i64..200_000_000;
    let offset = -60_i64..60;
    prop_oneof![
        (any::<bool>(), offset.clone(), qty.clone()).prop_map(|(s, p, q)| Step::FlowLimit(s, p, q)),
        (any::<bool>(), qty.clone()).prop_map(|(s, q)| Step::FlowMarket(s, q)),
        (any::<bool>(), offset.clone(), qty.clone(), any::<bool>(), 0_u8..3)
            .prop_map(|(s, p, q, post, rule)| Step::Limit(s, p, q / 20, post, rule)),
        (any::<bool>(), qty.clone()).prop_map(|(s, q)| Step::Market(s, q / 20)),
        (any::<bool>(), offset.clone(), qty.clone()).prop_map(|(s, p, q)| Step::Stop(s, p, q / 20)),
        (0_usize..8, offset, qty).prop_map(|(n, p, q)| Step::Amend(n, p, q / 20)),
        (0_usize..8).prop_map(Step::Cancel),
        (0_i64..20_000_000).prop_map(Step::Wait),
    ]
}

fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

fn carry_out(desk: &mut Desk, step: Step) {
    let price = |offset: i64| Decimal::new(500_000 + offset * 2, 1).to_string();
    let qty = |units: i64| Decimal::new(units, 8).to_string();
    let nth = |desk: &Desk, n: usize| {
        desk.exchange.account().open_orders().nth(n).map(|order| OrderRef::Txid(order.txid.clone()))
    };
    // Refusals are part of the game: the sums must hold after them too.
    match step {
        Step::FlowLimit(buy, offset, units) => {
            let at = Price(500_000 + offset * 2);
            desk.exchange.flow_limit(BTC, side(buy), at, Qty(units), desk.now_us);
        }
        Step::FlowMarket(buy, units) => desk.sweep(side(buy), units),
        Step::Limit(buy, offset, units, post, rule) => {
            let mut order = limit(side(buy), &qty(units), &price(offset));
            order.post_only = post;
            order.fee_preference = None;
            order.self_trade =
                [SelfTrade::CancelNewest, SelfTrade::CancelOldest, SelfTrade::CancelBoth]
                    [usize::from(rule)];
            let _refused = desk.add(&order);
        }
        Step::Market(buy, units) => {
            let _refused = desk.add(&market(side(buy), &qty(units)));
        }
        Step::Stop(buy, offset, units) => {
            let _refused = desk.add(&stop(side(buy), &qty(units), &price(offset)));
        }
        Step::Amend(n, offset, units) => {
            let Some(order) = nth(desk, n) else { return };
            let request = AmendOrder {
                order,
                qty: Some(dec(&qty(units))),
                limit: (units % 2 == 0).then(|| dec(&price(offset))),
                trigger: None,
                post_only: false,
                deadline_us: None,
            };
            let _refused = desk.exchange.amend_order(&request, desk.now_us);
        }
        Step::Cancel(n) => {
            let Some(order) = nth(desk, n) else { return };
            let _cancelled = desk.exchange.cancel_order(&order, desk.now_us);
        }
        Step::Wait(us) => {
            desk.now_us += us;
            desk.exchange.tick(desk.now_us);
        }
    }
}

/// Balances from trades and transfers alone.
fn expected_balances(desk: &Desk) -> BTreeMap<String, Decimal> {
    let account = desk.exchange.account();
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for entry in account.entries().iter().filter(|entry| entry.kind != "trade") {
        *sums.entry(entry.asset.clone()).or_default() += entry.amount;
    }
    let instrument = &desk.exchange.market(BTC).instrument;
    for trade in account.trades() {
        let sign = if trade.side == Side::Buy { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let qty = instrument.qty(trade.qty);
        *sums.entry("BTC".into()).or_default() += qty * sign;
        *sums.entry("USD".into()).or_default() -= instrument.price(trade.price) * qty * sign;
        *sums.entry(trade.fee_asset.clone()).or_default() -= trade.fee;
    }
    sums
}

fn check_sums(desk: &Desk) -> Result<(), TestCaseError> {
    let account = desk.exchange.account();
    for (asset, expected) in expected_balances(desk) {
        prop_assert_eq!(account.balance(&asset), expected, "balance of {}", &asset);
        prop_assert!(account.balance(&asset) >= Decimal::ZERO, "{} is negative", &asset);
        prop_assert!(account.available(&asset) >= Decimal::ZERO, "{} is over-held", &asset);
    }
    let mut holds: BTreeMap<&str, Decimal> = BTreeMap::new();
    for order in account.orders() {
        let asset = if order.side == Side::Buy { "USD" } else { "BTC" };
        *holds.entry(asset).or_default() += order.hold;
        prop_assert!(!order.status.terminal() || order.hold.is_zero());
        let of_order = account.trades().iter().filter(|trade| trade.order_txid == order.txid);
        let traded: i64 = of_order.map(|trade| trade.qty.0).sum();
        prop_assert_eq!(traded, order.cum_qty.0);
        prop_assert!(order.cum_qty <= order.qty);
        let rests = desk.exchange.market(BTC).book.find(order.no).map(|(_, _, left)| left.qty);
        let expected = (!order.status.terminal() && !order.armed()).then(|| order.left());
        prop_assert_eq!(rests, expected);
    }
    for (asset, hold) in holds {
        prop_assert_eq!(account.hold(asset), hold);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn balances_holds_and_books_agree_after_any_sequence(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut desk = Desk::new();
        desk.exchange.transfer("BTC", dec("3"), desk.now_us).expect("deposited");
        desk.exchange.transfer("USD", dec("200000"), desk.now_us).expect("deposited");
        let mut mirror: BTreeMap<(Side, Price), Qty> = BTreeMap::new();
        for side in [Side::Buy, Side::Sell] {
            let levels = desk.exchange.depth(BTC, side, usize::MAX);
            mirror.extend(levels.into_iter().map(|(price, qty)| ((side, price), qty)));
        }
        desk.exchange.take_events();
        let (mut seq, mut trade_id) = (desk.exchange.seq(), desk.exchange.market(BTC).last_trade_id);
        for one in steps {
            carry_out(&mut desk, one);
            prop_assert!(!desk.exchange.market(BTC).book.crossed());
            check_sums(&desk)?;
            for event in desk.exchange.take_events().0 {
                let PublicEvent::Market(update) = event else { continue };
                prop_assert_eq!(update.seq, seq + 1);
                seq = update.seq;
                for print in &update.prints {
                    prop_assert_eq!(print.trade_id, trade_id + 1);
                    trade_id = print.trade_id;
                }
                for level in update.levels {
                    match level.qty {
                        Qty::ZERO => { mirror.remove(&(level.side, level.price)); }
                        qty => { mirror.insert((level.side, level.price), qty); }
                    }
                }
            }
            for side in [Side::Buy, Side::Sell] {
                let live = desk.exchange.depth(BTC, side, usize::MAX);
                let seen = mirror.iter().filter(|((of, _), _)| *of == side).count();
                prop_assert_eq!(live.len(), seen);
                for (price, qty) in live {
                    prop_assert_eq!(mirror.get(&(side, price)), Some(&qty));
                }
            }
        }
    }

    #[test]
    fn one_price_is_served_in_the_order_of_arrival(
        sizes in prop::collection::vec(1_i64..1_000, 2..12),
        taken in 1_i64..6_000,
    ) {
        let mut desk = Desk::new();
        let at = Price(500_005);
        let placed: Vec<_> = sizes
            .iter()
            .map(|size| desk.exchange.flow_limit(BTC, Side::Buy, at, Qty(*size), desk.now_us))
            .filter_map(|placed| placed.resting)
            .collect();
        prop_assert_eq!(placed.len(), sizes.len());
        desk.sweep(Side::Sell, taken);
        let mut left = taken;
        for (no, size) in placed.into_iter().zip(sizes) {
            let served = left.min(size);
            left -= served;
            let rest = desk.exchange.flow_order(BTC, no).map(|(_, _, qty)| qty.0);
            prop_assert_eq!(rest, (size > served).then_some(size - served));
        }
    }
}
