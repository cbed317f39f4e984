//! The local book of one symbol: changes of the stream on top of one image of REST.
//!
//! Input: changes and images, in any order of arrival. Output: the book, and what to do
//! ([`BookAction`]). One total match over where the book stands and how a message relates to the last
//! number in it:
//!
//! ```text
//! Buffering ──image──▶ Imaged ──change that straddles the image──▶ Live ──linked change──▶ Live
//!     ▲                  │ a change begins behind the image          │ the chain breaks
//!     └──────────────────┴──────────────── fetch another image ──────┘
//! ```
//!
//! Invariants: the first change that is applied begins at or before the image and ends at or behind it;
//! every later one names its predecessor; a book with a hole is void until the next image. Changes that
//! come before the image are kept, within a limit.

use rust_decimal::Decimal;

use super::rows::DepthRow;
use crate::depth_book::DepthBook;
use crate::kraken::vocabulary::Side;
use crate::number::NumberError;
use crate::wire::Num;

/// Changes that are kept while the image is under way: 100 s of the fastest stream.
pub const BUFFER_LEN_MAX: usize = 1_000;

/// Where a symbol's book stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookState {
    /// No image; changes are kept.
    Buffering,
    /// An image without its first change.
    Imaged,
    /// The book is the venue's.
    Live,
}

/// What came, seen from the last number of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookEvent {
    /// An image.
    Image,
    /// A change that ends before it (behind an applied change: at or before it).
    Old,
    /// A change that begins at or before it and ends at or behind it.
    Straddles,
    /// A change that names it as its predecessor.
    Linked,
    /// A change behind something else.
    Apart,
    /// A message that cannot be applied, or one too many to keep.
    Unusable,
    /// The socket closed.
    Closed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookAction {
    /// Take the image.
    Replace,
    /// Keep the change.
    Keep,
    /// Apply the change.
    Apply,
    /// Nothing: it says nothing new.
    Ignore,
    /// The book is void: forget it, fetch another image.
    Refetch,
    /// Forget everything.
    Discard,
}

impl BookState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Buffering, Self::Imaged, Self::Live];
}

impl BookEvent {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::Image,
        Self::Old,
        Self::Straddles,
        Self::Linked,
        Self::Apart,
        Self::Unusable,
        Self::Closed,
    ];
}

/// The whole table.
pub const fn step(state: BookState, event: BookEvent) -> (BookState, BookAction) {
    use BookAction as A;
    use BookEvent as E;
    use BookState as S;
    match (state, event) {
        (S::Buffering, E::Image) => (S::Imaged, A::Replace),
        (S::Buffering, E::Old | E::Straddles | E::Linked | E::Apart) => (S::Buffering, A::Keep),
        (S::Buffering, E::Unusable) => (S::Buffering, A::Refetch),
        (S::Buffering, E::Closed) => (S::Buffering, A::Discard),
        (S::Imaged, E::Image) => (S::Imaged, A::Replace),
        (S::Imaged, E::Old) => (S::Imaged, A::Ignore),
        (S::Imaged, E::Straddles) => (S::Live, A::Apply),
        // What lies between the image and this change never came.
        (S::Imaged, E::Linked | E::Apart | E::Unusable) => (S::Buffering, A::Refetch),
        (S::Imaged, E::Closed) => (S::Buffering, A::Discard),
        // An image that was asked for twice is older than what was applied since.
        (S::Live, E::Image | E::Old) => (S::Live, A::Ignore),
        (S::Live, E::Linked) => (S::Live, A::Apply),
        (S::Live, E::Straddles | E::Apart | E::Unusable) => (S::Buffering, A::Refetch),
        (S::Live, E::Closed) => (S::Buffering, A::Discard),
    }
}

/// Levels of one side: price and quantity.
type Levels = Vec<(Decimal, Decimal)>;

/// A change, kept.
#[derive(Clone, Debug)]
struct Kept {
    first_id: i64,
    final_id: i64,
    previous_id: i64,
    bids: Levels,
    asks: Levels,
}

/// A symbol's book.
#[derive(Clone, Debug)]
pub struct Book {
    state: BookState,
    last_id: i64,
    levels: DepthBook,
    kept: Vec<Kept>,
}

impl Default for Book {
    fn default() -> Self {
        let levels = DepthBook::default();
        Self { state: BookState::Buffering, last_id: 0, levels, kept: Vec::new() }
    }
}

