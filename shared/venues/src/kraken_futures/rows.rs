//! Rows of the public feeds: ticker, trade, book, heartbeat.
//!
//! Input: the text of a frame whose feed is known. Output: rows that borrow from it, numbers as text.
//! Rates of funding are per funding period of one hour; what [`TickerRow::relative_funding`] gives is
//! the one figure that compares contracts. It checks shape only.

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::kraken::public::LevelRow;
use crate::kraken::vocabulary::Side;
use crate::number::NumberError;
use crate::whole::Whole;
use crate::wire::{Num, Tag, Text, vocabulary, wire_object};

vocabulary! {
    /// Why a trade took place.
    TradeKind {
        /// Two orders met.
        Fill = "fill",
        /// A position was closed by force; the side is that of the closing order.
        Liquidation = "liquidation",
        /// A position was closed at bankruptcy.
        Termination = "termination",
        /// A position was given to another account.
        Assignment = "assignment",
        /// Agreed outside of the book.
        Block = "block",
    }
}

wire_object! {
    /// Whole image of one product, at most one per second.
    TickerRow {
        /// `ticker`.
        req feed: Text<'a> = "feed",
        /// Product (`PF_XBTUSD`).
        req product_id: Text<'a> = "product_id",
        /// Venue time, milliseconds.
        req time_ms: Whole = "time",
        /// `XBT:USD`.
        opt pair: Text<'a> = "pair",
        /// `perpetual`, or how long a dated product runs.
        opt tag: Text<'a> = "tag",
        /// Best bid.
        opt bid: Num<'a> = "bid",
        /// Its quantity.
        opt bid_size: Num<'a> = "bid_size",
        /// Best ask.
        opt ask: Num<'a> = "ask",
        /// Its quantity.
        opt ask_size: Num<'a> = "ask_size",
        /// Price of the last trade.
        opt last: Num<'a> = "last",
        /// Price 24 h ago.
        opt open: Num<'a> = "open",
        /// Highest price of 24 h.
        opt high: Num<'a> = "high",
        /// Lowest price of 24 h.
        opt low: Num<'a> = "low",
        /// Volume of 24 h.
        opt volume: Num<'a> = "volume",
        /// Volume of 24 h, quote asset.
        opt volume_quote: Num<'a> = "volumeQuote",
        /// Index price.
        opt index: Num<'a> = "index",
        /// Mark price.
        opt mark_price: Num<'a> = "markPrice",
        /// Base units of linear products, contracts of one USD of inverse ones.
        opt open_interest: Num<'a> = "openInterest",
        /// Absolute rate: quote per base unit (linear), base per contract (inverse); absent when zero.
        opt funding_rate: Num<'a> = "funding_rate",
        /// Its estimate for the next period.
        opt funding_rate_prediction: Num<'a> = "funding_rate_prediction",
        /// Fraction of the notional per period; absent when zero and on dated products.
        opt relative_funding_rate: Num<'a> = "relative_funding_rate",
        /// Its estimate for the next period.
        opt relative_funding_rate_prediction: Num<'a> = "relative_funding_rate_prediction",
        /// When the next period begins, milliseconds since the Unix epoch.
        opt next_funding_rate_time_ms: Whole = "next_funding_rate_time",
        /// Percent above the index.
        opt premium: Num<'a> = "premium",
        /// Change over 24 h, percent.
        opt change: Num<'a> = "change",
        /// Whether nothing trades.
        opt suspended: bool = "suspended",
        /// Whether only post-only orders are taken.
        opt post_only: bool = "post_only",
        /// Days to maturity; 0 of perpetuals.
        opt dtm: Whole = "dtm",
        /// Maturity, milliseconds; 0 of perpetuals.
        opt maturity_time_ms: Whole = "maturityTime",
        /// `100x`.
        opt leverage: Text<'a> = "leverage",
        /// Of options.
        opt greeks: &'a RawValue = "greeks",
    }
}

impl TickerRow<'_> {
    /// Whether the product is a perpetual.
    pub fn is_perpetual(&self) -> bool {
        is_perpetual(&self.product_id)
    }

    /// Funding of the current period as a fraction of the notional: the venue leaves a rate of zero
    /// out, so an absent one is zero on a perpetual; dated products have none.
    ///
    /// # Errors
    /// The rate needs more than 28 digits.
    pub fn relative_funding(&self) -> Result<Option<Decimal>, NumberError> {
        match self.relative_funding_rate {
            Some(rate) => rate.decimal().map(Some),
            None => Ok(self.is_perpetual().then_some(Decimal::ZERO)),
        }
    }
}

