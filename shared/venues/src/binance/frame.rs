//! One frame of a socket.
//!
//! Input: the text of a frame, raw (`/ws`) or in the envelope of combined streams (`/stream`). Output:
//! a [`Frame`] with borrowed fields. The event's name stands inside of the data, in no fixed place, so
//! the head is read first unless the data begins with it. Invariants: no intermediate tree; an unknown
//! stream, event, field or word is never an error; every error names what was read and at which byte.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::{
    AggTradeRow, BookTickerRow, ContractInfoRow, DepthRow, ForceOrderRow, KlineRow, MarkPriceRow,
    TradeRow,
};
use crate::wire::{DecodeError, Text, Unknown, Unknowns};

/// One event.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Prints put together.
    AggTrade(AggTradeRow<'a>),
    /// One print.
    Trade(TradeRow<'a>),
    /// Best prices.
    BookTicker(BookTickerRow<'a>),
    /// Mark price.
    MarkPrice(MarkPriceRow<'a>),
    /// Liquidation.
    ForceOrder(Box<ForceOrderRow<'a>>),
    /// Book.
    Depth(DepthRow<'a>),
    /// Candle.
    Kline(Box<KlineRow<'a>>),
    /// Listing or change of status.
    ContractInfo(ContractInfoRow<'a>),
    /// An event without a decoder.
    Unknown {
        /// Its name, if it has one.
        word: Option<Text<'a>>,
    },
}

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// Data.
    Data {
        /// Stream; absent on raw sockets.
        stream: Option<Text<'a>>,
        /// Events; several on streams of all symbols.
        events: Vec<Event<'a>>,
    },
    /// A request was taken.
    Accepted {
        /// Number of the request.
        id: Option<&'a RawValue>,
        /// Null, or the streams that were asked for.
        result: &'a RawValue,
    },
    /// A request was refused.
    Refused {
        /// Number of the request.
        id: Option<&'a RawValue>,
        /// Code and text as the venue wrote them.
        error: &'a RawValue,
    },
    /// A request of a client.
    Request {
        /// Its method.
        method: Text<'a>,
    },
    /// An object that is no message of this venue.
    Unknown,
}

/// Decodes one frame.
///
/// # Errors
/// The text is not JSON, is cut, or a known event lacks what it must have.
pub fn decode(text: &str) -> Result<Frame<'_>, DecodeError> {
    if text.trim_start().starts_with('[') {
        return Ok(Frame::Data { stream: None, events: events(text, text)? });
    }
    if text.starts_with("{\"e\":") {
        return Ok(Frame::Data { stream: None, events: events(text, text)? });
    }
    let envelope: Envelope<'_> = parse("frame", text, text)?;
    if let Some(data) = envelope.data {
        if envelope.stream.is_none() {
            return Ok(Frame::Unknown);
        }
        return Ok(Frame::Data { stream: envelope.stream, events: events(text, data.get())? });
    }
    if envelope.has_event {
        return Ok(Frame::Data { stream: None, events: events(text, text)? });
    }
    if let Some(method) = envelope.method {
        return Ok(Frame::Request { method });
    }
    if let Some(error) = envelope.error {
        return Ok(Frame::Refused { id: envelope.id, error });
    }
    Ok(match envelope.result {
        Some(result) => Frame::Accepted { id: envelope.id, result },
        None => Frame::Unknown,
    })
}

/// The events of `data`, which is a part of `text`.
fn events<'a>(text: &'a str, data: &'a str) -> Result<Vec<Event<'a>>, DecodeError> {
    if !data.trim_start().starts_with('[') {
        return Ok(vec![event(text, data)?]);
    }
    let parts: Vec<&'a RawValue> = parse("events", text, data)?;
    parts.into_iter().map(|part| event(text, part.get())).collect()
}

fn event<'a>(text: &'a str, data: &'a str) -> Result<Event<'a>, DecodeError> {
    let word = match quick_event(data) {
        Some(word) => Text::borrowed(word),
        None => match parse::<Head<'a>>("event", text, data)?.0 {
            Some(word) => word,
            None => return Ok(Event::Unknown { word: None }),
        },
    };
    Ok(match word.as_str() {
        "bookTicker" => Event::BookTicker(parse("bookTicker event", text, data)?),
        "depthUpdate" => Event::Depth(parse("depthUpdate event", text, data)?),
        "aggTrade" => Event::AggTrade(parse("aggTrade event", text, data)?),
        "trade" => Event::Trade(parse("trade event", text, data)?),
        "markPriceUpdate" => Event::MarkPrice(parse("markPriceUpdate event", text, data)?),
        "forceOrder" => Event::ForceOrder(parse("forceOrder event", text, data)?),
        "kline" => Event::Kline(parse("kline event", text, data)?),
        "contractInfo" => Event::ContractInfo(parse("contractInfo event", text, data)?),
        _ => Event::Unknown { word: Some(word) },
    })
}

/// The event of data that begins with it.
fn quick_event(data: &str) -> Option<&str> {
    let (word, _) = data.strip_prefix("{\"e\":\"")?.split_once('"')?;
    (!word.contains('\\')).then_some(word)
}

/// Reads a part of a frame; an error's byte is counted from the begin of the frame.
fn parse<'a, T: Deserialize<'a>>(
    what: &'static str,
    text: &'a str,
    part: &'a str,
) -> Result<T, DecodeError> {
    serde_json::from_str(part).map_err(|source| {
        let mut error = DecodeError::new(what, &source);
        // The part lies inside of the text, so the distance of their addresses is its offset.
        error.byte += part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        error
    })
}

struct Envelope<'a> {
    stream: Option<Text<'a>>,
    data: Option<&'a RawValue>,
    has_event: bool,
    method: Option<Text<'a>>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor(PhantomData))
    }
}

struct EnvelopeVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for EnvelopeVisitor<'a> {
    type Value = Envelope<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'a>, A::Error> {
        let mut e = Envelope {
            stream: None,
            data: None,
            has_event: false,
            method: None,
            result: None,
            error: None,
            id: None,
        };
        while let Some(key) = map.next_key::<Text<'a>>()? {
            match key.as_str() {
                "stream" => e.stream = Some(map.next_value()?),
                "data" => e.data = Some(map.next_value()?),
                "method" => e.method = Some(map.next_value()?),
                // Null is a result here, so it must not be read as an absent one.
                "result" => e.result = Some(map.next_value()?),
                // Either form of a refusal; of `{"code":…,"msg":…}` the text is kept.
                "error" | "msg" => e.error = Some(map.next_value()?),
                "id" => e.id = Some(map.next_value()?),
                other => {
                    e.has_event |= other == "e";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(e)
    }
}

/// The event's name.
struct Head<'a>(Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Head<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for HeadVisitor<'a> {
            type Value = Head<'a>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head<'a>, A::Error> {
                let mut head = Head(None);
                while let Some(key) = map.next_key::<Text<'a>>()? {
                    if key.as_str() == "e" {
                        head.0 = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(HeadVisitor(PhantomData))
    }
}

impl Unknowns for Event<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::AggTrade(row) => row.visit_unknowns(sink),
            Self::Trade(row) => row.visit_unknowns(sink),
            Self::BookTicker(row) => row.visit_unknowns(sink),
            Self::MarkPrice(row) => row.visit_unknowns(sink),
            Self::ForceOrder(row) => row.visit_unknowns(sink),
            Self::Depth(row) => row.visit_unknowns(sink),
            Self::Kline(row) => row.visit_unknowns(sink),
            Self::ContractInfo(row) => row.visit_unknowns(sink),
            Self::Unknown { word: Some(word) } => sink(Unknown::Channel(word)),
            Self::Unknown { word: None } => sink(Unknown::Shape),
        }
    }
}

