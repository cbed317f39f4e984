//! A decision that every rule passes, to be spoiled in one place.

use penstock_contracts::ai::AiGateResult;
use penstock_contracts::amount::DecStr;
use penstock_contracts::fixtures as contracts;
use penstock_contracts::{Decision, Snapshot};
use penstock_types::Decimal;
use penstock_types::rows::InstrumentRow;
use penstock_types::state_row::StateRow;
use penstock_types::vocab::{Regime, RouteType, Strategy};

use super::super::{Edge, RiskCase, RiskInputs, RiskSource};
use crate::capital::{self, CapitalState};
use crate::costs::{CostTerms, FillModel, StopTerms};
use crate::decide::assess as assessment;
use crate::decide::config::DecideConfig;
use crate::engine_gate::Verdict;
use crate::fixtures::{self, dec};
use crate::size::{self, SizeInput};

/// Everything that a case borrows.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) config: DecideConfig,
    pub(super) inputs: RiskInputs,
    pub(super) snapshot: Snapshot,
    pub(super) decision: Decision,
    pub(super) gate: Option<AiGateResult>,
    pub(super) edge: Edge,
    pub(super) capital: CapitalState,
    pub(super) state: StateRow,
    pub(super) instrument: InstrumentRow,
    pub(super) terms: CostTerms,
    pub(super) stop: StopTerms,
}

fn terms() -> CostTerms {
    CostTerms {
        capturable_bps: dec("80"),
        fee_entry_bps: dec("10"),
        fee_exit_bps: dec("20"),
        slip_entry_bps: dec("0.6"),
        slip_exit_bps: dec("2.5"),
        spread_net_bps: dec("-1"),
        exit_drag_bps: dec("1"),
        tsl_drag_bps: dec("18"),
        wait_risk_bps: dec("0.75"),
        p_fill: dec("0.5"),
        fill_model: FillModel::FallbackBased,
        edge_bps: dec("14.075"),
    }
}

impl World {
    /// A decision to buy for about 128 of 10 000, with nothing held.
    pub(super) fn new() -> Self {
        let decision = contracts::decision();
        let config = DecideConfig { execution_enable: true, ..DecideConfig::default() };
        let mut cycle = fixtures::input(2);
        let mut state = fixtures::calm(0);
        state.symbol = decision.symbol.clone();
        state.regime = Regime::Trend;
        state.mid = Some(dec("64250.15"));
        cycle.states[0] = state.clone();
        let mut quote = fixtures::quote(0);
        quote.symbol = decision.symbol.clone();
        (quote.bid, quote.ask) = (dec("64250.1"), dec("64250.2"));
        cycle.quotes[0] = quote.clone();
        let states = cycle.states.iter().map(|row| (&row.symbol, row)).collect();
        let capital = capital::capital(&cycle, &config, &states, &[]);
        let inputs = RiskInputs::of(&RiskSource {
            cycle: &cycle,
            config: &config,
            assessment: &assessment(&cycle, &config),
            capital: &capital,
            state: &state,
            strategy: Strategy::Momentum,
            route: RouteType::PullbackContinuation,
            quote: Some(&quote),
            engine: Verdict::NEUTRAL,
            correlations: None,
        });
        let mut instrument = fixtures::instrument(0);
        instrument.symbol = decision.symbol.clone();
        instrument.price_increment = dec("0.1");
        instrument.qty_increment = dec("0.00000001");
        instrument.qty_min = dec("0.00005");
        Self {
            config,
            inputs,
            snapshot: contracts::snapshot(),
            decision,
            gate: Some(AiGateResult::disabled()),
            edge: Edge { adjusted_bps: dec("14.075"), plan_bps: dec("14"), before_gate_bps: None },
            capital,
            state,
            instrument,
            terms: terms(),
            stop: StopTerms { sl_bps: dec("63.75"), trail_bps: Some(dec("63.75")) },
        }
    }

    /// The case.
    pub(super) fn case(&self) -> RiskCase<'_> {
        RiskCase {
            config: &self.config,
            inputs: &self.inputs,
            snapshot: &self.snapshot,
            decision: &self.decision,
            gate: self.gate.as_ref(),
            edge: self.edge,
            sizing: self.sizing(),
        }
    }

    fn sizing(&self) -> SizeInput<'_> {
        SizeInput {
            capital: &self.capital,
            config: &self.config,
            state: &self.state,
            instrument: &self.instrument,
            strategy: Strategy::Momentum,
            edge_adj_bps: self.edge.adjusted_bps,
            confidence: dec("0.8"),
            terms: &self.terms,
            stop: &self.stop,
            price: dec("64250.1"),
            limit_price: dec("64250.1"),
            proof_max_quote: self.config.proof.map(|proof| proof.max_order_quote),
            engine: Verdict::NEUTRAL,
        }
    }

    /// The size that sizing would grant now.
    pub(super) fn sized_qty(&self) -> Decimal {
        size::size(&self.sizing()).unwrap().qty
    }

    /// The decision with another quantity, under its own number.
    pub(super) fn set_qty(&mut self, qty: Decimal) {
        let entry = self.decision.entry_plan.as_mut().unwrap();
        entry.qty = DecStr::exact(qty, 8).unwrap();
        self.renumber();
    }

    /// The number that belongs to the decision's contents.
    pub(super) fn renumber(&mut self) {
        self.decision = self.decision.clone().with_id().unwrap();
    }

    /// The snapshot under its own hash, and the decision made of it.
    pub(super) fn rehash(&mut self) {
        self.snapshot = self.snapshot.clone().with_hash().unwrap();
        self.decision.snapshot_hash = self.snapshot.metadata.snapshot_hash.clone();
        self.renumber();
    }
}
