//! One frame of the socket, decoded in one pass.
//!
//! Input: the text of a frame. Output: a [`Frame`] with borrowed fields. The channel comes before the
//! data on the wire, so the data is read straight into its rows; should a server ever write it the
//! other way round, the data is kept raw and read afterwards. Invariants: no intermediate tree, an
//! unknown channel, method, field or word is never an error, and every error names what was read and
//! at which byte.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::instrument::InstrumentData;
use super::level3::Level3Row;
use super::private::{BalanceRow, ExecutionRow};
use super::public::{BookRow, OhlcRow, StatusRow, TickerRow, TradeRow};
use super::response::Response;
use super::vocabulary::MessageKind;
use super::wire::{DecodeError, Tag, Text, Unknown, Unknowns, WireTime};

/// Channels with a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChannelKind {
    /// State of the venue.
    Status,
    /// Sign of life, once per second.
    Heartbeat,
    /// Assets and pairs.
    Instrument,
    /// Best prices and statistics.
    Ticker,
    /// Prints.
    Trade,
    /// Aggregated book.
    Book,
    /// Order-by-order book.
    Level3,
    /// Candles.
    Ohlc,
    /// Reports of own orders.
    Executions,
    /// Own balances.
    Balances,
}

impl ChannelKind {
    /// The channel of a wire word.
    pub fn from_wire(word: &str) -> Option<Self> {
        Some(match word {
            "book" => Self::Book,
            "level3" => Self::Level3,
            "trade" => Self::Trade,
            "ticker" => Self::Ticker,
            "heartbeat" => Self::Heartbeat,
            "status" => Self::Status,
            "instrument" => Self::Instrument,
            "ohlc" => Self::Ohlc,
            "executions" => Self::Executions,
            "balances" => Self::Balances,
            _ => return None,
        })
    }

    /// The wire word.
    pub const fn wire(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Heartbeat => "heartbeat",
            Self::Instrument => "instrument",
            Self::Ticker => "ticker",
            Self::Trade => "trade",
            Self::Book => "book",
            Self::Level3 => "level3",
            Self::Ohlc => "ohlc",
            Self::Executions => "executions",
            Self::Balances => "balances",
        }
    }
}

/// A message of a channel with rows.
#[derive(Clone, Debug)]
pub struct Message<'a, T> {
    /// Image or change.
    pub kind: Tag<'a, MessageKind>,
    /// Rows; may be empty.
    pub rows: T,
    /// Number within the connection; private channels only.
    pub sequence: Option<u64>,
    /// Time of the message; candles only.
    pub timestamp: Option<WireTime>,
}

impl<T> Message<'_, T> {
    /// Whether this is an image.
    pub fn is_snapshot(&self) -> bool {
        self.kind.known() == Some(MessageKind::Snapshot)
    }
}

/// One frame.
#[derive(Clone, Debug)]
pub enum Frame<'a> {
    /// Sign of life.
    Heartbeat,
    /// State of the venue.
    Status(Message<'a, Vec<StatusRow<'a>>>),
    /// Assets and pairs.
    Instrument(Message<'a, InstrumentData<'a>>),
    /// Best prices.
    Ticker(Message<'a, Vec<TickerRow<'a>>>),
    /// Prints.
    Trade(Message<'a, Vec<TradeRow<'a>>>),
    /// Books.
    Book(Message<'a, Vec<BookRow<'a>>>),
    /// Order-by-order books.
    Level3(Message<'a, Vec<Level3Row<'a>>>),
    /// Candles.
    Ohlc(Message<'a, Vec<OhlcRow<'a>>>),
    /// Reports of own orders.
    Executions(Message<'a, Vec<ExecutionRow<'a>>>),
    /// Own balances.
    Balances(Message<'a, Vec<BalanceRow<'a>>>),
    /// Answer to a request, a pong included.
    Response(Response<'a>),
    /// A request of a client (recordings keep what was sent).
    Request {
        /// Its method.
        method: Text<'a>,
    },
    /// A channel without a decoder, or an object that is no message at all.
    Unknown {
        /// The channel's word, if there is one.
        channel: Option<Text<'a>>,
    },
}

/// Decodes one frame.
///
/// # Errors
/// The text is not JSON, is cut, or a known message lacks what it must have. Unknown channels and
/// methods are not errors.
pub fn decode(text: &str) -> Result<Frame<'_>, DecodeError> {
    serde_json::from_str::<Envelope<'_>>(text)
        .map_err(|source| DecodeError::new(what(text), &source))?
        .into_frame()
}