/// Whether a product id is that of a perpetual: `PF_` (linear) or `PI_` (inverse).
pub fn is_perpetual(product_id: &str) -> bool {
    ["PF_", "PI_"].iter().any(|prefix| {
        product_id.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    })
}

/// Length of a funding period, seconds; each begins at a full hour (measured).
pub const FUNDING_PERIOD_S: u32 = 3_600;

wire_object! {
    /// Short image of one product, on change and at most once per second.
    TickerLiteRow {
        /// `ticker_lite`.
        req feed: Text<'a> = "feed",
        /// Product.
        req product_id: Text<'a> = "product_id",
        /// Best bid.
        opt bid: Num<'a> = "bid",
        /// Best ask.
        opt ask: Num<'a> = "ask",
        /// Change over 24 h, percent.
        opt change: Num<'a> = "change",
        /// Percent above the index.
        opt premium: Num<'a> = "premium",
        /// Volume of 24 h.
        opt volume: Num<'a> = "volume",
        /// Volume of 24 h, quote asset.
        opt volume_quote: Num<'a> = "volumeQuote",
        /// `perpetual`, or how long a dated product runs.
        opt tag: Text<'a> = "tag",
        /// `XBT:USD`.
        opt pair: Text<'a> = "pair",
        /// Days to maturity.
        opt dtm: Whole = "dtm",
        /// Maturity, milliseconds.
        opt maturity_time_ms: Whole = "maturityTime",
    }
}

wire_object! {
    /// One print, alone or inside of an image.
    TradeRow {
        /// `trade`.
        opt feed: Text<'a> = "feed",
        /// Product; an image names it once more.
        req product_id: Text<'a> = "product_id",
        /// Unique id.
        req uid: Text<'a> = "uid",
        /// Side of the taker; of a liquidation that of the closing order (sell: a long was closed).
        req side: Tag<'a, Side> = "side",
        /// Why it took place.
        req kind: Tag<'a, TradeKind> = "type",
        /// Number within the product, contiguous: a jump is a gap.
        req seq: Whole = "seq",
        /// Venue time, milliseconds.
        req time_ms: Whole = "time",
        /// Quantity: base units of linear products, contracts of one USD of inverse ones.
        req qty: Num<'a> = "qty",
        /// Price.
        req price: Num<'a> = "price",
    }
}

wire_object! {
    /// The last prints of one product, newest first, at most 100.
    TradeSnapshotRow {
        /// `trade_snapshot`.
        req feed: Text<'a> = "feed",
        /// Product.
        req product_id: Text<'a> = "product_id",
        /// Prints.
        req trades: Vec<TradeRow<'a>> = "trades",
    }
}

wire_object! {
    /// Whole book of one product.
    BookSnapshotRow {
        /// `book_snapshot`.
        req feed: Text<'a> = "feed",
        /// Product.
        req product_id: Text<'a> = "product_id",
        /// Venue time, milliseconds.
        req timestamp_ms: Whole = "timestamp",
        /// Number that the first change continues.
        req seq: Whole = "seq",
        /// Null on the wire.
        opt tick_size: Num<'a> = "tickSize",
        /// Buy side.
        req bids: Vec<LevelRow<'a>> = "bids",
        /// Sell side.
        req asks: Vec<LevelRow<'a>> = "asks",
    }
}

wire_object! {
    /// Change of one level; a quantity of zero removes it.
    BookRow {
        /// `book`.
        req feed: Text<'a> = "feed",
        /// Product.
        req product_id: Text<'a> = "product_id",
        /// Side.
        req side: Tag<'a, Side> = "side",
        /// Number within the product, contiguous: a jump is a gap.
        req seq: Whole = "seq",
        /// Price.
        req price: Num<'a> = "price",
        /// New quantity.
        req qty: Num<'a> = "qty",
        /// Venue time, milliseconds.
        req timestamp_ms: Whole = "timestamp",
    }
}

wire_object! {
    /// Sign of life, once per second.
    HeartbeatRow {
        /// `heartbeat`.
        req feed: Text<'a> = "feed",
        /// Venue time, milliseconds.
        req time_ms: Whole = "time",
    }
}

wire_object! {
    /// Answer of the control side, or a request of the client.
    EventRow {
        /// What it is (`subscribed`, `error`).
        req event: Text<'a> = "event",
        /// Feed.
        opt feed: Text<'a> = "feed",
        /// Products; the venue answers for one at a time.
        opt product_ids: Vec<Text<'a>> = "product_ids",
        /// Text of an error or an alert.
        opt message: Text<'a> = "message",
        /// Version of the socket, on connect.
        opt version: Whole = "version",
    }
}
