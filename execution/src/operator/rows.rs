//! The operator's requests as rows.
//!
//! Input: `control_requests` of the kinds that the desk carries out. Output: their answers. A read or a write that
//! fails leaves the request where it is, for the next look.

use penstock_store_decision::control::{self, ControlRequest};
use penstock_types::Symbol;
use serde_json::Value;

use crate::audit::{operator_command, tool_note};
use crate::desk::{Desk, DeskError};

/// The kinds that the desk answers; the mode has its own reader.
const KINDS: [&str; 4] = ["flatten", "safety", "reconcile", "probe"];
/// Distance of reads.
const CONTROL_MS: i64 = 1_000;

impl Desk {
    /// Reads and carries out what was asked for.
    pub(crate) async fn control(&mut self) -> Result<(), DeskError> {
        self.flatten_by_file().await;
        self.cancel_wished_entries().await?;
        let mono = self.mono_ms();
        if mono < self.reconcile.next_control_mono_ms || !self.reconcile.complete {
            return Ok(());
        }
        self.reconcile.next_control_mono_ms = mono + CONTROL_MS;
        let checked = self.store.check().await;
        if self.written(checked)?.is_none() {
            return Ok(());
        }
        let asked = control::pending(self.store.pool(), &KINDS);
        let asked = self.store.aside("read the operator's requests", asked).await;
        let Some(asked) = self.written(asked)? else { return Ok(()) };
        let requests = match asked {
            Ok(requests) => requests,
            Err(error) => {
                tracing::warn!("requests of the operator: {error}");
                return Ok(());
            }
        };
        for request in requests {
            // What the tool did by itself is told to the trail by another reader.
            if tool_note(&request.args).is_some() {
                continue;
            }
            if let Some(result) = self.asked(&request).await? {
                self.tell(&request, &result).await?;
            }
        }
        Ok(())
    }

    /// The answer to a request; none while it is under way.
    async fn asked(&mut self, request: &ControlRequest) -> Result<Option<String>, DeskError> {
        match request.kind.as_str() {
            "flatten" => self.asked_to_flatten(&request.args).await,
            "safety" => self.asked_for_safety(&request.args).await.map(Some),
            "reconcile" => Ok(self.asked_to_reconcile(request)),
            "probe" => Ok(Some(self.probe_answer())),
            other => Ok(Some(format!("refused: {other} is no request of run-execution-live"))),
        }
    }

    async fn asked_to_flatten(&mut self, args: &Value) -> Result<Option<String>, DeskError> {
        let symbol = args.get("symbol").and_then(Value::as_str).map(Symbol::new).transpose();
        let symbol = match symbol {
            Ok(symbol) => symbol,
            Err(error) => return Ok(Some(format!("refused: {error}"))),
        };
        if !self.is_permitted() {
            let why =
                "refused: EXECUTION_ENABLE=false, nothing is sent; next: set it and start again";
            return Ok(Some(why.to_owned()));
        }
        Ok(self.flatten_now(symbol.as_ref()).await?.answer())
    }

    /// Answers a request, and tells the trail once.
    pub(super) async fn tell(
        &mut self,
        request: &ControlRequest,
        result: &str,
    ) -> Result<(), DeskError> {
        let told = control::answer(self.store.pool(), request.id, result);
        let told = self.store.aside("answer the operator", told).await;
        let Some(told) = self.written(told)? else { return Ok(()) };
        match told {
            // Only now: without its answer it is asked, and would be told, again.
            Ok(true) => self.tracker.said.post(|_| operator_command(request, result)),
            Ok(false) => {}
            Err(error) => tracing::warn!("answer to the operator: {error}"),
        }
        Ok(())
    }
}
