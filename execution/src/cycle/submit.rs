//! Steps 19 and 20: read again, gate, choke, submit.
//!
//! Purpose: the last look before money moves. Inputs: the plans of a decision in ranking order. Outputs:
//! what was submitted and every second read with its verdict. Invariants: the gate compares the cycle's
//! generation with a pointer that was really read again; at most the configured number of entries per cycle.

use penstock_store_decision::{ReadError, cycle_input};
use penstock_telemetry::marker;
use penstock_trading::cycle::{CycleInput, ReRead};
use penstock_trading::decide::{Outcome, PlannedEntry};
use penstock_trading::gates::{self, Choke, ChokeInput, GateLimits, GenerationBlock};
use penstock_types::vocab::{StageName, SysMode};
use penstock_types::{EvaluationId, GenerationId, Symbol};

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
}

/// Takes the plans in order until enough are submitted.
pub(super) async fn submit(
    context: &Context,
    account: &impl Account,
    input: &CycleInput,
    decision: &Outcome,
    evaluation_id: EvaluationId,
) -> Result<Submits, ReadError> {
    let mut done = Submits {
        visible: input.publication.as_ref().map(|p| p.generation_id),
        ..Submits::default()
    };
    let most = usize::try_from(context.settings.decide.max_executes_per_cycle).unwrap_or(1);
    for plan in decision.plans() {
        if done.submitted.len() >= most || done.fenced_out {
            break;
        }
        let note = StageNote {
            symbol: Some(plan.symbol.clone()),
            cycle_id: evaluation_id,
            decision_id: plan.decision_id.as_str().to_owned(),
            ..StageNote::default()
        };
        stages::enter(context, StageName::ExecuteIntent, note);
        let read = read_again(context, plan).await?;
        done.visible = read.publication.as_ref().map(|p| p.generation_id);
        said::visible(input, done.visible);
        let choke = judge(context, account, (input, evaluation_id), decision, plan, &read);
        let (result, reason) = match choke {
            Choke::Allow => ("ALLOW", None),
            Choke::Skip(reason) => ("SKIP", Some(reason)),
            Choke::Halt(reason) => ("HALT", Some(reason)),
        };
        marker!(CHOKE_DECISION, symbol = plan.symbol, result = result, reason = reason);
        done.second_reads.push(SecondRead { symbol: plan.symbol.clone(), read, choke });
        match choke {
            Choke::Allow => send(account, input, plan, evaluation_id, &mut done).await,
            Choke::Skip(_) => {}
            Choke::Halt(_) => done.fenced_out = true,
        }
    }
    Ok(done)
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

fn judge(
    context: &Context,
    account: &impl Account,
    (input, id): (&CycleInput, EvaluationId),
    decision: &Outcome,
    plan: &PlannedEntry,
    read: &ReRead,
) -> Choke {
    let decide = &context.settings.decide;
    let limits = GateLimits {
        generation_max_lag: decide.generation_max_lag,
        state_age_limit_ms: plan.state_age_limit_ms,
    };
    let generation = match &input.publication {
        Some(cycle) => gates::generation_gate(cycle, read, &limits),
        None => Err(GenerationBlock::Lineage),
    };
    for event in facts::gates(input, decision, id, plan, read, generation) {
        context.audit.post(event);
    }
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
        reservation_possible: plan.reserve_quote <= decision.capital.free_quote,
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
    input: &CycleInput,
    plan: &PlannedEntry,
    evaluation_id: EvaluationId,
    done: &mut Submits,
) {
    let request = EntryRequest {
        evaluation_id,
        evaluation_index: input.evaluation_index,
        plan: plan.clone(),
    };
    match account.submit_entry(request).await {
        EntryOutcome::Sent { order_id } => {
            done.submitted.push(plan.symbol.clone());
            done.orders.push(order_id);
        }
        EntryOutcome::NotSent { order_id, reason } => {
            tracing::warn!("entry {order_id} of {} not sent: {reason}", plan.symbol);
        }
        EntryOutcome::Refused { reason } => {
            tracing::info!("entry of {} refused before its row: {reason}", plan.symbol);
        }
        EntryOutcome::FencedOut => done.fenced_out = true,
        EntryOutcome::Failed { reason } => {
            tracing::warn!("entry of {} failed: {reason}", plan.symbol);
        }
    }
}
