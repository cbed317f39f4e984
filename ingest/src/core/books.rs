//! The books that the core maintains: levels, state of the subscription, what each message did.
//!
//! Input: book rows of frames and what happens to connections. Output: a verdict for the core. A book is
//! sampled only while it is live; after a mismatch it gives nothing until the next good image.

use super::level3_books::Level3Set;
use penstock_market::{
    BookSample, Books, Level3Sample, LostBook, Scales, TakerQuotes, sample_book,
};
use penstock_types::{Symbol, UtcMicros};
use penstock_venues::kraken::book::{Book, Precision, Verdict};
use penstock_venues::kraken::book_sync::{BookAction, BookEvent, BookState, step};
use penstock_venues::kraken::public::BookRow;
use rustc_hash::FxHashMap;

/// What a book message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The book is the venue's; best bid and ask with their quantities.
    Good {
        /// Price and quantity of bid and ask.
        best: [i64; 4],
    },
    /// The book is the venue's and has no two sides to quote.
    Empty,
    /// The book was live and is no longer the venue's.
    Lost(LostBook),
    /// The image was not good; nothing had been published.
    BadImage(LostBook),
    /// The message does not belong to the state and was not applied.
    Ignored,
}

#[derive(Debug)]
struct Maintained {
    book: Book,
    state: BookState,
    scales: Scales,
    conn_id: i16,
    ts_exchange: Option<UtcMicros>,
}

/// Every maintained book by symbol.
#[derive(Debug, Default)]
pub(crate) struct BookSet {
    books: FxHashMap<Symbol, Maintained>,
    checksums_ok: u64,
    checksums_bad: u64,
    /// Order-by-order books, beside the others and without effect on them.
    pub level3: Level3Set,
}

impl BookSet {
    /// Begins to maintain a book, or begins anew when the precision changed.
    pub(crate) fn maintain(&mut self, symbol: &Symbol, depth: u32, precision: Precision) {
        let scales = Scales { price: precision.price.into(), qty: precision.qty.into() };
        let held = self.books.get(symbol);
        if held.is_some_and(|b| b.scales == scales && b.book.depth() == depth) {
            return;
        }
        let state = held.map_or(BookState::Idle, |b| step(b.state, BookEvent::PrecisionChanged).0);
        let conn_id = held.map_or(0, |b| b.conn_id);
        let book = Book::new(depth, precision);
        let fresh = Maintained { book, state, scales, conn_id, ts_exchange: None };
        self.books.insert(symbol.clone(), fresh);
    }

    /// Depth of a maintained book.
    pub(crate) fn depth(&self, symbol: &Symbol) -> Option<u32> {
        self.books.get(symbol).map(|held| held.book.depth())
    }

    /// Ends to maintain a book.
    pub(crate) fn drop_book(&mut self, symbol: &Symbol) {
        self.books.remove(symbol);
    }

