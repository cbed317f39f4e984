//! Requests of the operator: polled every second, applied once, answered in their row.
//!
//! Purpose: carry `mode`, `flatten` and `safety` into the running process. Inputs: rows of
//! `control_requests`. Outputs: changes of the mode, commands to the desk, answers. Invariants: a request is
//! answered before it is applied a second time; what this version does not contain is answered as refused.

use std::time::Duration;

use penstock_store::StoreError;
use penstock_store_decision::control::{self, ControlRequest, EXECUTION_KINDS};
use penstock_telemetry::marker;
use penstock_trading::mode::ModeEvent;
use penstock_types::Symbol;
use serde_json::Value;

use crate::context::Context;
use crate::desk::DeskHandle;

/// Poll of the requests.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Answers until the session ends.
pub async fn run_control(context: Context, desk: DeskHandle) {
    loop {
        // The end first: nothing is taken up by a stopping process.
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        if let Err(error) = round(&context, &desk).await {
            tracing::debug!("control requests not read, trying again: {error}");
        }
    }
}

async fn round(context: &Context, desk: &DeskHandle) -> Result<(), StoreError> {
    for request in control::pending(&context.pool, &EXECUTION_KINDS).await? {
        let result = apply(context, desk, &request).await;
        if control::answer(&context.pool, request.id, &result).await? {
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

async fn apply(context: &Context, desk: &DeskHandle, request: &ControlRequest) -> String {
    match request.kind.as_str() {
        "mode" => mode(context, &request.args),
        "flatten" => match symbol(&request.args) {
            Ok(symbol) => format!("closing {} positions", desk.flatten(symbol).await),
            Err(refused) => refused,
        },
        other => format!("refused: {other} is not in version 0.1 of run-execution-live"),
    }
}

fn symbol(args: &Value) -> Result<Option<Symbol>, String> {
    match args.get("symbol") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            Symbol::new(text).map(Some).map_err(|e| format!("refused: {e}"))
        }
        Some(_) => Err("refused: symbol is no text".to_owned()),
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
    context.mode.request(event);
    format!("mode {}", context.mode.current())
}

#[cfg(test)]
mod tests {
    use super::symbol;
    use serde_json::json;

    #[test]
    fn a_symbol_is_a_text_or_absent() {
        assert_eq!(symbol(&json!({})), Ok(None));
        assert!(symbol(&json!({"symbol": "BTC/USD"})).is_ok_and(|s| s.is_some()));
        assert!(symbol(&json!({"symbol": 3})).is_err());
        assert!(symbol(&json!({"symbol": "a b"})).is_err());
    }
}
