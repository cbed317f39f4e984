//! One frame of the socket.
//!
//! Input: the text of a frame. Output: a [`Frame`] with borrowed fields. Invariants: no intermediate
//! tree; an unknown feed, event, field or word is never an error; every error names what was read and
//! at which byte.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::rows::{
    BookRow, BookSnapshotRow, EventRow, HeartbeatRow, TickerLiteRow, TickerRow, TradeRow,
    TradeSnapshotRow,
};
use crate::wire::{DecodeError, Text, Unknown, Unknowns, Vocabulary, vocabulary};

vocabulary! {
    /// Feeds with a decoder.
    FeedKind {
        /// Changes of books.
        Book = "book",
        /// Whole books.
        BookSnapshot = "book_snapshot",
        /// Prints.
        Trade = "trade",
        /// The last prints.
        TradeSnapshot = "trade_snapshot",
        /// Images of products.
        Ticker = "ticker",
        /// Short images of products.
        TickerLite = "ticker_lite",
        /// Sign of life.
        Heartbeat = "heartbeat",
    }
}

vocabulary! {
    /// Events of the control side.
    EventKind {
        /// First frame of a connection.
        Info = "info",
        /// Request of the client.
        Subscribe = "subscribe",
        /// Request of the client.
        Unsubscribe = "unsubscribe",
        /// A subscription is in effect.
        Subscribed = "subscribed",
        /// A subscription has ended.
        Unsubscribed = "unsubscribed",
        /// A subscription was refused; the socket stays open.
        SubscribedFailed = "subscribed_failed",
        /// The end of a subscription was refused.
        UnsubscribedFailed = "unsubscribed_failed",
        /// A request was refused; the socket stays open.
        Error = "error",
        /// What the venue wants us to know.
        Alert = "alert",
    }
}

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// Control side.
    Event {
        /// What it is.
        kind: EventKind,
        /// Its fields.
        row: EventRow<'a>,
    },
    /// Sign of life.
    Heartbeat(HeartbeatRow<'a>),
    /// Image of a product.
    Ticker(Box<TickerRow<'a>>),
    /// Short image of a product.
    TickerLite(Box<TickerLiteRow<'a>>),
    /// One print.
    Trade(TradeRow<'a>),
    /// The last prints.
    TradeSnapshot(TradeSnapshotRow<'a>),
    /// Change of a book.
    Book(BookRow<'a>),
    /// Whole book.
    BookSnapshot(BookSnapshotRow<'a>),
    /// A feed or event without a decoder, or an object that is no message at all.
    Unknown {
        /// The word, if there is one.
        word: Option<Text<'a>>,
    },
}

/// Decodes one frame.
///
/// # Errors
/// The text is not JSON, is cut, or a known message lacks what it must have.
pub fn decode(text: &str) -> Result<Frame<'_>, DecodeError> {
    let head = match quick_feed(text) {
        Some(feed) => Head { feed: Some(Text::borrowed(feed)), event: None },
        None => parse::<Head<'_>>("frame", text)?,
    };
    if let Some(event) = head.event {
        return match EventKind::from_wire(&event) {
            Some(kind) => Ok(Frame::Event { kind, row: parse("event frame", text)? }),
            None => Ok(Frame::Unknown { word: Some(event) }),
        };
    }
    let Some(feed) = head.feed else { return Ok(Frame::Unknown { word: None }) };
    let Some(kind) = FeedKind::from_wire(&feed) else {
        return Ok(Frame::Unknown { word: Some(feed) });
    };
    Ok(match kind {
        FeedKind::Book => Frame::Book(parse("book frame", text)?),
        FeedKind::BookSnapshot => Frame::BookSnapshot(parse("book_snapshot frame", text)?),
        FeedKind::Trade => Frame::Trade(parse("trade frame", text)?),
        FeedKind::TradeSnapshot => Frame::TradeSnapshot(parse("trade_snapshot frame", text)?),
        FeedKind::Ticker => Frame::Ticker(parse("ticker frame", text)?),
        FeedKind::TickerLite => Frame::TickerLite(parse("ticker_lite frame", text)?),
        FeedKind::Heartbeat => Frame::Heartbeat(parse("heartbeat frame", text)?),
    })
}

fn parse<'a, T: Deserialize<'a>>(what: &'static str, text: &'a str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|source| DecodeError::new(what, &source))
}

/// The feed of a frame that begins with it and holds no control event; a frame in another order gives
/// `None`.
fn quick_feed(text: &str) -> Option<&str> {
    let (feed, _) = text.strip_prefix("{\"feed\":\"")?.split_once('"')?;
    // A request or answer that begins with its feed has an event further on.
    (!feed.contains('\\') && !text.contains("\"event\"")).then_some(feed)
}

/// The two names that tell what a frame is.
struct Head<'a> {
    feed: Option<Text<'a>>,
    event: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for HeadVisitor<'a> {
            type Value = Head<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'a>, A::Error> {
                let mut head = Head { feed: None, event: None };
                while let Some(key) = map.next_key::<Text<'a>>()? {
                    match key.as_str() {
                        "feed" => head.feed = map.next_value()?,
                        "event" => head.event = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(HeadVisitor(PhantomData))
    }
}

impl Unknowns for Frame<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::Event { row, .. } => row.visit_unknowns(sink),
            Self::Heartbeat(row) => row.visit_unknowns(sink),
            Self::Ticker(row) => row.visit_unknowns(sink),
            Self::TickerLite(row) => row.visit_unknowns(sink),
            Self::Trade(row) => row.visit_unknowns(sink),
            Self::TradeSnapshot(row) => row.visit_unknowns(sink),
            Self::Book(row) => row.visit_unknowns(sink),
            Self::BookSnapshot(row) => row.visit_unknowns(sink),
            Self::Unknown { word: Some(word) } => sink(Unknown::Channel(word)),
            Self::Unknown { word: None } => sink(Unknown::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kraken_futures::rows::TradeKind;
    use crate::wire::Tag;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    #[test]
    fn frames_of_the_venue_decode() {
        let text = r#"{"feed":"trade","product_id":"PI_XBTUSD","uid":"05af78ac","side":"sell","type":"liquidation","seq":653355,"time":1612266317519,"qty":15000,"price":34969.5}"#;
        let Ok(Frame::Trade(row)) = decode(text) else { panic!("no trade") };
        assert_eq!(row.kind, Tag::Known(TradeKind::Liquidation));
        assert_eq!((row.seq.0, row.price.as_str()), (653_355, "34969.5"));
        let text = r#"{"seq":1000.0,"feed":"book","product_id":"P","side":"buy","price":1e3,"qty":0.0,"timestamp":1}"#;
        let Ok(Frame::Book(row)) = decode(text) else { panic!("no book") };
        assert_eq!((row.seq.0, row.qty.scaled(0)), (1_000, Ok(0)));
        let text = r#"{"feed":"heartbeat","time":1534262350627}"#;
        assert!(matches!(decode(text), Ok(Frame::Heartbeat(_))));
        let text = r#"{"event":"error","message":"Invalid product id"}"#;
        let Ok(Frame::Event { kind, row }) = decode(text) else { panic!("no event") };
        assert_eq!((kind, row.message.as_deref()), (EventKind::Error, Some("Invalid product id")));
        let text = r#"{"feed":"book","event":"subscribed","product_ids":["PI_XBTUSD"]}"#;
        assert!(matches!(decode(text), Ok(Frame::Event { kind: EventKind::Subscribed, .. })));
    }

    #[test]
    fn a_ticker_without_a_rate_funds_nothing_on_a_perpetual() {
        let ticker = |product: &str, rate: &str| {
            let text = format!(
                r#"{{"time":1,"product_id":"{product}",{rate}"feed":"ticker","premium":-0.0}}"#
            );
            let Ok(Frame::Ticker(row)) = decode(&text) else { panic!("no ticker: {text}") };
            row.relative_funding()
        };
        assert_eq!(ticker("PF_XBTUSD", ""), Ok(Some(Decimal::ZERO)));
        assert_eq!(ticker("FI_XBTUSD_211231", ""), Ok(None));
        let rate = r#""relative_funding_rate":-6.2604214e-11,"#;
        let want = "-0.000000000062604214".parse().unwrap();
        assert_eq!(ticker("pi_xbtusd", rate), Ok(Some(want)));
    }

    #[test]
    fn what_is_unknown_is_reported_and_what_is_broken_is_named() {
        for text in [r#"{"feed":"open_orders"}"#, r#"{"event":"challenge"}"#, "{}"] {
            assert!(matches!(decode(text), Ok(Frame::Unknown { .. })), "{text}");
        }
        for (text, what) in [
            (r#"{"feed":"book","product_id":"P"}"#, "book frame"),
            (r#"{"feed":"trade","seq":1.5}"#, "trade frame"),
            (r#"{"event":"info","version":"x"}"#, "event frame"),
            ("[1]", "frame"),
            ("", "frame"),
        ] {
            assert_eq!(decode(text).unwrap_err().what, what, "{text}");
        }
        let text = r#"{"feed":"book","product_id":"P","side":"up","seq":1,"price":1,"qty":1,"timestamp":1,"new":2}"#;
        let mut unknowns = Vec::new();
        decode(text).unwrap().visit_unknowns(&mut |unknown| unknowns.push(format!("{unknown:?}")));
        assert_eq!(
            unknowns,
            [
                r#"Value { vocabulary: "Side", value: "up" }"#,
                r#"Field { object: "BookRow", name: "new" }"#
            ]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_or_refused(text in "\\PC*") {
            if let Ok(frame) = decode(&text) {
                frame.visit_unknowns(&mut |_| {});
            }
        }

        #[test]
        fn damaged_frames_are_decoded_or_refused(at in 0usize..200, byte in 32u8..127, cut in 1usize..200) {
            let text = r#"{"feed":"book","product_id":"PI_XBTUSD","side":"buy","seq":270613033,"price":39080.5,"qty":0.0,"timestamp":1646479025941}"#;
            let mut bytes = text.as_bytes().to_vec();
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
            bytes.truncate(cut);
            let text = String::from_utf8(bytes).expect("ASCII");
            if let Ok(frame) = decode(&text) {
                frame.visit_unknowns(&mut |_| {});
            }
        }
    }
}
