//! The order-by-order books that the core maintains, and the flow at their best prices.
//!
//! Input: rows of the `level3` channel, prints of the `trade` channel, what happens to connections. Output:
//! a verdict per message, figures of a queue when they are asked for. A book gives figures only while it is
//! live; after a mismatch or a change of an order that it does not hold, it and its flow are given up and
//! begin anew with the next good image. It decides nothing about L2 books and quotes.

use penstock_market::{Level3Sample, LostBook, TakerQuotes};
use penstock_types::{Symbol, UtcMicros};
use penstock_venues::kraken::Num;
use penstock_venues::kraken::book::{Precision, Verdict};
use penstock_venues::kraken::book_sync::{BookAction, BookEvent, BookState, step};
use penstock_venues::kraken::level3::Level3Row;
use penstock_venues::kraken::level3_book::Level3Book;
use penstock_venues::kraken::level3_flow::QueueFlow;
use rustc_hash::FxHashMap;

/// What a message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The book is the venue's.
    Good,
    /// It was not, or is no longer: to be asked for anew.
    Lost(LostBook),
    /// The message does not belong to the state and was not applied.
    Ignored,
}

#[derive(Debug)]
struct Held {
    book: Level3Book,
    flow: QueueFlow,
    depth: u32,
    state: BookState,
    conn_id: i16,
    ts_exchange: Option<UtcMicros>,
}

impl Held {
    fn new(depth: u32, precision: Precision) -> Self {
        Self {
            book: Level3Book::new(depth, precision),
            flow: QueueFlow::new(precision),
            depth,
            state: BookState::Idle,
            conn_id: 0,
            ts_exchange: None,
        }
    }

    fn give_up(&mut self) {
        self.book.clear();
        self.flow.clear();
    }

    fn on(&mut self, event: BookEvent) -> BookAction {
        let (next, action) = step(self.state, event);
        self.state = next;
        action
    }
}

/// Every maintained order-by-order book by symbol.
#[derive(Debug, Default)]
pub(crate) struct Level3Set {
    books: FxHashMap<Symbol, Held>,
    checksums_ok: u64,
    checksums_bad: u64,
}

impl Level3Set {
    /// Begins to maintain a book, or begins anew when depth or digits changed; true when it began.
    pub(crate) fn maintain(&mut self, symbol: &Symbol, depth: u32, precision: Precision) -> bool {
        let mut fresh = Held::new(depth, precision);
        if let Some(held) = self.books.get(symbol) {
            if held.depth == depth && held.book.precision() == precision {
                return false;
            }
            fresh.state = step(held.state, BookEvent::PrecisionChanged).0;
            fresh.conn_id = held.conn_id;
        }
        self.books.insert(symbol.clone(), fresh);
        true
    }

    /// Ends to maintain a book; true when there was one.
    pub(crate) fn drop_book(&mut self, symbol: &Symbol) -> bool {
        self.books.remove(symbol).is_some()
    }

    /// Depth of a maintained book.
    pub(crate) fn depth(&self, symbol: &Symbol) -> Option<u32> {
        self.books.get(symbol).map(|held| held.depth)
    }

    /// A socket was opened: its books are asked for. Data is taken from that moment on.
    pub(crate) fn opened<'a>(&mut self, conn_id: i16, symbols: impl Iterator<Item = &'a Symbol>) {
        for symbol in symbols {
            if let Some(held) = self.books.get_mut(symbol) {
                held.on(BookEvent::SubscribeSent);
                held.conn_id = conn_id;
            }
        }
    }

    /// A socket was lost.
    pub(crate) fn closed(&mut self, conn_id: i16) {
        for held in self.books.values_mut().filter(|held| held.conn_id == conn_id) {
            held.on(BookEvent::Closed);
            held.give_up();
        }
    }

    /// A book is to be asked for anew; true when it was live.
    pub(crate) fn withdraw(&mut self, symbol: &Symbol) -> bool {
        let Some(held) = self.books.get_mut(symbol).filter(|held| held.state == BookState::Live)
        else {
            return false;
        };
        held.on(BookEvent::Silent);
        held.give_up();
        true
    }

    /// Applies a message that came at `at`.
    pub(crate) fn apply(
        &mut self,
        symbol: &Symbol,
        row: &Level3Row<'_>,
        is_snapshot: bool,
        at: UtcMicros,
    ) -> Applied {
        let Some(held) = self.books.get_mut(symbol) else {
            return Applied::Ignored;
        };
        if held.state != BookState::Live && !is_snapshot {
            return Applied::Ignored;
        }
        let Held { book, flow, .. } = held;
        let outcome = if is_snapshot {
            book.apply_snapshot(row)
        } else {
            book.apply_update(row, |change| flow.change(change, at.millis()))
        };
        let lost = match outcome {
            Ok(Verdict::Verified) => None,
            Ok(Verdict::Mismatch { expected, computed }) => {
                self.checksums_bad += 1;
                Some(LostBook::Checksum { expected, computed })
            }
            Ok(Verdict::Crossed) => Some(LostBook::Resync),
            Err(error) => {
                tracing::warn!(symbol = symbol.as_str(), "order-by-order book: {error}");
                Some(LostBook::Resync)
            }
        };
        self.checksums_ok += u64::from(lost.is_none());
        let event = match (is_snapshot, lost.is_some()) {
            (true, false) => BookEvent::SnapshotGood,
            (true, true) => BookEvent::SnapshotBad,
            (false, false) => BookEvent::UpdateGood,
            (false, true) => BookEvent::UpdateBad,
        };
        match held.on(event) {
            BookAction::Publish => {
                held.ts_exchange = row.timestamp.map(|t| t.utc());
                Applied::Good
            }
            BookAction::WithdrawAndResubscribe | BookAction::Resubscribe => {
                held.give_up();
                Applied::Lost(lost.unwrap_or(LostBook::Resync))
            }
            BookAction::None
            | BookAction::StartTimer
            | BookAction::Ignore
            | BookAction::Discard => Applied::Ignored,
        }
    }

    /// A print that was recorded; one that is not in the book's own digits explains nothing.
    pub(crate) fn print(&mut self, symbol: &Symbol, price: Num<'_>, qty: Num<'_>, at: UtcMicros) {
        let Some(held) = self.books.get_mut(symbol) else { return };
        let precision = held.book.precision();
        if let (Ok(price), Ok(qty)) = (price.scaled(precision.price), qty.scaled(precision.qty)) {
            held.flow.print(price, qty, at.millis());
        }
    }

    /// Figures of a live book at `at`; counts begin anew.
    pub(crate) fn sample(
        &mut self,
        symbol: &Symbol,
        takers: TakerQuotes,
        at: UtcMicros,
    ) -> Option<Level3Sample> {
        let held = self.books.get_mut(symbol).filter(|held| held.state == BookState::Live)?;
        let figures = held.flow.sample(&held.book, takers, at.millis())?;
        Some(Level3Sample { ts_exchange: held.ts_exchange, ..figures })
    }

    /// Every one of the symbols has a live book.
    pub(crate) fn are_live<'a>(&self, mut symbols: impl Iterator<Item = &'a Symbol>) -> bool {
        symbols.all(|s| self.books.get(s).is_none_or(|held| held.state == BookState::Live))
    }

    /// Good and bad checksums since the start, images included.
    pub(crate) const fn checksums(&self) -> (u64, u64) {
        (self.checksums_ok, self.checksums_bad)
    }
}
