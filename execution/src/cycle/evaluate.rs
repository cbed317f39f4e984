//! One evaluation from its read to its record.
//!
//! Purpose: carry a cycle through its steps. Inputs: a trigger. Outputs: what it came to. Invariants: the
//! cycle's row is on its way while `decide` runs and stands before an order names it; whatever fails after
//! the row was written closes it with the verdict `error`; the mode is judged before the decision reads it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_store::StoreError;
use penstock_store_decision::ai_gate;
use penstock_store_decision::evaluations::{self, CycleStart};
use penstock_store_decision::{ReadError, sessions};
use penstock_telemetry::{cycle_span, marker};
use penstock_trading::cycle::{CycleInput, LineageMemory};
use penstock_trading::decide::outcome::{Assessment, Outcome};
use penstock_trading::decide::{assess, decide};
use penstock_trading::mode::{CauseCode, Level};
use penstock_trading::risk;
use penstock_types::vocab::{SysMode, Trigger, Verdict};
use penstock_types::{EvaluationId, OrderId, RunId, Symbol};
use tokio::sync::watch;
use tracing::Instrument;

use super::decided;
use super::detail::detail;
use super::equity::EquityKeeper;
use super::facts::Facts;
use super::gate::{AiGate, Questions};
use super::gate_book::GateBook;
use super::load::{Loaded, Memory, Occasion, load};
use super::record::{self, Ending};
use super::shadow::Shadows;
use super::submit::{Submits, submit};
use super::{causes, said, stages};
use crate::account::Account;
use crate::attach::{BindingsOutcome, compare, ensure_partitions};
use crate::context::Context;
use crate::mode::Source;

/// What an evaluation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evaluated {
    /// It ran to its end.
    Done {
        /// Verdict.
        verdict: Verdict,
        /// Entries on their way.
        orders: Vec<OrderId>,
        /// An epoch was bound.
        attached: bool,
    },
    /// There was nothing to evaluate.
    Skipped,
    /// Another instance holds the fence.
    FencedOut,
}

/// Runs evaluations one after another and remembers what the next one needs.
#[derive(Debug)]
pub struct Evaluator<A> {
    context: Context,
    account: Arc<A>,
    index: i64,
    lineage: watch::Sender<LineageMemory>,
    attached: bool,
    compared_run: Option<RunId>,
    gates: GateBook,
    memory: Memory,
    /// None when it could not be built: then nothing that waits for it goes on.
    gate: Option<AiGate>,
    finalists: Vec<Symbol>,
    facts: Facts,
    equity: EquityKeeper,
    kill: causes::KillSwitches,
    shadows: Shadows,
    started: Instant,
}

impl<A: Account> Evaluator<A> {
    /// Nothing evaluated yet.
    #[must_use]
    pub fn new(context: Context, account: Arc<A>) -> Self {
        let gate = AiGate::of(&context.settings).inspect_err(|error| tracing::error!("{error}"));
        let window_ms = u64::try_from(context.settings.mode.stable_window_ms).unwrap_or(0);
        let gates = GateBook::new(Duration::from_millis(window_ms));
        let shadows = Shadows::new(&context);
        Self {
            context,
            account,
            index: 0,
            lineage: watch::Sender::new(LineageMemory::default()),
            attached: false,
            compared_run: None,
            gates,
            memory: Memory::default(),
            gate: gate.ok(),
            finalists: Vec::new(),
            facts: Facts::default(),
            equity: EquityKeeper::default(),
            kill: causes::KillSwitches::default(),
            shadows,
            started: Instant::now(),
        }
    }

    /// Number of the last evaluation.
    #[must_use]
    pub const fn index(&self) -> i64 {
        self.index
    }

    /// What evaluations have bound to, for whoever looks at generations between them.
    pub(super) fn lineage(&self) -> watch::Receiver<LineageMemory> {
        self.lineage.subscribe()
    }

    /// Changes when evaluations have opened shadow trades.
    pub(super) fn opened(&self) -> watch::Receiver<()> {
        self.shadows.opened()
    }

    /// Runs one evaluation.
    pub async fn evaluate(&mut self, trigger: Trigger) -> Evaluated {
        self.index += 1;
        self.context.figures.began(self.index);
        let session = self.context.session_id.to_string();
        let span = cycle_span(&session, self.index.unsigned_abs());
        self.run(trigger).instrument(span).await
    }

