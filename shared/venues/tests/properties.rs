//! Properties of decoding and of books: any bytes are answered, order of levels does not matter, a
//! book equals a naive one.

use std::collections::BTreeMap;

use penstock_venues::kraken::book::{Book, Precision, Verdict};
use penstock_venues::kraken::number::unscaled;
use penstock_venues::kraken::{Frame, Unknowns, decode};
use penstock_venues::recording::check;
use proptest::prelude::*;

const PRECISION: Precision = Precision { price: 1, qty: 8 };

fn side(levels: &[(i64, i64)]) -> String {
    let levels: Vec<String> = levels
        .iter()
        .map(|(price, qty)| {
            format!(r#"{{"price":{},"qty":{}}}"#, unscaled(*price, 1), unscaled(*qty, 8))
        })
        .collect();
    format!("[{}]", levels.join(","))
}

fn frame(kind: &str, bids: &[(i64, i64)], asks: &[(i64, i64)], checksum: u32) -> String {
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":{},"asks":{},"checksum":{checksum},"timestamp":"2026-07-07T23:00:03.977459Z"}}]}}"#,
        side(bids),
        side(asks),
    )
}

fn apply(book: &mut Book, text: &str) -> Verdict {
    let Ok(Frame::Book(message)) = decode(text) else { panic!("not a book frame: {text}") };
    let row = &message.rows[0];
    if message.is_snapshot() {
        book.apply_snapshot(row).expect("digits fit")
    } else {
        book.apply_update(row).expect("digits fit")
    }
}

fn levels() -> impl Strategy<Value = Vec<(i64, i64)>> {
    proptest::collection::vec((1_000i64..1_040, 0i64..5), 0..30)
}

/// A book without cleverness.
#[derive(Default)]
struct Naive {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Naive {
    fn apply(&mut self, bids: &[(i64, i64)], asks: &[(i64, i64)], depth: usize) {
        for (levels, held) in [(bids, &mut self.bids), (asks, &mut self.asks)] {
            for (price, qty) in levels {
                if *qty == 0 {
                    held.remove(price);
                } else {
                    held.insert(*price, *qty);
                }
            }
        }
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    fn text(&self) -> String {
        let asks = self.asks.iter().take(10);
        let bids = self.bids.iter().rev().take(10);
        asks.chain(bids).map(|(price, qty)| format!("{price}{qty}")).collect()
    }
}

proptest! {
    #[test]
    fn a_book_equals_a_naive_one_and_its_checksum_agrees(
        steps in proptest::collection::vec((levels(), levels()), 1..20),
        depth in prop_oneof![Just(10u32), Just(25)],
    ) {
        let mut book = Book::new(depth, PRECISION);
        let mut naive = Naive::default();
        for (bids, asks) in steps {
            // The asks live above the bids, so the book is never crossed.
            let asks: Vec<_> = asks.into_iter().map(|(price, qty)| (price + 100, qty)).collect();
            naive.apply(&bids, &asks, depth as usize);
            let checksum = crc32fast::hash(naive.text().as_bytes());
            let verdict = apply(&mut book, &frame("update", &bids, &asks, checksum));
            prop_assert_eq!(verdict, Verdict::Verified);
            let held: Vec<_> = book.bids().map(|l| (l.price, l.qty)).collect();
            let want: Vec<_> = naive.bids.iter().rev().map(|(p, q)| (*p, *q)).collect();
            prop_assert_eq!(held, want);
            let held: Vec<_> = book.asks().map(|l| (l.price, l.qty)).collect();
            let want: Vec<_> = naive.asks.iter().map(|(p, q)| (*p, *q)).collect();
            prop_assert_eq!(held, want);
        }
    }

    #[test]
    fn the_order_of_an_image_s_levels_does_not_matter(
        levels in proptest::collection::btree_map(1_000i64..2_000, 1i64..9, 1..40),
        seed in any::<u64>(),
    ) {
        let sorted: Vec<(i64, i64)> = levels.into_iter().collect();
        let mut mixed = sorted.clone();
        mixed.sort_by_key(|(price, _)| (*price as u64).wrapping_mul(seed | 1));
        let mut one = Book::new(100, PRECISION);
        let mut two = Book::new(100, PRECISION);
        apply(&mut one, &frame("snapshot", &[], &sorted, 0));
        apply(&mut two, &frame("snapshot", &[], &mixed, 0));
        prop_assert_eq!(one.checksum(), two.checksum());
        prop_assert!(one.asks().eq(two.asks()));
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in "\\PC*") {
        if let Ok(frame) = decode(&text) {
            frame.visit_unknowns(&mut |_| {});
        }
    }

    #[test]
    fn damaged_frames_are_decoded_or_refused(at in 0usize..400, byte in 32u8..127, cut in 0usize..400) {
        let text = frame("update", &[(1_001, 2)], &[(1_101, 3), (1_102, 0)], 7);
        let mut bytes = text.into_bytes();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        bytes.truncate(cut.max(1));
        let text = String::from_utf8(bytes).expect("ASCII");
        if let Ok(Frame::Book(message)) = decode(&text) {
            let mut book = Book::new(10, PRECISION);
            for row in &message.rows {
                // A damaged number is refused by the book, a damaged checksum is seen by it.
                let _ = book.apply_update(row);
            }
        }
    }

    #[test]
    fn any_recording_is_reported_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes, None);
    }
}

