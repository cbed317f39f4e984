//! What venues send: frames, REST answers, recordings of them, numbers and times as text.

use penstock_types::decimal::{parse_wire, to_scaled};
use penstock_types::{Symbol, UtcMicros};
use penstock_venues::binance;
use penstock_venues::kraken::book::{Book, Precision};
use penstock_venues::kraken::error_table::{ErrorOutcome, judge};
use penstock_venues::kraken::level3_book::Level3Book;
use penstock_venues::kraken::nonce::{nonce_text, parse_nonce};
use penstock_venues::kraken::rest::private::{
    BalanceResult, ClosedOrdersResult, LedgersResult, OpenOrdersResult, QueryOrdersResult,
    TradeVolumeResult, TradesHistoryResult,
};
use penstock_venues::kraken::rest::public::{
    AssetPairResult, AssetResult, Entries, SystemStatusResult, TickerResult, TimeResult,
    TradesResult,
};
use penstock_venues::kraken::rest::{Reply, decode as decode_reply};
use penstock_venues::kraken::sniff::sniff;
use penstock_venues::kraken::{Frame, decode};
use penstock_venues::kraken_futures as futures;
use penstock_venues::number;
use penstock_venues::recording::{Cut, check, lines};
use penstock_venues::wire::Unknowns;

/// A frame of the venue: what decodes can be applied to a book or is refused by it.
pub(super) fn kraken_frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
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
            let _subscription = response.subscription();
            let _order = response.order();
        }
        Frame::Heartbeat
        | Frame::Status(_)
        | Frame::Instrument(_)
        | Frame::Ticker(_)
        | Frame::Trade(_)
        | Frame::Ohlc(_)
        | Frame::Executions(_)
        | Frame::Balances(_)
        | Frame::Level3(_)
        | Frame::Request { .. }
        | Frame::Unknown { .. } => {}
    }
}

/// Status (two bytes) and body of a REST answer: done, refused or unknown; an error text without a row of
/// the table is never a refusal.
pub(super) fn kraken_rest(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first_chunk::<2>() else { return };
    let Ok(body) = std::str::from_utf8(body) else { return };
    let status = u16::from_le_bytes(*status);
    macro_rules! each {
        ($($of:ty),+ $(,)?) => { $(let _reply = decode_reply::<$of>(status, body);)+ };
    }
    each!(
        OpenOrdersResult<'_>,
        ClosedOrdersResult<'_>,
        QueryOrdersResult<'_>,
        LedgersResult<'_>,
        BalanceResult<'_>,
        TradeVolumeResult<'_>,
        Entries<'_, AssetPairResult<'_>>,
        Entries<'_, AssetResult<'_>>,
        Entries<'_, TickerResult<'_>>,
        TradesResult<'_>,
        SystemStatusResult<'_>,
        TimeResult<'_>,
    );
    let reply = decode_reply::<TradesHistoryResult<'_>>(status, body);
    if status != 200 {
        assert!(matches!(reply, Reply::Unknown { .. }));
    }
    let judgement = judge(body);
    assert!(judgement.row.is_some() || judgement.outcome == ErrorOutcome::Unknown);
}

/// A recording behind one byte that says whether it is cut: a report whose counts add up, or no known
/// protocol.
pub(super) fn recording(bytes: &[u8]) {
    let Some((flag, bytes)) = bytes.split_first() else { return };
    let cut = (flag & 1 == 1).then(|| Cut { reason: "cut".to_owned() });
    let count = lines(bytes, cut.as_ref()).count() as u64;
    if let Ok(report) = check(bytes, cut.as_ref()) {
        assert_eq!(report.frames, count);
        assert_eq!(report.frames, report.decoded + report.errors + report.unknown);
    }
}

