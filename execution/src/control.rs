//! Requests of the operator: polled every second, applied once, answered in their row.
//!
//! Purpose: carry `mode` into the running process, and what the tool did into its trail; everything else the desk
//! itself answers. Inputs: rows of `control_requests`. Outputs: changes of the mode, answers, events. Invariants: a request is
//! answered before it is applied a second time; what this version does not contain is answered as refused.

use std::time::Duration;

use penstock_store::StoreError;
use penstock_store_decision::control::{self, ControlRequest};
use penstock_telemetry::marker;
use penstock_trading::mode::{CauseCode, ModeEvent};
use serde_json::Value;

use crate::audit::{operator_command, tool_note};
use crate::context::Context;

/// The kinds that are answered here; the desk answers the others, and probes that are no note.
const KINDS: [&str; 2] = ["mode", NOTE_KIND];
/// The kind of a note of the tool: nothing is asked for, something is told.
const NOTE_KIND: &str = "probe";
/// Poll of the requests.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Answers until the session ends.
pub async fn run_control(context: Context) {
    loop {
        // The end first: nothing is taken up by a stopping process.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        if let Err(error) = round(&context).await {
            tracing::debug!("control requests not read, trying again: {error}");
        }
    }
}

async fn round(context: &Context) -> Result<(), StoreError> {
    for request in control::pending(&context.pool, &KINDS).await? {
        let Some(result) = apply(context, &request) else { continue };
        if control::answer(&context.pool, request.id, &result).await? {
            // What the tool did by itself is no command to this process.
            let note = tool_note(&request.args).filter(|_| request.kind == NOTE_KIND);
            let command = || operator_command(&request, &result);
            context.audit.post(note.unwrap_or_else(command));
            marker!(
                CONTROL_REQUEST_APPLIED,
                id = request.id,
                kind = request.kind,
                args = request.args,
                result = result
            );
        }
    }
    Ok(())
}

/// None for a request that is the desk's.
fn apply(context: &Context, request: &ControlRequest) -> Option<String> {
    match request.kind.as_str() {
        "mode" => Some(mode(context, &request.args)),
        _ if tool_note(&request.args).is_some() => Some("noted".to_owned()),
        _ => None,
    }
}

/// EXIT is a clean stop.
fn mode(context: &Context, args: &Value) -> String {
    let event = match args.get("mode").and_then(Value::as_str) {
        Some("NORMAL") => ModeEvent::OperatorNormal,
        Some("DEGRADE") => ModeEvent::OperatorDegrade,
        Some("PAUSE") => ModeEvent::OperatorPause,
        Some("EXIT") => {
            context.stop.cancel();
            return "stopping".to_owned();
        }
        _ => return "refused: mode is one of NORMAL, DEGRADE, PAUSE, EXIT".to_owned(),
    };
    if let Some(named) = args.get("ack").and_then(Value::as_str) {
        let known = CauseCode::parse(named).is_ok_and(|code| context.mode.acknowledge(code));
        if !known {
            return format!("refused: {named} is no active cause that an acknowledgement ends");
        }
    }
    context.mode.request(event);
    format!("mode {}", context.mode.current())
}
