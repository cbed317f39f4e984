//! Any sequence of frames and any REST body of Kraken Futures is decoded or refused; a book is live only
//! behind an image and without a hole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::kraken_futures::book::{Book, BookAction, BookState};
use penstock_venues::kraken_futures::rest::{PATH_PREFIX, decode as decode_rest};
use penstock_venues::kraken_futures::{Frame, decode};
use penstock_venues::wire::Unknowns;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut book = Book::default();
    for line in text.lines() {
        let Ok(frame) = decode(line) else { continue };
        frame.visit_unknowns(&mut |_| {});
        match &frame {
            Frame::BookSnapshot(row) => {
                let taken = book.image(row).is_ok_and(|action| action == BookAction::Replace);
                assert_eq!(book.state() == BookState::Live, taken);
            }
            Frame::Book(row) => {
                let before = book.state();
                let action = book.change(row);
                assert!(before == BookState::Live || book.levels().is_none());
                assert!(action.is_ok() || book.levels().is_none());
            }
            Frame::Ticker(row) => {
                let _ = row.relative_funding();
            }
            _ => {}
        }
    }
    for endpoint in ["instruments", "tickers", "orderbook", "history", "historical-funding-rates"] {
        if let Ok(body) = decode_rest(&format!("{PATH_PREFIX}{endpoint}"), text) {
            body.visit_unknowns(&mut |_| {});
        }
    }
});