impl Book {
    /// Where it stands.
    pub const fn state(&self) -> BookState {
        self.state
    }

    /// The levels, if the book is the venue's.
    pub fn levels(&self) -> Option<&DepthBook> {
        (self.state == BookState::Live).then_some(&self.levels)
    }

    /// Takes a change.
    ///
    /// # Errors
    /// A number that has no exact value; the book is then void.
    pub fn change(&mut self, row: &DepthRow<'_>) -> Result<BookAction, NumberError> {
        let (bids, asks) = match (levels(&row.bids), levels(&row.asks)) {
            (Ok(bids), Ok(asks)) => (bids, asks),
            (Err(error), _) | (_, Err(error)) => {
                self.step(BookEvent::Unusable);
                return Err(error);
            }
        };
        Ok(self.take(Kept {
            first_id: row.first_id,
            final_id: row.final_id,
            previous_id: row.previous_id,
            bids,
            asks,
        }))
    }

    /// Takes an image, and what was kept behind it.
    ///
    /// # Errors
    /// A number that has no exact value; the book is then void.
    pub fn image(
        &mut self,
        last_id: i64,
        bids: &[(Num<'_>, Num<'_>)],
        asks: &[(Num<'_>, Num<'_>)],
    ) -> Result<BookAction, NumberError> {
        let (bids, asks) = match (levels(bids), levels(asks)) {
            (Ok(bids), Ok(asks)) => (bids, asks),
            (Err(error), _) | (_, Err(error)) => {
                self.step(BookEvent::Unusable);
                return Err(error);
            }
        };
        let kept = core::mem::take(&mut self.kept);
        let action = self.step(BookEvent::Image);
        if action != BookAction::Replace {
            return Ok(action);
        }
        self.last_id = last_id;
        self.levels.clear();
        self.apply(&bids, &asks);
        // What lies behind a hole among the kept changes serves the next image.
        let mut result = action;
        for change in kept {
            if self.take(change) == BookAction::Refetch {
                result = BookAction::Refetch;
            }
        }
        Ok(result)
    }

    /// The socket closed.
    pub fn closed(&mut self) {
        self.step(BookEvent::Closed);
    }

    fn take(&mut self, change: Kept) -> BookAction {
        let action = self.step(self.event(&change));
        match action {
            BookAction::Apply => {
                self.last_id = change.final_id;
                self.apply(&change.bids, &change.asks);
            }
            BookAction::Keep if self.kept.len() == BUFFER_LEN_MAX => {
                return self.step(BookEvent::Unusable);
            }
            // The change behind a hole is the first of the next attempt.
            BookAction::Keep | BookAction::Refetch => self.kept.push(change),
            BookAction::Replace | BookAction::Ignore | BookAction::Discard => {}
        }
        action
    }

    const fn event(&self, change: &Kept) -> BookEvent {
        let last = self.last_id;
        match self.state {
            BookState::Live if change.previous_id == last => BookEvent::Linked,
            BookState::Live if change.final_id <= last => BookEvent::Old,
            BookState::Live => BookEvent::Apart,
            BookState::Buffering | BookState::Imaged => {
                if change.final_id < last {
                    BookEvent::Old
                } else if change.first_id <= last {
                    BookEvent::Straddles
                } else if change.previous_id == last {
                    BookEvent::Linked
                } else {
                    BookEvent::Apart
                }
            }
        }
    }

    fn apply(&mut self, bids: &Levels, asks: &Levels) {
        for (side, rows) in [(Side::Buy, bids), (Side::Sell, asks)] {
            for (price, qty) in rows {
                self.levels.set(side, *price, *qty);
            }
        }
    }

    fn step(&mut self, event: BookEvent) -> BookAction {
        let (state, action) = step(self.state, event);
        self.state = state;
        if matches!(action, BookAction::Refetch | BookAction::Discard) {
            self.levels.clear();
            self.kept.clear();
        }
        action
    }
}

