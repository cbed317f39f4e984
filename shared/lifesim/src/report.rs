//! What a run of many histories found, as text and as a verdict.
//!
//! Input: counts, violations. Output: tables, the least of the legal pairs, pass or fail.

use std::fmt::Write as _;

use penstock_trading::exit::plan::PlanEvent;
use penstock_trading::order::OrderEvent;
use penstock_types::vocab::{OrderState, PlanState};

use crate::cover::{Cover, is_legal_order, is_legal_plan};
use crate::fault::Kind;
use crate::pairs::{is_unreachable_order, is_unreachable_plan};

/// One legal pair.
#[derive(Clone, Debug)]
pub struct Pair {
    /// `order` or `plan`.
    pub machine: &'static str,
    /// State.
    pub state: &'static str,
    /// Event.
    pub event: &'static str,
    /// How often.
    pub hits: u64,
    /// It stands in the table of what cannot be reached.
    pub unreachable: bool,
}

/// All pairs that the machines take.
#[must_use]
pub fn legal_pairs(cover: &Cover) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for state in OrderState::ALL {
        for event in OrderEvent::ALL.iter().filter(|event| is_legal_order(*state, **event)) {
            pairs.push(Pair {
                machine: "order",
                state: state.as_str(),
                event: event.as_str(),
                hits: cover.order_hits(*state, *event),
                unreachable: is_unreachable_order(*state, *event),
            });
        }
    }
    for state in PlanState::ALL {
        for event in PlanEvent::ALL.iter().filter(|event| is_legal_plan(*state, **event)) {
            pairs.push(Pair {
                machine: "plan",
                state: state.as_str(),
                event: event.as_str(),
                hits: cover.plan_hits(*state, *event),
                unreachable: is_unreachable_plan(*state, *event),
            });
        }
    }
    pairs
}

/// Pairs of the table that were reached, and legal pairs with fewer hits than `least`.
#[must_use]
pub fn failures(cover: &Cover, least: u64) -> Vec<String> {
    let mut found = Vec::new();
    for pair in legal_pairs(cover) {
        let Pair { machine, state, event, hits, unreachable } = pair;
        if unreachable && hits > 0 {
            found.push(format!(
                "{machine} {state} {event}: reached {hits} times, the table says never"
            ));
        } else if !unreachable && hits < least {
            found.push(format!("{machine} {state} {event}: {hits} hits, at least {least}"));
        }
    }
    found
}

/// The tables.
#[must_use]
pub fn tables(cover: &Cover) -> String {
    let mut text = String::from("\n| Machine | State | Event | Hits |\n|---|---|---|---|\n");
    let pairs = legal_pairs(cover);
    for pair in pairs.iter().filter(|pair| !pair.unreachable) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            pair.machine, pair.state, pair.event, pair.hits
        );
    }
    text.push_str("\n| Fault | Times |\n|---|---|\n");
    for kind in Kind::ALL {
        let _ = writeln!(text, "| {kind} | {} |", cover.fault_hits(*kind));
    }
    let reachable = || pairs.iter().filter(|pair| !pair.unreachable);
    let least = reachable().min_by_key(|pair| pair.hits);
    if let Some(pair) = least {
        let _ = writeln!(
            text,
            "\nlegal pairs {}, of them out of reach {}; least hits {}: {} {} {}",
            pairs.len(),
            pairs.len() - reachable().count(),
            pair.hits,
            pair.machine,
            pair.state,
            pair.event
        );
    }
    text
}
