//! Which faults are staged when.
//!
//! Inputs: options, the symbols of the venues. Output: faults in order of their time, relative to the moment
//! when the product was ready. Invariants: one seed gives one plan; after the last fault enough time is left
//! for the way back. Below a spacing of [`HEAVY_FROM_S`] each fault is short or concerns a part; from there on
//! whole guarantees are lost and services are killed.

use super::Args;
use crate::invariants::Lost;
use penstock_types::vocab::Venue;
use serde_json::{Value, json};
use std::time::Duration;

/// Spacing from which on guarantees of the whole are lost.
const HEAVY_FROM_S: u64 = 100;
/// The first fault comes so long after the product was ready.
const FIRST_AFTER: Duration = Duration::from_secs(5);
/// Time that is left after the last fault, for short ones and for losses of the whole.
const LEFT: [Duration; 2] = [Duration::from_secs(25), Duration::from_secs(80)];
/// Half-open sockets stay so for so long: longer than the silence after which a socket is dead.
const STALL_MS: [i64; 2] = [14_000, 20_000];
/// The private socket may be silent for longer.
const PRIVATE_STALL_MS: i64 = 20_000;

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Faults of the venue.
    Venue(Vec<Value>),
    /// SIGKILL of `run-ingest`.
    KillIngest,
    /// SIGKILL of `run-execution-live`.
    KillExecution,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Staged {
    /// When, since the product was ready.
    pub at: Duration,
    /// In words.
    pub what: String,
    /// What is done.
    pub action: Action,
    /// How long it lasts, ms; of a kill it is not known before.
    pub length_ms: i64,
    /// What it takes away.
    pub lost: Lost,
    /// Whose feeds it concerns.
    pub venues: Vec<Venue>,
}

/// Names of a symbol on the three venues.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Kraken spot.
    pub spot: String,
    /// Kraken Futures.
    pub futures: String,
    /// Binance USD-M.
    pub binance: String,
}

/// The plan of a run of this length.
pub(super) fn plan(args: &Args, names: &[Names], ready_after: Duration) -> Vec<Staged> {
    let length = Duration::from_secs_f64(args.minutes * 60.0).saturating_sub(ready_after);
    let mut staged = Vec::new();
    if let Some(seconds) = args.cut_s {
        staged.push(cut_of_everything(i64::try_from(seconds).unwrap_or(i64::MAX) * 1_000));
    }
    let Some(every_s) = args.fault_every_s else { return staged };
    let is_heavy = every_s >= HEAVY_FROM_S;
    let left = LEFT[usize::from(is_heavy)];
    let mut dice = Dice(args.seed);
    let mut order: Vec<usize> = Vec::new();
    for number in 0_u64.. {
        let at = FIRST_AFTER + Duration::from_secs(every_s * number);
        if at + left > length {
            return staged;
        }
        if order.is_empty() {
            let count = if is_heavy { HEAVY } else { SHORT };
            order = (0..count).rev().collect();
            if !is_heavy {
                dice.shuffle(&mut order);
            }
        }
        let Some(kind) = order.pop() else { return staged };
        let one = &names[dice.below(names.len())];
        let fault = if is_heavy { heavy(kind, one) } else { short(kind, one) };
        staged.push(Staged { at, ..fault });
    }
    staged
}

/// A small generator: plans need no better one.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    fn shuffle(&mut self, list: &mut [usize]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

fn fault(what: String, venue: Venue, length_ms: i64, faults: Vec<Value>) -> Staged {
    Staged {
        at: FIRST_AFTER,
        what,
        action: Action::Venue(faults),
        length_ms,
        lost: Lost::Nothing,
        venues: vec![venue],
    }
}

fn cut(endpoint: &str, for_ms: i64) -> Value {
    json!({"kind": "cut", "endpoint": endpoint, "for_ms": for_ms})
}

fn stall(endpoint: &str, for_ms: i64) -> Value {
    json!({"kind": "stall", "endpoint": endpoint, "for_ms": for_ms})
}

fn frames(channel: &str, symbol: &str, action: &str, count: u32) -> Value {
    json!({"kind": "frames", "channel": channel, "symbol": symbol, "action": action, "count": count})
}

