//! What is done for each fault of the private side, and when.
//!
//! Inputs: kinds, spacing, length. Outputs: faults in order of their time since the product was ready, each with its
//! deeds. Invariants: what a fault leaves behind at the venue is taken back by its end; one fault is over before
//! the next begins; after the last one enough time is left for the way back.

use super::kind::{Kind, Wanted, turn};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Duration;

/// The first fault comes so long after the product was ready.
const FIRST_AFTER: Duration = Duration::from_secs(30);
/// Time that is left after the last fault for the way back and for closing everything.
pub(super) const LEFT: Duration = Duration::from_secs(90);
/// What is counted waits so long for the requests that it meets, ms.
const COUNTED_MS: i64 = 45_000;
/// A socket is half-open so long, ms: longer than the silence after which it is dead.
const HALF_OPEN_MS: i64 = 20_000;
/// A mode of the market lasts so long, ms.
const MODE_MS: i64 = 15_000;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// A fault of the venue.
    Fault(Value),
    /// A live stop vanishes from every list for so long, ms.
    Vanish(i64),
    /// An order by another hand.
    OwnOrder(Value),
    /// That order is cancelled by the same hand.
    CancelOwn,
    /// A live stop is cancelled by another hand.
    CancelStop,
    /// A deposit, or a withdrawal.
    Transfer(&'static str),
    /// The newest trade of an order that has ended is taken back.
    Bust,
    /// A signal to the trading service.
    Execution(Signal),
    /// A signal to the decision cluster's postmaster.
    Postmaster(Signal),
    /// A second trading service is started beside the first.
    StartSecond,
    /// It is told to end.
    StopSecond,
    /// The panel is asked for what it must refuse.
    AttackPanel,
    /// The operator asks for NORMAL, acknowledging this cause.
    Operator(&'static str),
}

impl Deed {
    /// It takes back what an earlier one has left behind: it is done whatever else was not possible.
    pub(super) const fn takes_back(&self) -> bool {
        matches!(self, Self::Execution(Signal::SIGCONT) | Self::CancelOwn)
    }
}

/// When a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// So long after its beginning, ms.
    After(i64),
    /// When the trading service has reconciled, at the earliest so long after its beginning, ms.
    Reconciled(i64),
}