/// Texts of numbers, times and symbols: nothing is rounded, and what was read prints as what reads the same.
pub(super) fn text_values(bytes: &[u8]) {
    if let Some(nonce) = parse_nonce(bytes) {
        assert_eq!(parse_nonce(nonce_text(nonce).as_bytes()), Some(nonce));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = parse_wire(text);
    if let Ok(value) = &read {
        assert_eq!(parse_wire(&value.to_string()).as_ref(), Ok(value));
        assert!(number::is_number(text));
    }
    // The two readers give one answer: the integer is the decimal in its scale, or there is none.
    for scale in [0, 1, 8, 12, 28] {
        let of_decimal = read.as_ref().ok().and_then(|value| to_scaled(*value, scale.into()));
        assert_eq!(number::scaled(text, scale).ok(), of_decimal, "{text} in scale {scale}");
    }
    let _digits = number::fraction_digits(text);
    let _nanos = number::rfc3339_nanos(text);
    if let Ok(time) = UtcMicros::parse(text) {
        assert_eq!(UtcMicros::parse(&time.rfc3339()).ok(), Some(time));
    }
    if let Ok(symbol) = Symbol::new(text) {
        assert_eq!(symbol.as_str(), text);
    }
}

/// Any sequence of frames and any REST body of Binance is decoded or refused, errors point into the
/// text, and a book is live only behind an image.
pub(super) fn binance(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut book = binance::book::Book::default();
    let mut imaged = false;
    for line in text.lines().take(2 * binance::book::BUFFER_LEN_MAX) {
        if let Ok(binance::rest::Body::Depth(image)) = binance::rest::decode("/fapi/v1/depth", line)
        {
            imaged |= book.image(image.last_update_id, &image.bids, &image.asks).is_ok();
        }
        match binance::decode(line) {
            Ok(frame) => {
                frame.visit_unknowns(&mut |_| {});
                let binance::Frame::Data { stream, events } = &frame else { continue };
                let _ = stream.as_deref().and_then(binance::stream::StreamKind::of);
                for event in events {
                    if let binance::Event::Depth(row) = event {
                        let _ = book.change(row);
                    }
                }
            }
            Err(error) => assert!(error.byte <= line.len() + 1),
        }
        assert!(imaged || book.state() == binance::book::BookState::Buffering);
        assert_eq!(book.levels().is_some(), book.state() == binance::book::BookState::Live);
    }
    for path in ["/fapi/v1/exchangeInfo", "/fapi/v1/klines", "/fapi/v1/premiumIndex"] {
        if let Ok(body) = binance::rest::decode(path, text) {
            body.visit_unknowns(&mut |_| {});
        }
    }
}

/// Any sequence of frames and any REST body of Kraken Futures is decoded or refused; a book is live only
/// behind an image and without a hole.
pub(super) fn kraken_futures(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut book = futures::book::Book::default();
    for line in text.lines() {
        let Ok(frame) = futures::decode(line) else { continue };
        frame.visit_unknowns(&mut |_| {});
        match &frame {
            futures::Frame::BookSnapshot(row) => {
                let taken = book
                    .image(row)
                    .is_ok_and(|action| action == futures::book::BookAction::Replace);
                assert_eq!(book.state() == futures::book::BookState::Live, taken);
            }
            futures::Frame::Book(row) => {
                let before = book.state();
                let action = book.change(row);
                assert!(before == futures::book::BookState::Live || book.levels().is_none());
                assert!(action.is_ok() || book.levels().is_none());
            }
            futures::Frame::Ticker(row) => {
                let _ = row.relative_funding();
            }
            _ => {}
        }
    }
    for endpoint in ["instruments", "tickers", "orderbook", "history", "historical-funding-rates"] {
        if let Ok(body) =
            futures::rest::decode(&format!("{}{endpoint}", futures::rest::PATH_PREFIX), text)
        {
            body.visit_unknowns(&mut |_| {});
        }
    }
}

/// Any sequence of frames leaves an order-by-order book that is sorted, within its depth and without
/// empty levels, or is refused.
pub(super) fn kraken_level3(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
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
}