/// What a broken frame claims to be, for the error's text.
fn what(text: &str) -> &'static str {
    const CHANNELS: &[(&str, &str)] = &[
        ("{\"channel\":\"book\"", "book frame"),
        ("{\"channel\":\"level3\"", "level3 frame"),
        ("{\"channel\":\"trade\"", "trade frame"),
        ("{\"channel\":\"ticker\"", "ticker frame"),
        ("{\"channel\":\"heartbeat\"", "heartbeat frame"),
        ("{\"channel\":\"status\"", "status frame"),
        ("{\"channel\":\"instrument\"", "instrument frame"),
        ("{\"channel\":\"ohlc\"", "candle frame"),
        ("{\"channel\":\"executions\"", "executions frame"),
        ("{\"channel\":\"balances\"", "balances frame"),
        ("{\"channel\"", "channel frame"),
        ("{\"method\"", "response frame"),
    ];
    CHANNELS.iter().find(|(head, _)| text.starts_with(head)).map_or("frame", |(_, what)| what)
}

/// Rows of a known channel, or what stands for them.
#[derive(Debug)]
enum Payload<'a> {
    Absent,
    Raw(&'a RawValue),
    Ignored,
    Status(Vec<StatusRow<'a>>),
    Instrument(InstrumentData<'a>),
    Ticker(Vec<TickerRow<'a>>),
    Trade(Vec<TradeRow<'a>>),
    Book(Vec<BookRow<'a>>),
    Level3(Vec<Level3Row<'a>>),
    Ohlc(Vec<OhlcRow<'a>>),
    Executions(Vec<ExecutionRow<'a>>),
    Balances(Vec<BalanceRow<'a>>),
}

/// Reads `data` straight into the rows of its channel.
struct PayloadSeed<'a>(ChannelKind, PhantomData<&'a ()>);

impl<'de: 'a, 'a> DeserializeSeed<'de> for PayloadSeed<'a> {
    type Value = Payload<'a>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Payload<'a>, D::Error> {
        Ok(match self.0 {
            ChannelKind::Book => Payload::Book(Vec::deserialize(d)?),
            ChannelKind::Level3 => Payload::Level3(Vec::deserialize(d)?),
            ChannelKind::Trade => Payload::Trade(Vec::deserialize(d)?),
            ChannelKind::Ticker => Payload::Ticker(Vec::deserialize(d)?),
            ChannelKind::Status => Payload::Status(Vec::deserialize(d)?),
            ChannelKind::Instrument => Payload::Instrument(InstrumentData::deserialize(d)?),
            ChannelKind::Ohlc => Payload::Ohlc(Vec::deserialize(d)?),
            ChannelKind::Executions => Payload::Executions(Vec::deserialize(d)?),
            ChannelKind::Balances => Payload::Balances(Vec::deserialize(d)?),
            ChannelKind::Heartbeat => {
                IgnoredAny::deserialize(d)?;
                Payload::Ignored
            }
        })
    }
}

struct Envelope<'a> {
    channel: Option<Text<'a>>,
    known: Option<ChannelKind>,
    kind: Option<Tag<'a, MessageKind>>,
    payload: Payload<'a>,
    sequence: Option<u64>,
    timestamp: Option<WireTime>,
    method: Option<Text<'a>>,
    success: Option<bool>,
    result: Option<&'a RawValue>,
    error: Option<Text<'a>>,
    symbol: Option<&'a RawValue>,
    req_id: Option<&'a RawValue>,
    time_in: Option<WireTime>,
    time_out: Option<WireTime>,
    has_params: bool,
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
            channel: None,
            known: None,
            kind: None,
            payload: Payload::Absent,
            sequence: None,
            timestamp: None,
            method: None,
            success: None,
            result: None,
            error: None,
            symbol: None,
            req_id: None,
            time_in: None,
            time_out: None,
            has_params: false,
        };
        while let Some(key) = map.next_key::<Text<'a>>()? {
            match key.as_str() {
                "channel" => {
                    once(e.channel.is_none(), "channel")?;
                    let channel: Text<'a> = map.next_value()?;
                    e.known = ChannelKind::from_wire(&channel);
                    e.channel = Some(channel);
                }
                "data" => {
                    once(matches!(e.payload, Payload::Absent), "data")?;
                    e.payload = match (e.known, e.channel.is_some()) {
                        (Some(kind), _) => map.next_value_seed(PayloadSeed(kind, PhantomData))?,
                        (None, true) => {
                            map.next_value::<IgnoredAny>()?;
                            Payload::Ignored
                        }
                        (None, false) => Payload::Raw(map.next_value()?),
                    }
                }
                "type" => {
                    once(e.kind.is_none(), "type")?;
                    e.kind = Some(map.next_value()?);
                }
                "sequence" => e.sequence = map.next_value()?,
                "timestamp" => e.timestamp = map.next_value()?,
                "method" => e.method = Some(map.next_value()?),
                "success" => e.success = map.next_value()?,
                "result" => e.result = map.next_value()?,
                "error" => e.error = map.next_value()?,
                "symbol" => e.symbol = map.next_value()?,
                "req_id" => e.req_id = map.next_value()?,
                "time_in" => e.time_in = map.next_value()?,
                "time_out" => e.time_out = map.next_value()?,
                other => {
                    e.has_params |= other == "params";
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(e)
    }
}

/// What says what a message is stands there once: of two, each reader could take another.
fn once<E: serde::de::Error>(is_first: bool, key: &'static str) -> Result<(), E> {
    if is_first { Ok(()) } else { Err(E::duplicate_field(key)) }
}

impl<'a> Envelope<'a> {
    fn into_frame(self) -> Result<Frame<'a>, DecodeError> {
        let Some(channel) = self.channel else { return Ok(self.into_response()) };
        let Some(known) = self.known else {
            return Ok(Frame::Unknown { channel: Some(channel) });
        };
        if known == ChannelKind::Heartbeat {
            return Ok(Frame::Heartbeat);
        }
        let payload = match self.payload {
            Payload::Raw(raw) => {
                let mut reader = serde_json::Deserializer::from_str(raw.get());
                PayloadSeed(known, PhantomData)
                    .deserialize(&mut reader)
                    .map_err(|source| DecodeError::new(known.wire(), &source))?
            }
            other => other,
        };
        let kind = self.kind.ok_or_else(|| missing(known, "type"))?;
        let (sequence, timestamp) = (self.sequence, self.timestamp);
        macro_rules! message {
            ($rows:expr) => {
                Message { kind, rows: $rows, sequence, timestamp }
            };
        }
        Ok(match payload {
            Payload::Book(rows) => Frame::Book(message!(rows)),
            Payload::Level3(rows) => Frame::Level3(message!(rows)),
            Payload::Trade(rows) => Frame::Trade(message!(rows)),
            Payload::Ticker(rows) => Frame::Ticker(message!(rows)),
            Payload::Status(rows) => Frame::Status(message!(rows)),
            Payload::Instrument(data) => Frame::Instrument(message!(data)),
            Payload::Ohlc(rows) => Frame::Ohlc(message!(rows)),
            Payload::Executions(rows) => Frame::Executions(message!(rows)),
            Payload::Balances(rows) => Frame::Balances(message!(rows)),
            Payload::Absent | Payload::Ignored | Payload::Raw(_) => {
                return Err(missing(known, "data"));
            }
        })
    }

    fn into_response(self) -> Frame<'a> {
        let Some(method) = self.method else { return Frame::Unknown { channel: None } };
        let answered = self.success.is_some() || self.result.is_some() || self.error.is_some();
        if self.has_params && !answered {
            return Frame::Request { method };
        }
        // A req_id of another type than ours is not ours; the answer is kept without it.
        let req_id = self.req_id.and_then(|raw| raw.get().parse().ok());
        Frame::Response(Response {
            method,
            success: self.success,
            result: self.result,
            error: self.error,
            // Of another type than a text it is nothing that we asked for.
            symbol: self.symbol.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            req_id,
            time_in: self.time_in,
            time_out: self.time_out,
        })
    }
}

fn missing(channel: ChannelKind, field: &'static str) -> DecodeError {
    DecodeError { what: channel.wire(), reason: format!("missing field `{field}`"), byte: 0 }
}

impl<T: Unknowns> Unknowns for Message<'_, T> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        self.kind.visit_unknowns(sink);
        self.rows.visit_unknowns(sink);
    }
}

impl Unknowns for Frame<'_> {
    fn visit_unknowns(&self, sink: &mut dyn FnMut(Unknown<'_>)) {
        match self {
            Self::Heartbeat | Self::Response(_) | Self::Request { .. } => {}
            Self::Status(message) => message.visit_unknowns(sink),
            Self::Instrument(message) => message.visit_unknowns(sink),
            Self::Ticker(message) => message.visit_unknowns(sink),
            Self::Trade(message) => message.visit_unknowns(sink),
            Self::Book(message) => message.visit_unknowns(sink),
            Self::Level3(message) => message.visit_unknowns(sink),
            Self::Ohlc(message) => message.visit_unknowns(sink),
            Self::Executions(message) => message.visit_unknowns(sink),
            Self::Balances(message) => message.visit_unknowns(sink),
            Self::Unknown { channel: Some(channel) } => sink(Unknown::Channel(channel)),
            Self::Unknown { channel: None } => sink(Unknown::Shape),
        }
    }
}