impl Over {
    /// The least length, ms.
    pub(super) const fn least_ms(self) -> i64 {
        match self {
            Self::After(ms) | Self::Reconciled(ms) => ms,
        }
    }
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Staged {
    /// When, since the product was ready.
    pub at: Duration,
    /// Row and variant.
    pub kind: Kind,
    /// In words.
    pub what: String,
    /// What is done, each so long after the beginning, ms.
    pub deeds: Vec<(i64, Deed)>,
    /// When it is over.
    pub over: Over,
    /// The venue answers all the time.
    pub venue_answers: bool,
}

/// The faults of a run of this length.
pub(super) fn plan(wanted: &[Wanted], every: Duration, left: Duration) -> Vec<Staged> {
    let mut staged = Vec::new();
    for number in 0_u32.. {
        let at = FIRST_AFTER + every * number;
        if at + LEFT > left {
            break;
        }
        let (kind, variant) = turn(wanted, number as usize);
        staged.push(Staged { at, ..script(kind, variant) });
    }
    staged
}

/// What a fault is.
pub(super) fn script(kind: Kind, variant: usize) -> Staged {
    let (what, deeds, over, venue_answers) = match kind {
        Kind::N2 => cut_connection(variant),
        Kind::N3 => half_open(variant),
        Kind::V1 => broken_rest(variant),
        Kind::V2 => restricted(variant),
        Kind::V3 => refused(variant),
        Kind::V4 => limited(variant),
        Kind::V5 => reports(variant),
        Kind::V6 => checksums(variant),
        Kind::V7 => races(variant),
        Kind::V8 => vanished(variant),
        Kind::V10 => other_hand(variant),
        Kind::D2 | Kind::D3 => database(kind, variant),
        Kind::P1 | Kind::P4 => processes(kind, variant),
        Kind::J16 => {
            let what = "the panel is asked for what it must refuse";
            (what.to_owned(), vec![(0, Deed::AttackPanel)], Over::After(10_000), true)
        }
    };
    let what = format!("{}:{variant} {what}", kind.as_str());
    Staged { at: Duration::ZERO, kind, what, deeds, over, venue_answers }
}

type Script = (String, Vec<(i64, Deed)>, Over, bool);

fn script_of(what: &str, faults: Vec<Value>, ms: i64, venue_answers: bool) -> Script {
    let deeds = faults.into_iter().map(|fault| (0, Deed::Fault(fault))).collect();
    (what.to_owned(), deeds, Over::After(ms), venue_answers)
}

fn lost_ack(method: &str, count: u32) -> Value {
    json!({"kind": "lost_ack", "method": method, "count": count})
}

fn request(method: &str, action: &str, count: u32, delay_ms: u32) -> Value {
    json!({
        "kind": "request", "method": method, "action": action, "count": count, "delay_ms": delay_ms,
    })
}

fn error(method: &str, text: &str, count: u32, executed: bool) -> Value {
    json!({"kind": "error", "method": method, "text": text, "count": count, "executed": executed})
}

fn cut_connection(variant: usize) -> Script {
    match variant {
        0 => script_of(
            "answers to new orders are lost",
            vec![lost_ack("add_order", 4)],
            COUNTED_MS,
            false,
        ),
        1 => {
            let cut = json!({"kind": "cut", "endpoint": "private", "for_ms": 4_000});
            let deeds = vec![
                (0, Deed::Fault(request("add_order", "drop", 2, 0))),
                (10_000, Deed::Fault(cut)),
            ];
            let what = "new orders never arrive, then the connection is cut for 4 s";
            (what.to_owned(), deeds, Over::After(COUNTED_MS), false)
        }
        2 => {
            let faults = vec![lost_ack("cancel_order", 2), lost_ack("amend_order", 3)];
            script_of("answers to cancels and amends are lost", faults, COUNTED_MS, false)
        }
        _ => {
            let faults = vec![request("add_order", "delay", 3, 4_000)];
            script_of("new orders arrive 4 s late", faults, COUNTED_MS, false)
        }
    }
}

fn half_open(variant: usize) -> Script {
    let ms = HALF_OPEN_MS;
    let silence = |channel: &str| json!({"kind": "silence", "channel": channel, "for_ms": ms});
    match variant {
        0 => {
            let stall = json!({"kind": "stall", "endpoint": "private", "for_ms": ms});
            script_of("the private socket is half-open for 20 s", vec![stall], ms, false)
        }
        1 => {
            let faults = vec![silence("executions"), silence("balances")];
            script_of("reports and balances are silent for 20 s, answers flow", faults, ms, false)
        }
        _ => {
            let faults = vec![request("ping", "drop", 10, 0), silence("heartbeat")];
            script_of("pings and heartbeats are lost for 20 s", faults, ms, false)
        }
    }
}

/// What a look asks for.
const READS: [&str; 5] =
    ["OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory", "BalanceEx"];

fn broken_rest(variant: usize) -> Script {
    let (what, status, body) = match variant {
        0 => ("REST answers 520 with HTML", 520, "<html>error 520</html>"),
        1 => ("REST answers half a document", 200, r#"{"error":[],"resu"#),
        _ => ("REST answers nothing, with status 200", 200, ""),
    };
    let fault = |method: &str| json!({"kind": "http", "method": method, "count": 2, "status": status, "body": body});
    script_of(what, READS.map(fault).to_vec(), COUNTED_MS, false)
}

fn restricted(variant: usize) -> Script {
    let mode = match variant {
        0 => "cancel_only",
        1 => "post_only",
        2 => "maintenance",
        _ => {
            let faults = vec![
                error("add_order", "EService:Busy", 2, false),
                error("amend_order", "EService:Unavailable", 2, false),
            ];
            return script_of("the service is busy", faults, COUNTED_MS, false);
        }
    };
    let status = json!({"kind": "system_status", "status": mode});
    script_of(&format!("the market is in {mode} for 15 s"), vec![status], MODE_MS, false)
}

fn refused(variant: usize) -> Script {
    let (text, count, executed) = match variant {
        0 => ("EOrder:Something nobody knows", 4, true),
        1 => ("EOrder:Something nobody knows", 3, false),
        2 => ("EOrder:Insufficient funds", 2, false),
        3 => ("EOrder:Rate limit exceeded", 1, false),
        _ => ("EOrder:Order minimum not met", 2, false),
    };
    let taken = if executed { "taken all the same" } else { "not taken" };
    let what = format!("new orders are answered {text:?}, {taken}");
    script_of(&what, vec![error("add_order", text, count, executed)], COUNTED_MS, false)
}

fn limited(variant: usize) -> Script {
    let of_reads = |text: &str| READS.map(|method| error(method, text, 1, false)).to_vec();
    match variant {
        0 => script_of("nonces are refused", of_reads("EAPI:Invalid nonce"), COUNTED_MS, false),
        1 => script_of(
            "REST is over its rate",
            of_reads("EAPI:Rate limit exceeded"),
            COUNTED_MS,
            false,
        ),
        _ => {
            let fault =
                |method: &str| json!({"kind": "http", "method": method, "count": 1, "status": 429});
            script_of("REST answers 429", READS.map(fault).to_vec(), COUNTED_MS, false)
        }
    }
}

fn reports(variant: usize) -> Script {
    let fault = |action: &str, count: u32, delay_ms: u32| json!({"kind": "executions", "action": action, "count": count, "delay_ms": delay_ms});
    match variant {
        0 => script_of("reports come twice", vec![fault("duplicate", 8, 0)], COUNTED_MS, true),
        1 => script_of("reports come 1.5 s late", vec![fault("delay", 6, 1_500)], COUNTED_MS, true),
        _ => script_of("reports are lost", vec![fault("drop", 2, 0)], COUNTED_MS, true),
    }
}

fn checksums(variant: usize) -> Script {
    let channel = if variant == 0 { "book" } else { "level3" };
    let bad = |symbol: &str| json!({"kind": "bad_checksum", "symbol": symbol, "channel": channel});
    let faults = ["BTC/USD", "ETH/USD", "SOL/USD"].map(bad).to_vec();
    script_of(&format!("wrong checksums on {channel}"), faults, 20_000, true)
}

fn races(variant: usize) -> Script {
    match variant {
        0 => {
            let faults = vec![
                json!({"kind": "venue_delay", "ms": 400}),
                request("cancel_order", "delay", 3, 700),
                request("add_order", "reorder", 2, 500),
            ];
            script_of("fills come before answers, cancels arrive late", faults, COUNTED_MS, true)
        }
        1 => {
            let deeds = vec![
                (0, Deed::Fault(json!({"kind": "overfill", "count": 1, "bps": 500}))),
                (40_000, Deed::Operator("LEDGER_MISMATCH")),
            ];
            ("a fill is larger than its order".to_owned(), deeds, Over::After(COUNTED_MS), true)
        }
        _ => {
            let deeds = vec![(0, Deed::Bust)];
            ("a trade is taken back".to_owned(), deeds, Over::After(COUNTED_MS), true)
        }
    }
}

fn vanished(variant: usize) -> Script {
    let ms = if variant == 0 { 60_000 } else { 85_000 };
    let what = format!("a stop is in no list for {} s", ms / 1_000);
    (what, vec![(0, Deed::Vanish(ms))], Over::After(ms), true)
}

fn other_hand(variant: usize) -> Script {
    let (what, deeds) = match variant {
        0 => {
            let order = json!({
                "symbol": "BTC/USD", "side": "buy", "order_type": "limit", "qty": "0.01",
                "limit_price": "1000.0",
            });
            let deeds = vec![(0, Deed::OwnOrder(order)), (20_000, Deed::CancelOwn)];
            ("another hand places an order and cancels it", deeds)
        }
        1 => ("another hand cancels a stop", vec![(0, Deed::CancelStop)]),
        _ => {
            let deeds = vec![(0, Deed::Transfer("500")), (15_000, Deed::Transfer("-250.5"))];
            ("a deposit, then a withdrawal", deeds)
        }
    };
    (what.to_owned(), deeds, Over::After(30_000), true)
}

fn database(kind: Kind, variant: usize) -> Script {
    let (what, signal) = match (kind, variant) {
        (Kind::D3, _) => ("kill -9 of the decision cluster's postmaster", Signal::SIGKILL),
        (_, 0) => ("fast restart of the decision cluster", Signal::SIGINT),
        (_, _) => ("immediate restart of the decision cluster", Signal::SIGQUIT),
    };
    let deeds = vec![(0, Deed::Postmaster(signal))];
    (what.to_owned(), deeds, Over::Reconciled(0), true)
}

fn processes(kind: Kind, variant: usize) -> Script {
    if kind == Kind::P1 {
        let deeds = vec![(0, Deed::Execution(Signal::SIGKILL))];
        return ("kill -9 of run-execution-live".to_owned(), deeds, Over::Reconciled(0), true);
    }
    if variant == 0 {
        // The second one gets the fence when the lease of the stopped one has run out; then the first one comes
        // back, and ends because it is no longer the owner.
        let deeds = vec![
            (0, Deed::StartSecond),
            (5_000, Deed::Execution(Signal::SIGSTOP)),
            (30_000, Deed::Execution(Signal::SIGCONT)),
            (50_000, Deed::StopSecond),
        ];
        let what = "a second run-execution-live, the first one paused for 25 s";
        return (what.to_owned(), deeds, Over::Reconciled(50_000), true);
    }
    let deeds = vec![(0, Deed::StartSecond), (30_000, Deed::StopSecond)];
    let what = "a second run-execution-live beside the first for 30 s";
    (what.to_owned(), deeds, Over::After(30_000), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_sim::admin::FaultRequest;

    fn every_script() -> impl Iterator<Item = Staged> {
        let variants = |kind: Kind| (0..kind.variants()).map(move |variant| script(kind, variant));
        Kind::ALL.into_iter().flat_map(variants)
    }

    #[test]
    fn every_fault_is_one_that_the_venue_takes_and_is_over_before_the_next() {
        for staged in every_script() {
            assert!(!staged.deeds.is_empty(), "{}", staged.what);
            assert!(staged.over.least_ms() <= 90_000, "{}", staged.what);
            for (at_ms, deed) in staged.deeds {
                assert!(at_ms <= staged.over.least_ms(), "{}", staged.what);
                let Deed::Fault(fault) = deed else { continue };
                let read = serde_json::from_value::<FaultRequest>(fault.clone());
                assert!(read.is_ok(), "{fault}: {read:?}");
            }
        }
    }

    #[test]
    fn an_hour_meets_every_kind_and_leaves_time_for_the_way_back() {
        let length = Duration::from_secs(3_600 - 80);
        let faults = plan(&[], Duration::from_secs(150), length);
        assert!(faults.len() >= 22, "{}", faults.len());
        for kind in Kind::ALL {
            assert!(faults.iter().any(|fault| fault.kind == kind), "{kind:?}");
        }
        assert!(faults.last().is_some_and(|last| last.at + LEFT <= length));
        let names: std::collections::BTreeSet<String> =
            every_script().map(|staged| staged.what).collect();
        assert_eq!(names.len(), every_script().count(), "every variant says what it is");
    }
}
