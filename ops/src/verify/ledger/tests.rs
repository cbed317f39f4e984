//! A bought and sold position as rows: whole it is equal, with any one number changed it is not, and the number is named.

mod at_venue;

use penstock_store_decision::ledger_read::{
    AssetAmount, Books, EventRow, FillRow, LedgerRow, OrderRow, PositionRow, ResultRow, ToldTrade,
};
use penstock_types::{Decimal, UtcMicros};

use super::judge;

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn order(order_id: i64, side: &str, qty: &str, cost: &str, avg: &str, fee: &str) -> OrderRow {
    OrderRow {
        order_id,
        exchange_order_id: Some(format!("O{order_id}")),
        symbol: "BTC/USD".to_owned(),
        side: side.to_owned(),
        state: "filled".to_owned(),
        cum_qty: d(qty),
        cum_cost: d(cost),
        avg_price: Some(d(avg)),
        fee_quote: d(fee),
        event_seq: 2,
    }
}

fn event(order_id: i64, event_seq: i32, from: Option<&str>, to: &str) -> EventRow {
    let from_state = from.map(str::to_owned);
    EventRow { order_id, event_seq, from_state, to_state: to.to_owned() }
}

fn fill(id: i64, side: &str, price: &str, qty: &str, cost: &str, fee: &str) -> FillRow {
    FillRow {
        fill_id: id,
        order_id: if side == "buy" { 1 } else { 2 },
        exec_id: format!("T{id}"),
        symbol: "BTC/USD".to_owned(),
        side: side.to_owned(),
        price: d(price),
        qty: d(qty),
        cost_quote: d(cost),
        fee_quote: d(fee),
        fee_asset: "USD".to_owned(),
        fee_asset_qty: d(fee),
        at: UtcMicros(id * 1_000_000),
    }
}

/// Two fills of a buy at 100 and 103, a sale of all at 110; the numbers are worked out by hand.
fn books() -> Books {
    let row = |id: i64, kind: &str| LedgerRow {
        ledger_id: id,
        fill_id: Some(id),
        position_id: 7,
        ledger_seq: i32::try_from(id).unwrap(),
        kind: kind.to_owned(),
        delta_base: Decimal::ZERO,
        base_before: Decimal::ZERO,
        base_after: Decimal::ZERO,
        cost_before: Decimal::ZERO,
        cost_after: Decimal::ZERO,
        avg_entry_before: None,
        avg_entry_after: None,
        open_fees_after: Decimal::ZERO,
        realized_quote: Decimal::ZERO,
        fee_quote: Decimal::ZERO,
    };
    let ledger = vec![
        LedgerRow {
            delta_base: d("2"),
            base_after: d("2"),
            cost_after: d("200"),
            avg_entry_after: Some(d("100")),
            open_fees_after: d("0.2"),
            fee_quote: d("0.2"),
            ..row(1, "open")
        },
        LedgerRow {
            delta_base: d("1"),
            base_before: d("2"),
            base_after: d("3"),
            cost_before: d("200"),
            cost_after: d("303"),
            avg_entry_before: Some(d("100")),
            avg_entry_after: Some(d("101")),
            open_fees_after: d("0.3"),
            fee_quote: d("0.1"),
            ..row(2, "increase")
        },
        LedgerRow {
            delta_base: d("-3"),
            base_before: d("3"),
            cost_before: d("303"),
            avg_entry_before: Some(d("101")),
            avg_entry_after: Some(d("101")),
            realized_quote: d("26.2"),
            fee_quote: d("0.5"),
            ..row(3, "close")
        },
    ];
    let fills = vec![
        fill(1, "buy", "100", "2", "200", "0.2"),
        fill(2, "buy", "103", "1", "103", "0.1"),
        fill(3, "sell", "110", "3", "330", "0.5"),
    ];
    let told = fills
        .iter()
        .map(|f| ToldTrade {
            exec_id: f.exec_id.clone(),
            symbol: Some(f.symbol.clone()),
            side: Some(f.side.clone()),
            qty: Some(f.qty),
            price: Some(f.price),
        })
        .collect();
    let amount =
        |asset: &str, amount: &str| AssetAmount { asset: asset.to_owned(), amount: d(amount) };
    Books {
        orders: vec![
            order(1, "buy", "3", "303", "101", "0.3"),
            order(2, "sell", "3", "330", "110", "0.5"),
        ],
        events: vec![
            event(1, 1, None, "pending_submit"),
            event(1, 2, Some("pending_submit"), "filled"),
            event(2, 1, None, "created"),
            event(2, 2, Some("created"), "filled"),
        ],
        fills,
        ledger,
        positions: vec![PositionRow {
            position_id: 7,
            symbol: "BTC/USD".to_owned(),
            status: "closed".to_owned(),
            base_qty: Decimal::ZERO,
            cost_basis_quote: Decimal::ZERO,
            avg_entry_price: Some(d("101")),
            realized_quote: d("26.2"),
            open_entry_fees_quote: Decimal::ZERO,
            fees_quote: d("0.8"),
            ledger_seq: 3,
        }],
        results: vec![ResultRow {
            id: 4,
            position_id: 7,
            fill_id: 3,
            closed_qty: d("3"),
            gross_quote: d("27"),
            fees_quote: d("0.8"),
            net_quote: d("26.2"),
        }],
        changes: vec![amount("USD", "1000")],
        // 1000 − 303 − 0.3 + 330 − 0.5
        balances: vec![amount("BTC", "0"), amount("USD", "1026.2")],
        told,
        opened_at: Some(UtcMicros(0)),
        newest_at: Some(UtcMicros(3_000_000)),
    }
}

