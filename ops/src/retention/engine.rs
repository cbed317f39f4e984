//! Closed days of the engine: compressed, then those that have had their time removed whole.
//!
//! Input: the engine's directories, the limits of the configuration, the days on which an order of ours was sent.
//! Output: a line for each day that was compressed, went or is held. Invariants: the pass is that of the
//! service's janitor; here a day that somebody reads ends it, because the operator waits for a whole answer.

use std::collections::BTreeSet;
use std::time::Instant;

use penstock_config::engine::EngineLocal;
use penstock_engine_io::janitor::{self, OnHeld, Pass, Step};
use penstock_engine_io::retention::Policy;
use penstock_engine_io::{Day, EngineDirs, Fault, JanitorHooks};
use penstock_store_decision::retention::forget_engine_rows;
use penstock_types::TickId;
use sqlx::PgPool;

use super::{Args, Done};

/// One pass; adds to `done` what went, also when it fails later.
///
/// # Errors
/// The first day that does not verify, with its code; nothing behind it is touched. A day that somebody else
/// reads, compresses or removes.
pub(super) fn clean(
    dirs: &EngineDirs,
    local: &EngineLocal,
    today: Day,
    traded: BTreeSet<Day>,
    args: &Args,
    done: &mut Done,
) -> Result<(), Fault> {
    let pass = Pass {
        dirs,
        policy: Policy {
            today,
            keep_days: local.keep_days.into(),
            keep_days_traded: local.keep_days_traded.into(),
            snapshot_keep_days: local.snapshot_keep_days.into(),
        },
        compresses: local.compress,
        is_rehearsal: args.dry_run,
        on_held: OnHeld::Fails,
        hooks: JanitorHooks::none(),
    };
    let mut began = Instant::now();
    janitor::run(&pass, || Some(traded), &mut |step| {
        match step {
            Step::Packing(_) => began = Instant::now(),
            Step::Gone(gone) => {
                done.days += 1;
                done.bytes += gone.bytes;
            }
            Step::Packed(..) | Step::Moved(_) | Step::Kept(..) => {}
        }
        if let Some(line) = line(step, began, args.dry_run) {
            println!("{line}");
        }
    })?;
    Ok(())
}

/// What is said of a step; `began` is when the compression of a day did.
fn line(step: Step, began: Instant, is_rehearsal: bool) -> Option<String> {
    match step {
        Step::Packing(day) => is_rehearsal.then(|| format!("engine {day}: would be compressed")),
        Step::Packed(day, done) => Some(format!(
            "ENGINE_COMPRESSED: {day}, {} files, {} bytes to {}, {} ms",
            done.files,
            done.bytes_before,
            done.bytes_after,
            began.elapsed().as_millis()
        )),
        Step::Moved(tick) => {
            Some(format!("engine snapshot {tick}: compressed, with the day that it opens"))
        }
        Step::Kept(day, why) => Some(format!("engine {day}: kept, {}", why.as_str())),
        Step::Gone(gone) => Some(format!(
            "ENGINE_RETENTION: {}, {} bytes, traded {}, {}",
            gone.day,
            gone.bytes,
            gone.is_traded,
            if is_rehearsal { "would go" } else { "gone" }
        )),
    }
}

/// Days of transitions and alerts as rows; their files have days of their own.
const SAID_DAYS: u64 = 90;
/// Days of checkpoints.
const CHECKPOINT_DAYS: u64 = 30;

/// Rows that have had their time.
///
/// # Errors
/// When the cluster does not answer.
pub(super) async fn forget_rows(pool: &PgPool, today: Day, args: &Args) -> anyhow::Result<()> {
    let before = |days: u64| {
        let first = Day(today.0.saturating_sub(days)).first_tick();
        TickId::from_unsigned(first)
    };
    let (said, checkpoints) = (before(SAID_DAYS), before(CHECKPOINT_DAYS));
    let old = forget_engine_rows(pool, said, checkpoints, args.dry_run).await?;
    let verb = if args.dry_run { "would go" } else { "gone" };
    println!(
        "engine: rows of {} transitions, {} alerts, {} checkpoints {verb}",
        old.transitions, old.alerts, old.checkpoints
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine_io::compress::Packed;
    use penstock_engine_io::retention::{Gone, Why};

    #[test]
    fn each_step_has_its_line_and_a_rehearsal_says_that_it_is_one() {
        let day = Day::parse("2026-02-16").unwrap();
        let gone = Step::Gone(Gone { day, bytes: 7, is_traded: true });
        let said = |step, is_rehearsal| line(step, Instant::now(), is_rehearsal);
        let lines = [
            (Step::Packing(day), false, None),
            (Step::Packing(day), true, Some("engine 2026-02-16: would be compressed")),
            (
                Step::Moved(5),
                false,
                Some("engine snapshot 5: compressed, with the day that it opens"),
            ),
            (
                Step::Kept(day, Why::JustPacked),
                true,
                Some("engine 2026-02-16: kept, it was compressed in this run"),
            ),
            (gone, false, Some("ENGINE_RETENTION: 2026-02-16, 7 bytes, traded true, gone")),
            (gone, true, Some("ENGINE_RETENTION: 2026-02-16, 7 bytes, traded true, would go")),
        ];
        for (step, is_rehearsal, want) in lines {
            assert_eq!(said(step, is_rehearsal).as_deref(), want, "{step:?}");
        }
        let packed = Packed { files: 3, bytes_before: 20, bytes_after: 9 };
        let text = said(Step::Packed(day, packed), false).unwrap();
        let want = "ENGINE_COMPRESSED: 2026-02-16, 3 files, 20 bytes to 9, ";
        assert!(text.starts_with(want) && text.ends_with(" ms"), "{text}");
    }
}
