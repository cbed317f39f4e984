//! Purpose: a market for benches: numbered rows of many symbols, second after second. Inputs: a number of
//! symbols. Outputs: an aggregator that has folded them. Invariants: the same rows every time; every
//! symbol has book samples, trades and ticker rows in each second, so that every column of its state is
//! filled. It is no model of a market: only the number and the kind of the rows matter here.

use penstock_market::{Aggregator, FoldConfig, STREAM_UNIVERSE, StateCut};
use penstock_types::raw::{L2Row, RawBody, RawRow, StatusRow, TickerRow, TradeRow};
use penstock_types::vocab::{Side, StatusKind, Venue};
use penstock_types::{Decimal, GenerationId, LineageId, RunId, Seq, Symbol, UtcMicros};

/// Rows of a symbol in a second: two book samples, a trade, a ticker row, as busy symbols have them.
const ROWS_PER_SECOND: i64 = 4;

/// Symbols and the fold of their rows.
#[derive(Debug)]
pub(super) struct Market {
    symbols: Vec<Symbol>,
    fold: Aggregator,
    lineage_id: LineageId,
    started_at: UtcMicros,
    seconds: i64,
    seq: i64,
}

/// Symbol number `i`.
///
/// # Errors
/// None of the numbers in use; five digits make a symbol.
pub(super) fn symbol(i: usize) -> anyhow::Result<Symbol> {
    Ok(Symbol::new(&format!("S{i:05}/USD"))?)
}

impl Market {
    /// `count` symbols from `started_at` on, without rows.
    ///
    /// # Errors
    /// As [`symbol`].
    pub(super) fn new(
        run_id: RunId,
        lineage_id: LineageId,
        started_at: UtcMicros,
        count: usize,
    ) -> anyhow::Result<Self> {
        let symbols = (0..count).map(symbol).collect::<anyhow::Result<Vec<_>>>()?;
        let fold = Aggregator::new(run_id, FoldConfig::default());
        let mut market = Self { symbols, fold, lineage_id, started_at, seconds: 0, seq: 0 };
        for symbol in market.symbols.clone() {
            let row = market.universe(symbol);
            market.apply(started_at, row);
        }
        Ok(market)
    }

    /// Folds the rows of the next second.
    pub(super) fn second(&mut self) {
        let start = self.started_at.plus_millis(self.seconds * 1_000);
        for part in 0..ROWS_PER_SECOND {
            let at = start.plus_millis(part * 1_000 / ROWS_PER_SECOND);
            for i in 0..self.symbols.len() {
                let body = self.row(i, part, at);
                self.apply(at, body);
            }
        }
        self.seconds += 1;
    }

    /// Time of the end of the last second.
    #[must_use]
    pub(super) fn now(&self) -> UtcMicros {
        self.started_at.plus_millis(self.seconds * 1_000)
    }

    /// A version of the state as of now.
    pub(super) fn cut(&mut self, generation_id: GenerationId) -> StateCut {
        let now = self.now();
        self.fold.cut(generation_id, now, self.lineage_id)
    }

    fn apply(&mut self, at: UtcMicros, body: RawBody) {
        self.seq += 1;
        self.fold.apply(&RawRow { seq: Seq(self.seq), ts_local: at, body });
    }

    fn row(&self, i: usize, part: i64, at: UtcMicros) -> RawBody {
        let symbol = self.symbols[i].clone();
        let offset = i64::try_from(i).unwrap_or(0);
        let walk = (self.seconds * 7 + offset * 13 + part) % 97;
        let bid = Decimal::new(6_412_310 + walk, 2);
        let ask = bid + Decimal::new(1, 1);
        let qty = Decimal::new(12_345_678 + walk, 8);
        match part {
            0 | 2 => RawBody::L2(L2Row {
                symbol,
                ts_exchange: Some(at),
                bid,
                ask,
                bid_qty: qty,
                ask_qty: qty,
                spread_bps: Some(Decimal::new(156, 4)),
                microprice: Some(bid),
                microprice_dev_bps: Some(Decimal::new(walk, 4)),
                imbalance_l1: Some(Decimal::new(walk, 6)),
                imbalance_10: Some(Decimal::new(walk, 6)),
                depth_bid_10bps_quote: Some(Decimal::new(6_000_000 + walk, 2)),
                depth_ask_10bps_quote: Some(Decimal::new(6_100_000 - walk, 2)),
                updates_since_prev: 3,
                checksum_ok: true,
                book_depth: 25,
                conn_id: 2,
            }),
            1 => RawBody::Trade(TradeRow {
                venue: Venue::KrakenSpot,
                symbol,
                trade_id: self.seconds + 1,
                side: if walk % 2 == 0 { Side::Buy } else { Side::Sell },
                kind: 'f',
                ord_type: Some('m'),
                price: bid,
                qty,
                ts_exchange: at,
                conn_id: 1,
            }),
            _ => RawBody::Ticker(TickerRow {
                venue: Venue::KrakenSpot,
                symbol,
                ts_exchange: None,
                snapshot: false,
                conn_id: 1,
                bid: Some(bid),
                ask: Some(ask),
                last: Some(bid),
                bid_qty: Some(qty),
                ask_qty: Some(qty),
                volume_24h: Some(Decimal::new(1_234_567, 2)),
                vwap_24h: Some(bid),
                change_pct_24h: Some(Decimal::new(walk, 4)),
            }),
        }
    }

    fn universe(&self, symbol: Symbol) -> RawBody {
        RawBody::Status(StatusRow {
            lineage_id: self.lineage_id,
            venue: Some(Venue::KrakenSpot),
            stream: STREAM_UNIVERSE.to_owned(),
            conn_id: None,
            kind: StatusKind::Connect,
            symbol: Some(symbol),
            gap_from: None,
            gap_to: None,
            first_seq: None,
            last_seq: None,
            detail: "{}".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Market;
    use penstock_types::{GenerationId, LineageId, RunId, UtcMicros, Uuid};

    #[test]
    fn every_symbol_has_a_row_whose_prices_and_windows_are_filled() {
        let lineage = LineageId(Uuid::from_u128(1));
        let start = UtcMicros(1_783_465_200_000_000);
        let mut market = Market::new(RunId(1), lineage, start, 5).unwrap();
        for _ in 0..120 {
            market.second();
        }
        let cut = market.cut(GenerationId(1));
        assert_eq!(cut.rows.len(), 5);
        assert!(cut.rows.iter().all(|row| row.mid.is_some() && row.rv_1m_bps.is_some()));
        assert!(cut.rows.iter().all(|row| row.trades_1m > 50), "{:?}", cut.rows[0].trades_1m);
        market.second();
        assert_eq!(market.cut(GenerationId(2)).changed, 5, "a second changes every row");
    }
}