fn levels(rows: &[(Num<'_>, Num<'_>)]) -> Result<Levels, NumberError> {
    rows.iter().map(|(price, qty)| Ok((price.decimal()?, qty.decimal()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binance::{Event, Frame, decode};
    use BookAction as A;
    use BookState as S;
    use proptest::prelude::*;

    #[test]
    fn every_pair_of_state_and_event_does_what_the_table_says() {
        let void = (S::Buffering, A::Refetch);
        let closed = (S::Buffering, A::Discard);
        let keep = (S::Buffering, A::Keep);
        // Columns in the order of `BookEvent::ALL`.
        let table = [
            (S::Buffering, [(S::Imaged, A::Replace), keep, keep, keep, keep, void, closed]),
            (
                S::Imaged,
                [
                    (S::Imaged, A::Replace),
                    (S::Imaged, A::Ignore),
                    (S::Live, A::Apply),
                    void,
                    void,
                    void,
                    closed,
                ],
            ),
            (
                S::Live,
                [
                    (S::Live, A::Ignore),
                    (S::Live, A::Ignore),
                    void,
                    (S::Live, A::Apply),
                    void,
                    void,
                    closed,
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

    fn change(book: &mut Book, first: i64, last: i64, previous: i64, qty: i64) -> BookAction {
        let text = format!(
            r#"{{"e":"depthUpdate","E":1,"T":1,"s":"X","U":{first},"u":{last},"pu":{previous},"b":[["1.0","{qty}"]],"a":[]}}"#
        );
        let Ok(Frame::Data { events, .. }) = decode(&text) else { panic!("no data: {text}") };
        let [Event::Depth(row)] = events.as_slice() else { panic!("no depth: {text}") };
        book.change(row).unwrap()
    }

    fn image(book: &mut Book, last_id: i64) -> BookAction {
        book.image(last_id, &[(Num::from_text("1"), Num::from_text("5"))], &[]).unwrap()
    }

    fn qty(book: &Book) -> Option<Decimal> {
        book.levels()?.best_bid().map(|(_, qty)| qty)
    }

    #[test]
    fn the_first_change_straddles_the_image_and_later_ones_are_linked() {
        let mut book = Book::default();
        assert_eq!(change(&mut book, 1, 5, 0, 1), A::Keep);
        assert_eq!(change(&mut book, 6, 9, 5, 2), A::Keep);
        assert_eq!(change(&mut book, 10, 12, 9, 3), A::Keep);
        assert_eq!(image(&mut book, 7), A::Replace);
        assert_eq!((book.state(), qty(&book)), (S::Live, Some(3.into())));
        assert_eq!(change(&mut book, 10, 12, 9, 9), A::Ignore);
        assert_eq!(change(&mut book, 13, 13, 12, 4), A::Apply);
        assert_eq!(change(&mut book, 15, 15, 14, 4), A::Refetch);
        assert_eq!((book.state(), qty(&book)), (S::Buffering, None));
        assert_eq!(change(&mut book, 16, 17, 15, 6), A::Keep);
        assert_eq!(image(&mut book, 15), A::Replace);
        assert_eq!(qty(&book), Some(6.into()));
        book.closed();
        assert_eq!(qty(&book), None);
    }

    #[test]
    fn an_image_before_every_change_needs_another_one() {
        let mut book = Book::default();
        assert_eq!(image(&mut book, 7), A::Replace);
        assert_eq!(change(&mut book, 9, 12, 8, 3), A::Refetch);
        assert_eq!(book.state(), S::Buffering);
    }

    #[test]
    fn too_many_changes_without_an_image_start_anew() {
        let mut book = Book::default();
        for n in 0..BUFFER_LEN_MAX as i64 {
            assert_eq!(change(&mut book, n, n, n - 1, 1), A::Keep);
        }
        assert_eq!(change(&mut book, 5_000, 5_000, 4_999, 1), A::Refetch);
    }

    proptest! {
        /// Wherever the image falls into a running stream, the book is that of the last change.
        #[test]
        fn the_place_of_the_image_does_not_matter(
            lens in proptest::collection::vec(1i64..5, 2..40),
            at in any::<prop::sample::Index>(),
            behind in any::<prop::sample::Index>(),
        ) {
            let mut changes = Vec::new();
            let mut last = 0;
            for len in lens {
                changes.push((last + 1, last + len, last));
                last += len;
            }
            // The image is of a state that one of the changes leads to, and arrives at any time after.
            let of = at.index(changes.len());
            let arrives = of + behind.index(changes.len() - of);
            let mut book = Book::default();
            for (n, (first, last, previous)) in changes.iter().enumerate() {
                change(&mut book, *first, *last, *previous, n as i64 + 10);
                if n == arrives {
                    prop_assert_eq!(image(&mut book, changes[of].1), A::Replace);
                }
            }
            prop_assert_eq!(qty(&book), Some((changes.len() as i64 + 9).into()));
        }
    }
}