#[test]
fn whole_books_are_equal_and_everything_is_counted() {
    let verified = judge(&books(), None);
    assert_eq!(verified.differences, []);
    assert_eq!(verified.compared, [2, 4, 3, 3, 1, 1, 2, 3]);
    assert_eq!((verified.fills_told, verified.assets_unsaid), (3, 0));
    let no_word = Books { balances: Vec::new(), told: Vec::new(), ..books() };
    let verified = judge(&no_word, None);
    assert_eq!(verified.differences, []);
    // Of BTC nothing is left to be said.
    assert_eq!((verified.fills_told, verified.assets_unsaid), (0, 1));
}

type Edit = fn(&mut Books);

/// One edit each; where it is named, and what.
const EDITS: &[(Edit, &str, &str)] = &[
    (|b| b.orders[0].cum_qty += Decimal::ONE, "order 1", "cum_qty"),
    (|b| b.orders[0].cum_cost += Decimal::new(1, 10), "order 1", "cum_cost"),
    (|b| b.orders[1].fee_quote += Decimal::new(1, 10), "order 2", "fee_quote"),
    (|b| b.orders[0].avg_price = None, "order 1", "avg_price"),
    (|b| b.orders[0].state = "canceled".to_owned(), "order 1", "state"),
    (|b| b.orders[0].event_seq = 3, "order 1", "event_seq"),
    (|b| drop(b.events.remove(0)), "order 1 event 2", "event_seq"),
    (|b| b.events[1].from_state = None, "order 1 event 2", "from_state"),
    (|b| b.events[3].to_state = "expired".to_owned(), "order 2", "state"),
    (|b| b.fills[1].qty += Decimal::new(1, 8), "order 1", "cum_qty"),
    (|b| b.fills[1].price += Decimal::new(1, 1), "fill 2", "cost_quote"),
    (|b| b.fills[1].cost_quote += Decimal::new(1, 10), "order 1", "cum_cost"),
    (|b| b.fills[2].fee_asset_qty += Decimal::new(1, 10), "asset USD", "balance"),
    (|b| b.fills[2].side = "buy".to_owned(), "fill 3", "side"),
    (|b| b.fills[2].exec_id = "T9".to_owned(), "trade T3", "fill"),
    (|b| b.fills[2].exec_id = "T1".to_owned(), "fill 3", "exec_id"),
    (|b| b.fills[0].order_id = 99, "order 1", "cum_qty"),
    (|b| drop(b.fills.remove(2)), "order 2", "cum_qty"),
    (|b| b.ledger[0].delta_base += Decimal::ONE, "ledger 1 of position 7", "delta_base"),
    (|b| b.ledger[1].base_before = Decimal::ONE, "ledger 2 of position 7", "base_before"),
    (|b| b.ledger[1].base_after = Decimal::ONE, "ledger 2 of position 7", "base_after"),
    (|b| b.ledger[1].cost_after += Decimal::new(1, 10), "ledger 2 of position 7", "cost_after"),
    (|b| b.ledger[1].avg_entry_after = None, "ledger 2 of position 7", "avg_entry_after"),
    (|b| b.ledger[1].open_fees_after = Decimal::ZERO, "ledger 2 of position 7", "open_fees_after"),
    (|b| b.ledger[2].realized_quote = Decimal::ZERO, "ledger 3 of position 7", "realized_quote"),
    (|b| b.ledger[2].kind = "reduce".to_owned(), "ledger 3 of position 7", "kind"),
    (|b| b.ledger[2].fill_id = None, "ledger 3 of position 7", "kind"),
    (|b| b.ledger[2].position_id = 8, "position 7", "base_qty"),
    (|b| b.positions[0].base_qty = Decimal::ONE, "position 7", "base_qty"),
    (|b| b.positions[0].realized_quote = Decimal::ONE, "position 7", "realized_quote"),
    (|b| b.positions[0].fees_quote = Decimal::ONE, "position 7", "fees_quote"),
    (|b| b.positions[0].ledger_seq = 2, "position 7", "ledger_seq"),
    (|b| b.results[0].net_quote += Decimal::new(1, 10), "result 4", "net_quote"),
    (|b| b.results[0].closed_qty = Decimal::ONE, "result 4", "closed_qty"),
    (|b| b.results.clear(), "ledger 3 of position 7", "result"),
    (|b| b.changes[0].amount += Decimal::new(1, 10), "asset USD", "balance"),
    (|b| b.balances[1].amount -= Decimal::new(1, 10), "asset USD", "balance"),
    (|b| b.balances[0].amount = Decimal::new(1, 8), "asset BTC", "balance"),
    (|b| b.told[2].price = Some(Decimal::ONE), "fill 3", "price"),
    (|b| b.told[2].qty = None, "fill 3", "qty"),
];

#[test]
fn any_number_that_is_changed_is_named() {
    for (number, (edit, at, field)) in EDITS.iter().enumerate() {
        let mut books = books();
        edit(&mut books);
        let found = judge(&books, None).differences;
        let is_named = found.iter().any(|d| d.at == *at && d.field == *field);
        assert!(is_named, "edit {number}, {at} {field}: {found:?}");
    }
}

#[test]
fn a_recorded_balance_has_the_digits_of_its_column_and_the_venues_word_all_of_them() {
    let mut exact = books();
    exact.fills[2].fee_asset_qty += d("0.0000000000005");
    let usd = exact.balances.iter_mut().find(|b| b.asset == "USD").unwrap();
    // 1026.1999999999995 in twelve digits, halves away from zero.
    usd.amount = d("1026.2");
    let said = |books: &Books| {
        judge(books, None).differences.iter().any(|d| d.at == "asset USD" && d.field == "balance")
    };
    assert!(!said(&exact));
    exact.fills[2].fee_asset_qty += d("0.0000000000001");
    assert!(said(&exact));
}
