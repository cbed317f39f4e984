//! Any sequence of frames and any REST body of Binance is decoded or refused, errors point into the
//! text, and a book is live only behind an image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use penstock_venues::binance::book::{BUFFER_LEN_MAX, Book, BookState};
use penstock_venues::binance::rest::{Body, decode as decode_rest};
use penstock_venues::binance::stream::StreamKind;
use penstock_venues::binance::{Event, Frame, decode};
use penstock_venues::wire::Unknowns;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let mut book = Book::default();
    let mut imaged = false;
    for line in text.lines().take(2 * BUFFER_LEN_MAX) {
        if let Ok(Body::Depth(image)) = decode_rest("/fapi/v1/depth", line) {
            imaged |= book.image(image.last_update_id, &image.bids, &image.asks).is_ok();
        }
        match decode(line) {
            Ok(frame) => {
                frame.visit_unknowns(&mut |_| {});
                let Frame::Data { stream, events } = &frame else { continue };
                let _ = stream.as_deref().and_then(StreamKind::of);
                for event in events {
                    if let Event::Depth(row) = event {
                        let _ = book.change(row);
                    }
                }
            }
            Err(error) => assert!(error.byte <= line.len() + 1),
        }
        assert!(imaged || book.state() == BookState::Buffering);
        assert_eq!(book.levels().is_some(), book.state() == BookState::Live);
    }
    for path in ["/fapi/v1/exchangeInfo", "/fapi/v1/klines", "/fapi/v1/premiumIndex"] {
        if let Ok(body) = decode_rest(path, text) {
            body.visit_unknowns(&mut |_| {});
        }
    }
});
