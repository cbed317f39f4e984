//! Instruments of derivative venues: trades, quotes, marks, funding, open interest, forced orders.
//!
//! Each value is rounded half-even to its column's scale here, once, before the sealer sees it. A trade is
//! taken once per venue, symbol and id; a jump of ids is a gap with its number of missing trades. Quotes
//! are conflated: the last per symbol and tick is recorded at its end. A forced order without an id that
//! equals one of the last 64 of its symbol is the same one. What carries an order number is dropped when
//! that does not rise, so that two overlapping connections give one stream.

use super::id_gaps::IdGaps;
use super::numbering::{Fetch, Numbering, TradeUid};
use super::{MarketCore, Note, Outputs};
use penstock_types::decimal::{round_to, scale};
use penstock_types::raw::{
    CONN_BACKFILL, DerivTickerRow, LiquidationRow, RawBody, TickerRow, TradeRow,
};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{Decimal, Symbol, UtcMicros};
use std::collections::{BTreeMap, VecDeque};

/// Forced orders of a symbol that are remembered.
const FORCED_LEN: usize = 64;

/// Why a trade of a derivative took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DerivTradeKind {
    /// Two orders met.
    Fill,
    /// A position was closed by force.
    Liquidation,
    /// Outside of the book, or given to another account.
    Other,
}

impl DerivTradeKind {
    /// Letter of the column.
    #[must_use]
    pub const fn as_char(self) -> char {
        match self {
            Self::Fill => 'f',
            Self::Liquidation => 'l',
            Self::Other => 'o',
        }
    }
}

/// A decoded trade of a derivative.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivTradeIn {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Venue's number, contiguous per symbol.
    pub trade_id: i64,
    /// Venue's unique id, where it tells one.
    pub uid: Option<TradeUid>,
    /// Taker's side; of a liquidation that of the forced order.
    pub side: Side,
    /// Why it took place.
    pub kind: DerivTradeKind,
    /// Price.
    pub price: Decimal,
    /// Base quantity.
    pub qty: Decimal,
    /// Venue time.
    pub ts_exchange: UtcMicros,
}

/// Best prices of a derivative, with what else the message holds of a ticker.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivQuoteIn {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Number of the state, where the venue has one; it has to rise.
    pub order: Option<i64>,
    /// Venue time.
    pub ts_exchange: UtcMicros,
    /// Best bid.
    pub bid: Option<Decimal>,
    /// Best ask.
    pub ask: Option<Decimal>,
    /// Last trade.
    pub last: Option<Decimal>,
    /// Quantity at the best bid.
    pub bid_qty: Option<Decimal>,
    /// Quantity at the best ask.
    pub ask_qty: Option<Decimal>,
    /// Base volume of 24 h.
    pub volume_24h: Option<Decimal>,
    /// Change of 24 h in percentage points.
    pub change_pct_24h: Option<Decimal>,
}

/// Mark, index, funding and open interest of a derivative, as far as the message holds them.
#[derive(Debug, Clone, PartialEq)]
pub struct DerivStateIn {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Connection; 0 = asked for by REST.
    pub conn_id: i16,
    /// Number that has to rise on the stream, where one is needed to tell doubles.
    pub order: Option<i64>,
    /// Venue time.
    pub ts_exchange: UtcMicros,
    /// Mark price.
    pub mark_price: Option<Decimal>,
    /// Index price.
    pub index_price: Option<Decimal>,
    /// Fraction of the notional, and the seconds that it is for.
    pub funding: Option<(Decimal, i32)>,
    /// When funding is paid next.
    pub next_funding_at: Option<UtcMicros>,
    /// Open interest in units of the base asset.
    pub open_interest: Option<Decimal>,
}

/// A forced order that the venue does not number.
#[derive(Debug, Clone, PartialEq)]
pub struct ForcedOrderIn {
    /// Venue.
    pub venue: Venue,
    /// Symbol.
    pub symbol: Symbol,
    /// Connection.
    pub conn_id: i16,
    /// Side of the forced order.
    pub side: Side,
    /// Average price of its fills.
    pub price: Decimal,
    /// Filled quantity.
    pub qty: Decimal,
    /// Venue time.
    pub ts_exchange: UtcMicros,
}

