//! A reconcile that changes nothing, and one that is asked for.
//!
//! Input: requests. Output: a FULL look whose differences are told and not carried out; without `dry_run` the next
//! FULL pass is due at once. Invariants: a dry run pays from the steady share of the counters, one at a time; what it
//! saw goes into its answer and nowhere else.

use std::time::Duration;

use penstock_store_decision::control::ControlRequest;
use penstock_venues::kraken::rates::RestUse;
use serde_json::{Value, json};

use crate::desk::{Desk, DeskError};
use crate::reconcile::{LookKind, LookResult};

/// Differences that an answer names; beyond it only how many there are.
const NAMED_MAX: usize = 50;
/// A look that does not come back is given up after this.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(30);

/// The request whose look is under way.
#[derive(Debug, Default)]
pub(crate) struct DryRuns {
    open: Option<(ControlRequest, i64)>,
}

impl Desk {
    /// None: the look is under way, and its end answers.
    pub(super) fn asked_to_reconcile(&mut self, request: &ControlRequest) -> Option<String> {
        let dry = request.args.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
        if !dry {
            self.reconcile.full_due = true;
            return Some("a FULL pass is due; next: select * from reconcile_runs".to_owned());
        }
        let mono = self.mono_ms();
        if let Some((_, since)) = &self.dry_runs.open {
            let wait_ms = i64::try_from(LOOK_WAIT_MAX.as_millis()).unwrap_or(i64::MAX);
            if mono - since < wait_ms {
                return None;
            }
        }
        self.dry_runs.open = Some((request.clone(), mono));
        self.start_look(LookKind::DryRun, RestUse::Steady);
        None
    }

    /// The look of a dry run came back.
    pub(crate) async fn on_dry_run(&mut self, result: LookResult) -> Result<(), DeskError> {
        let Some((request, _)) = self.dry_runs.open.take() else { return Ok(()) };
        let answer = if result.whole {
            let differences = self.differences_of(&result);
            let named: Vec<&Value> = differences.iter().take(NAMED_MAX).collect();
            json!({
                "dry_run": true,
                "orders_at_venue": result.orders.len(),
                "balances_at_venue": result.balances.len(),
                "differences": differences.len(),
                "named": named,
            })
            .to_string()
        } else {
            "failed: the venue did not answer, or its counters have no room; next: again later"
                .to_owned()
        };
        self.tell(&request, &answer).await
    }
}
