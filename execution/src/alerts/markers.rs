//! Markers that are alerts: changes of the mode, and every critical marker by its reason.
//!
//! Input: a marker with its fields as JSON, on the thread that emits it. Output: an occurrence. Invariants: it waits for
//! nothing; of the fields only the symbol, ids, whole numbers and words of closed vocabularies are taken over, so that
//! no text of a venue or a database becomes part of a message.

use std::sync::{Mutex, PoisonError};

use penstock_alerts::reasons::reason_of;
use penstock_alerts::{AlertSource, Alerts, Metrics};
use penstock_telemetry::{Marker, MarkerWatch, TooMany, watch_markers};
use penstock_types::vocab::{ReasonCode, Severity, SysMode};
use serde_json::{Map, Value};

/// Condition of an alert whose mode stands.
const MODE: &str = "mode";
/// What the exposure marker says when orders may not be sent.
const NOT_ENABLED: &str = "EXECUTION_ENABLE=false";

/// Listens for as long as the watch is kept.
///
/// # Errors
/// [`TooMany`].
pub(super) fn watch(alerts: &Alerts) -> Result<MarkerWatch, TooMany> {
    let alerts = alerts.clone();
    let stands = Mutex::new(None);
    watch_markers(
        |marker, _| is_wanted(marker),
        move |marker, _, fields| {
            let read = fields.strip_prefix(',').unwrap_or(fields);
            let fields: Map<String, Value> =
                serde_json::from_str(&format!("{{{read}}}")).unwrap_or_default();
            if marker == Marker::SYS_MODE_ENTER {
                // Only plain values are behind it: a holder that panicked has left them whole.
                let mut stands = stands.lock().unwrap_or_else(PoisonError::into_inner);
                changed(&alerts, &fields, &mut stands);
            } else if let Some(reason) = reason_of(AlertSource::Execution, marker) {
                critical(&alerts, marker, reason, &fields);
            }
        },
    )
}

fn is_wanted(marker: Marker) -> bool {
    marker == Marker::SYS_MODE_ENTER || reason_of(AlertSource::Execution, marker).is_some()
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn critical(alerts: &Alerts, marker: Marker, reason: ReasonCode, fields: &Map<String, Value>) {
    if marker == Marker::EXPOSURE_DETECTED && text(fields, "reason") != NOT_ENABLED {
        return;
    }
    let mut metrics = Metrics::default();
    let mut said = String::new();
    for (name, value) in fields {
        let is_id = name.ends_with("_id") || name == "tick";
        match value {
            Value::Number(number) if number.is_i64() => {
                metrics = metrics.with(name, number.as_i64().unwrap_or_default());
                said.push_str(&format!(" {name} {number}"));
            }
            Value::String(id) if is_id => metrics = metrics.with(name, id.as_str()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
    }
    let summary = format!("{}{said}", marker.as_str());
    let occurrence = alerts.occurrence(reason, &summary).of_symbol(text(fields, "symbol"));
    alerts.raise(occurrence.with_metrics(metrics));
}

/// The alert of a change: its highest cause is its own reason, the entry of the mode follows, then every other cause.
fn changed(alerts: &Alerts, fields: &Map<String, Value>, stands: &mut Option<ReasonCode>) {
    let (Ok(mode), Ok(from)) =
        (SysMode::parse(text(fields, "mode")), SysMode::parse(text(fields, "mode_from")))
    else {
        // A session begins in its first mode: nothing has changed.
        return;
    };
    let (entered, least) = match mode {
        SysMode::Normal => (ReasonCode::EnterNormal, Severity::Info),
        SysMode::Degrade => (ReasonCode::EnterDegrade, Severity::Warn),
        SysMode::Pause => (ReasonCode::EnterPause, Severity::Crit),
        SysMode::Exit => (ReasonCode::EnterExit, Severity::Crit),
    };
    let listed = fields.get("reasons").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let causes: Vec<ReasonCode> =
        listed.iter().filter_map(|c| ReasonCode::parse(c.as_str()?).ok()).collect();
    let primary = causes.first().copied().unwrap_or(entered);
    let mut metrics = Metrics::default();
    let values = fields.get("trigger_values").and_then(Value::as_object);
    for (name, value) in values.into_iter().flatten() {
        if let Some(value) = value.as_str() {
            metrics = metrics.with(&name.to_ascii_lowercase(), value);
        }
    }
    if let Some(before) = stands.take() {
        alerts.ends(before, "", MODE);
    }
    let occurrence = alerts
        .occurrence(primary, &format!("mode {from} to {mode}"))
        .with_reasons(std::iter::once(entered).chain(causes))
        .with_metrics(metrics)
        .at_least(least);
    if mode == SysMode::Normal {
        alerts.raise(occurrence);
    } else {
        alerts.begins(occurrence, MODE);
        *stands = Some(primary);
    }
}