#[test]
fn the_published_checksum_vector_agrees() {
    let asks = [
        ("45285.2", "0.00100000"),
        ("45286.4", "1.54571953"),
        ("45286.6", "1.54571109"),
        ("45289.6", "1.54560911"),
        ("45290.2", "0.15890660"),
        ("45291.8", "1.54553491"),
        ("45294.7", "0.04454749"),
        ("45296.1", "0.35380000"),
        ("45297.5", "0.09945542"),
        ("45299.5", "0.18772827"),
    ];
    let bids = [
        ("45283.5", "0.10000000"),
        ("45283.4", "1.54582015"),
        ("45282.1", "0.10000000"),
        ("45281.0", "0.10000000"),
        ("45280.3", "1.54592586"),
        ("45279.0", "0.07990000"),
        ("45277.6", "0.03310103"),
        ("45277.5", "0.30000000"),
        ("45277.3", "1.54602737"),
        ("45276.6", "0.15445238"),
    ];
    let text = |levels: &[(&str, &str)], strip: bool| {
        let levels: Vec<String> = levels
            .iter()
            .map(|(price, qty)| {
                let qty = if strip { qty.trim_end_matches('0') } else { qty };
                format!(r#"{{"price":{price},"qty":{qty}}}"#)
            })
            .collect();
        levels.join(",")
    };
    // The second form drops trailing zeros as some feeds do; the digits come from the precision.
    for strip in [false, true] {
        let frame = format!(
            r#"{{"channel":"book","type":"snapshot","data":[{{"symbol":"BTC/USD","bids":[{}],"asks":[{}],"checksum":3310070434}}]}}"#,
            text(&bids, strip),
            text(&asks, strip)
        );
        let mut book = Book::new(10, PRECISION);
        assert_eq!(apply(&mut book, &frame), Verdict::Verified);
    }
    assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
}

#[test]
fn a_number_with_too_many_digits_names_symbol_side_and_field() {
    let text = frame("update", &[], &[(1_101, 3)], 7).replace("110.1", "110.15");
    let Ok(Frame::Book(message)) = decode(&text) else { panic!("not a book frame") };
    let error = Book::new(10, PRECISION).apply_update(&message.rows[0]).unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("BTC/USD book: price of a ask: 110.15 has more than 1 digits"),
        "{shown}"
    );
}

#[test]
fn a_crossed_book_is_not_verified() {
    let mut book = Book::new(10, PRECISION);
    let checksum = crc32fast::hash(b"100051100051");
    let verdict = apply(&mut book, &frame("snapshot", &[(10_005, 1)], &[(10_005, 1)], checksum));
    assert_eq!(verdict, Verdict::Crossed);
}

#[test]
fn unknown_fields_and_words_are_reported_and_do_not_fail() {
    let text = r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"swap","price":1.0,"qty":2.0,"ord_type":"limit","trade_id":3,"timestamp":"2026-07-07T23:00:03Z","new_field":{"deep":[1]}}]}"#;
    let frame = decode(text).unwrap();
    let mut unknowns = Vec::new();
    frame.visit_unknowns(&mut |unknown| unknowns.push(format!("{unknown:?}")));
    assert_eq!(
        unknowns,
        [
            r#"Value { vocabulary: "Side", value: "swap" }"#,
            r#"Field { object: "TradeRow", name: "new_field" }"#
        ]
    );
    for text in [r#"{"channel":"news","data":[1]}"#, r#"{"data":[1],"channel":"news"}"#, "{}"] {
        assert!(matches!(decode(text), Ok(Frame::Unknown { .. })), "{text}");
    }
}

#[test]
fn the_order_of_an_envelope_s_fields_does_not_matter() {
    let text = r#"{"type":"update","data":[{"timestamp":"2026-07-07T23:00:03Z","checksum":1,"asks":[{"qty":1.0,"price":2.0}],"bids":[],"symbol":"BTC\/USD"}],"channel":"book"}"#;
    let Ok(Frame::Book(message)) = decode(text) else { panic!("not a book frame") };
    assert_eq!(message.rows[0].symbol.as_str(), "BTC/USD");
    assert_eq!(message.rows[0].asks[0].price.as_str(), "2.0");
}

#[test]
fn errors_say_what_and_where() {
    for (text, what) in [
        (
            r#"{"channel":"book","type":"update","data":[{"symbol":"X/Y","bids":[],"asks":[{"price":true,"qty":1}],"checksum":1}]}"#,
            "book frame",
        ),
        (r#"{"channel":"trade","type":"update","data":[{"symbol":"X/Y"}]}"#, "trade frame"),
        (r#"{"channel":"ticker","type":"update"}"#, "ticker"),
        (r#"{"channel":"ticker","data":[]}"#, "ticker"),
        (r#"{"channel":"executions","type":"update","data":{}}"#, "executions frame"),
        ("[1,2]", "frame"),
        ("", "frame"),
    ] {
        let error = decode(text).unwrap_err();
        assert_eq!(error.what, what, "{error}");
    }
}