    async fn run(&mut self, trigger: Trigger) -> Evaluated {
        let started = Instant::now();
        marker!(LIVE_EVALUATION_SCHEDULED, trigger = trigger);
        let every =
            i64::try_from(self.context.settings.config.areas.evaluation.state_hash_check_every)
                .unwrap_or(i64::MAX);
        let occasion = Occasion {
            evaluation_index: self.index,
            trigger,
            lineage: *self.lineage.borrow(),
            check_hash: self.index % every.max(1) == 1 || every == 1,
        };
        let Loaded { mut input, execution_fence } =
            match load(&self.context, self.account.as_ref(), occasion, &mut self.memory).await {
                Ok(loaded) => loaded,
                Err(error) => return self.unreadable(&error),
            };
        self.db_state(false);
        if execution_fence.is_some_and(|f| f.fencing_token > self.context.token) {
            return Evaluated::FencedOut;
        }
        if input.publication.is_none() {
            marker!(LIVE_EVALUATION_SKIPPED, reason = "no_publication");
            return Evaluated::Skipped;
        }
        let assessment = assess(&input, &self.context.settings.decide);
        self.bindings(&input).await;
        causes::apply(&self.context.mode, &assessment);
        input.sys_mode = self.context.mode.current();
        self.remember(&input, &assessment);
        let outcome = self.decide_and_submit(&mut input, &assessment, started).await;
        self.attach(&input, &assessment, started).await;
        outcome
    }

    /// The cycle's row, the decision, the submits, the record.
    async fn decide_and_submit(
        &mut self,
        input: &mut CycleInput,
        assessment: &Assessment,
        started: Instant,
    ) -> Evaluated {
        let pool = self.context.pool.clone();
        let start = cycle_start(input, assessment);
        // On its way while the decision is made: the order's row needs its id.
        let row = tokio::spawn(async move { evaluations::begin(&pool, &start).await });
        let deciding = Instant::now();
        let decision = decide(input, &self.context.settings.decide);
        let decide_ms = elapsed_ms(deciding);
        said::data(input, assessment);
        said::matrix(input, assessment);
        let id = match row.await {
            Ok(Ok(id)) => id,
            Ok(Err(error)) => return self.broken(None, &error.to_string(), started).await,
            Err(error) => return self.broken(None, &error.to_string(), started).await,
        };
        for event in self.facts.found(input, &decision, id, &self.context.settings.decide) {
            self.context.audit.paced(event).await;
        }
        stages::selected(&self.context, &decision, id).await;
        let (decision, submits) = match self.one_after_another(input, decision, id).await {
            Ok(both) => both,
            Err(error) => return self.broken(Some(id), &error, started).await,
        };
        let pipeline_ms = elapsed_ms(started);
        said::selection(&decision);
        detail(input, &decision, &self.context.settings.decide);
        let hits = risk::kill_switch(&decision.capital, &self.context.settings.decide);
        self.kill.recall(&self.context.mode, input.equity.drawdown_day);
        self.kill.apply(&self.context.mode, &hits, decision.capital.drawdown_bps, input.now);
        let times = (started, decide_ms, pipeline_ms);
        if let Err(error) = self.keep(input, &decision, id, &submits, times).await {
            return self.broken(Some(id), &error, started).await;
        }
        if submits.fenced_out {
            return Evaluated::FencedOut;
        }
        self.context.figures.ended(id, assessment.binding.as_ref().map(|b| b.run_id));
        let n = u32::try_from(submits.submitted.len()).unwrap_or(u32::MAX);
        Evaluated::Done {
            verdict: decision.verdict(n),
            orders: submits.orders,
            attached: assessment.binding.is_some(),
        }
    }

    /// Finalists one after another until one is on its way: whoever the last look refuses is recorded in the input, and
    /// the decision made again from it gives the place to the next.
    async fn one_after_another(
        &mut self,
        input: &mut CycleInput,
        mut outcome: Outcome,
        id: EvaluationId,
    ) -> Result<(Outcome, Submits), String> {
        let account = Arc::clone(&self.account);
        let (mut questions, mut submits) = (Questions::none(), Submits::none(input));
        let mut standing = 0;
        // Each turn has more finalists than the one before, and a symbol is one once.
        loop {
            outcome = self.settle(input, outcome, id, (&mut questions, standing)).await?;
            standing = outcome.finalists.len();
            let looked =
                submit(&self.context, account.as_ref(), input, &outcome, id, &mut submits).await;
            looked.map_err(|e| e.to_string())?;
            let refused = submits.take_refused(&self.context);
            if refused.is_empty() {
                break;
            }
            input.refused.extend(refused);
            outcome = decide(input, &self.context.settings.decide);
            if outcome.finalists.len() == standing {
                break;
            }
        }
        Ok((outcome, submits))
    }

