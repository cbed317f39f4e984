//! Purpose: what the bench's venue sends, prepared. Inputs: pairs, the depth of their books, a mixture.
//! Outputs: frames of the venue's second protocol, framed for the socket, in one buffer that can be sent
//! again and again. Invariants: only the numbers of trades and the times change from one round to the
//! next, in place, so that sending costs next to nothing; a round ends with every book as it began.

use super::pair::{Change, Circle, Pair, qty};

/// Trades of one trade frame: the recorded sweeps have 1.9 on average.
const TRADES_PER_FRAME: usize = 2;
/// First number of a trade; numbers keep their width.
pub(super) const FIRST_TRADE_ID: u64 = 1_000_000_001;
/// Digits of a trade's number.
const ID_DIGITS: usize = 10;
/// Time that stands in prepared frames until the first round.
const NO_TIME: &str = "2026-01-01T00:00:00.000000Z";

/// What is sent together, in frames of a hundred, and how long a book's circle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mix {
    /// Trade frames.
    pub(super) trade: usize,
    /// Ticker frames.
    pub(super) ticker: usize,
    /// Book frames.
    pub(super) book: usize,
    /// Changes of a book until it goes back.
    pub(super) changes: usize,
}

impl Mix {
    /// A little of everything, so that nothing falls silent.
    pub(super) const CALM: Self = Self { trade: 25, ticker: 25, book: 50, changes: 1 };
    /// What gives the most rows: trades are rows one by one, tickers and books only samples.
    pub(super) const ROWS: Self = Self { trade: 80, ticker: 10, book: 10, changes: 2 };
    /// Mostly changes of books.
    pub(super) const BOOKS: Self = Self { trade: 1, ticker: 4, book: 95, changes: 20 };
}

/// Frames of one round over the pairs of a socket.
#[derive(Debug)]
pub(super) struct Round {
    /// As they go over the socket.
    pub(super) bytes: Vec<u8>,
    /// Number of frames.
    pub(super) frames: u64,
    /// Number of trades.
    pub(super) trades: u64,
    /// Where times stand.
    times: Vec<usize>,
    /// Where numbers of trades stand, and whose.
    ids: Vec<(usize, usize)>,
}

impl Round {
    /// Prepares a round.
    #[must_use]
    pub(super) fn new(pairs: &[Pair], depth: usize, mix: Mix) -> Self {
        let mut round =
            Self { bytes: Vec::new(), frames: 0, trades: 0, times: Vec::new(), ids: Vec::new() };
        let circles: Vec<Vec<Change>> =
            pairs.iter().map(|pair| Circle::new(pair, depth).changes(mix.changes)).collect();
        let (mut trades_due, mut tickers_due, mut next_trade, mut next_ticker) = (0, 0, 0, 0);
        for step in 0..2 * mix.changes {
            for (at, pair) in pairs.iter().enumerate() {
                let Some(change) = circles[at].get(step) else { continue };
                round.push(&book_update(pair, change, NO_TIME), at);
                trades_due += mix.trade;
                tickers_due += mix.ticker;
                while trades_due >= mix.book {
                    trades_due -= mix.book;
                    let whose = next_trade % pairs.len();
                    round.push(&trade(&pairs[whose], next_trade), whose);
                    round.trades += TRADES_PER_FRAME as u64;
                    next_trade += 1;
                }
                while tickers_due >= mix.book {
                    tickers_due -= mix.book;
                    let whose = next_ticker % pairs.len();
                    round.push(&ticker(&pairs[whose], "update", NO_TIME), whose);
                    next_ticker += 1;
                }
            }
        }
        round
    }

    fn push(&mut self, text: &str, whose: usize) {
        push_frame(&mut self.bytes, text);
        let start = self.bytes.len() - text.len();
        let id = FIRST_TRADE_ID.to_string();
        self.times.extend(text.match_indices(NO_TIME).map(|(at, _)| start + at));
        self.ids.extend(text.match_indices(&id).map(|(at, _)| (start + at, whose)));
        self.frames += 1;
    }

