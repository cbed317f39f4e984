//! Steps 19 and 20: read again, gate, choke, submit.
//!
//! Purpose: the last look before money moves. Inputs: the plans of a decision in ranking order. Outputs:
//! what was submitted, every second read with its verdict, and whose refusal gives its place to the next. Invariants:
//! the gate compares the cycle's generation with a pointer that was really read again; a plan is looked at once; at
//! most the configured number of entries per cycle.

use std::collections::BTreeSet;

use penstock_contracts::units::DecisionId;
use penstock_store_decision::{ReadError, cycle_input};
use penstock_telemetry::marker;
use penstock_trading::capital::caps::Caps;
use penstock_trading::cycle::{CycleInput, ReRead};
use penstock_trading::decide::{Outcome, PlannedEntry};
use penstock_trading::gates::{self, Choke, ChokeInput, GateLimits, GenerationBlock};
use penstock_types::vocab::{ReasonCode, StageName, SysMode};
use penstock_types::{Decimal, EvaluationId, GenerationId, Symbol};

use super::stored::SecondRead;
use super::{facts, said, stages};
use crate::account::{Account, EntryOutcome, EntryRequest};
use crate::audit::StageNote;
use crate::context::Context;

/// What the submits of a cycle came to.
#[derive(Debug, Default)]
pub(super) struct Submits {
    pub(super) submitted: Vec<Symbol>,
    pub(super) orders: Vec<penstock_types::OrderId>,
    pub(super) second_reads: Vec<SecondRead>,
    pub(super) visible: Option<GenerationId>,
    pub(super) fenced_out: bool,
    /// What the entries of this cycle have reserved; the decision's free quote was read before them.
    reserved_quote: Decimal,
    looked_at: BTreeSet<DecisionId>,
    refused: Vec<DecisionId>,
}

impl Submits {
    /// Nothing yet.
    pub(super) fn none(input: &CycleInput) -> Self {
        let visible = input.publication.as_ref().map(|p| p.generation_id);
        Self { visible, ..Self::default() }
    }

    /// Whoever was refused since the last time and may give its place to the next; none when there is no place.
    pub(super) fn take_refused(&mut self, context: &Context) -> Vec<DecisionId> {
        let refused = std::mem::take(&mut self.refused);
        if self.is_over(context) { Vec::new() } else { refused }
    }

    fn is_over(&self, context: &Context) -> bool {
        let most = usize::try_from(context.settings.decide.max_executes_per_cycle).unwrap_or(1);
        self.submitted.len() >= most || self.fenced_out
    }
}

/// Takes the plans in order until enough are submitted.
pub(super) async fn submit(
    context: &Context,
    account: &impl Account,
    input: &CycleInput,
    decision: &Outcome,
    evaluation_id: EvaluationId,
    done: &mut Submits,
) -> Result<(), ReadError> {
    for plan in decision.plans() {
        if done.is_over(context) {
            break;
        }
        if !done.looked_at.insert(plan.decision_id.clone()) {
            continue;
        }
        let note = StageNote {
            symbol: Some(plan.symbol.clone()),
            cycle_id: evaluation_id,
            decision_id: plan.decision_id.as_str().to_owned(),
            ..StageNote::default()
        };
        stages::enter(context, StageName::ExecuteIntent, note).await;
        let read = read_again(context, plan).await?;
        done.visible = read.publication.as_ref().map(|p| p.generation_id);
        said::visible(input, done.visible);
        let generation = generation_of(context, input, plan, &read);
        for event in facts::gates(input, decision, evaluation_id, plan, &read, generation) {
            context.audit.paced(event).await;
        }
        let free_quote = decision.capital.free_quote - done.reserved_quote;
        // Judged behind the wait, which is as long as the trail is pressed: mode, stream and quote are those of now.
        let choke = judge(context, account, input, free_quote, (plan, &read, generation));
        let (result, reason) = match choke {
            Choke::Allow => ("ALLOW", None),
            Choke::Skip(reason) => ("SKIP", Some(reason)),
            Choke::Halt(reason) => ("HALT", Some(reason)),
        };
        marker!(CHOKE_DECISION, symbol = plan.symbol, result = result, reason = reason);
        done.second_reads.push(SecondRead { symbol: plan.symbol.clone(), read, choke });
        match choke {
            Choke::Allow => {
                let decide = &context.settings.decide;
                let request = EntryRequest {
                    evaluation_id,
                    evaluation_index: input.evaluation_index,
                    plan: plan.clone(),
                    caps: Caps::of(&decision.capital, decide, input, plan),
                };
                send(account, plan, request, done).await;
            }
            Choke::Skip(reason) if others_may(reason) => {
                done.refused.push(plan.decision_id.clone());
            }
            Choke::Skip(_) => {}
            Choke::Halt(_) => done.fenced_out = true,
        }
    }
    Ok(())
}

