//! The gates right before a submit: each reason of the generation gate, each answer of the choke.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop at the first surprise")]

use penstock_trading::cycle::ReRead;
use penstock_trading::fixtures::{GENERATION, NOW, input, lineage};
use penstock_trading::gates::{
    Choke, ChokeInput, GateLimits, GenerationBlock, choke, generation_gate,
};
use penstock_types::vocab::{ReasonCode, SafetyMode, SysMode};
use penstock_types::{FencingToken, GenerationId, RunId};
use rstest::rstest;

const LIMITS: GateLimits = GateLimits { generation_max_lag: 5, state_age_limit_ms: 30_000 };

fn reread() -> ReRead {
    let i = input(6);
    ReRead {
        now: NOW.plus_millis(8),
        publication: i.publication,
        ingest_fence: i.ingest_fence,
        execution_fence: None,
        safety: SafetyMode::Normal,
    }
}

fn at(delta: i64) -> ReRead {
    let mut again = reread();
    let publication = again.publication.as_mut().unwrap();
    publication.generation_id = GenerationId(GENERATION.get() + delta);
    again
}

#[rstest]
#[case(0, Ok(()))]
#[case(5, Ok(()))]
#[case(6, Err(GenerationBlock::Lag))]
#[case(-1, Err(GenerationBlock::Regressed))]
fn a_bounded_lag_passes_and_a_step_back_never(
    #[case] delta: i64,
    #[case] want: Result<(), GenerationBlock>,
) {
    let cycle = input(6).publication.unwrap();
    assert_eq!(generation_gate(&cycle, &at(delta), &LIMITS), want);
}

#[test]
fn every_other_reason_of_the_gate_is_its_own() {
    let cycle = input(6).publication.unwrap();
    let gate = |change: &dyn Fn(&mut ReRead)| {
        let mut again = reread();
        change(&mut again);
        generation_gate(&cycle, &again, &LIMITS)
    };
    let publication = |r: &mut ReRead, f: &dyn Fn(&mut penstock_types::rows::PublicationRow)| {
        f(r.publication.as_mut().unwrap());
    };
    assert_eq!(gate(&|r| r.publication = None), Err(GenerationBlock::Lineage));
    assert_eq!(
        gate(&|r| publication(r, &|p| p.lineage_id = lineage(2))),
        Err(GenerationBlock::Lineage)
    );
    assert_eq!(gate(&|r| publication(r, &|p| p.run_id = RunId(2))), Err(GenerationBlock::Lineage));
    assert_eq!(gate(&|r| publication(r, &|p| p.run_id = RunId(4))), Ok(()), "a rollover");
    assert_eq!(
        gate(&|r| r.ingest_fence.as_mut().unwrap().fencing_token = FencingToken(8)),
        Err(GenerationBlock::FenceChanged)
    );
    assert_eq!(
        gate(&|r| publication(r, &|p| p.generation_id = GenerationId(8_000_000_001))),
        Err(GenerationBlock::FenceChanged)
    );
    assert_eq!(
        gate(&|r| {
            r.now = NOW.plus_millis(29_977);
            r.ingest_fence.as_mut().unwrap().lease_expires_at = NOW.plus_millis(60_000);
        }),
        Err(GenerationBlock::StaleData),
        "20 ms since the publication and 4 ms of lag count"
    );
    assert_eq!(
        gate(&|r| r.ingest_fence.as_mut().unwrap().lease_expires_at = NOW),
        Err(GenerationBlock::IngestLeaseExpired)
    );
}

fn open() -> ChokeInput {
    ChokeInput {
        fence_held: true,
        generation: Ok(()),
        mode: SysMode::Normal,
        execution_enable: true,
        lock_free: true,
        symbol_busy: false,
        safety: SafetyMode::Normal,
        private_stream_ok: true,
        quote_age_ms: Some(2_000),
        quote_age_ms_max: 2_000,
        instrument_online: true,
        reservation_possible: true,
    }
}

type Spoil = fn(&mut ChokeInput);

#[test]
fn the_choke_lets_nothing_through_that_one_condition_forbids() {
    assert_eq!(choke(&open()), Choke::Allow);
    let cases: &[(Spoil, Choke)] = &[
        (|i| i.fence_held = false, Choke::Halt(ReasonCode::SingleWriterLost)),
        (
            |i| i.generation = Err(GenerationBlock::Lag),
            Choke::Skip(ReasonCode::StateGenerationMismatch),
        ),
        (
            |i| i.generation = Err(GenerationBlock::StaleData),
            Choke::Skip(ReasonCode::RouteStaleData),
        ),
        (|i| i.mode = SysMode::Degrade, Choke::Skip(ReasonCode::RiskModeBlock)),
        (|i| i.execution_enable = false, Choke::Skip(ReasonCode::RiskModeBlock)),
        (|i| i.lock_free = false, Choke::Skip(ReasonCode::RiskEntryAlreadyPending)),
        (|i| i.symbol_busy = true, Choke::Skip(ReasonCode::RiskPositionAlreadyOpen)),
        (|i| i.safety = SafetyMode::Quiet, Choke::Skip(ReasonCode::SymbolQuiet)),
        (|i| i.safety = SafetyMode::ExitOnly, Choke::Skip(ReasonCode::SymbolExitOnly)),
        (|i| i.safety = SafetyMode::HardBlocked, Choke::Skip(ReasonCode::SymbolHardBlocked)),
        (|i| i.private_stream_ok = false, Choke::Skip(ReasonCode::PrivateStreamSilent)),
        (|i| i.quote_age_ms = Some(2_001), Choke::Skip(ReasonCode::QuoteStale)),
        (|i| i.quote_age_ms = None, Choke::Skip(ReasonCode::QuoteStale)),
        (|i| i.instrument_online = false, Choke::Skip(ReasonCode::ExchangePairRestricted)),
        (|i| i.reservation_possible = false, Choke::Skip(ReasonCode::RiskCapitalExhausted)),
    ];
    for (spoil, want) in cases {
        let mut i = open();
        spoil(&mut i);
        assert_eq!(choke(&i), *want);
    }
}