    /// A socket was opened: its books are asked for. The request itself leaves a moment later; data is
    /// taken from the moment of the request on, which is never before the socket is open.
    pub(crate) fn opened<'a>(&mut self, conn_id: i16, symbols: impl Iterator<Item = &'a Symbol>) {
        for symbol in symbols {
            if let Some(held) = self.books.get_mut(symbol) {
                held.state = step(held.state, BookEvent::SubscribeSent).0;
                held.conn_id = conn_id;
            }
        }
    }

    /// A socket was lost.
    pub(crate) fn closed(&mut self, conn_id: i16) {
        self.level3.closed(conn_id);
        for held in self.books.values_mut().filter(|b| b.conn_id == conn_id) {
            held.state = step(held.state, BookEvent::Closed).0;
            held.book.clear();
        }
    }

    /// A live book is to be asked for anew.
    pub(crate) fn withdraw(&mut self, symbol: &Symbol) {
        if let Some(held) = self.books.get_mut(symbol) {
            held.state = step(held.state, BookEvent::Silent).0;
            held.book.clear();
        }
    }

    /// Applies a message.
    pub(crate) fn apply(
        &mut self,
        symbol: &Symbol,
        row: &BookRow<'_>,
        is_snapshot: bool,
    ) -> Applied {
        let Some(held) = self.books.get_mut(symbol) else {
            return Applied::Ignored;
        };
        if held.state != BookState::Live && !is_snapshot {
            return Applied::Ignored;
        }
        let outcome =
            if is_snapshot { held.book.apply_snapshot(row) } else { held.book.apply_update(row) };
        let why = match outcome {
            Ok(Verdict::Verified) => None,
            Ok(Verdict::Mismatch { expected, computed }) => {
                Some(LostBook::Checksum { expected, computed })
            }
            Ok(Verdict::Crossed) | Err(_) => Some(LostBook::Resync),
        };
        match why {
            Some(LostBook::Checksum { .. }) => self.checksums_bad += 1,
            Some(LostBook::Resync) => {}
            None => self.checksums_ok += 1,
        }
        let event = match (is_snapshot, why.is_some()) {
            (true, false) => BookEvent::SnapshotGood,
            (true, true) => BookEvent::SnapshotBad,
            (false, false) => BookEvent::UpdateGood,
            (false, true) => BookEvent::UpdateBad,
        };
        let (next, action) = step(held.state, event);
        held.state = next;
        let lost = why.unwrap_or(LostBook::Resync);
        match action {
            BookAction::Publish => {
                held.ts_exchange = row.timestamp.map(|t| t.utc());
                match (held.book.best_bid(), held.book.best_ask()) {
                    (Some(bid), Some(ask)) => {
                        Applied::Good { best: [bid.price, bid.qty, ask.price, ask.qty] }
                    }
                    (Some(_) | None, None) | (None, Some(_)) => Applied::Empty,
                }
            }
            BookAction::WithdrawAndResubscribe => {
                held.book.clear();
                Applied::Lost(lost)
            }
            BookAction::Resubscribe => Applied::BadImage(lost),
            BookAction::None
            | BookAction::StartTimer
            | BookAction::Ignore
            | BookAction::Discard => Applied::Ignored,
        }
    }

    /// Every one of the symbols has a live book.
    pub(crate) fn are_live<'a>(&self, mut symbols: impl Iterator<Item = &'a Symbol>) -> bool {
        symbols.all(|s| self.books.get(s).is_none_or(|b| b.state == BookState::Live))
    }

    /// Good and bad checksums since the start, images and order-by-order books included.
    pub(crate) const fn checksums(&self) -> (u64, u64) {
        let (ok, bad) = self.level3.checksums();
        (self.checksums_ok + ok, self.checksums_bad + bad)
    }
}

impl Books for BookSet {
    fn sample(&self, symbol: &Symbol) -> Option<BookSample> {
        let held = self.books.get(symbol).filter(|b| b.state == BookState::Live)?;
        let book = &held.book;
        let bids = book.bids().map(|l| (l.price, l.qty));
        let asks = book.asks().map(|l| (l.price, l.qty));
        let depth = i16::try_from(book.depth()).unwrap_or(i16::MAX);
        sample_book(bids, asks, held.scales, held.ts_exchange, depth)
    }

    fn sample_level3(
        &mut self,
        symbol: &Symbol,
        takers: TakerQuotes,
        at: UtcMicros,
    ) -> Option<Level3Sample> {
        self.level3.sample(symbol, takers, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_venues::kraken::{Frame, decode};

    const IMAGE: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"AAA/USD","bids":[{"price":10.0,"qty":1.0}],"asks":[{"price":10.2,"qty":2.0}],"checksum":CRC}]}"#;

    fn apply(set: &mut BookSet, text: &str, is_snapshot: bool) -> Applied {
        let symbol = Symbol::new("AAA/USD").unwrap();
        match decode(text).unwrap() {
            Frame::Book(message) => set.apply(&symbol, &message.rows[0], is_snapshot),
            other => panic!("not a book: {other:?}"),
        }
    }

    #[test]
    fn a_bad_checksum_takes_the_book_away_until_the_next_good_image() {
        let symbol = Symbol::new("AAA/USD").unwrap();
        let mut set = BookSet::default();
        set.maintain(&symbol, 10, Precision { price: 1, qty: 1 });
        set.opened(1, [&symbol].into_iter());
        // Tokens of asks, then bids: 102, 20, 100, 10.
        let good = IMAGE.replace("CRC", &crc("1022010010").to_string());
        assert_eq!(apply(&mut set, &good, true), Applied::Good { best: [100, 10, 102, 20] });
        assert!(set.sample(&symbol).is_some());
        let bad = IMAGE.replace("CRC", "1").replace("snapshot", "update");
        assert!(matches!(apply(&mut set, &bad, false), Applied::Lost(LostBook::Checksum { .. })));
        assert!(set.sample(&symbol).is_none());
        assert_eq!(apply(&mut set, &bad, false), Applied::Ignored);
        assert!(matches!(apply(&mut set, &good, true), Applied::Good { .. }));
        assert_eq!(set.checksums(), (2, 1));
    }

    /// CRC-32 of the venue, bit by bit, so that the test does not trust the code's own.
    fn crc(text: &str) -> u32 {
        let fold = |crc: u32, byte: u8| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| {
                if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 }
            })
        };
        !text.bytes().fold(u32::MAX, fold)
    }
}
