//! The panel of this session: what it is told, and what is done when its rows are old.
//!
//! Purpose: start the panel beside everything else and give it only what it may have: a read-only pool in the role of
//! the observer, figures, and no way back. Inputs: the context, the desk's handle. Outputs: the running panel. Invariant:
//! an address beyond this machine ends the start; one that is taken does not, it is an item of the checklist.

mod look;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use penstock_config::is_loopback;
use penstock_panel::run::{self, Panel};
use penstock_panel::settings::{Identity, Lengths, Settings as PanelSettings};
use penstock_store::ClusterRole;
use penstock_store::pools::{self, PoolSettings};
use penstock_telemetry::build;
use penstock_types::vocab::ReasonCode;
use penstock_venue_orders::SharedVenueState;
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;

use crate::context::Context;
use crate::desk::DeskHandle;
use crate::exit::StartError;

use look::Looker;

/// Connections of the panel: one for the document, one for the orders.
const CONNECTIONS: u32 = 2;
/// Condition of the alert.
const STALE: &str = "panel";

/// Starts the panel.
///
/// # Errors
/// [`StartError`] when the address is none of this machine's, or there is no thread to be had.
pub(crate) fn start(
    context: &Context,
    desk: &DeskHandle,
    venue: &SharedVenueState,
) -> Result<Panel, StartError> {
    let settings = settings(context)?;
    let clusters = &context.settings.config.areas.clusters;
    let url = clusters.decision_database_url.as_ref().map(|url| url.expose_secret().to_owned());
    let open = Box::new(move || {
        let options = PoolSettings::observer("run-execution-live panel", CONNECTIONS);
        pools::open_lazy(&url.unwrap_or_default(), ClusterRole::Decision, &options)
    });
    let look = Arc::new(Looker::new(context.clone(), desk.clone(), venue.clone()));
    run::start(settings, identity(context), look, open)
        .map_err(|e| StartError::Refused(format!("panel not started: {e}")))
}

fn settings(context: &Context) -> Result<PanelSettings, StartError> {
    let panel = &context.settings.config.areas.panel;
    let text = &panel.webui_bind;
    let name = if text.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { text };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = address.ok().filter(IpAddr::is_loopback).ok_or_else(|| {
        let reason = ReasonCode::WebuiBindInvalid;
        StartError::Refused(format!(
            "{reason}: webui_bind = {text:?} is no address of this machine alone; next: 127.0.0.1 or ::1, and a \
             tunnel of your own to look from elsewhere"
        ))
    })?;
    let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Ok(PanelSettings {
        address: SocketAddr::new(address, panel.webui_port),
        every: Duration::from_millis(panel.webui_stream_snapshot_interval_ms),
        connections_max: number(panel.webui_max_connections),
        streams_max: number(panel.webui_max_stream_clients),
        lengths: Lengths {
            intents: number(panel.webui_intents_recent_limit),
            diffs: number(panel.webui_reconcile_diffs_recent_limit),
            symbols: number(panel.webui_market_symbols_limit),
        },
    })
}

fn identity(context: &Context) -> Identity {
    let settings = &context.settings;
    let areas = &settings.config.areas;
    let urls = [&areas.venues.kraken_rest_url, &areas.venues.kraken_ws_auth_url];
    let is_simulated = urls.iter().all(|url| is_loopback(url));
    Identity {
        domain: context.domain().to_owned(),
        session_id: context.session_id,
        git_commit: build::GIT_COMMIT.to_owned(),
        version: build::VERSION.to_owned(),
        config_hash: settings.config_hash.clone(),
        venue: if is_simulated { "sim" } else { "kraken" }.to_owned(),
        quote_asset: settings.decide.quote_asset.clone(),
        ai_dec: i64::from(areas.ai_gate.ai_dec),
        execution_enable: settings.decide.execution_enable,
        engine_mode: match &settings.engine {
            Some(_) => settings.decide.engine_gates.as_str().to_owned(),
            None => "off".to_owned(),
        },
        alert_sound: areas.alerts.alert_sound_enabled,
        daily_loss_limit_quote: areas.capital.daily_loss_limit_quote,
        daily_loss_limit_bps: areas.capital.daily_loss_limit_bps.into(),
        cooldown_s: i64::try_from(areas.risk.risk_cooldown_seconds).unwrap_or(i64::MAX),
        drift_degrade_x10000: i64::try_from(areas.reconcile.reconcile_drift_degrade_score_x10000)
            .unwrap_or(i64::MAX),
    }
}

/// Raises an alert for as long as the panel shows old rows: of its own figures nobody would see it.
pub(crate) fn watch_rows(context: &Context, panel: &Panel) -> JoinHandle<()> {
    let (alerts, end, mut stale) = (context.alerts.clone(), context.end.clone(), panel.stale());
    tokio::spawn(async move {
        let reason = ReasonCode::DataStale;
        while let Some(Ok(())) = end.run_until_cancelled(stale.changed()).await {
            if *stale.borrow_and_update() {
                let summary =
                    "the panel's rows are old: the decision cluster does not answer in time";
                alerts.begins_unless_told(alerts.occurrence(reason, summary), STALE);
            } else {
                alerts.ends(reason, "", STALE);
            }
        }
    })
}
