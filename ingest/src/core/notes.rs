//! What happened inside the core, as markers, alerts and requests.
//!
//! Input: the notes of the pure core. Outputs: markers; gaps of trade numbers on their way to the
//! fetching task. Nothing is decided here but that a gap which finds no place there is closed at once.

use super::feed_input::Market;
use super::run::CoreThread;
use super::sink::RawSink;
use crate::lifecycle::alerts::Reason;
use crate::universe::backfill::BackfillRequest;
use penstock_market::Note;
use penstock_telemetry::{Level, marker};
use penstock_types::UtcMicros;
use penstock_types::vocab::Venue;

const VENUE: &str = "KRAKEN_SPOT";

impl<S: RawSink + 'static> CoreThread<S> {
    pub(super) fn tell(&mut self, note: Note) {
        match note {
            Note::QuoteWithdrawn { symbol, conn_id, reason } => {
                let symbol = symbol.as_ref().map_or("*", |s| s.as_str());
                marker!(
                    QUOTE_WITHDRAWN,
                    symbol = symbol,
                    reason = reason.as_str(),
                    conn_id = conn_id
                );
            }
            Note::QuotesReturned { conn_id } => tracing::debug!(conn_id, "quotes return"),
            Note::TradesMissing { symbol, first_id, last_id, from } => {
                self.ask_for_trades(BackfillRequest { symbol, first_id, last_id, from });
            }
            Note::TradesBackfilled { symbol, from, to, backfilled, missing } => marker!(
                at if missing > 0 { Level::Warn } else { Level::Info },
                TRADES_BACKFILLED,
                venue = VENUE,
                symbol = symbol.as_str(),
                gap_from = from.rfc3339(),
                gap_to = to.rfc3339(),
                backfilled = backfilled,
                missing = missing,
            ),
            Note::DerivTradesMissing { venue, symbol, first_id, last_id, until } => {
                self.market.ask_for_deriv_trades(venue, &symbol, (first_id, last_id), until);
            }
            Note::DerivTradesBackfilled { venue, symbol, blind, backfilled, missing } => marker!(
                at if missing > 0 { Level::Warn } else { Level::Info },
                TRADES_BACKFILLED,
                venue = venue.as_str(),
                symbol = symbol.as_str(),
                gap_from = blind.0.rfc3339(),
                gap_to = blind.1.rfc3339(),
                backfilled = backfilled,
                missing = missing,
            ),
            Note::DerivVenue { venue, is_degraded, streams } => {
                tell_deriv_venue(&self.market, venue, is_degraded, &streams);
            }
            Note::Level3Resync { symbol, count } => {
                marker!(L3_RESYNC, symbol = symbol.as_str(), count = count);
            }
            Note::Level3Systemic { lost, tracked } => {
                tracing::warn!(lost, tracked, "order-by-order books were lost all at once");
            }
            Note::Level3Blocked(block) => marker!(
                L3_RESYNC_LIMIT_REACHED,
                run_id = self.market.core.recording().run_id,
                symbol = block.symbol.as_str(),
                l3_resync_count = block.resyncs,
                hard_block_until = block.until.rfc3339(),
            ),
            Note::Level3Unblocked { symbol } => {
                tracing::info!(symbol = symbol.as_str(), "its block for level 3 resyncs is over");
            }
            Note::Refused { symbol, reason } => {
                tracing::warn!(symbol = symbol.as_str(), "refused: {reason}");
            }
            Note::StreamGap { from, to } => self.tell_stream_gap(from, to),
        }
    }

    /// Fetching never holds the core up: what finds no place stays missing.
    fn ask_for_trades(&mut self, request: BackfillRequest) {
        if let Err(error) = self.ports.backfill.try_send(request) {
            let BackfillRequest { symbol, first_id, .. } = error.into_inner();
            let at = self.market.clock.now();
            let at = self.market.lift(at);
            let super::feed_input::Market { core, out, .. } = &mut self.market;
            core.backfill_ended(&symbol, first_id, at, out);
        }
    }

    fn tell_stream_gap(&mut self, from: UtcMicros, to: UtcMicros) {
        let gap_secs = to.millis_since(from) / 1_000;
        marker!(INGEST_GAP_DETECTED, venue = VENUE, stream = "ticker,trade", gap_secs = gap_secs,);
        let summary = format!("no ticker and no trade for {gap_secs} s");
        let metrics = serde_json::json!({ "gap_secs": gap_secs });
        self.ports.alerts.occurred(Reason::FeedGap, &summary, metrics);
        self.stream_gap = Some(to);
    }
}

/// Tells that the flag of a derivative venue was set or cleared.
fn tell_deriv_venue(market: &Market, venue: Venue, is_degraded: bool, streams: &[String]) {
    let symbols = market.derivs.instruments.count(venue);
    let (venue, streams) = (venue.as_str(), streams.join(","));
    if is_degraded {
        marker!(DERIV_FEED_DEGRADED, venue = venue, streams = streams, symbols = symbols);
    } else {
        marker!(DERIV_FEED_RECOVERED, venue = venue, streams = streams, symbols = symbols);
    }
}
