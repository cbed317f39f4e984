//! `why` on a real cycle: for a symbol that was never traded, each gate is closed, named with its numbers and
//! its time, named again after a restart, and opened again.
//!
//! The cluster, the session, the cycle and what it writes are the product's; only what ingest would publish is
//! made up, and the account behind the submit.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod cases;
mod desk;
mod engine;
#[path = "../../../shared/engine/tests/common/mod.rs"]
mod made;
#[path = "../../../execution/tests/rig/mod.rs"]
mod rig;

use penstock_ops::why::{Answer, Standing, ask};
use penstock_store::ClusterRole;
use penstock_store::testing::TestPair;
use penstock_types::Symbol;

/// What has to be said of a closed gate.
struct Want {
    gate: &'static str,
    reason: &'static str,
    /// Value and limit; a value that depends on the run is compared by the case.
    value: Option<&'static str>,
    limit: Option<&'static str>,
    unit: &'static str,
    /// Part of the next step.
    next: &'static str,
}

impl Want {
    /// Everything but the time.
    fn compare(&self, answer: &Answer) {
        let text = answer.text();
        assert_eq!(answer.standing, Standing::Closed, "{text}");
        assert_eq!(answer.gate.as_deref(), Some(self.gate), "{text}");
        assert_eq!(answer.reason.as_deref(), Some(self.reason), "{text}");
        assert_eq!(answer.unit.as_deref(), Some(self.unit), "{text}");
        let shown = |number: Option<penstock_types::Decimal>| number.map(|n| n.to_string());
        if self.value.is_some() {
            assert_eq!(shown(answer.value).as_deref(), self.value, "{text}");
        }
        if self.limit.is_some() {
            assert_eq!(shown(answer.limit).as_deref(), self.limit, "{text}");
        }
        assert!(answer.value.is_some() && answer.limit.is_some(), "{text}");
        assert!(answer.closed.iter().any(|gate| gate == self.gate), "{text}");
        assert!(answer.next.contains(self.next), "{text}");
        assert!(text.contains(self.gate) && text.contains("Since "), "{text}");
        println!("{text}");
    }
}

#[tokio::test]
async fn a_symbol_that_nobody_knows_is_called_unknown() {
    let pair = TestPair::new().await.unwrap();
    let pool = pair.pool(ClusterRole::Decision, "observer_ro").await.unwrap();
    let answer = ask(&pool, "test", &Symbol::new("NOBODY/USD").unwrap()).await.unwrap();
    assert_eq!(answer.standing, Standing::Unknown);
    assert!(answer.text().starts_with("NOBODY/USD is unknown"), "{}", answer.text());
    assert!(answer.next.contains("instruments"), "{}", answer.next);
}

#[test]
fn without_a_cluster_both_commands_say_so_and_name_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let nowhere =
        format!("postgres://observer_ro@localhost/penstock?host={}", home.path().display());
    for arguments in [["why", "BTC/USD"], ["explain", "17"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_penstock"))
            .args(arguments)
            .current_dir(home.path())
            .env("PENSTOCK_DATA", home.path())
            .env("DECISION_DATABASE_URL", &nowhere)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}: {said}");
        assert!(
            said.contains("the decision cluster does not answer; next: `penstock up`"),
            "{said}"
        );
    }
}
