//! The book of one product, kept by sequence numbers.
//!
//! Input: images and changes. Output: the book, and what to do ([`BookAction`]). One total match:
//!
//! ```text
//! Awaiting ──image──▶ Live ──change with the next number──▶ Live
//!     ▲                 │  jump, unreadable change: the book is void, subscribe again
//!     └─────────────────┘
//! ```
//!
//! Invariants: a change is applied once and only behind its predecessor; a book with a hole is void
//! until the next image. There is no checksum: numbers are the only signal.

use rust_decimal::Decimal;

use super::rows::{BookRow, BookSnapshotRow};
use crate::depth_book::DepthBook;
use crate::kraken::public::LevelRow;
use crate::kraken::vocabulary::Side;
use crate::number::NumberError;

/// State of a product's book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookState {
    /// No image yet, or a hole since.
    Awaiting,
    /// The book is the venue's.
    Live,
}

/// What came, seen from the last number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookEvent {
    /// A whole book.
    Image,
    /// The change with the next number.
    Next,
    /// A change with the last number or an older one.
    Old,
    /// A change with a later number than the next.
    Jump,
    /// A message that cannot be applied: a number that is none, a side without a meaning.
    Unusable,
    /// The socket closed.
    Closed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookAction {
    /// Take the image.
    Replace,
    /// Apply the change.
    Apply,
    /// Nothing: it says nothing new, or nothing can be done with it yet.
    Ignore,
    /// The book is void: forget it, subscribe the product again.
    Resubscribe,
    /// Forget everything.
    Discard,
}

impl BookState {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Awaiting, Self::Live];
}

impl BookEvent {
    /// Every event.
    pub const ALL: [Self; 6] =
        [Self::Image, Self::Next, Self::Old, Self::Jump, Self::Unusable, Self::Closed];
}

/// The whole table.
pub const fn step(state: BookState, event: BookEvent) -> (BookState, BookAction) {
    use BookAction as A;
    use BookEvent as E;
    use BookState as S;
    match (state, event) {
        (S::Awaiting, E::Image) => (S::Live, A::Replace),
        (S::Awaiting, E::Next | E::Old | E::Jump) => (S::Awaiting, A::Ignore),
        // The image itself cannot be read: another one has to come.
        (S::Awaiting, E::Unusable) => (S::Awaiting, A::Resubscribe),
        (S::Awaiting, E::Closed) => (S::Awaiting, A::Discard),
        (S::Live, E::Image) => (S::Live, A::Replace),
        (S::Live, E::Next) => (S::Live, A::Apply),
        (S::Live, E::Old) => (S::Live, A::Ignore),
        (S::Live, E::Jump | E::Unusable) => (S::Awaiting, A::Resubscribe),
        (S::Live, E::Closed) => (S::Awaiting, A::Discard),
    }
}

/// A product's book.
#[derive(Clone, Debug)]
pub struct Book {
    state: BookState,
    seq: u64,
    levels: DepthBook,
}

impl Default for Book {
    fn default() -> Self {
        Self { state: BookState::Awaiting, seq: 0, levels: DepthBook::default() }
    }
}

impl Book {
    /// State.
    pub const fn state(&self) -> BookState {
        self.state
    }

    /// The levels, if the book is the venue's.
    pub fn levels(&self) -> Option<&DepthBook> {
        (self.state == BookState::Live).then_some(&self.levels)
    }

    /// Takes a whole book.
    ///
    /// # Errors
    /// A number that has no exact value; the book is then void.
    pub fn image(&mut self, row: &BookSnapshotRow<'_>) -> Result<BookAction, NumberError> {
        let levels = match image_levels(row) {
            Ok(levels) => levels,
            Err(error) => {
                self.step(BookEvent::Unusable);
                return Err(error);
            }
        };
        let Some(seq) = row.seq.sequence() else { return Ok(self.step(BookEvent::Unusable)) };
        let action = self.step(BookEvent::Image);
        self.seq = seq;
        self.levels = levels;
        Ok(action)
    }

    /// Takes a change.
    ///
    /// # Errors
    /// A number that has no exact value; the book is then void.
    pub fn change(&mut self, row: &BookRow<'_>) -> Result<BookAction, NumberError> {
        let (Some(seq), Some(side)) = (row.seq.sequence(), row.side.known()) else {
            return Ok(self.step(BookEvent::Unusable));
        };
        let level = match (row.price.decimal(), row.qty.decimal()) {
            (Ok(price), Ok(qty)) => (price, qty),
            (Err(error), _) | (_, Err(error)) => {
                self.step(BookEvent::Unusable);
                return Err(error);
            }
        };
        let event = if seq <= self.seq {
            BookEvent::Old
        } else if seq - self.seq == 1 {
            BookEvent::Next
        } else {
            BookEvent::Jump
        };
        let action = self.step(event);
        if action == BookAction::Apply {
            self.seq = seq;
            self.levels.set(side, level.0, level.1);
        }
        Ok(action)
    }

    /// The socket closed.
    pub fn closed(&mut self) {
        self.step(BookEvent::Closed);
    }

