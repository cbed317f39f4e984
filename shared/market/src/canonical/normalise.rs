//! One raw row of a bound instrument as canonical events, or the reason why not.

use penstock_types::decimal::{round_to, to_scaled};
use penstock_types::frame::FrameEvent;
use penstock_types::raw::{
    CONN_BACKFILL, DerivTickerRow, L2Row, LiquidationRow, RawBody, RawRow, TickerRow, TradeRow,
};
use penstock_types::vocab::{Side, Venue};
use penstock_types::{Decimal, UtcMicros};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::binding::InstrumentBinding;

/// Digits of prices after the point.
const PX_DIGITS: u32 = 10;
/// Digits of funding rates after the point.
const RATE_DIGITS: u32 = 12;
/// Seconds that a canonical funding rate is for.
const FUNDING_SECS: i64 = 28_800;
/// Largest notional of a trade, in units of 10^-4 quote (10^9 quote): it bounds every sum of the engine.
pub const MAX_NOTIONAL_NTL: i128 = 10_000_000_000_000;

/// Source type; the numbers are part of the order of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Source {
    /// A public trade.
    Trade = 0,
    /// Best bid and ask.
    Book = 1,
    /// Mark and index price.
    Mark = 2,
    /// A forced order.
    Liquidation = 3,
    /// Open interest.
    OpenInterest = 4,
    /// Funding rate.
    Funding = 5,
}

impl Source {
    /// All, by their codes.
    pub const ALL: [Self; 6] =
        [Self::Trade, Self::Book, Self::Mark, Self::Liquidation, Self::OpenInterest, Self::Funding];

    /// Name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Book => "book",
            Self::Mark => "mark",
            Self::Liquidation => "liquidation",
            Self::OpenInterest => "open_interest",
            Self::Funding => "funding",
        }
    }
}

/// Why a row gives no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reject {
    /// No venue time, or one before 1970.
    #[error("timestamp")]
    Timestamp,
    /// A price or quantity that is zero, negative or missing.
    #[error("not_positive")]
    NotPositive,
    /// Best bid at or above the best ask.
    #[error("crossed")]
    Crossed,
    /// More digits than the scale holds, or too large for it.
    #[error("scale")]
    Scale,
    /// A trade whose notional is beyond the bound.
    #[error("notional")]
    Notional,
    /// Its number was taken before.
    #[error("duplicate")]
    Duplicate,
    /// A polled value that is not newer than what is known.
    #[error("not_newer")]
    NotNewer,
}

/// An event without its number, and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Source type.
    pub source: Source,
    /// The event; `local_seq` is 0 until it is queued.
    pub event: FrameEvent,
    /// It was asked for by REST.
    pub is_polled: bool,
}

/// What a row gives: at most mark, open interest and funding at once.
pub(super) type Events = SmallVec<[Result<Accepted, Reject>; 3]>;

/// The events of a row of that instrument, which the caller has matched by venue and symbol. Rows that
/// carry nothing for the engine (fetched after a gap, other kinds of trades, samples of books) give an
/// empty list.
#[must_use]
pub(super) fn normalise(row: &RawRow, binding: &InstrumentBinding) -> Events {
    let with = Maker { binding };
    let mut out = Events::new();
    match &row.body {
        RawBody::Trade(body) if body.conn_id != CONN_BACKFILL && body.kind != 'o' => {
            out.push(with.trade(body));
        }
        RawBody::Ticker(body) => out.push(with.ticker(body)),
        RawBody::L2(body) => out.push(with.l2(body)),
        RawBody::DerivTicker(body) => with.derivative(body, &mut out),
        RawBody::Liquidation(body) if body.conn_id != CONN_BACKFILL => {
            out.push(with.liquidation(body));
        }
        RawBody::Trade(_) | RawBody::Liquidation(_) | RawBody::L3(_) | RawBody::Status(_) => {}
    }
    out
}

struct Maker<'a> {
    binding: &'a InstrumentBinding,
}

