//! What the desk is given at a session's start.
//!
//! Inputs: the context, what the start has made. Outputs: [`DeskParts`], with the session's spool opened. Invariants: a
//! spool that cannot be opened refuses the start, because without it an outage would not outlive the process.

use std::path::PathBuf;
use std::sync::Arc;

use penstock_store::spool::exec::{ExecSpool, OpenedExec};
use penstock_store_orders::ExecStore;
use penstock_types::cl_ord_id::OrderIdSalt;
use penstock_venue_orders::{Clock, OrderSocket, PrivateEvent, PrivateRest};
use tokio::sync::mpsc;

use crate::context::Context;
use crate::desk::DeskParts;
use crate::exit::StartError;
use crate::refresh::Instruments;

/// What the start has made for the desk.
pub(super) struct Given {
    pub(super) store: ExecStore,
    pub(super) salt: OrderIdSalt,
    pub(super) instruments: Instruments,
    pub(super) events: mpsc::Receiver<PrivateEvent>,
    pub(super) rest: PrivateRest,
}

/// Everything that the desk needs.
pub(super) async fn parts_of(
    context: &Context,
    given: Given,
    (orders, clock): (OrderSocket, Arc<dyn Clock>),
    state_dir: PathBuf,
) -> Result<DeskParts, StartError> {
    Ok(DeskParts {
        config: context.settings.desk(),
        store: given.store,
        salt: given.salt,
        orders,
        rest: given.rest,
        events: given.events,
        quotes: context.quotes.clone(),
        engine: context.engine.clone(),
        mode: context.mode.clone(),
        alerts: context.alerts.clone(),
        audit: Some(context.audit.clone()),
        lease: Arc::clone(&context.lease),
        clock,
        instruments: given.instruments,
        request_dir: state_dir,
        spool: open_spool(context).await?,
        cancel: context.end.clone(),
    })
}

/// The spool of the session, and what an earlier process left in it.
async fn open_spool(context: &Context) -> Result<OpenedExec, StartError> {
    let root = context.settings.config.areas.spool.spool_dir.join("exec");
    let token = context.token;
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
        ExecSpool::open(&root, token).map_err(|e| e.to_string())
    });
    match opened.await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(StartError::Refused(format!(
            "the spool of execution is not usable: {error}; next: look at SPOOL_DIR"
        ))),
        Err(error) => Err(StartError::Refused(format!("the spool of execution: {error}"))),
    }
}
