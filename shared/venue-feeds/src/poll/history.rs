//! Trades of Kraken Futures by time, after a gap.
//!
//! Input: a range of numbers and the venue's time of the first trade behind it. Output: pages of trades,
//! newest first, back from that time. The venue cannot be asked by number, and whether its numbers here are
//! those of its stream is for the reader to judge. A venue that does not show the newest ones yet, or does
//! not answer, costs a few attempts. All requests to this venue keep a second's distance.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use penstock_types::UtcMicros;
use penstock_venue_net::Clock;
use penstock_venues::kraken_futures::rest::{Body, decode};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::client::{PollEvent, fetch};
use super::plan::Outcome;
use super::trades::TradesAsk;

/// Path of the requests.
const PATH: &str = "/derivatives/api/v3/history";
/// Pages of one gap: two thousand trades.
const PAGES_MAX: usize = 20;
/// Attempts in a row that bring nothing new.
const ATTEMPTS_MAX: u32 = 5;
/// Distance of any two requests: the venue names no limit, and this is what we ask of it.
const INTERVAL: Duration = Duration::from_secs(1);

/// The distance of requests, shared by everything that asks the venue.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Waits for a turn and takes it.
    pub(super) async fn turn(&self) {
        loop {
            let Some(due) = self.take(Instant::now()) else { return };
            tokio::time::sleep_until(due).await;
        }
    }

    /// None when the turn is ours; else when to look again.
    fn take(&self, now: Instant) -> Option<Instant> {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *next {
            Some(due) if now < due => Some(due),
            Some(_) | None => {
                *next = Some(now + INTERVAL);
                None
            }
        }
    }
}

/// What the requests of one gap are made of.
pub(super) struct History {
    pub client: reqwest::Client,
    pub base: String,
    pub clock: Arc<dyn Clock>,
    pub pace: Arc<Pace>,
    pub events: mpsc::Sender<PollEvent>,
}

/// What a page says about the next request.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Trades up to this time.
    Until(UtcMicros),
    /// The venue does not show the newest ones yet.
    Later,
    /// Nothing more is there.
    Done,
}

impl History {
    /// Asks for all pages of a gap and hands them on. Gives the refusal that ended it, if one did.
    pub(super) async fn run(self, ask: &TradesAsk) -> Option<Outcome> {
        let url = format!("{}/history", self.base);
        // A request names whole milliseconds and gives what is not newer: one more includes all of them.
        let mut until = ask.until.plus_millis(1);
        let (mut pages, mut failures) = (0, 0);
        while pages < PAGES_MAX && failures < ATTEMPTS_MAX {
            self.pace.turn().await;
            let time = millis_text(until);
            let query = [("symbol", ask.symbol.as_str()), ("lastTime", &time)];
            let next = match fetch(self.client.get(&url).query(&query)).await {
                Ok((text, _)) => {
                    let next = next(ask, until, pages == 0, &text);
                    if next != Next::Later && !self.page(ask, text).await {
                        return None;
                    }
                    next
                }
                Err((refused @ Outcome::Refused { .. }, _)) => return Some(refused),
                Err((Outcome::Failed | Outcome::Answered { .. }, _)) => Next::Later,
            };
            match next {
                Next::Until(time) => (until, pages, failures) = (time, pages + 1, 0),
                Next::Later => failures += 1,
                Next::Done => return None,
            }
        }
        None
    }

    /// Hands a page on; false when nobody reads.
    async fn page(&self, ask: &TradesAsk, text: String) -> bool {
        let (at, ask) = (self.clock.now(), ask.clone());
        self.events.send(PollEvent::Trades { at, ask, text }).await.is_ok()
    }
}

/// A time as the venue writes it.
fn millis_text(at: UtcMicros) -> String {
    let whole = UtcMicros(at.0 - at.0.rem_euclid(1_000)).rfc3339();
    whole.strip_suffix("000Z").map_or_else(|| whole.clone(), |text| format!("{text}Z"))
}

/// What follows a page that was asked for with `until`.
fn next(ask: &TradesAsk, until: UtcMicros, is_first: bool, text: &str) -> Next {
    let Ok(Body::History(rows)) = decode(PATH, text) else { return Next::Later };
    let times = || rows.iter().map(|row| row.time.utc());
    let Some(oldest) = times().min() else {
        return if is_first { Next::Later } else { Next::Done };
    };
    // The first page has to reach the trade that showed the gap.
    if is_first && times().max().is_some_and(|newest| newest.plus_millis(1) <= ask.until) {
        return Next::Later;
    }
    let is_reached = rows.iter().any(|row| row.trade_id.is_some_and(|id| id.0 < ask.first_id));
    if is_reached {
        return Next::Done;
    }
    // Trades of the oldest millisecond may continue on the next page; when it fills a whole page, the rest
    // of it cannot be had.
    let again = oldest.plus_millis(1);
    Next::Until(if again < until { again } else { oldest.plus_millis(-1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask() -> TradesAsk {
        let (symbol, until) = ("PF_XBTUSD".to_owned(), UtcMicros(1_000_000));
        TradesAsk { symbol, first_id: 5, last_id: 9, until }
    }

    fn body(rows: &[(i64, &str)]) -> String {
        let row = |(id, time): &(i64, &str)| {
            format!(r#"{{"time":"1970-01-01T00:00:{time}Z","trade_id":{id},"price":1,"size":1}}"#)
        };
        let rows: Vec<String> = rows.iter().map(row).collect();
        format!(r#"{{"result":"success","history":[{}]}}"#, rows.join(","))
    }

    #[test]
    fn pages_lead_back_until_a_number_before_the_gap_and_never_ask_twice_for_the_same() {
        let until = UtcMicros(1_001_000);
        for (rows, is_first, want) in [
            (&[(10, "01.000"), (8, "00.900")][..], true, Next::Until(UtcMicros(901_000))),
            (&[(10, "01.000"), (4, "00.900")], true, Next::Done),
            (&[(9, "00.998"), (8, "00.900")], true, Next::Later),
            (&[(9, "00.998"), (8, "00.900")], false, Next::Until(UtcMicros(901_000))),
            (&[(9, "01.000"), (8, "01.000")], false, Next::Until(UtcMicros(999_000))),
            (&[], true, Next::Later),
            (&[], false, Next::Done),
        ] {
            assert_eq!(next(&ask(), until, is_first, &body(rows)), want, "{rows:?} {is_first}");
        }
        for text in ["", "{}", r#"{"result":"error","error":"apiLimitExceeded"}"#] {
            assert_eq!(next(&ask(), until, false, text), Next::Later, "{text}");
        }
    }

    #[test]
    fn a_time_has_three_digits_behind_the_second() {
        assert_eq!(millis_text(UtcMicros(1_234_567)), "1970-01-01T00:00:01.234Z");
        assert_eq!(millis_text(UtcMicros(0)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn two_requests_are_a_second_apart_whoever_asks() {
        let pace = Pace::default();
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        assert_eq!(pace.take(at(0)), None);
        assert_eq!(pace.take(at(0)), Some(at(1_000)));
        assert_eq!(pace.take(at(999)), Some(at(1_000)));
        assert_eq!(pace.take(at(1_500)), None);
        assert_eq!(pace.take(at(2_499)), Some(at(2_500)));
        assert_eq!(pace.take(at(9_000)), None);
    }
}