    fn step(&mut self, event: BookEvent) -> BookAction {
        let (state, action) = step(self.state, event);
        self.state = state;
        if state == BookState::Awaiting {
            self.levels.clear();
        }
        action
    }
}

fn image_levels(row: &BookSnapshotRow<'_>) -> Result<DepthBook, NumberError> {
    let mut levels = DepthBook::default();
    let parsed = |level: &LevelRow<'_>| -> Result<(Decimal, Decimal), NumberError> {
        Ok((level.price.decimal()?, level.qty.decimal()?))
    };
    for (side, rows) in [(Side::Buy, &row.bids), (Side::Sell, &row.asks)] {
        for level in rows {
            let (price, qty) = parsed(level)?;
            levels.set(side, price, qty);
        }
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken_futures::{Frame, decode};
    use BookAction as A;
    use BookState as S;
    use proptest::prelude::*;

    #[test]
    fn every_pair_of_state_and_event_does_what_the_table_says() {
        // Columns in the order of `BookEvent::ALL`.
        let table = [
            (
                S::Awaiting,
                [
                    (S::Live, A::Replace),
                    (S::Awaiting, A::Ignore),
                    (S::Awaiting, A::Ignore),
                    (S::Awaiting, A::Ignore),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Discard),
                ],
            ),
            (
                S::Live,
                [
                    (S::Live, A::Replace),
                    (S::Live, A::Apply),
                    (S::Live, A::Ignore),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Resubscribe),
                    (S::Awaiting, A::Discard),
                ],
            ),
        ];
        assert_eq!(table.map(|(state, _)| state), S::ALL);
        for (state, row) in table {
            for (event, want) in BookEvent::ALL.into_iter().zip(row) {
                assert_eq!(step(state, event), want, "{state:?} {event:?}");
            }
        }
    }

    fn image(book: &mut Book, seq: u64, bids: &str) -> BookAction {
        let text = format!(
            r#"{{"feed":"book_snapshot","product_id":"P","timestamp":1,"seq":{seq},"tickSize":null,"bids":[{bids}],"asks":[]}}"#
        );
        let Ok(Frame::BookSnapshot(row)) = decode(&text) else { panic!("no image: {text}") };
        book.image(&row).unwrap()
    }

    fn change(book: &mut Book, seq: u64, price: i64, qty: i64) -> BookAction {
        let text = format!(
            r#"{{"feed":"book","product_id":"P","side":"buy","seq":{seq},"price":{price}.0,"qty":{qty}.0,"timestamp":1}}"#
        );
        let Ok(Frame::Book(row)) = decode(&text) else { panic!("no change: {text}") };
        book.change(&row).unwrap()
    }

    #[test]
    fn a_hole_voids_the_book_until_the_next_image() {
        let mut book = Book::default();
        assert_eq!(change(&mut book, 5, 1, 1), A::Ignore);
        assert_eq!(image(&mut book, 7, r#"{"price":1.0,"qty":3}"#), A::Replace);
        assert_eq!(change(&mut book, 8, 2, 1), A::Apply);
        assert_eq!(change(&mut book, 8, 2, 9), A::Ignore);
        let best = book.levels().and_then(DepthBook::best_bid);
        assert_eq!(best, Some((Decimal::from(2), Decimal::from(1))));
        assert_eq!(change(&mut book, 10, 2, 1), A::Resubscribe);
        assert_eq!((book.state(), book.levels()), (S::Awaiting, None));
        assert_eq!(change(&mut book, 11, 2, 1), A::Ignore);
        assert_eq!(image(&mut book, 20, ""), A::Replace);
        book.closed();
        assert_eq!(book.state(), S::Awaiting);
    }

    proptest! {
        /// Doubled and repeated changes leave the book of the plain sequence; a lost one voids it.
        #[test]
        fn the_same_book_whatever_is_repeated(
            levels in proptest::collection::vec((1i64..9, 0i64..4), 1..60),
            repeats in proptest::collection::vec(any::<prop::sample::Index>(), 0..20),
            lost in any::<prop::sample::Index>(),
        ) {
            let mut plain = Book::default();
            image(&mut plain, 0, "");
            let mut repeated = plain.clone();
            let mut holed = plain.clone();
            let lost = lost.index(levels.len());
            for (n, (price, qty)) in levels.iter().enumerate() {
                let seq = n as u64 + 1;
                prop_assert_eq!(change(&mut plain, seq, *price, *qty), A::Apply);
                change(&mut repeated, seq, *price, *qty);
                for again in repeats.iter().map(|index| index.index(levels.len())) {
                    if again <= n {
                        let (price, qty) = levels[again];
                        prop_assert_eq!(change(&mut repeated, again as u64 + 1, price, qty), A::Ignore);
                    }
                }
                if n != lost {
                    change(&mut holed, seq, *price, *qty);
                }
            }
            prop_assert_eq!(plain.levels(), repeated.levels());
            if lost + 1 < levels.len() {
                prop_assert_eq!(holed.levels(), None);
            }
        }
    }
}
