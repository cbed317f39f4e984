//! Trades of Binance by number, after a gap.
//!
//! Input: a range of aggregate ids of a Binance symbol. Output: pages of trades, and how the last request
//! ended. A venue that does not show the newest ones yet, or does not answer, costs a few attempts.

use std::sync::Arc;
use std::time::Duration;

use penstock_types::UtcMicros;
use penstock_venue_net::Clock;
use penstock_venues::binance::rest::{Body, decode};
use tokio::sync::mpsc;

use super::client::{PollEvent, fetch};
use super::plan::Outcome;

/// Path of the requests.
pub(super) const PATH: &str = "/fapi/v1/aggTrades";
/// Trades of a page, the venue's limit.
const PAGE_ROWS: i64 = 1_000;
/// Pages of one gap: each weighs 20 of 2,400 per minute, so that one gap takes at most a sixth.
const PAGES_MAX: usize = 20;
/// Attempts in a row that bring nothing new.
const ATTEMPTS_MAX: u32 = 5;
/// Pause between them.
const RETRY: Duration = Duration::from_secs(1);

/// Trades that are missing, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TradesAsk {
    /// Symbol.
    pub symbol: String,
    /// First missing number.
    pub first_id: i64,
    /// Last missing number.
    pub last_id: i64,
    /// Venue time of the first trade after them; where the venue is asked by time, that is where it begins.
    pub until: UtcMicros,
}

/// What the requests of one range are made of.
pub(super) struct Pages {
    pub client: reqwest::Client,
    pub base: String,
    pub clock: Arc<dyn Clock>,
    pub events: mpsc::Sender<PollEvent>,
}

impl Pages {
    /// Hands a page on; false when nobody reads.
    async fn page(&self, ask: &TradesAsk, text: String) -> bool {
        let (at, ask) = (self.clock.now(), ask.clone());
        self.events.send(PollEvent::Trades { at, ask, text }).await.is_ok()
    }

    /// Asks for all pages of a range and hands them on. Gives the refusal that ended it, if one did.
    pub(super) async fn run(self, ask: &TradesAsk) -> Option<Outcome> {
        let url = format!("{}{PATH}", self.base);
        let (mut from_id, mut failures) = (ask.first_id, 0);
        for _ in 0..PAGES_MAX {
            if from_id > ask.last_id || failures >= ATTEMPTS_MAX {
                return None;
            }
            let rows = (ask.last_id - from_id + 1).min(PAGE_ROWS).to_string();
            let from = from_id.to_string();
            let query = [("symbol", ask.symbol.as_str()), ("fromId", &from), ("limit", &rows)];
            let newest = match fetch(self.client.get(&url).query(&query)).await {
                Ok((text, _)) => {
                    let newest = newest_id(&text);
                    if newest.is_some() && !self.page(ask, text).await {
                        return None;
                    }
                    newest
                }
                Err((refused @ Outcome::Refused { .. }, _)) => return Some(refused),
                Err((Outcome::Failed | Outcome::Answered { .. }, _)) => None,
            };
            match newest {
                Some(id) if id >= from_id => (from_id, failures) = (id + 1, 0),
                Some(_) | None => {
                    failures += 1;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        None
    }
}

/// Highest number of a page; none of a page that is empty or no page.
fn newest_id(text: &str) -> Option<i64> {
    let Ok(Body::AggTrades(rows)) = decode(PATH, text) else { return None };
    rows.iter().filter_map(|row| i64::try_from(row.agg_id).ok()).max()
}
