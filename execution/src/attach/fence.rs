//! Keeping the fence: renewal every third of its lease, and what its loss means.
//!
//! Purpose: one owner of the lease. Inputs: the fence. Outputs: the reason why the task ended. Invariants: a
//! lost fence ends the process at once, without another write of any kind; a cluster that does not answer
//! changes nothing, the token stays ours until somebody takes it.

use std::time::Duration;

use penstock_store::fence::{Fence, FenceError, FencedService, read_fence};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, Level, ModeEvent};
use tokio_util::sync::CancellationToken;

use crate::context::Context;

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
    loop {
        // The end first: a stopping process keeps the lease that it has.
        tokio::select! {
            biased;
            () = end.cancelled() => return FenceEnd::Stopped(fence),
            () = tokio::time::sleep(every) => {}
        }
        match fence.renew(&context.pool).await {
            Ok(()) => context.lease.renewed(),
            Err(FenceError::Lost { .. }) => {
                fenced_out(&context).await;
                return FenceEnd::Lost;
            }
            Err(error) => {
                context.mode.raise(CauseCode::DbUnavailable, Level::Degrade, None);
                tracing::warn!("lease not renewed, trying again: {error}");
            }
        }
    }
}

/// Says who has it and ends the mode.
async fn fenced_out(context: &Context) {
    let current = match context.pool.acquire().await {
        Ok(mut conn) => read_fence(&mut conn, FencedService::Execution, context.domain())
            .await
            .ok()
            .flatten()
            .map(|row| row.fencing_token),
        Err(_) => None,
    };
    marker!(EXECUTION_FENCED_OUT, mine = context.token, current = current);
    context.mode.raise(CauseCode::SingleWriterLost, Level::Pause, None);
    context.mode.request(ModeEvent::Stop);
}