fn cut_of_everything(for_ms: i64) -> Staged {
    let endpoints = ["public", "futures_ws", "binance_public", "binance_market"];
    let faults = endpoints.map(|endpoint| cut(endpoint, for_ms)).to_vec();
    let what = format!("every public socket cut for {} s", for_ms / 1_000);
    Staged {
        lost: Lost::Feed,
        venues: vec![Venue::KrakenSpot, Venue::KrakenFutures, Venue::BinanceUm],
        ..fault(what, Venue::KrakenSpot, for_ms, faults)
    }
}

/// Kinds of short faults.
const SHORT: usize = 18;
/// The first of them that concern derivatives.
const DERIVATIVES_FROM: usize = 11;

fn short(kind: usize, one: &Names) -> Staged {
    if kind < DERIVATIVES_FROM { short_spot(kind, one) } else { short_derivative(kind, one) }
}

fn short_spot(kind: usize, one: &Names) -> Staged {
    let spot = &one.spot;
    let on = |what: String, ms: i64, fault_json: Value| {
        fault(what, Venue::KrakenSpot, ms, vec![fault_json])
    };
    let said = |text: &str| text.to_owned();
    let ms = STALL_MS[0];
    match kind {
        0 => on(said("spot socket cut"), 0, cut("public", 0)),
        1 => Staged {
            lost: Lost::Feed,
            ..on(said("spot socket half-open"), ms, stall("public", ms))
        },
        2 => {
            let silence =
                json!({"kind": "silence", "channel": "book", "symbol": spot, "for_ms": 18_000});
            on(format!("book of {spot} silent"), 18_000, silence)
        }
        3 => {
            let bad = json!({"kind": "bad_checksum", "symbol": spot});
            on(format!("wrong checksum of {spot}"), 0, bad)
        }
        4 => on(format!("trades of {spot} swallowed"), 0, frames("trade", spot, "drop", 3)),
        5 => on(format!("trades of {spot} doubled"), 0, frames("trade", spot, "duplicate", 2)),
        6 => on(format!("book frame of {spot} swallowed"), 0, frames("book", spot, "drop", 1)),
        7 => on(format!("book frames of {spot} swapped"), 0, frames("book", spot, "reorder", 1)),
        8 => Staged {
            lost: Lost::Feed,
            ..on(said("spot socket closed"), 5_000, cut("public", 5_000))
        },
        9 => {
            let bad = json!({
                "kind": "http", "method": "Trades", "count": 2, "status": 502, "body": "<html>",
            });
            let faults = vec![bad, frames("trade", spot, "drop", 2)];
            let what = format!("trades of {spot} swallowed and REST answers 502");
            fault(what, Venue::KrakenSpot, 0, faults)
        }
        _ => Staged {
            lost: Lost::Private,
            venues: Vec::new(),
            ..on(
                said("private socket half-open"),
                PRIVATE_STALL_MS,
                stall("private", PRIVATE_STALL_MS),
            )
        },
    }
}

fn short_derivative(kind: usize, one: &Names) -> Staged {
    let Names { futures, binance, .. } = one;
    let ms = STALL_MS[0];
    let on = |what: String, venue: Venue, ms: i64, fault_json: Value| {
        fault(what, venue, ms, vec![fault_json])
    };
    let said = |text: &str| text.to_owned();
    const FUTURES: Venue = Venue::KrakenFutures;
    const BINANCE: Venue = Venue::BinanceUm;
    match kind {
        11 => on(said("futures socket cut"), FUTURES, 0, cut("futures_ws", 0)),
        12 => on(said("futures socket half-open"), FUTURES, ms, stall("futures_ws", ms)),
        13 => {
            let lost = frames("futures/trade", futures, "drop", 2);
            on(format!("trades of {futures} swallowed"), FUTURES, 0, lost)
        }
        14 => on(said("binance market socket cut"), BINANCE, 0, cut("binance_market", 0)),
        15 => on(said("binance market socket half-open"), BINANCE, ms, stall("binance_market", ms)),
        16 => on(said("binance quote socket cut"), BINANCE, 0, cut("binance_public", 0)),
        _ => {
            let lost = frames("binance/aggTrade", binance, "drop", 2);
            on(format!("trades of {binance} swallowed"), BINANCE, 0, lost)
        }
    }
}

/// Kinds of losses of the whole.
const HEAVY: usize = 8;

