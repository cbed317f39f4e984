//! F12, the entry on a fenced-out state: every interleaving of two ingests and one execution on the product's
//! decision, generation gate and choke, against a model of fence row and pointer.
//!
//! The successor continues run and lineage of its predecessor here, although it opens new ones in fact: so
//! nothing but the fence stands between a state that nobody vouches for any more and an order.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_trading::CycleInput;
use penstock_trading::cycle::ReRead;
use penstock_trading::decide::outcome::SyncProblem;
use penstock_trading::decide::{Outcome, assess, decide};
use penstock_trading::fixtures::{config, input};
use penstock_trading::gates::{
    Choke, ChokeInput, GateLimits, GenerationBlock, choke, generation_gate,
};
use penstock_types::rows::{FenceRow, PublicationRow};
use penstock_types::vocab::{ReasonCode, SafetyMode, SysMode, Verdict};
use penstock_types::{FencingToken, GenerationId, UtcMicros};
use std::collections::{BTreeMap, HashSet};

/// Life of a lease.
const TTL_MS: i64 = 15_000;
/// What passes when nobody does anything.
const PAUSE_MS: i64 = 9_000;
const FIRST: i64 = 7;
const SECOND: i64 = 8;

/// What execution holds of its cycle.
#[derive(Clone)]
struct Cycle {
    publication: PublicationRow,
    decision: Outcome,
}

#[derive(Clone)]
struct World {
    now: UtcMicros,
    fence: FenceRow,
    publication: PublicationRow,
    published: [i64; 2],
    renewals: usize,
    pauses: usize,
    cycles: usize,
    cycle: Option<Cycle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// Time passes: the holder of the fence is paused or cut off.
    Pause,
    /// The holder renews its lease.
    Renew,
    /// The second ingest takes the fence, its lease being over.
    Takeover,
    /// An ingest publishes a generation; its fence is checked in the transaction.
    Publish(i64),
    /// Step 1: one read, and the decision from it.
    Read,
    /// Steps 19 and 20: one read again, gate, choke, submit.
    Submit,
}

/// What became of submits.
type Seen = BTreeMap<&'static str, usize>;

impl World {
    fn new() -> Self {
        let healthy = input(6);
        Self {
            now: healthy.now,
            fence: healthy.ingest_fence.unwrap(),
            publication: healthy.publication.unwrap(),
            published: [0, 0],
            renewals: 1,
            pauses: 2,
            cycles: 2,
            cycle: None,
        }
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.pauses > 0 {
            moves.push(Move::Pause);
        }
        if self.renewals > 0 {
            moves.push(Move::Renew);
        }
        let holder = self.fence.fencing_token.0;
        if holder == FIRST && self.fence.lease_expires_at < self.now {
            moves.push(Move::Takeover);
        }
        for token in [FIRST, SECOND] {
            let n = self.published[usize::from(token == SECOND)];
            if token == holder && n < 2 {
                moves.push(Move::Publish(token));
            }
        }
        moves.push(if self.cycle.is_some() { Move::Submit } else { Move::Read });
        if self.cycles == 0 && self.cycle.is_none() {
            moves.pop();
        }
        moves
    }

    fn apply(&mut self, step: Move, seen: &mut Seen) {
        match step {
            Move::Pause => {
                self.pauses -= 1;
                self.now = self.now.plus_millis(PAUSE_MS);
            }
            Move::Renew => {
                self.renewals -= 1;
                self.fence.lease_expires_at = self.now.plus_millis(TTL_MS);
            }
            Move::Takeover => {
                self.fence.fencing_token = FencingToken(SECOND);
                self.fence.lease_expires_at = self.now.plus_millis(TTL_MS);
            }
            Move::Publish(token) => self.publish(token),
            Move::Read => self.read(seen),
            Move::Submit => self.submit(seen),
        }
    }

    fn publish(&mut self, token: i64) {
        let n = &mut self.published[usize::from(token == SECOND)];
        *n += 1;
        self.publication.generation_id = GenerationId(token * 1_000_000_000 + 100 + *n);
        self.publication.fencing_token = FencingToken(token);
        self.publication.published_at = self.now;
    }

