//! Any text is decoded or refused, and what decodes can be applied to a book or is refused by it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::kraken::book::{Book, Precision};
use penstock_venues::kraken::sniff::sniff;
use penstock_venues::kraken::{Frame, Unknowns, decode};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let sniffed = sniff(text);
    let Ok(frame) = decode(text) else { return };
    frame.visit_unknowns(&mut |_| {});
    match &frame {
        Frame::Book(message) => {
            let mut book = Book::new(10, Precision { price: 1, qty: 8 });
            for row in &message.rows {
                // A number that does not fit is refused; anything else leaves a sorted book.
                if book.apply_update(row).is_ok() {
                    assert!(book.bids().is_sorted_by(|a, b| a.price > b.price));
                    assert!(book.asks().is_sorted_by(|a, b| a.price < b.price));
                    assert!(book.bids().len() <= 10 && book.asks().len() <= 10);
                }
            }
            if let (Some(seen), Some(row)) = (sniffed, message.rows.first()) {
                assert_eq!(seen.is_snapshot, message.is_snapshot());
                assert!(seen.symbol == Some(row.symbol.as_str()) || message.rows.len() > 1);
            }
        }
        Frame::Response(response) => {
            let _ = response.subscription();
            let _ = response.order();
        }
        _ => {}
    }
});
