//! All pairs of the order machine: the committed table, and the promises that must hold for each pair.

use super::{Effect, Facts, OrderEvent, step};
use penstock_types::vocab::OrderState;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

fn all_facts() -> Vec<Facts> {
    (0_u8..32)
        .map(|bits| Facts {
            has_fills: bits & 1 != 0,
            complete: bits & 2 != 0,
            booked_all: bits & 4 != 0,
            venue_id_known: bits & 8 != 0,
            adoptable: bits & 16 != 0,
        })
        .filter(|f| f.has_fills || !f.complete)
        .collect()
}

fn every(mut check: impl FnMut(OrderState, OrderEvent, Facts)) {
    for state in OrderState::ALL {
        for event in OrderEvent::ALL {
            for facts in all_facts() {
                check(*state, *event, facts);
            }
        }
    }
}

#[test]
fn a_fill_is_never_refused_but_for_a_row_that_was_never_sent() {
    every(|state, event, facts| {
        if event == OrderEvent::Fill {
            let result = step(state, event, facts);
            assert_eq!(result.is_ok(), state != OrderState::Created, "{state} {facts:?}");
        }
    });
}

#[test]
fn no_report_ends_an_order_whose_trades_are_missing() {
    every(|state, event, facts| {
        let Ok(next) = step(state, event, facts) else { return };
        let report = matches!(
            event,
            OrderEvent::VenueFilled
                | OrderEvent::VenueCanceled
                | OrderEvent::VenueExpired
                | OrderEvent::DeadlineElapsed
                | OrderEvent::LiveReport
        );
        if report && !facts.booked_all && !state.is_terminal() {
            assert!(!next.to.is_terminal(), "{state} {event} {facts:?}");
        }
    });
}

#[test]
fn a_terminal_state_is_left_only_by_facts_of_the_venue() {
    every(|state, event, facts| {
        let Ok(next) = step(state, event, facts) else { return };
        if state.is_terminal() && next.to != state {
            assert!(matches!(event, OrderEvent::Fill | OrderEvent::LiveReport), "{state} {event}");
            assert!(next.effects.contains(&Effect::AlertCritical), "{state} {event}");
        }
    });
}

#[test]
fn an_order_that_has_ended_and_lives_is_never_left_alone() {
    every(|state, event, facts| {
        if event != OrderEvent::LiveReport || !state.is_terminal() {
            return;
        }
        let next = step(state, event, facts).expect("the venue says so");
        let whole = state == OrderState::Filled && facts.complete;
        let stays = next.to == OrderState::AckedOpen && facts.adoptable && !facts.has_fills;
        let cancelled =
            next.to == OrderState::PendingCancel && next.effects.contains(&Effect::CancelAtOnce);
        assert!(whole || stays || cancelled, "{state} {facts:?}");
        let fetched = next.effects.contains(&Effect::FetchTrades);
        assert_eq!(fetched, !whole && !facts.booked_all, "{state} {facts:?}");
    });
}

#[test]
fn absence_needs_a_looked_up_order_without_fill_and_without_venue_id() {
    every(|state, event, facts| {
        let Ok(next) = step(state, event, facts) else { return };
        if next.to == OrderState::LostOrRejected && state != next.to {
            assert_eq!(state, OrderState::ReconcileRequired);
            assert_eq!(event, OrderEvent::ProvenAbsent);
            assert!(!facts.has_fills);
            assert!(!facts.venue_id_known);
        }
    });
}

#[test]
fn a_standby_row_moves_only_by_its_own_three_events() {
    every(|state, event, facts| {
        let own = matches!(
            event,
            OrderEvent::Authorise | OrderEvent::PreauthSent | OrderEvent::StandbyClosed
        );
        let moved = step(state, event, facts).is_ok_and(|next| next.to != state);
        if state == OrderState::Created {
            assert_eq!(moved, own, "{event}");
        } else {
            assert!(!(moved && own), "{state} {event}");
        }
        if let Ok(next) = step(state, event, facts) {
            assert!(state == OrderState::Created || next.to != OrderState::Created);
        }
    });
}

#[test]
fn an_unknown_outcome_is_never_an_end() {
    every(|state, event, facts| {
        if event == OrderEvent::OutcomeUnknown {
            let Ok(next) = step(state, event, facts) else { return };
            assert!(next.to == state || next.to == OrderState::SubmitUnknown);
        }
    });
}

#[test]
fn an_end_without_a_fill_gives_the_reservation_back() {
    every(|state, event, facts| {
        let Ok(next) = step(state, event, facts) else { return };
        if next.to.is_terminal() && !state.is_terminal() && event != OrderEvent::Fill {
            let standby = state == OrderState::Created;
            let released = next.effects.contains(&Effect::ReleaseReservation);
            assert_eq!(released, !standby, "{state} {event} {facts:?}");
        }
    });
}

fn distinct(words: impl Iterator<Item = String>) -> String {
    let set: BTreeSet<String> = words.filter(|w| !w.is_empty()).collect();
    if set.is_empty() { "–".to_owned() } else { set.into_iter().collect::<Vec<_>>().join(", ") }
}

fn table() -> String {
    let mut text = String::from(
        "# Order states\n\nGenerated from the machine in `shared/trading/src/order/step.rs`; a test \
         compares. Update with `PENSTOCK_UPDATE_DOCS=1 cargo nextest run -p penstock-trading \
         order_states_document`. *refused* = the pair cannot happen: the row stays, the symbol goes \
         to exit-only. Several targets: what is booked and what the venue reports decide.\n\n\
         | From | Event | To | Marker | Effects |\n|---|---|---|---|---|\n",
    );
    for state in OrderState::ALL {
        for event in OrderEvent::ALL {
            let results: Vec<_> =
                all_facts().into_iter().map(|f| step(*state, *event, f)).collect();
            let to = distinct(results.iter().map(|r| match r {
                Ok(next) if next.to == *state => "stays".to_owned(),
                Ok(next) => format!("`{}`", next.to),
                Err(_) => "refused".to_owned(),
            }));
            let steps = || results.iter().filter_map(|r| r.as_ref().ok());
            let markers =
                distinct(steps().map(|s| s.marker.map_or_else(String::new, |m| format!("`{m}`"))));
            let effects =
                distinct(steps().flat_map(|s| s.effects).map(|e| e.as_str().replace('_', " ")));
            writeln!(text, "| `{state}` | `{event}` | {to} | {markers} | {effects} |").unwrap();
        }
    }
    text
}

#[test]
fn order_states_document_matches_the_machine() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/order-states.md");
    if std::env::var_os("PENSTOCK_UPDATE_DOCS").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == table(), "docs/order-states.md differs; its head says how to update it");
}
