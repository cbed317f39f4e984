//! Keeping the fence: renewal every third of its lease, and what its loss means.
//!
//! Purpose: one owner of the lease. Inputs: the fence. Outputs: the reason why the task ended. Invariants: a lost
//! fence shuts the gate to the venue and ends this task at once, before anything is read or written; a cluster that
//! does not answer within a third of the lease changes nothing but the age of the lease, the token stays ours until
//! somebody takes it.

use std::time::Duration;

use penstock_store::fence::{Fence, FenceError, FencedService, read_fence};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level, ModeEvent};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// Pause before the next question after one without an answer: within a lease it is asked at least twice more.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end of a fenced-out process waits to learn who has the fence.
const WHO_WAIT: Duration = Duration::from_secs(2);

/// Why the renewal ended.
#[derive(Debug)]
pub enum FenceEnd {
    /// The process stops; the fence is still ours and is to be released.
    Stopped(Fence),
    /// Another instance has it.
    Lost,
}

/// Renews until stopped or fenced out.
pub async fn run_renewal(mut fence: Fence, context: Context, end: CancellationToken) -> FenceEnd {
    let every = Duration::from_millis(fence.request().ttl_ms.unsigned_abs() / 3);
    let mut pause = every;
    loop {
        // The end first: a stopping process keeps the lease that it has.
        tokio::select! {
            biased;
            () = end.cancelled() => return FenceEnd::Stopped(fence),
            () = tokio::time::sleep(pause) => {}
        }
        let asked = context.lease.ask();
        pause = match tokio::time::timeout(every, fence.renew(&context.pool)).await {
            Ok(Ok(())) => {
                context.lease.renewed(asked);
                every
            }
            Ok(Err(FenceError::Lost { .. })) => {
                lost(&context);
                return FenceEnd::Lost;
            }
            // Not the cluster's silence: it was not asked, or it asked for something else.
            Ok(Err(error @ (FenceError::Lock(_) | FenceError::Busy { .. }))) => {
                tracing::error!("lease not renewed, trying again: {error}");
                AGAIN.min(every)
            }
            Ok(Err(error @ FenceError::Store(_))) => {
                unanswered(&context, &error.to_string());
                context.lease.unanswered(asked);
                AGAIN.min(every)
            }
            Err(_) => {
                unanswered(&context, &format!("no answer within {every:?}"));
                context.lease.unanswered(asked);
                AGAIN.min(every)
            }
        };
    }
}

fn unanswered(context: &Context, error: &str) {
    context.mode.raise(CauseCode::DbUnavailable, Level::Degrade, None);
    tracing::warn!("lease not renewed, trying again: {error}");
}

/// Nothing leaves any more, nothing is decided any more; who has the fence is asked later.
fn lost(context: &Context) {
    context.lease.lose();
    context.mode.raise(CauseCode::SingleWriterLost, Level::Pause, None);
    context.mode.request(ModeEvent::Stop);
}

/// Says that this process is fenced out, and by which token if the cluster tells in time.
pub async fn say_fenced_out(context: &Context) {
    context.lease.lose();
    let read = async {
        let mut conn = context.pool.acquire().await.ok()?;
        read_fence(&mut conn, FencedService::Execution, context.domain()).await.ok().flatten()
    };
    let row = tokio::time::timeout(WHO_WAIT, read).await.ok().flatten();
    let current = row.map(|row| row.fencing_token);
    marker!(EXECUTION_FENCED_OUT, mine = context.token, current = current);
}
