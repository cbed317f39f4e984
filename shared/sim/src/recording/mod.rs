//! A recorded market: the file, what it offers, and its replay.
//!
//! Inputs: a recording file. Outputs: listings of exactly the recorded symbols at the recorded
//! depth, and the frames of `book` and `trade` byte for byte, once, in file order. The parts:
//! `lines` reads the container, `wire` the frames, `replay` sends them. It alters nothing that was
//! recorded.

mod lines;
mod replay;
mod wire;

use std::path::Path;

use rust_decimal::Decimal;

pub use lines::RecordingError;
pub use replay::{Progress, replay};

use crate::exchange::{LevelChange, Print, SymbolNo};
use crate::instruments::{Catalog, Listing};
use crate::public::DEPTHS;
use wire::{Content, Numbers};

/// What a recorded frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Levels of a book.
    Book {
        /// Levels in file order; quantity zero removes.
        levels: Vec<LevelChange>,
        /// The whole book.
        snapshot: bool,
    },
    /// Trades in file order.
    Trades(Vec<Print>),
}

/// One recorded `book` or `trade` frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFrame {
    /// When it is due, microseconds from the first frame; never smaller than the one before.
    pub due_us: i64,
    /// Time that it carries, microseconds since the Unix epoch.
    pub stamp_us: Option<i64>,
    /// Its symbol, the number of the listing.
    pub symbol: SymbolNo,
    /// Its text, byte for byte.
    pub text: String,
    /// What it says.
    pub body: Body,
}

/// A recording that has been read.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The recorded symbols.
    pub catalog: Catalog,
    /// The depth of the recorded books.
    pub depth: usize,
    /// The frames in file order.
    pub frames: Vec<RecordedFrame>,
}

impl Recording {
    /// Reads a recording of the spot socket (`.rec` or `.rec.gz`).
    ///
    /// # Errors
    /// The file cannot be read, is cut, has a frame that is no frame of the spot socket, or holds
    /// no book.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        Self::read(&lines::read(path)?)
    }

    /// Reads the text of a recording.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(text: &[u8]) -> Result<Self, RecordingError> {
        Self::read(&lines::split(text)?)
    }

    fn read(lines: &[lines::Line]) -> Result<Self, RecordingError> {
        let mut read = Vec::new();
        for line in lines.iter().filter(|line| line.received) {
            let content = wire::read(&line.text)
                .map_err(|reason| RecordingError::Frame { line: line.number, reason })?;
            read.push((line, content));
        }
        let listings = listings(&read)?;
        let depth = depth(&read).ok_or(RecordingError::NoBook)?;
        let catalog = Catalog::of(listings).map_err(|_| RecordingError::NoBook)?;
        let frames = frames(&read, &catalog)?;
        Ok(Self { catalog, depth, frames })
    }

    /// Length of the replay, microseconds.
    pub fn length_us(&self) -> i64 {
        self.frames.last().map_or(0, |frame| frame.due_us)
    }
}

type Read<'a> = [(&'a lines::Line, Content<'a>)];

/// The recorded symbols in order of appearance, with the digits of their first book frame.
fn listings(read: &Read<'_>) -> Result<Vec<Listing>, RecordingError> {
    let mut found: Vec<Listing> = Vec::new();
    for (line, content) in read {
        let numbers = match content {
            Content::Book(book) => book.numbers(),
            Content::Trades(trades) => trades.first().map(wire::Trade::numbers),
            Content::Ack { .. } | Content::Other => None,
        };
        let Some(Numbers { symbol, price, qty }) = numbers else { continue };
        if found.iter().any(|one| one.instrument.symbol == symbol) {
            continue;
        }
        let start = wire::decimal(price).unwrap_or(Decimal::ONE);
        let listing = Listing::from_symbol(symbol, wire::digits(price), wire::digits(qty), start)
            .ok_or_else(|| RecordingError::Frame {
            line: line.number,
            reason: format!("{symbol} is not the name of a pair"),
        })?;
        // The recording does not say what traded before it; the order of appearance ranks.
        let rank = found.len() as u64 + 1;
        found.push(Listing { day_volume_quote: Decimal::from(10_000_000 / rank), ..listing });
    }
    Ok(found)
}

/// Depth of the books: what the venue acknowledged, else the smallest offered depth that holds the
/// longest side of a snapshot.
fn depth(read: &Read<'_>) -> Option<usize> {
    let acked = read.iter().find_map(|(_, content)| match content {
        Content::Ack { depth } => *depth,
        Content::Book(_) | Content::Trades(_) | Content::Other => None,
    });
    let longest = read.iter().filter_map(|(_, content)| match content {
        Content::Book(book) if book.snapshot => Some(book.bids.len().max(book.asks.len())),
        Content::Book(_) | Content::Trades(_) | Content::Ack { .. } | Content::Other => None,
    });
    let longest = longest.max()?;
    acked.or_else(|| DEPTHS.into_iter().find(|&depth| depth >= longest))
}

