//! `decide`: from one immutable input to one decision.
//!
//! Purpose: the whole evaluation between the read and the submit as one function. Inputs: a
//! [`CycleInput`] and a [`DecideConfig`]. Outputs: a [`Outcome`]. Invariants: no clock, no randomness,
//! no input or output; every tie has a total order; the order of input rows carries no meaning; a
//! stored input gives an equal decision. Outside `NORMAL`, and while orders may not be sent, it still
//! runs to the risk verdict, for the record.

pub mod assess;
mod case;
mod compete;
pub mod config;
mod edge;
mod finalists;
mod gate;
mod gates;
pub mod guarantees;
mod measure;
pub mod outcome;
mod plan;
pub mod propose;
mod queue;
mod scan;
pub mod shadow;
mod summary;
pub mod unit;

pub use assess::assess;
pub use config::DecideConfig;
pub use gates::code as code_of;
pub use guarantees::{Finding, Glance, Guarantees};
pub use outcome::{Assessment, Candidate, Finalist, Outcome, PlannedEntry};
pub use propose::Dropped;

use std::collections::BTreeSet;

use penstock_types::Symbol;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Regime, RouteType, Strategy};

use crate::cycle::CycleInput;
use crate::{capital, rank, routes};

/// Decides.
#[must_use]
pub fn decide(input: &CycleInput, config: &DecideConfig) -> Outcome {
    let index = assess::Index::of(input);
    let ground = guarantees::Ground::of(input);
    let bound = ground.bind(config);
    let filtered = assess::filter(input, bound.map(|b| b.1), &index);
    let assessment = assess::judge(input, config, &ground, bound, &filtered);
    let capital = capital::capital(input, config, &index.states, &donors(input));
    let usable = assessment.binding.is_some() && assessment.sync.is_none();
    let mut scan = if usable {
        scan::scan(input, config, &index, &filtered, &assessment, &capital)
    } else {
        scan::Scan::default()
    };
    let cycle =
        case::Cycle { input, config, index: &index, assessment: &assessment, capital: &capital };
    let (selection, finalists) = finalists::finalists(cycle, &mut scan);
    summary::summarise(cycle, &filtered, scan, (selection, finalists))
}

/// Symbols whose returns a cycle may compare: those of its pre-selection, those held, those with an entry.
#[must_use]
pub fn compared(input: &CycleInput, config: &DecideConfig) -> BTreeSet<Symbol> {
    let index = assess::Index::of(input);
    let ground = guarantees::Ground::of(input);
    let filtered = assess::filter(input, ground.bind(config).map(|b| b.1), &index);
    let rows: Vec<&StateRow> =
        filtered.allowed.iter().filter_map(|s| index.states.get(s).copied()).collect();
    let ranked = rank::top_n(&rows, config).into_iter().map(|(symbol, _)| symbol);
    let held = input.positions.iter().map(|p| p.symbol.clone());
    let entered = input.live_orders.iter().map(|o| o.symbol.clone());
    ranked.chain(held).chain(entered).collect()
}

/// Strategies all of whose offered cells are suspended: they donate their share of the open cap.
fn donors(input: &CycleInput) -> Vec<Strategy> {
    let suspended = |strategy: Strategy, regime: Regime, route: RouteType| {
        rank::is_suspended(rank::cell(&input.scores, strategy, regime, route), input.now)
    };
    Strategy::ALL
        .iter()
        .copied()
        .filter(|strategy| {
            let mut cells = Regime::ALL
                .iter()
                .filter(|regime| routes::strategies(**regime).contains(strategy))
                .flat_map(|regime| {
                    routes::routes(*regime).iter().map(move |route| (*regime, *route))
                });
            cells.all(|(regime, route)| suspended(*strategy, regime, route))
        })
        .collect()
}