type ForcedKey = (UtcMicros, Side, Decimal, Decimal);

#[derive(Debug, Default)]
pub(super) struct Instrument {
    trade_mark: Option<(i64, UtcMicros)>,
    /// Numbers that jumps left.
    pub(super) gaps: IdGaps,
    /// Unique ids of the stream, and what is being fetched for its gaps.
    pub(super) numbering: Numbering,
    pub(super) fetches: Vec<Fetch>,
    /// Trades that the venue sent with the subscription, for the gap that the next one may show.
    pub(super) snapshot: Vec<DerivTradeIn>,
    quote: Option<(UtcMicros, TickerRow)>,
    quote_order: Option<i64>,
    state_order: Option<i64>,
    forced: VecDeque<ForcedKey>,
}

/// What the core keeps of all instruments.
#[derive(Debug, Default)]
pub(super) struct Derivatives(pub(super) BTreeMap<(Venue, Symbol), Instrument>);

impl Derivatives {
    pub(super) fn of(&mut self, venue: Venue, symbol: &Symbol) -> &mut Instrument {
        self.0.entry((venue, symbol.clone())).or_default()
    }
}

/// True when `order` is none or above `mark`, which it then becomes.
fn rises(mark: &mut Option<i64>, order: Option<i64>) -> bool {
    let Some(order) = order else { return true };
    if mark.is_some_and(|mark| order <= mark) {
        return false;
    }
    *mark = Some(order);
    true
}

impl MarketCore {
    /// Takes a trade of a derivative: an id at or below the symbol's mark is a duplicate, a jump is a gap.
    /// A liquidation is two rows: the trade and the forced order.
    pub fn deriv_trade(&mut self, at: UtcMicros, trade: DerivTradeIn, out: &mut Outputs) {
        let DerivTradeIn { venue, trade_id, side, ts_exchange, conn_id, .. } = trade;
        let symbol = trade.symbol.clone();
        let (price, qty) = (round_to(trade.price, scale::PX), round_to(trade.qty, scale::QTY));
        if price <= Decimal::ZERO || qty <= Decimal::ZERO || trade_id < 0 {
            out.notes.push(Note::Refused { symbol, reason: "trade without price, quantity or id" });
            return;
        }
        let held = self.derivatives.of(venue, &symbol);
        held.numbering.note(&trade);
        match held.trade_mark {
            Some((mark, _)) if trade_id <= mark => {
                // A number of an open gap that the stream itself delivers late is no duplicate.
                if !held.gaps.late(trade_id) {
                    return;
                }
            }
            Some((mark, seen)) if trade_id > mark + 1 => {
                held.trade_mark = Some((trade_id, at));
                self.deriv_trades_missing((mark + 1, trade_id - 1), &trade, (seen, at), out);
            }
            Some(_) | None => held.trade_mark = Some((trade_id, at)),
        }
        let kind = trade.kind.as_char();
        let (of_trade, ord_type) = (symbol.clone(), None);
        let row = TradeRow {
            venue,
            symbol: of_trade,
            trade_id,
            side,
            kind,
            ord_type,
            price,
            qty,
            ts_exchange,
            conn_id,
        };
        self.number(at, RawBody::Trade(row), out);
        if trade.kind == DerivTradeKind::Liquidation && venue == Venue::KrakenFutures {
            let trade_id = Some(trade_id);
            let row =
                LiquidationRow { venue, symbol, side, price, qty, trade_id, ts_exchange, conn_id };
            self.number(at, RawBody::Liquidation(row), out);
        }
    }

