//! Trades that a gap has swallowed are fetched by REST.
//!
//! Input: gaps of trade numbers from the core. Output: the fetched trades back to the core, which takes
//! each missing number once, and the word that nothing more comes. One gap at a time, paced like every
//! request; a venue that does not answer costs the gap a few attempts and never the recording.

use super::reference::{fetch_names, trade_of};
use crate::core::run::CoreCommand;
use crate::tasks::Hub;
use penstock_market::TradeIn;
use penstock_types::{Symbol, UtcMicros};
use penstock_venue_feeds::PublicRest;
use penstock_venues::kraken::rest::PublicRequest;
use penstock_venues::kraken::rest::public::TradesResult;
use penstock_venues::kraken::symbols::PairNames;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Gaps that may wait; a further one stays missing.
pub(crate) const REQUESTS_MAX: usize = 256;
/// Prints of a page, the venue's limit.
const PAGE_ROWS: u32 = 1_000;
/// Pages of one gap: 50,000 prints are more than an hour of the busiest pair.
const PAGES_MAX: usize = 50;
/// Longest time for one gap: the core closes it ten seconds later.
const GAP_TIME_MAX: Duration = Duration::from_secs(290);
/// Attempts in a row without an answer before a gap is given up.
const ATTEMPTS_MAX: u32 = 5;
/// Pause after one of them, and while the venue does not show the newest prints yet.
const RETRY: Duration = Duration::from_secs(1);
/// The venue's clock may be behind ours by this much.
const CLOCK_MARGIN_MS: i64 = 60_000;

/// A gap of trade numbers.
#[derive(Debug, Clone)]
pub(crate) struct BackfillRequest {
    pub symbol: Symbol,
    pub first_id: i64,
    pub last_id: i64,
    /// Receive time of the last trade before it.
    pub from: UtcMicros,
}

/// The fetching task.
pub(crate) struct Backfill {
    pub hub: Hub,
    pub rest: Arc<PublicRest>,
    pub requests: mpsc::Receiver<BackfillRequest>,
}

impl Backfill {
    /// Fetches until it is cancelled.
    pub(crate) async fn run(mut self) {
        let cancel = self.hub.cancel.clone();
        // What is being fetched at a stop stays missing; the next run begins with a gap anyway.
        let _ = cancel.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&mut self) {
        let mut names = None;
        while let Some(gap) = self.requests.recv().await {
            if names.is_none() {
                match fetch_names(&self.rest).await {
                    Ok(found) => names = Some(found),
                    Err(error) => tracing::warn!("names of pairs: {error}"),
                }
            }
            if let Some(names) = &names {
                self.fetch(&gap, names).await;
            }
            let BackfillRequest { symbol, first_id, .. } = gap;
            // The core is gone only at the end of the process.
            let _ = self.hub.core.send(CoreCommand::BackfillEnded { symbol, first_id }).await;
        }
    }

    /// Pages through the prints since the gap began until its last number has been seen.
    async fn fetch(&self, gap: &BackfillRequest, names: &PairNames) {
        let Some(pair) = names.altname(gap.symbol.as_str()) else {
            tracing::warn!(symbol = gap.symbol.as_str(), "REST has no name for the pair");
            return;
        };
        let began = Instant::now();
        let nanos = i128::from(gap.from.plus_millis(-CLOCK_MARGIN_MS).0.max(0)) * 1_000;
        let mut since = nanos.to_string();
        let (mut pages, mut failures) = (0, 0);
        while began.elapsed() < GAP_TIME_MAX && pages < PAGES_MAX && failures < ATTEMPTS_MAX {
            let request =
                PublicRequest::Trades { pair, since: Some(&since), count: Some(PAGE_ROWS) };
            let answer = self.rest.get(&request).await;
            let reply = answer.reply::<TradesResult<'_>>();
            let Some(page) = reply.result() else {
                failures += 1;
                tracing::warn!(symbol = gap.symbol.as_str(), "trades: {answer:.200?}");
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let newest = page.trades.iter().filter_map(|t| i64::try_from(t.trade_id).ok()).max();
            let trades: Vec<TradeIn> = page
                .trades
                .iter()
                .filter_map(|t| trade_of(&gap.symbol, t))
                .filter(|t| gap.first_id <= t.trade_id && t.trade_id <= gap.last_id)
                .collect();
            if !trades.is_empty() {
                // As above.
                let _ = self.hub.core.send(CoreCommand::Backfill(trades)).await;
            }
            if newest.is_some_and(|id| id >= gap.last_id) {
                return;
            }
            if newest.is_none() || page.last.as_str() == since {
                // The venue's REST side is behind its sockets.
                failures += 1;
                tokio::time::sleep(RETRY).await;
            } else {
                (failures, pages) = (0, pages + 1);
                since = page.last.as_str().to_owned();
            }
        }
    }
}