    fn read(&mut self, seen: &mut Seen) {
        self.cycles -= 1;
        let input = self.input();
        let decision = decide(&input, &config());
        let plans = decision.plans().count();
        let is_fenced_out = self.publication.fencing_token != self.fence.fencing_token;
        let is_expired = self.fence.lease_expires_at <= self.now;
        if is_fenced_out {
            assert_eq!(assess(&input, &config()).sync, Some(SyncProblem::FenceChanged));
        }
        if is_fenced_out || is_expired {
            assert_eq!(decision.verdict_without_submit, Verdict::DataBlocked);
            assert_eq!(plans, 0, "no plan on a state that nobody vouches for");
            *seen
                .entry(if is_fenced_out { "read: fenced out" } else { "read: expired" })
                .or_default() += 1;
        }
        if plans > 0 {
            self.cycle = Some(Cycle { publication: self.publication.clone(), decision });
        }
    }

    fn input(&self) -> CycleInput {
        let mut input = input(6);
        (input.now, input.t0) = (self.now, self.now);
        for state in &mut input.states {
            state.generation_id = self.publication.generation_id;
        }
        for epoch in &mut input.epochs {
            epoch.completed_at = Some(self.now.plus_millis(-5_000));
        }
        for balance in &mut input.balances {
            balance.as_of = self.now;
        }
        input.publication = Some(self.publication.clone());
        input.ingest_fence = Some(self.fence.clone());
        input
    }

    fn submit(&mut self, seen: &mut Seen) {
        let Some(cycle) = self.cycle.take() else { return };
        let plan = cycle.decision.plans().next().unwrap();
        let again = ReRead {
            now: self.now,
            publication: Some(self.publication.clone()),
            ingest_fence: Some(self.fence.clone()),
            execution_fence: None,
            safety: SafetyMode::Normal,
        };
        let limits = GateLimits {
            generation_max_lag: config().generation_max_lag,
            state_age_limit_ms: plan.state_age_limit_ms,
        };
        let generation = generation_gate(&cycle.publication, &again, &limits);
        let outcome = choke(&ChokeInput {
            fence_held: true,
            generation,
            mode: SysMode::Normal,
            execution_enable: true,
            lock_free: true,
            symbol_busy: false,
            safety: again.safety,
            private_stream_ok: true,
            quote_age_ms: Some(0),
            quote_age_ms_max: 2_000,
            instrument_online: true,
            reservation_possible: true,
        });
        // The rule, said without the gate's own words.
        let maker = cycle.publication.fencing_token;
        let is_vouched_for = maker == self.fence.fencing_token
            && self.publication.fencing_token == maker
            && self.fence.lease_expires_at > self.now;
        if outcome == Choke::Allow {
            assert!(is_vouched_for, "an entry on a state that nobody vouches for");
            *seen.entry("submitted").or_default() += 1;
            return;
        }
        let reason = generation.expect_err("nothing else blocks in this model").as_str();
        *seen.entry(reason).or_default() += 1;
        if maker != self.fence.fencing_token {
            assert_eq!(generation, Err(GenerationBlock::FenceChanged));
            assert_eq!(outcome, Choke::Skip(ReasonCode::StateGenerationMismatch));
        }
    }

    fn key(&self) -> String {
        let cycle = self.cycle.as_ref().map(|c| c.publication.generation_id);
        format!(
            "{:?} {:?} {:?} {:?} {:?} {} {} {} {cycle:?}",
            self.now,
            self.fence,
            self.publication.generation_id,
            self.publication.published_at,
            self.published,
            self.renewals,
            self.pauses,
            self.cycles,
        )
    }
}

#[test]
fn f12_entry_on_a_fenced_out_state() {
    let mut known = HashSet::new();
    let mut seen = Seen::new();
    let mut stack = vec![World::new()];
    while let Some(world) = stack.pop() {
        if !known.insert(world.key()) {
            continue;
        }
        for step in world.moves() {
            let mut next = world.clone();
            next.apply(step, &mut seen);
            stack.push(next);
        }
    }
    // Every way to the rule was walked, and the healthy way is open.
    for way in
        ["submitted", "fence_changed", "ingest_lease_expired", "read: fenced out", "read: expired"]
    {
        assert!(seen.get(way).is_some_and(|n| *n > 0), "{way} was not seen: {seen:?}");
    }
}