/// The frames with their pace: receive times when every frame has one, else the venue's own
/// times; a frame without either is due with the one before it.
fn frames(read: &Read<'_>, catalog: &Catalog) -> Result<Vec<RecordedFrame>, RecordingError> {
    let received = read.iter().all(|(line, _)| line.received_us.is_some());
    let mut out: Vec<RecordedFrame> = Vec::new();
    let mut first = None;
    for (line, content) in read {
        let (symbol, stamp_us) = match content {
            Content::Book(book) => (book.symbol.as_ref(), book.stamp_us),
            Content::Trades(trades) => match trades.first() {
                Some(trade) => (trade.symbol.as_ref(), trade.stamp_us),
                None => continue,
            },
            Content::Ack { .. } | Content::Other => continue,
        };
        let Some(index) = catalog.by_symbol(symbol) else { continue };
        let one = &catalog.listings()[index].instrument;
        let body = match content {
            Content::Book(book) => book.body(one),
            Content::Trades(trades) => wire::trades(trades, one),
            Content::Ack { .. } | Content::Other => continue,
        };
        let body = body.map_err(|reason| RecordingError::Frame { line: line.number, reason })?;
        let at_us = if received { line.received_us } else { stamp_us };
        let earlier = out.last().map_or(0, |frame| frame.due_us);
        let due_us = match at_us {
            Some(at_us) => at_us.saturating_sub(*first.get_or_insert(at_us)).max(earlier),
            None => earlier,
        };
        let symbol = SymbolNo(index);
        out.push(RecordedFrame { due_us, stamp_us, symbol, text: line.text.clone(), body });
    }
    if out.is_empty() { Err(RecordingError::NoBook) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Price, Qty};
    use proptest::prelude::*;

    const SNAPSHOT: &str = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"ETH/USD","bids":[{"price":1774.13,"qty":1.13309580}],"asks":[{"price":1774.14,"qty":2.31805112},{"price":1774.20,"qty":0.84122283}],"checksum":1,"timestamp":"2026-07-07T23:00:03.973810Z"}]}"#;
    const UPDATE: &str = r#"{"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[],"asks":[{"price":1774.14,"qty":0.00000000}],"checksum":2,"timestamp":"2026-07-07T23:00:03.977459Z"}]}"#;
    const TRADE: &str = r#"{"channel":"trade","type":"update","data":[{"symbol":"ETH/USD","side":"buy","price":1774.20,"qty":0.10000000,"ord_type":"market","trade_id":7,"timestamp":"2026-07-07T23:00:03.977000Z"}]}"#;

    fn recording(text: &str) -> Result<Recording, RecordingError> {
        Recording::parse(text.as_bytes())
    }

    #[test]
    fn the_offer_and_the_pace_come_from_the_frames() {
        let text = format!("-\tr\t{SNAPSHOT}\n-\ts\tping\n-\tr\t{UPDATE}\n-\tr\t{TRADE}\n");
        let read = recording(&text).expect("a recording");
        assert_eq!(read.depth, 10);
        let one = &read.catalog.listings()[0].instrument;
        assert_eq!((one.price_decimals, one.qty_decimals), (2, 8));
        let due: Vec<i64> = read.frames.iter().map(|frame| frame.due_us).collect();
        assert_eq!(due, [0, 3_649, 3_649], "never backwards");
        assert_eq!(read.frames[1].text, UPDATE);
        let Body::Book { levels, snapshot } = &read.frames[1].body else { panic!("a book") };
        assert_eq!((levels[0].price, levels[0].qty, *snapshot), (Price(177_414), Qty(0), false));
    }

    #[test]
    fn receive_times_win_when_all_frames_have_them() {
        let text = format!("100\tr\t{SNAPSHOT}\n350\tr\t{UPDATE}\n300\tr\t{TRADE}\n");
        let read = recording(&text).expect("a recording");
        let due: Vec<i64> = read.frames.iter().map(|frame| frame.due_us).collect();
        assert_eq!(due, [0, 250, 250]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let bad = format!("-\tr\t{SNAPSHOT}\n-\tr\t{{\"channel\"\n");
        assert!(matches!(recording(&bad), Err(RecordingError::Frame { line: 2, .. })));
        let cut = format!("-\tr\t{SNAPSHOT}\n-\tr\t{{\"channel\"");
        assert!(matches!(recording(&cut), Err(RecordingError::CutLine { line: 2, .. })));
        assert!(matches!(recording("no tabs\n"), Err(RecordingError::Columns { line: 1 })));
        let only_trades = format!("-\tr\t{TRADE}\n");
        assert!(matches!(recording(&only_trades), Err(RecordingError::NoBook)));
    }

    proptest! {
        #[test]
        fn a_damaged_recording_is_refused_or_read_but_never_panics(
            at in 0_usize..900,
            byte in any::<u8>(),
            number in any::<i64>(),
        ) {
            let text = format!("{number}\tr\t{SNAPSHOT}\n1\tr\t{UPDATE}\n-5\tr\t{TRADE}\n");
            let mut bytes = text.into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(read) = Recording::parse(&bytes) {
                prop_assert!(read.frames.windows(2).all(|pair| pair[0].due_us <= pair[1].due_us));
            }
        }
    }
}