impl Unknowns for Frame<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::Data { events, .. } => events.visit_unknowns(sink),
            Self::Accepted { .. } | Self::Refused { .. } | Self::Request { .. } => {}
            Self::Unknown => sink(Unknown::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::vocab::Side;
    use proptest::prelude::*;

    fn one(text: &str) -> Event<'_> {
        let Ok(Frame::Data { mut events, .. }) = decode(text) else { panic!("no data: {text}") };
        assert_eq!(events.len(), 1, "{text}");
        events.remove(0)
    }

    #[test]
    fn events_of_the_venue_decode_with_and_without_their_envelope() {
        let data = r#"{"e":"aggTrade","E":123456789,"s":"BTCUSDT","a":5933014,"p":"0.001","q":"100","f":100,"l":105,"T":123456785,"m":true}"#;
        let enveloped = format!(r#"{{"stream":"btcusdt@aggTrade","data":{data}}}"#);
        for text in [data, &enveloped] {
            let Event::AggTrade(row) = one(text) else { panic!("no aggTrade") };
            assert_eq!((row.agg_id, row.taker_side()), (5_933_014, Side::Sell));
        }
        let text = r#"{"e":"markPriceUpdate","E":1,"s":"BTCUSDT_240628","p":"11794.15","P":"1","r":"","T":0}"#;
        let Event::MarkPrice(row) = one(text) else { panic!("no mark") };
        assert_eq!((row.funding_rate.and_then(|r| r.0), row.index), (None, None));
        let text = r#"{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate","E":1,"s":"A","p":"1","i":"1","P":"1","r":"-1.8E-7","T":9,"st":1},{"e":"markPriceUpdate","E":1,"s":"B","p":"1","r":"0"}]}"#;
        let Ok(Frame::Data { events, .. }) = decode(text) else { panic!("no data") };
        assert_eq!(events.len(), 2);
        let text =
            r#"{"u":1,"e":"bookTicker","s":"A","b":"1","B":"1","a":"2","A":"1","T":1,"E":2}"#;
        assert!(matches!(one(text), Event::BookTicker(_)));
    }

    #[test]
    fn answers_and_requests_are_told_apart() {
        assert!(matches!(decode(r#"{"result":null,"id":1}"#), Ok(Frame::Accepted { .. })));
        assert!(matches!(decode(r#"{"code":2,"msg":"Invalid"}"#), Ok(Frame::Refused { .. })));
        let text = r#"{"error":{"code":2,"msg":"x"},"id":4}"#;
        assert!(matches!(decode(text), Ok(Frame::Refused { .. })));
        let text = r#"{"method":"SUBSCRIBE","params":["a@b"],"id":1}"#;
        assert!(matches!(decode(text), Ok(Frame::Request { .. })));
        for text in ["{}", r#"{"data":{"e":"x"}}"#, r#"{"id":1}"#] {
            assert!(matches!(decode(text), Ok(Frame::Unknown)), "{text}");
        }
        for text in [r#"{"e":"24hrTicker"}"#, r#"{"stream":"a","data":{"u":1}}"#] {
            assert!(matches!(one(text), Event::Unknown { .. }), "{text}");
        }
    }

    #[test]
    fn errors_name_what_and_the_byte_within_the_frame() {
        let text = r#"{"stream":"a@depth","data":{"e":"depthUpdate","E":1,"T":1,"s":"A","U":1,"u":1,"pu":true}}"#;
        let error = decode(text).unwrap_err();
        assert_eq!(error.what, "depthUpdate event");
        assert_eq!(&text[error.byte - 4..error.byte], "true", "{error}");
        assert_eq!(decode("").unwrap_err().what, "frame");
        assert_eq!(decode("[1]").unwrap_err().what, "event");
    }

    proptest! {
        #[test]
        fn any_text_is_decoded_or_refused(text in "\\PC*") {
            if let Ok(frame) = decode(&text) {
                frame.visit_unknowns(&mut |_| {});
            }
        }

        #[test]
        fn damaged_frames_are_decoded_or_refused(at in 0usize..220, byte in 32u8..127, cut in 1usize..220) {
            let text = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BTCUSDT","U":157,"u":160,"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}}"#;
            let mut bytes = text.as_bytes().to_vec();
            if let Some(slot) = bytes.get_mut(at) {
                *slot = byte;
            }
            bytes.truncate(cut);
            let text = String::from_utf8(bytes).expect("ASCII");
            match decode(&text) {
                Ok(frame) => frame.visit_unknowns(&mut |_| {}),
                Err(error) => prop_assert!(error.byte <= text.len() + 1, "{error}"),
            }
        }
    }
}