fn heavy(kind: usize, one: &Names) -> Staged {
    let ms = STALL_MS[1];
    let said = |text: &str| text.to_owned();
    let all = vec![Venue::KrakenSpot, Venue::KrakenFutures, Venue::BinanceUm];
    match kind {
        0 => Staged {
            lost: Lost::Feed,
            ..fault(said("spot socket half-open"), Venue::KrakenSpot, ms, vec![stall("public", ms)])
        },
        1 => Staged {
            action: Action::KillIngest,
            lost: Lost::Ingest,
            venues: all,
            ..fault(said("kill -9 of run-ingest"), Venue::KrakenSpot, 0, Vec::new())
        },
        2 => Staged {
            lost: Lost::Private,
            venues: Vec::new(),
            ..fault(
                said("private socket half-open"),
                Venue::KrakenSpot,
                PRIVATE_STALL_MS,
                vec![stall("private", PRIVATE_STALL_MS)],
            )
        },
        3 => Staged {
            lost: Lost::Feed,
            ..fault(
                said("spot socket closed"),
                Venue::KrakenSpot,
                30_000,
                vec![cut("public", 30_000)],
            )
        },
        4 => Staged {
            action: Action::KillExecution,
            lost: Lost::Execution,
            venues: Vec::new(),
            ..fault(said("kill -9 of run-execution-live"), Venue::KrakenSpot, 0, Vec::new())
        },
        5 => fault(
            said("binance market socket half-open"),
            Venue::BinanceUm,
            ms,
            vec![stall("binance_market", ms)],
        ),
        6 => fault(
            said("futures socket closed"),
            Venue::KrakenFutures,
            ms,
            vec![cut("futures_ws", ms)],
        ),
        _ => {
            let silence =
                json!({"kind": "silence", "channel": "book", "symbol": one.spot, "for_ms": 30_000});
            fault(format!("book of {} silent", one.spot), Venue::KrakenSpot, 30_000, vec![silence])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use penstock_sim::admin::FaultRequest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn planned(line: &[&str]) -> Vec<Staged> {
        let names = ["BTC", "ETH", "SOL"].map(|base| Names {
            spot: format!("{base}/USD"),
            futures: format!("PF_{base}USD"),
            binance: format!("{base}USDT"),
        });
        let args = Line::parse_from([&["soak"], line].concat()).args;
        plan(&args, &names, Duration::from_secs(30))
    }

    #[test]
    fn twenty_minutes_of_short_faults_meet_every_kind_and_repeat_with_the_seed() {
        let line = ["--minutes", "20", "--fault-every-s", "20", "--seed", "7"];
        let faults = planned(&line);
        assert_eq!(faults.len(), 58, "the last one leaves 25 s");
        let kinds: std::collections::BTreeSet<&str> =
            faults.iter().filter_map(|fault| fault.what.split(" of ").next()).collect();
        assert!(kinds.len() >= 14, "{kinds:?}");
        assert_eq!(planned(&line), faults);
        assert_ne!(planned(&["--minutes", "20", "--fault-every-s", "20", "--seed", "8"]), faults);
    }

    #[test]
    fn every_fault_is_one_that_the_venue_takes() {
        let mut all = planned(&["--minutes", "60", "--fault-every-s", "20", "--cut-s", "45"]);
        all.extend(planned(&["--minutes", "60", "--fault-every-s", "150"]));
        for staged in all {
            let Action::Venue(faults) = staged.action else { continue };
            for fault in faults {
                let read = serde_json::from_value::<FaultRequest>(fault.clone());
                assert!(read.is_ok(), "{fault}: {read:?}");
            }
        }
    }

    #[test]
    fn losses_of_the_whole_come_first_and_leave_time_for_the_way_back() {
        let faults = planned(&["--minutes", "15", "--fault-every-s", "150"]);
        let lost: Vec<Lost> = faults.iter().map(|fault| fault.lost).collect();
        let expected = [Lost::Feed, Lost::Ingest, Lost::Private, Lost::Feed, Lost::Execution];
        assert_eq!(lost[..5], expected);
        let last = faults.last().map(|fault| fault.at).unwrap_or_default();
        assert!(last + Duration::from_secs(110) <= Duration::from_secs(900));
        assert_eq!(planned(&["--minutes", "30"]), []);
    }
}
