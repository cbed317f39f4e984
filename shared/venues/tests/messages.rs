//! Every kind of Kraken message that others captured decodes, and what is unknown is only reported.

mod common;

use common::{recordings, unzipped};
use penstock_venues::kraken::book::{Book, Precision, Verdict};
use penstock_venues::kraken::{Frame, Unknowns, decode};

#[test]
fn captured_messages_of_every_kind_decode() {
    let Some(root) = recordings() else { return };
    let mut decoded = 0;
    for line in unzipped(&root.join("messages/messages.jsonl.gz")).lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let kind = row["kind"].as_str().unwrap();
        if !kind.starts_with("kraken_v2:") && !kind.starts_with("kraken_spot:ws_") {
            continue;
        }
        let raw = row["raw"].as_str().unwrap();
        let frame = decode(raw).unwrap_or_else(|e| panic!("{kind}: {e}\n{raw}"));
        let mut unknowns = Vec::new();
        frame.visit_unknowns(&mut |unknown| unknowns.push(format!("{unknown:?}")));
        if !matches!(&frame, Frame::Unknown { .. }) {
            assert!(unknowns.is_empty(), "{kind}: {unknowns:?}");
        }
        decoded += 1;
    }
    assert!(decoded > 50, "only {decoded} messages looked at");
}

#[test]
fn a_message_that_says_twice_what_it_is_is_refused() {
    let parts = [r#""channel":"book""#, r#""type":"update""#, r#""data":[]"#];
    let whole = format!("{{{}}}", parts.join(","));
    assert!(matches!(decode(&whole), Ok(Frame::Book(_))), "{whole}");
    for part in parts {
        let text = format!("{{{},{part}}}", parts.join(","));
        let error = decode(&text).unwrap_err().to_string();
        assert!(error.contains("duplicate field"), "{error}");
    }
}

#[test]
fn every_checksum_of_the_real_session_agrees() {
    let Some(root) = recordings() else { return };
    let text = unzipped(&root.join("kraken_spot_v2/book10_trade_BTCUSD_ETHUSD_20260707.rec.gz"));
    let mut books = [
        Book::new(10, Precision { price: 1, qty: 8 }),
        Book::new(10, Precision { price: 2, qty: 8 }),
    ];
    let (mut verified, mut prints) = (0, 0);
    for line in text.lines() {
        let raw = line.splitn(3, '\t').nth(2).unwrap();
        match decode(raw).unwrap() {
            Frame::Book(message) => {
                for row in &message.rows {
                    let book = &mut books[usize::from(row.symbol.as_str() == "ETH/USD")];
                    let verdict = if message.is_snapshot() {
                        book.apply_snapshot(row).unwrap()
                    } else {
                        book.apply_update(row).unwrap()
                    };
                    assert_eq!(verdict, Verdict::Verified);
                    verified += 1;
                }
            }
            Frame::Trade(message) => prints += message.rows.len(),
            _ => {}
        }
    }
    assert_eq!((verified, prints), (2_962, 17));
}