    /// Answers of the AI gate; then what was decided stands in rows and trail, before an order can name it. The first
    /// `standing` finalists have gone through it.
    async fn settle(
        &mut self,
        input: &mut CycleInput,
        outcome: Outcome,
        id: EvaluationId,
        (questions, standing): (&mut Questions, usize),
    ) -> Result<Outcome, String> {
        let (outcome, asked) = match &mut self.gate {
            Some(gate) => {
                gate.settle(&self.context, input, outcome, id, (questions, standing)).await
            }
            None => (outcome, Vec::new()),
        };
        let hash = &self.context.settings.config_hash;
        let new = outcome.finalists.get(standing..).unwrap_or_default();
        stages::judged(&self.context, new, id).await;
        let rows = match standing {
            0 => decided::rows(input, &outcome, asked, id, hash),
            _ => decided::rows_behind(input, &outcome, asked, id, standing),
        };
        ai_gate::insert(&self.context.pool, &rows).await.map_err(|e| e.to_string())?;
        let before = (self.finalists.as_slice(), standing);
        let mut events = decided::events(input, &outcome, &rows, id, before);
        self.finalists.clone_from(&outcome.selection.topk_final);
        let last = events.pop();
        for event in events {
            self.context.audit.paced(event).await;
        }
        // The lanes keep their order: with the last of them on disk all critical ones are.
        if let Some(last) = last
            && let Err(error) = self.context.audit.critical(last).await
        {
            return Err(format!("what was decided is not in the trail: {error}"));
        }
        Ok(outcome)
    }

    /// Writes the record and says the end.
    async fn keep(
        &mut self,
        input: &CycleInput,
        decision: &Outcome,
        evaluation_id: EvaluationId,
        submits: &Submits,
        (started, decide_ms, pipeline_ms): (Instant, i64, i64),
    ) -> Result<(), String> {
        let settings = &self.context.settings;
        let ending = Ending {
            evaluation_id,
            config_hash: settings.config_hash.clone(),
            visible: submits.visible,
            submitted: submits.submitted.clone(),
            second_reads: submits.second_reads.clone(),
            duration_ms: elapsed_ms(started),
            decide_ms,
            pipeline_ms,
            keep_top: usize::try_from(settings.config.areas.evaluation.cdv_persist_top_n)
                .unwrap_or(0),
        };
        let pool = &self.context.pool;
        let domain = self.context.domain();
        self.gates.look(pool, domain, decision).await.map_err(|e| e.to_string())?;
        let gates = self.gates.changed(decision, &ending.second_reads);
        let openings = self.shadows.of(&self.context, input, decision).await;
        let record = record::build(input, decision, &ending, gates, &openings);
        let record = record.map_err(|e| e.to_string())?;
        if let Err(first) = evaluations::finish(pool, &record).await {
            // The day of the cycle may have no partition yet: made, then once more.
            tracing::warn!("record of evaluation {} not written: {first}", self.index);
            ensure_partitions(pool).await.map_err(|e| e.to_string())?;
            evaluations::finish(pool, &record).await.map_err(|e| e.to_string())?;
        }
        if !decision.selection.topk_final.is_empty() {
            self.memory.selection = input.selection.after(&decision.selection.topk_final);
        }
        self.gates.written(&record.gates);
        self.shadows.written(&openings);
        let day = self.kill.drawdown_day();
        let kept = self.equity.keep(&self.context, input, &decision.capital, day).await;
        kept.map_err(|e| e.to_string())?;
        let whole_ms = elapsed_ms(started);
        let budget = settings_budget(&self.context);
        let n = u32::try_from(submits.submitted.len()).unwrap_or(u32::MAX);
        let durations = said::Durations { whole_ms, decide_ms, pipeline_ms, budget_ms: budget };
        said::end(input, decision, n, durations);
        Ok(())
    }

    /// What the next cycle and the heartbeat need.
    fn remember(&mut self, input: &CycleInput, assessment: &Assessment) {
        let before = *self.lineage.borrow();
        let bound = assessment.binding.as_ref().map(|b| b.lineage_id);
        let memory = if let Some(b) = assessment.lineage_break {
            LineageMemory { previous: Some(b.to), grace_left: b.cycles_left }
        } else {
            if before.grace_left > 0 {
                marker!(LINEAGE_POST_SWITCH_CYCLE, to_lineage_id = bound, cycles_left = 0);
            }
            LineageMemory { previous: bound.or(before.previous), grace_left: 0 }
        };
        self.lineage.send_replace(memory);
        let positions = input.positions.iter().filter(|p| risk::holds(p)).count();
        let unresolved = input
            .live_orders
            .iter()
            .filter(|o| {
                use penstock_types::vocab::OrderState as S;
                matches!(o.state, S::SubmitUnknown | S::Suspect | S::ReconcileRequired)
            })
            .count();
        self.context.figures.read(positions, unresolved);
    }