    /// Takes best prices; the last of a tick are recorded at its end.
    pub fn deriv_quote(&mut self, at: UtcMicros, quote: DerivQuoteIn) {
        let px = |d: Option<Decimal>| d.map(|d| round_to(d, scale::PX));
        let qty = |d: Option<Decimal>| d.map(|d| round_to(d, scale::QTY));
        let held = self.derivatives.of(quote.venue, &quote.symbol);
        if !rises(&mut held.quote_order, quote.order) {
            return;
        }
        let row = TickerRow {
            venue: quote.venue,
            symbol: quote.symbol,
            ts_exchange: Some(quote.ts_exchange),
            snapshot: false,
            conn_id: quote.conn_id,
            bid: px(quote.bid),
            ask: px(quote.ask),
            last: px(quote.last),
            bid_qty: qty(quote.bid_qty),
            ask_qty: qty(quote.ask_qty),
            volume_24h: qty(quote.volume_24h),
            vwap_24h: None,
            change_pct_24h: quote.change_pct_24h.map(|d| round_to(d, scale::BPS)),
        };
        held.quote = Some((at, row));
    }

    /// Records the last quote of each symbol, in the order of venues and symbols.
    pub(super) fn flush_deriv_quotes(&mut self, out: &mut Outputs) {
        let held = self.derivatives.0.values_mut();
        let rows: Vec<_> = held.filter_map(|instrument| instrument.quote.take()).collect();
        for (at, row) in rows {
            self.number(at, RawBody::Ticker(row), out);
        }
    }

    /// Takes mark, funding and open interest; a message with none of them is no row.
    pub fn deriv_state(&mut self, at: UtcMicros, state: DerivStateIn, out: &mut Outputs) {
        let positive = |d: Option<Decimal>, digits| {
            d.map(|d| round_to(d, digits)).filter(|d| *d > Decimal::ZERO)
        };
        let DerivStateIn { venue, symbol, conn_id, ts_exchange, .. } = state;
        let mark_price = positive(state.mark_price, scale::PX);
        // Nothing open is a value too.
        let open_interest = state.open_interest.filter(|d| *d >= Decimal::ZERO);
        if mark_price.is_none() && state.funding.is_none() && open_interest.is_none() {
            out.notes.push(Note::Refused { symbol, reason: "no mark, funding or open interest" });
            return;
        }
        let held = self.derivatives.of(venue, &symbol);
        // Polled values compete with the stream in the sealer, by their time.
        if conn_id != CONN_BACKFILL && !rises(&mut held.state_order, state.order) {
            return;
        }
        let row = DerivTickerRow {
            venue,
            symbol,
            ts_exchange: Some(ts_exchange),
            conn_id,
            mark_price,
            index_price: positive(state.index_price, scale::PX),
            funding_rate: state.funding.map(|(rate, _)| round_to(rate, scale::RATE)),
            funding_interval_secs: state.funding.map(|(_, secs)| secs),
            next_funding_at: state.next_funding_at,
            open_interest: open_interest.map(|d| round_to(d, scale::QTY)),
        };
        self.number(at, RawBody::DerivTicker(row), out);
    }

    /// Takes a forced order without an id, once.
    pub fn forced_order(&mut self, at: UtcMicros, order: ForcedOrderIn, out: &mut Outputs) {
        let ForcedOrderIn { venue, symbol, conn_id, side, ts_exchange, .. } = order;
        let (price, qty) = (round_to(order.price, scale::PX), round_to(order.qty, scale::QTY));
        if price <= Decimal::ZERO || qty <= Decimal::ZERO {
            out.notes.push(Note::Refused { symbol, reason: "forced order without fills" });
            return;
        }
        let forced = &mut self.derivatives.of(venue, &symbol).forced;
        let key = (ts_exchange, side, price, qty);
        if forced.contains(&key) {
            return;
        }
        forced.push_back(key);
        if forced.len() > FORCED_LEN {
            forced.pop_front();
        }
        let trade_id = None;
        let row =
            LiquidationRow { venue, symbol, side, price, qty, trade_id, ts_exchange, conn_id };
        self.number(at, RawBody::Liquidation(row), out);
    }

    /// The venue refused requests for a while: `stream` names what was asked for.
    pub fn rate_limited(
        &mut self,
        venue: Venue,
        stream: &str,
        error: &str,
        at: UtcMicros,
        out: &mut Outputs,
    ) {
        let mut row = self.status(StatusKind::RateLimited, stream);
        row.venue = Some(venue);
        row.detail = serde_json::json!({ "error": error }).to_string();
        self.number(at, RawBody::Status(row), out);
    }
}
