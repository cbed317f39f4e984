//! The ledger under tables and random fills.

use super::{FillTerms, Head, LedgerError, LedgerKind, book_adjust, book_fill, fold};
use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use penstock_types::vocab::Side;
use proptest::prelude::*;

fn d(text: &str) -> Decimal {
    Decimal::from_str_exact(text).unwrap()
}

fn fill(side: Side, price: &str, qty: &str, fee: &str) -> FillTerms {
    FillTerms { side, price: d(price), qty: d(qty), fee_quote: d(fee), fee_base: Decimal::ZERO }
}

#[test]
fn a_position_opens_grows_shrinks_and_closes_without_residue() {
    // given two buys of a third each
    let one = book_fill(&Head::default(), &fill(Side::Buy, "100", "1", "0.4")).unwrap();
    let two = book_fill(&one.head, &fill(Side::Buy, "103", "2", "0.8")).unwrap();
    assert_eq!((one.row.kind, two.row.kind), (LedgerKind::Open, LedgerKind::Increase));
    assert_eq!(two.head.avg_entry, Some(d("102")));
    // when it is sold in two parts
    let three = book_fill(&two.head, &fill(Side::Sell, "105", "1", "0.42")).unwrap();
    let four = book_fill(&three.head, &fill(Side::Sell, "101", "2", "0.8")).unwrap();
    // then the parts are exact and nothing is left
    let first = three.realized.unwrap();
    assert_eq!(first.gross_quote, d("3"));
    assert_eq!(first.fees_quote, d("0.82"));
    assert_eq!(first.net_quote, d("2.18"));
    assert_eq!(first.net_bps, d("213.7255"));
    assert_eq!(four.row.kind, LedgerKind::Close);
    assert_eq!(four.head.base, Decimal::ZERO);
    assert_eq!(four.head.cost, Decimal::ZERO);
    assert_eq!(four.head.open_fees, Decimal::ZERO);
    assert_eq!(four.head.realized, d("105") + d("202") - d("306") - d("2.42"));
}

#[test]
fn selling_more_than_held_books_the_position_and_reports_the_excess() {
    let open = book_fill(&Head::default(), &fill(Side::Buy, "10", "1", "0")).unwrap();
    let over = book_fill(&open.head, &fill(Side::Sell, "11", "1.5", "0")).unwrap();
    assert_eq!(over.head.base, Decimal::ZERO);
    assert_eq!(over.excess, d("0.5"));
    assert_eq!(over.realized.unwrap().net_quote, d("1"));
}

#[test]
fn zero_prices_and_endless_numbers_are_refused() {
    let zero = book_fill(&Head::default(), &fill(Side::Buy, "0", "1", "0"));
    assert!(matches!(zero, Err(LedgerError::NotPositive { .. })));
    let huge = fill(Side::Buy, "1000000000000000000000", "100000000000", "0");
    assert!(matches!(book_fill(&Head::default(), &huge), Err(LedgerError::Overflow { .. })));
}

#[test]
fn a_fee_in_base_shrinks_the_base_instead() {
    let mut terms = fill(Side::Buy, "100", "1", "0");
    terms.fee_base = d("0.004");
    let open = book_fill(&Head::default(), &terms).unwrap();
    assert_eq!(open.head.base, d("0.996"));
    assert_eq!(open.head.cost, d("100"));
}

#[test]
fn adjustments_keep_the_chain_and_never_go_below_zero() {
    let open = book_fill(&Head::default(), &fill(Side::Buy, "10", "2", "0.1")).unwrap();
    let up = book_adjust(&open.head, d("1"), d("13")).unwrap();
    assert_eq!(up.head.avg_entry, Some(d("11")));
    let down = book_adjust(&up.head, d("-3"), d("0")).unwrap();
    assert_eq!((down.head.base, down.head.cost), (Decimal::ZERO, Decimal::ZERO));
    assert!(matches!(book_adjust(&down.head, d("-1"), d("0")), Err(LedgerError::BelowZero { .. })));
    let rows = [open.row, up.row, down.row];
    assert_eq!(fold(&rows).unwrap(), down.head);
    assert!(fold(&rows[1..]).is_err());
}

proptest! {
    /// Position = fold of the ledger; and the sum of all results is the change of cash, plus what
    /// still sits in the open position, to the last digit.
    #[test]
    fn results_telescope_to_the_change_of_cash(
        steps in prop::collection::vec((any::<bool>(), 1_i64..10_000_000, 1_i64..1_000_000_000, 0_i64..1_000_000), 1..40)
    ) {
        let (mut head, mut rows, mut cash, mut held) =
            (Head::default(), Vec::new(), Decimal::ZERO, Decimal::ZERO);
        let mut net = Decimal::ZERO;
        for (is_buy, price, qty, fee) in steps {
            let (price, fee) = (Decimal::new(price, 3), Decimal::new(fee, 8));
            let qty = Decimal::new(qty, 7);
            let side = if is_buy || head.base.is_zero() { Side::Buy } else { Side::Sell };
            let qty = if side == Side::Sell { qty.min(head.base) } else { qty };
            let terms = FillTerms { side, price, qty, fee_quote: fee, fee_base: Decimal::ZERO };
            let booked = book_fill(&head, &terms).unwrap();
            let amount = round_to(price * qty, scale::AMT);
            match side {
                Side::Buy => { cash -= amount; held += qty; }
                Side::Sell => { cash += amount; held -= qty; }
            }
            cash -= fee;
            net += booked.realized.map_or(Decimal::ZERO, |r| r.net_quote);
            head = booked.head;
            rows.push(booked.row);
            prop_assert_eq!(fold(&rows).unwrap(), head);
            prop_assert_eq!(head.base, held);
            prop_assert_eq!(net, head.realized);
            prop_assert_eq!(net, cash + head.cost + head.open_fees);
            if head.base.is_zero() {
                prop_assert_eq!(net, cash);
            }
        }
    }
}
