//! Samples of books against the books that the venue sent.
//!
//! Inputs: best prices after each frame of a book with the frame's stamp, samples with the stamp of the last
//! message that they rest on. Output: whether each sample is the book of its stamp, and by how much later
//! messages had been sent already. Memory is bounded: what is older than [`KEPT_US`] is forgotten, but the
//! two newest of a symbol.

use penstock_types::decimal::from_scaled;
use penstock_types::{Decimal, UtcMicros};
use std::collections::{HashMap, VecDeque};

/// How long books are remembered, µs.
const KEPT_US: i64 = 120_000_000;

#[derive(Clone, Copy, Debug)]
struct Book {
    stamp: UtcMicros,
    sent: UtcMicros,
    /// Best bid, its quantity, best ask, its quantity, units.
    top: [i64; 4],
}

/// Books of one channel.
#[derive(Debug)]
pub(super) struct Books {
    digits: HashMap<String, (u32, u32)>,
    books: HashMap<String, VecDeque<Book>>,
}

/// What a sample says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Stamp of the last message.
    pub stamp: Option<UtcMicros>,
    /// Best bid and ask.
    pub prices: [Decimal; 2],
    /// Their quantities, where the sample has them.
    pub quantities: Option<[Decimal; 2]>,
}

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The venue's book of its stamp; how long a newer one had been sent, ms (0: it was the newest).
    Equal(i64),
    /// Another book.
    Other,
    /// The venue sent no book of that stamp.
    NeverSent,
}

impl Books {
    /// Books of symbols with their digits.
    pub(super) fn new(digits: &[(String, u32, u32)]) -> Self {
        let digits = digits.iter().map(|(symbol, price, qty)| (symbol.clone(), (*price, *qty)));
        Self { digits: digits.collect(), books: HashMap::new() }
    }

    /// A frame was sent.
    pub(super) fn sent(&mut self, symbol: &str, stamp: UtcMicros, sent: UtcMicros, top: [i64; 4]) {
        let books = match self.books.get_mut(symbol) {
            Some(books) => books,
            None => self.books.entry(symbol.to_owned()).or_default(),
        };
        while books.len() > 2 && books[1].sent.0 < sent.0 - KEPT_US {
            books.pop_front();
        }
        books.push_back(Book { stamp, sent, top });
    }

    /// Compares a sample that was taken at a time.
    pub(super) fn find(&self, symbol: &str, at: UtcMicros, sample: &Sample) -> Found {
        let (Some(books), Some(digits)) = (self.books.get(symbol), self.digits.get(symbol)) else {
            return Found::NeverSent;
        };
        let of_stamp = || books.iter().filter(|book| Some(book.stamp) == sample.stamp);
        if of_stamp().next().is_none() {
            return Found::NeverSent;
        }
        let Some(same) = of_stamp().find(|book| is_same(book.top, *digits, sample)) else {
            return Found::Other;
        };
        let newer = books.iter().find(|book| book.sent > same.sent && book.stamp != same.stamp);
        Found::Equal(newer.map_or(0, |newer| at.millis_since(newer.sent).max(0)))
    }

    /// Frames of a symbol were sent between two times.
    pub(super) fn any_between(&self, symbol: &str, from: UtcMicros, to: UtcMicros) -> bool {
        let books = self.books.get(symbol);
        books.is_some_and(|books| books.iter().any(|book| book.sent > from && book.sent < to))
    }
}

fn is_same(top: [i64; 4], (price, qty): (u32, u32), sample: &Sample) -> bool {
    let prices = [from_scaled(top[0], price), from_scaled(top[2], price)];
    let quantities = [from_scaled(top[1], qty), from_scaled(top[3], qty)];
    prices == sample.prices && sample.quantities.is_none_or(|own| own == quantities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UtcMicros {
        UtcMicros(ms * 1_000)
    }

    fn books() -> Books {
        let mut books = Books::new(&[("A/B".to_owned(), 1, 2)]);
        books.sent("A/B", at(1), at(10), [1_000, 5, 1_010, 7]);
        books.sent("A/B", at(2), at(20), [1_001, 5, 1_010, 7]);
        books
    }

    fn sample(stamp: i64, bid: i64) -> Sample {
        Sample {
            stamp: Some(at(stamp)),
            prices: [Decimal::new(bid, 1), Decimal::new(1_010, 1)],
            quantities: Some([Decimal::new(5, 2), Decimal::new(7, 2)]),
        }
    }

    #[test]
    fn a_sample_is_the_book_of_its_stamp_or_a_finding() {
        let books = books();
        assert_eq!(books.find("A/B", at(30), &sample(2, 1_001)), Found::Equal(0));
        assert_eq!(books.find("A/B", at(30), &sample(1, 1_000)), Found::Equal(10), "late by 10 ms");
        assert_eq!(books.find("A/B", at(15), &sample(1, 1_000)), Found::Equal(0));
        assert_eq!(books.find("A/B", at(30), &sample(2, 1_000)), Found::Other);
        let other = Sample { quantities: Some([Decimal::ONE, Decimal::ONE]), ..sample(2, 1_001) };
        assert_eq!(books.find("A/B", at(30), &other), Found::Other);
        let blind = Sample { quantities: None, ..sample(2, 1_001) };
        assert_eq!(books.find("A/B", at(30), &blind), Found::Equal(0));
        assert_eq!(books.find("A/B", at(30), &sample(3, 1_001)), Found::NeverSent);
        assert_eq!(books.find("C/D", at(30), &sample(2, 1_001)), Found::NeverSent);
        assert!(books.any_between("A/B", at(15), at(25)));
        assert!(!books.any_between("A/B", at(20), at(25)));
    }

    #[test]
    fn old_books_are_forgotten_but_the_two_newest() {
        let mut books = books();
        books.sent("A/B", at(300_000), at(300_000), [1_002, 5, 1_010, 7]);
        books.sent("A/B", at(300_001), at(300_001), [1_003, 5, 1_010, 7]);
        assert_eq!(books.find("A/B", at(300_002), &sample(1, 1_000)), Found::NeverSent);
        assert_eq!(books.find("A/B", at(300_002), &sample(300_001, 1_003)), Found::Equal(0));
        assert_eq!(books.books["A/B"].len(), 3);
    }
}