    /// Writes the next numbers and the time into the round; `next_ids` has one per pair.
    pub(super) fn renew(&mut self, next_ids: &mut [u64], now: &str) {
        for at in &self.times {
            self.bytes[*at..*at + NO_TIME.len()].copy_from_slice(now.as_bytes());
        }
        for (at, whose) in &self.ids {
            let mut rest = next_ids[*whose];
            next_ids[*whose] += 1;
            for digit in self.bytes[*at..*at + ID_DIGITS].iter_mut().rev() {
                // A digit is below ten.
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
    }
}

/// The time as it stands in frames.
#[must_use]
pub(super) fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Frames a text as a server does: one frame, no mask.
pub(super) fn push_frame(out: &mut Vec<u8>, text: &str) {
    const TEXT: u8 = 0x81;
    out.push(TEXT);
    let len = text.len();
    if let (Ok(short), true) = (u8::try_from(len), len < 126) {
        out.push(short);
    } else if let Ok(medium) = u16::try_from(len) {
        out.push(126);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

/// A change of a book.
#[must_use]
pub(super) fn book_update(pair: &Pair, change: &Change, at: &str) -> String {
    book(pair, change, "update", at)
}

/// A whole book.
#[must_use]
pub(super) fn book_image(pair: &Pair, image: &Change, at: &str) -> String {
    book(pair, image, "snapshot", at)
}

fn book(pair: &Pair, change: &Change, kind: &str, at: &str) -> String {
    let (symbol, Change { bids, asks, checksum }) = (&pair.symbol, change);
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":{bids},"asks":{asks},"checksum":{checksum},"timestamp":"{at}"}}]}}"#
    )
}

/// Trades of one sweep; all with the same number until a round gives them theirs.
fn trade(pair: &Pair, number: usize) -> String {
    let is_buy = number.is_multiple_of(2);
    let (side, price) = (if is_buy { "buy" } else { "sell" }, pair.trade_price(is_buy));
    let (symbol, first) = (&pair.symbol, i64::try_from(number % 997).unwrap_or(0));
    let rows: Vec<String> = (0..TRADES_PER_FRAME)
        .map(|n| {
            let qty = qty(5_413_000 + first * 1_001 + i64::try_from(n).unwrap_or(0));
            format!(
                r#"{{"symbol":"{symbol}","side":"{side}","price":{price},"qty":{qty},"ord_type":"market","trade_id":{FIRST_TRADE_ID},"timestamp":"{NO_TIME}"}}"#
            )
        })
        .collect();
    format!(r#"{{"channel":"trade","type":"update","data":[{}]}}"#, rows.join(","))
}

/// Best prices and statistics of a day.
#[must_use]
pub(super) fn ticker(pair: &Pair, kind: &str, at: &str) -> String {
    let (symbol, bid, ask) = (&pair.symbol, pair.trade_price(false), pair.trade_price(true));
    format!(
        r#"{{"channel":"ticker","type":"{kind}","data":[{{"symbol":"{symbol}","bid":{bid},"bid_qty":0.12345768,"ask":{ask},"ask_qty":0.12345768,"last":{bid},"volume":997038.98383185,"vwap":{bid},"low":{bid},"high":{ask},"change":-0.17,"change_pct":-0.17,"timestamp":"{at}"}}]}}"#
    )
}

#[cfg(test)]
mod tests {
    use penstock_venues::kraken::{Frame, decode};

    use super::{FIRST_TRADE_ID, Mix, Round};
    use crate::bench::ingest::pair::Pair;

    /// Texts of a round's bytes.
    fn texts(mut bytes: &[u8]) -> Vec<String> {
        let mut texts = Vec::new();
        while let [0x81, len, rest @ ..] = bytes {
            let (len, rest) = match len {
                126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
                127 => panic!("no frame is that long"),
                len => (usize::from(*len), rest),
            };
            texts.push(String::from_utf8(rest[..len].to_vec()).unwrap());
            bytes = &rest[len..];
        }
        assert!(bytes.is_empty());
        texts
    }

    #[test]
    fn a_round_has_its_mixture_and_numbers_trades_without_a_gap() {
        let pairs: Vec<Pair> = (0..3).map(Pair::of).collect();
        let mut round = Round::new(&pairs, 10, Mix::ROWS);
        let mut next = vec![FIRST_TRADE_ID; 3];
        let mut seen = vec![Vec::new(); 3];
        let (mut trades, mut books, mut tickers) = (0, 0, 0);
        for _ in 0..2 {
            round.renew(&mut next, "2026-07-07T23:00:03.977459Z");
            let texts = texts(&round.bytes);
            assert_eq!(texts.len() as u64, round.frames);
            for text in texts {
                assert!(text.contains("2026-07-07T23:00:03.977459Z"), "{text}");
                match decode(&text).unwrap() {
                    Frame::Trade(message) => {
                        for row in &message.rows {
                            let at = pairs.iter().position(|p| p.symbol == *row.symbol).unwrap();
                            seen[at].push(row.trade_id);
                            trades += 1;
                        }
                    }
                    Frame::Book(_) => books += 1,
                    Frame::Ticker(_) => tickers += 1,
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((trades, books, tickers), (2 * 96 * 2, 2 * 12, 2 * 12));
        assert_eq!(round.trades, 192);
        for (ids, next) in seen.iter().zip(next) {
            let expected: Vec<u64> = (FIRST_TRADE_ID..next).collect();
            assert_eq!(*ids, expected);
        }
    }
}
