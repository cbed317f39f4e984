//! What the engine's events were made of, as metrics: taken by venue and source, refused by reason.
//!
//! Input: the counts of the market core, the distance of polls. Output: counters, a gauge. Invariants: the counts
//! are totals since the process started and are set as such, so that a look that is missed loses nothing.

use metrics::{counter, gauge};
use penstock_market::canonical::{EventCounts, Reject, Source};
use penstock_types::vocab::Venue;

/// Says the totals.
pub(super) fn say(counts: &EventCounts) {
    for (venue, taken) in Venue::ALL.iter().zip(&counts.accepted) {
        for (source, taken) in Source::ALL.into_iter().zip(taken) {
            let labels = [("venue", venue.as_str()), ("source", source.as_str())];
            counter!("engine_events_total", &labels).absolute(*taken);
        }
    }
    for (reason, refused) in &counts.rejected {
        if *reason == Reject::Duplicate {
            counter!("engine_duplicates_total").absolute(*refused);
        } else {
            counter!("engine_rejects_total", "reason" => reason.to_string()).absolute(*refused);
        }
    }
}

/// Says how far apart two polls of one symbol's open interest are: when the polls begin and whenever that changes.
pub(crate) fn say_interval(interval_s: i64) {
    gauge!("engine_oi_poll_interval_seconds").set(interval_s as f64);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use penstock_market::canonical::{EventQueue, InstrumentBinding, InstrumentKey, Roles};
    use penstock_types::raw::{DerivTickerRow, LiquidationRow, RawBody, RawRow, TradeRow};
    use penstock_types::vocab::Side;
    use penstock_types::{Decimal, Seq, Symbol, UtcMicros};

    use super::*;

    const VENUE: Venue = Venue::BinanceUm;

    fn symbol() -> Symbol {
        Symbol::new("BTCUSDT").unwrap()
    }

    fn trade(trade_id: i64, ts_exchange: i64) -> RawBody {
        RawBody::Trade(TradeRow {
            venue: VENUE,
            symbol: symbol(),
            trade_id,
            side: Side::Buy,
            kind: 'f',
            ord_type: None,
            price: Decimal::from(64_000),
            qty: Decimal::ONE,
            ts_exchange: UtcMicros(ts_exchange),
            conn_id: 1,
        })
    }

    fn liquidation() -> RawBody {
        RawBody::Liquidation(LiquidationRow {
            venue: VENUE,
            symbol: symbol(),
            side: Side::Sell,
            price: Decimal::from(63_990),
            qty: Decimal::ONE,
            trade_id: None,
            ts_exchange: UtcMicros(7),
            conn_id: 1,
        })
    }

    /// Mark, open interest and funding at once.
    fn ticker() -> RawBody {
        RawBody::DerivTicker(DerivTickerRow {
            venue: VENUE,
            symbol: symbol(),
            ts_exchange: Some(UtcMicros(8)),
            conn_id: 1,
            mark_price: Some(Decimal::from(64_001)),
            index_price: None,
            funding_rate: Some(Decimal::new(1, 4)),
            funding_interval_secs: Some(28_800),
            next_funding_at: None,
            open_interest: Some(Decimal::from(80_000)),
        })
    }

    /// Lines of the exposition without what describes them, ascending.
    fn exposed(say: impl FnOnce()) -> Vec<String> {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, say);
        let text = recorder.handle().render();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_a_small_frame_was_made_of_is_exposed_by_venue_source_and_reason() {
        // given a token whose one instrument has its events of a tick
        let mut queue = EventQueue::new(vec![InstrumentBinding {
            key: InstrumentKey { token_id: 7, instrument_id: 0 },
            venue: VENUE,
            symbol: symbol(),
            qty_exp: 3,
            multiplier: 1,
            roles: Roles { flow: true, deriv_primary: true, oi_set: true, ..Roles::default() },
        }]);
        let bodies = [
            trade(1, 5),
            trade(2, 5),
            trade(2, 5),
            trade(3, 6),
            trade(4, 0),
            liquidation(),
            ticker(),
        ];
        for body in bodies {
            queue.apply(&RawRow { seq: Seq(1), ts_local: UtcMicros(9), body }, |_, _, _| ());
        }
        assert_eq!(queue.drain().len(), 7, "three trades and one of everything else but quotes");

        // when the totals are said, and said again because nothing has changed
        let lines = exposed(|| {
            say(queue.counts());
            say(queue.counts());
        });

        // then every source of every venue has its line
        let mut want = vec![
            "engine_duplicates_total 1".to_owned(),
            "engine_rejects_total{reason=\"timestamp\"} 1".to_owned(),
        ];
        for venue in ["BINANCE_UM", "KRAKEN_FUTURES", "KRAKEN_SPOT"] {
            for (source, count) in [
                ("book", 0),
                ("funding", 1),
                ("liquidation", 1),
                ("mark", 1),
                ("open_interest", 1),
                ("trade", 3),
            ] {
                let count = if venue == VENUE.as_str() { count } else { 0 };
                want.push(format!(
                    "engine_events_total{{venue=\"{venue}\",source=\"{source}\"}} {count}"
                ));
            }
        }
        want.sort();
        assert_eq!(lines, want);
    }
}