impl Maker<'_> {
    fn event(&self, source: Source, at: Option<UtcMicros>) -> Result<FrameEvent, Reject> {
        let exchange_ts = at.map(|t| t.0).filter(|t| *t > 0).ok_or(Reject::Timestamp)?;
        let key = self.binding.key;
        Ok(FrameEvent {
            token_id: key.token_id,
            source: source as u8,
            venue: venue_code(self.binding.venue),
            flags: 0,
            instrument_id: key.instrument_id,
            exchange_ts,
            venue_seq: 0,
            local_seq: 0,
            a: 0,
            b: 0,
            c: 0,
            d: 0,
        })
    }

    /// A price of the base asset; every digit must fit.
    fn price(&self, value: Decimal) -> Result<i64, Reject> {
        let per_base = self.per_base(value)?;
        positive(to_scaled(per_base, PX_DIGITS))
    }

    /// A computed price, rounded half-even.
    fn rounded_price(&self, value: Decimal) -> Result<i64, Reject> {
        let per_base = self.per_base(value)?;
        positive(to_scaled(round_to(per_base, PX_DIGITS), PX_DIGITS))
    }

    fn per_base(&self, value: Decimal) -> Result<Decimal, Reject> {
        value.checked_div(Decimal::from(self.binding.multiplier)).ok_or(Reject::Scale)
    }

    fn qty(&self, value: Decimal) -> Result<i64, Reject> {
        let base = value.checked_mul(Decimal::from(self.binding.multiplier));
        positive(to_scaled(base.ok_or(Reject::Scale)?, self.binding.qty_exp))
    }

    fn trade(&self, body: &TradeRow) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::Trade, Some(body.ts_exchange))?;
        event.a = self.price(body.price)?;
        event.b = self.qty(body.qty)?;
        event.flags = u16::from(body.side == Side::Buy);
        event.venue_seq = u64::try_from(body.trade_id).unwrap_or(0);
        self.check_notional(&event)?;
        Ok(Accepted { source: Source::Trade, event, is_polled: false })
    }

    fn check_notional(&self, event: &FrameEvent) -> Result<(), Reject> {
        // 10^-10 quote per base times 10^-qty_exp base, in units of 10^-4 quote.
        let unit = 10_i128.pow(6 + self.binding.qty_exp);
        let notional = i128::from(event.a) * i128::from(event.b) / unit;
        if notional > MAX_NOTIONAL_NTL { Err(Reject::Notional) } else { Ok(()) }
    }

    fn ticker(&self, body: &TickerRow) -> Result<Accepted, Reject> {
        let sides = [body.bid, body.ask, body.bid_qty, body.ask_qty];
        self.book(sides.map(Option::unwrap_or_default), body.ts_exchange)
    }

    fn l2(&self, body: &L2Row) -> Result<Accepted, Reject> {
        self.book([body.bid, body.ask, body.bid_qty, body.ask_qty], body.ts_exchange)
    }

    fn book(&self, sides: [Decimal; 4], at: Option<UtcMicros>) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::Book, at)?;
        let [bid, ask, bid_qty, ask_qty] = sides;
        (event.a, event.b) = (self.price(bid)?, self.price(ask)?);
        (event.c, event.d) = (self.qty(bid_qty)?, self.qty(ask_qty)?);
        if event.a >= event.b {
            return Err(Reject::Crossed);
        }
        Ok(Accepted { source: Source::Book, event, is_polled: false })
    }

    fn derivative(&self, body: &DerivTickerRow, out: &mut Events) {
        let is_polled = body.conn_id == CONN_BACKFILL;
        // A polled mark is a by-product of the funding request; the stream supplies marks.
        if let (Some(mark), false) = (body.mark_price, is_polled) {
            out.push(self.mark(body, mark));
        }
        if let Some(open_interest) = body.open_interest {
            out.push(self.open_interest(body, open_interest, is_polled));
        }
        if let (Some(rate), Some(secs)) = (body.funding_rate, body.funding_interval_secs) {
            out.push(self.funding(body, rate, secs, is_polled));
        }
    }

    fn mark(&self, body: &DerivTickerRow, mark: Decimal) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::Mark, body.ts_exchange)?;
        event.a = self.rounded_price(mark)?;
        event.b = match body.index_price {
            Some(index) => self.rounded_price(index)?,
            None => 0,
        };
        Ok(Accepted { source: Source::Mark, event, is_polled: false })
    }

    fn open_interest(
        &self,
        body: &DerivTickerRow,
        value: Decimal,
        is_polled: bool,
    ) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::OpenInterest, body.ts_exchange)?;
        event.a = self.qty(value)?;
        Ok(Accepted { source: Source::OpenInterest, event, is_polled })
    }

    fn funding(
        &self,
        body: &DerivTickerRow,
        rate: Decimal,
        secs: i32,
        is_polled: bool,
    ) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::Funding, body.ts_exchange)?;
        if secs <= 0 {
            return Err(Reject::NotPositive);
        }
        let per_8h = rate
            .checked_mul(Decimal::from(FUNDING_SECS))
            .and_then(|scaled| scaled.checked_div(Decimal::from(secs)))
            .ok_or(Reject::Scale)?;
        event.a = to_scaled(round_to(per_8h, RATE_DIGITS), RATE_DIGITS).ok_or(Reject::Scale)?;
        event.b = body.next_funding_at.map_or(0, |t| t.0.max(0));
        event.c = i64::from(secs);
        Ok(Accepted { source: Source::Funding, event, is_polled })
    }

    fn liquidation(&self, body: &LiquidationRow) -> Result<Accepted, Reject> {
        let mut event = self.event(Source::Liquidation, Some(body.ts_exchange))?;
        event.a = self.price(body.price)?;
        event.b = self.qty(body.qty)?;
        event.flags = u16::from(body.side == Side::Buy);
        event.venue_seq = body.trade_id.and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
        self.check_notional(&event)?;
        Ok(Accepted { source: Source::Liquidation, event, is_polled: false })
    }
}

fn positive(scaled: Option<i64>) -> Result<i64, Reject> {
    match scaled {
        Some(value) if value > 0 => Ok(value),
        Some(_) => Err(Reject::NotPositive),
        None => Err(Reject::Scale),
    }
}

const fn venue_code(venue: Venue) -> u8 {
    match venue {
        Venue::KrakenSpot => 0,
        Venue::KrakenFutures => 1,
        Venue::BinanceUm => 2,
    }
}