    /// The first binding of the session.
    async fn attach(&mut self, input: &CycleInput, assessment: &Assessment, started: Instant) {
        let (Some(b), Some(p), false) = (&assessment.binding, &input.publication, self.attached)
        else {
            return;
        };
        let written =
            sessions::attached(&self.context.pool, self.context.session_id, b.lineage_id, p.run_id)
                .await;
        if let Err(error) = written {
            self.db_state(true);
            tracing::warn!("attach not written, trying again: {error}");
            return;
        }
        self.attached = true;
        marker!(
            EXECUTION_ATTACHED,
            bound_lineage_id = b.lineage_id,
            bound_run_id = p.run_id,
            bound_epoch_id = b.epoch_id,
            generation_id = p.generation_id,
            attach_duration_ms = elapsed_ms(self.started),
            read_duration_ms = elapsed_ms(started)
        );
    }

    /// Compares token bindings at attach and with each new run.
    async fn bindings(&mut self, input: &CycleInput) {
        let Some(run_id) = input.publication.as_ref().map(|p| p.run_id) else { return };
        if self.compared_run == Some(run_id) {
            return;
        }
        let ours = &self.context.settings.config.bindings;
        match compare(&self.context.pool, run_id, ours).await {
            Ok(outcome) => {
                let differ = matches!(outcome, BindingsOutcome::Differ { .. });
                if let BindingsOutcome::Differ { theirs, ours, token_id, field } = outcome {
                    marker!(
                        EXECUTION_BINDINGS_MISMATCH,
                        run_id = run_id,
                        theirs = theirs,
                        ours = ours,
                        token_id = token_id,
                        field = field
                    );
                }
                self.compared_run = Some(run_id);
                let code = CauseCode::BindingsMismatch;
                self.context.mode.set_from(Source::Cycle, code, Level::Degrade, differ, None);
            }
            Err(error) => tracing::warn!("bindings of run {run_id} not compared: {error}"),
        }
    }

    fn db_state(&self, failing: bool) {
        let code = CauseCode::DbUnavailable;
        self.context.mode.set_from(Source::Cycle, code, Level::Degrade, failing, None);
    }

    fn unreadable(&self, error: &ReadError) -> Evaluated {
        tracing::warn!("evaluation without a read: {error}");
        self.db_state(true);
        marker!(LIVE_EVALUATION_SKIPPED, reason = "decision_db");
        Evaluated::Skipped
    }

    /// Closes a cycle that failed.
    async fn broken(&self, id: Option<EvaluationId>, error: &str, started: Instant) -> Evaluated {
        tracing::error!("evaluation {} failed: {error}", self.index);
        self.db_state(true);
        if let Some(id) = id {
            let closed: Result<(), StoreError> =
                evaluations::fail(&self.context.pool, id, elapsed_ms(started)).await;
            if let Err(error) = closed {
                tracing::warn!("failed evaluation not closed: {error}");
            }
        }
        said::failed(error);
        Evaluated::Done { verdict: Verdict::Error, orders: Vec::new(), attached: self.attached }
    }
}

fn settings_budget(context: &Context) -> i64 {
    let budget = context.settings.config.areas.evaluation.evaluation_cycle_budget_ms;
    i64::try_from(budget).unwrap_or(i64::MAX)
}

fn elapsed_ms(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn cycle_start(input: &CycleInput, a: &Assessment) -> CycleStart {
    let publication = input.publication.as_ref();
    CycleStart {
        session_id: input.session_id,
        evaluation_index: input.evaluation_index,
        trigger: input.trigger,
        started_at: input.now,
        run_id: publication.map(|p| p.run_id),
        lineage_id: publication.map(|p| p.lineage_id),
        epoch_id: a.binding.as_ref().map(|b| b.epoch_id),
        snapshot_id: a.binding.as_ref().map(|b| b.snapshot_id),
        generation_id: publication.map(|p| p.generation_id),
        state_age_ms: a.state_age_ms,
        engine: record::engine_ref(input),
        sys_mode: if input.sys_mode == SysMode::Exit { SysMode::Pause } else { input.sys_mode },
    }
}
