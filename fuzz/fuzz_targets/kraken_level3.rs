//! Any sequence of frames leaves an order-by-order book that is sorted, within its depth and without
//! empty levels, or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::kraken::book::Precision;
use penstock_venues::kraken::level3_book::Level3Book;
use penstock_venues::kraken::{Frame, Unknowns, decode};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut book = Level3Book::new(10, Precision { price: 1, qty: 8 });
    for line in text.lines() {
        let Ok(frame) = decode(line) else { continue };
        frame.visit_unknowns(&mut |_| {});
        let Frame::Level3(message) = &frame else { continue };
        for row in &message.rows {
            let applied = if message.is_snapshot() {
                book.apply_snapshot(row)
            } else {
                book.apply_update(row, |_| {})
            };
            if applied.is_err() {
                book.clear();
            }
            assert!(book.bids().is_sorted_by(|a, b| a.price > b.price));
            assert!(book.asks().is_sorted_by(|a, b| a.price < b.price));
            assert!(book.bids().len() <= 10 && book.asks().len() <= 10);
            let orders: usize = book
                .bids()
                .chain(book.asks())
                .map(|level| {
                    assert!(!level.orders.is_empty());
                    assert!(level.orders.is_sorted_by_key(|order| order.time_ns));
                    level.orders.len()
                })
                .sum();
            assert_eq!(orders, book.order_count());
        }
    }
});
