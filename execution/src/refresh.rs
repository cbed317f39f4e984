//! What is looked up again while a session runs: rules of the venue, fees of the account, the process's own use.
//!
//! Purpose: keep slow facts fresh. Inputs: the decision cluster, signed REST, the process. Outputs: rules for readers,
//! rows of fees, markers. Invariants: a failed look keeps what is known and is tried again; each ends with the session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use penstock_store_decision::cycle_input;
use penstock_store_orders::ExecStore;
use penstock_telemetry::marker;
use penstock_types::Symbol;
use penstock_types::rows::InstrumentRow;

use crate::attach::fees;
use crate::context::Context;

/// Refresh of instrument rules.
const INSTRUMENTS_EVERY: Duration = Duration::from_secs(60);
/// Distance of two reads while ingest has written none.
const INSTRUMENTS_RETRY: Duration = Duration::from_secs(1);
/// Refresh of the account's fees.
const FEES_EVERY: Duration = Duration::from_secs(86_400);
/// Pause before fees that the venue did not give are asked for again.
const FEES_RETRY: Duration = Duration::from_secs(2);

/// Rules by symbol, replaced as a whole.
pub(crate) type Instruments = Arc<ArcSwap<BTreeMap<Symbol, InstrumentRow>>>;

/// Reads the rules once.
pub(crate) async fn load_instruments(context: &Context, instruments: &Instruments) {
    match cycle_input::all_instruments(&context.pool).await {
        Ok(rows) => {
            let map = rows.into_iter().map(|row| (row.symbol.clone(), row)).collect();
            instruments.store(Arc::new(map));
        }
        Err(error) => tracing::warn!("instruments not read, trying again: {error}"),
    }
}

/// What the process uses, every so often.
pub(crate) async fn say_resources(context: Context) {
    let secs = context.settings.config.areas.telemetry.resource_telemetry_interval_secs;
    if secs == 0 {
        return;
    }
    let mut resources = penstock_telemetry::resources::Resources::new();
    loop {
        // The end first.
        tokio::select! {
            biased;
            () = context.end.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(secs)) => {
                let usage = resources.look();
                marker!(
                    RESOURCE_TELEMETRY,
                    telemetry_rss_kb = usage.rss_kb,
                    cpu_pct = usage.cpu_pct,
                    open_fds = usage.open_fds
                );
            }
        }
    }
}

/// Rules of the venue, again and again.
pub(crate) async fn refresh_instruments(context: Context, instruments: Instruments) {
    loop {
        // Until ingest has written them there is nothing to trade; then a minute is soon enough.
        let wait =
            if instruments.load().is_empty() { INSTRUMENTS_RETRY } else { INSTRUMENTS_EVERY };
        // The end first: a stopping process reads nothing.
        tokio::select! {
            biased;
            () = context.end.cancelled() => return,
            () = tokio::time::sleep(wait) => load_instruments(&context, &instruments).await,
        }
    }
}

/// Fees of the account: at once, and once a day.
pub(crate) async fn refresh_fees(
    context: Context,
    rest: penstock_venue_orders::PrivateRest,
    store: ExecStore,
) {
    loop {
        let known = fees::refresh(&context, &rest, &store).await.source == "live";
        let wait = if known { FEES_EVERY } else { FEES_RETRY };
        // The end first: a stopping process asks for nothing.
        tokio::select! {
            biased;
            () = context.end.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}