/// What refused one plan may let another pass. A generation that is gone and a mode are the whole cycle's: they would
/// refuse the next as well, after its question had been paid for.
fn others_may(reason: ReasonCode) -> bool {
    !matches!(reason, ReasonCode::StateGenerationMismatch | ReasonCode::RiskModeBlock)
}

async fn read_again(context: &Context, plan: &PlannedEntry) -> Result<ReRead, ReadError> {
    let (pointer, safety) =
        cycle_input::reread(&context.pool, context.domain(), plan.symbol.as_str()).await?;
    Ok(ReRead {
        now: pointer.now,
        publication: pointer.publication,
        ingest_fence: pointer.ingest_fence,
        execution_fence: pointer.execution_fence,
        safety,
    })
}

fn generation_of(
    context: &Context,
    input: &CycleInput,
    plan: &PlannedEntry,
    read: &ReRead,
) -> Result<(), GenerationBlock> {
    let limits = GateLimits {
        generation_max_lag: context.settings.decide.generation_max_lag,
        state_age_limit_ms: plan.state_age_limit_ms,
    };
    match &input.publication {
        Some(cycle) => gates::generation_gate(cycle, read, &limits),
        None => Err(GenerationBlock::Lineage),
    }
}

fn judge(
    context: &Context,
    account: &impl Account,
    input: &CycleInput,
    free_quote: Decimal,
    (plan, read, generation): (&PlannedEntry, &ReRead, Result<(), GenerationBlock>),
) -> Choke {
    let decide = &context.settings.decide;
    if let Err(block) = generation {
        blocked(input, plan, read, block);
    }
    let table = context.quotes.table();
    let stream = account.stream_status();
    let silent_ms_max = decide.private_stream_silent_secs * 1_000;
    let online = input.instruments.iter().any(|i| i.symbol == plan.symbol && i.is_online());
    let lock_taken = input.locks.iter().any(|l| {
        l.symbol == plan.symbol && l.expires_at > read.now && l.fencing_token == context.token
    });
    gates::choke(&ChokeInput {
        fence_held: read.execution_fence.as_ref().is_some_and(|f| f.fencing_token == context.token),
        generation,
        mode: if context.stop.is_cancelled() { SysMode::Exit } else { context.mode.current() },
        execution_enable: decide.execution_enable,
        lock_free: !lock_taken,
        symbol_busy: account.is_busy(&plan.symbol),
        safety: read.safety,
        private_stream_ok: stream.connected
            && stream.snapshots_ok
            && stream.silent_ms < silent_ms_max,
        quote_age_ms: table.sound(&plan.symbol).map(|_| table.age_ms()),
        quote_age_ms_max: decide.quote_max_age_ms,
        instrument_online: online,
        reservation_possible: plan.reserve_quote <= free_quote,
    })
}

fn blocked(input: &CycleInput, plan: &PlannedEntry, read: &ReRead, block: GenerationBlock) {
    let run_id = plan.run_id;
    if block == GenerationBlock::StaleData {
        marker!(
            ROUTE_EXECUTION_BLOCKED_STALE_DATA,
            run_id = run_id,
            symbol = plan.symbol,
            route_type = plan.route_type,
            data_stale = true
        );
        return;
    }
    marker!(
        EXECUTION_BLOCKED_GENERATION_MISMATCH,
        run_id = run_id,
        cycle_generation_id = input.publication.as_ref().map(|p| p.generation_id),
        visible_generation_id = read.publication.as_ref().map(|p| p.generation_id),
        reason = block.as_str()
    );
}

async fn send(
    account: &impl Account,
    plan: &PlannedEntry,
    request: EntryRequest,
    done: &mut Submits,
) {
    match account.submit_entry(request).await {
        EntryOutcome::Sent { order_id } => {
            done.submitted.push(plan.symbol.clone());
            done.reserved_quote += plan.reserve_quote;
            done.orders.push(order_id);
        }
        EntryOutcome::NotSent { order_id, reason } => {
            tracing::warn!("entry {order_id} of {} not sent: {reason}", plan.symbol);
        }
        EntryOutcome::Refused { reason, others_may } => {
            tracing::info!("entry of {} refused before its row: {reason}", plan.symbol);
            // The verdict of the owner stands in the place of ours: what was free when we looked is not any more.
            let code = ReasonCode::parse(reason.split(':').next().unwrap_or_default());
            if let (Ok(code), Some(last)) = (code, done.second_reads.last_mut()) {
                last.choke = Choke::Skip(code);
            }
            if others_may {
                done.refused.push(plan.decision_id.clone());
            }
        }
        EntryOutcome::FencedOut => done.fenced_out = true,
        EntryOutcome::Failed { reason } => {
            tracing::warn!("entry of {} failed: {reason}", plan.symbol);
        }
    }
}
