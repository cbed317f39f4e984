//! What a start was: its class, its row, and what the mode does meanwhile.

use std::time::Duration;

use penstock_trading::mode::{CauseCode, ModeEvent};
use penstock_trading::recover::ResumeClass;
use penstock_types::vocab::SysMode;

use super::place::{Session, until};
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::EntryOutcome;
use crate::mode::{RecoveryReport, Told};

impl World {
    /// A session that is reconciled and perhaps no more.
    async fn restarted(&mut self) -> Session {
        let (token, session_id) = self.open_session().await;
        self.place(token, session_id).reconciled().await
    }

    async fn with_position(&mut self) -> Session {
        let session = self.session().await;
        assert!(matches!(self.enter(&session, true).await, EntryOutcome::Sent { .. }));
        self.until_word("plan", PLAN, "armed").await;
        self.until_word("entry", ENTRY, "filled").await;
        session
    }

    fn stop_at_the_venue(&self) -> String {
        let found = |e: &penstock_sim::exchange::Exchange| {
            e.account().open_orders().next().map(|order| order.txid.clone())
        };
        self.venue.venue.with(|e, _| found(e)).expect("a stop rests")
    }
}

/// Longest wait for a judgement: each costs a whole pass, six points of a counter that regains half a point a second.
const JUDGED_LIMIT: Duration = Duration::from_secs(180);

/// Waits for the next judged recovery.
async fn judged(session: &mut Session) -> RecoveryReport {
    let wait = async {
        loop {
            if let Some(Told::Recovery(report)) = session.changes.recv().await {
                return report;
            }
        }
    };
    tokio::time::timeout(JUDGED_LIMIT, wait).await.expect("a recovery is judged")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn classes() {
    // Nothing open: clean.
    let mut world = World::new().await;
    let mut session = world.restarted().await;
    let report = judged(&mut session).await;
    assert_eq!((report.class, report.at_start), (ResumeClass::Clean, true));
    session.kill().await;

    // A covered position: managed on, and the mode reaches NORMAL by itself. A venue of its own: the counters of one
    // account do not take many starts in a minute.
    let mut world = World::new().await;
    let first = world.with_position().await;
    first.kill().await;
    let mut session = world.restarted().await;
    let report = judged(&mut session).await;
    assert_eq!(report.class, ResumeClass::ResumeManageOnly);
    assert_eq!((report.positions_found, report.facts.positions), (1, 1));
    let mode = session.mode.clone();
    until("NORMAL", || {
        mode.judge();
        mode.current() == SysMode::Normal
    })
    .await;
    session.kill().await;

    // Its stop is gone and none can be placed: to be closed, and no NORMAL before that is settled.
    let mut world = World::new().await;
    let first = world.with_position().await;
    first.kill().await;
    world.cancel_by_hand(&world.stop_at_the_venue());
    world.fault(
        r#"{"kind":"error","method":"add_order","text":"EOrder:Invalid price","count":500}"#,
    );
    let mut session = world.restarted().await;
    let report = judged(&mut session).await;
    assert_eq!(report.class, ResumeClass::CloseSafely, "{report:?}");
    session.mode.judge();
    assert_ne!(session.mode.current(), SysMode::Normal);
    session.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_order_on_what_we_hold_waits_for_a_person_and_the_word_looks_again() {
    let mut world = World::new().await;
    let first = world.with_position().await;
    first.kill().await;
    let txid = world.place_order(world.bid());
    // when a start finds it, a person is needed
    let mut session = world.restarted().await;
    let report = judged(&mut session).await;
    assert_eq!(report.class, ResumeClass::PauseNeedsManual);
    assert_eq!(report.facts.foreign_on_held, 1);
    assert_eq!(session.mode.current(), SysMode::Pause);
    assert!(session.mode.is_active(CauseCode::PauseNeedsManual));
    // when the person only says so, it is found again
    session.mode.request(ModeEvent::OperatorNormal);
    let again = judged(&mut session).await;
    assert_eq!((again.class, again.at_start), (ResumeClass::PauseNeedsManual, false));
    // when it is gone, the word leads on
    world.cancel_by_hand(&txid);
    session.mode.request(ModeEvent::OperatorNormal);
    let after = judged(&mut session).await;
    assert_eq!(after.class, ResumeClass::ResumeManageOnly, "{after:?}");
    let mode = session.mode.clone();
    until("NORMAL", || {
        mode.judge();
        mode.current() == SysMode::Normal
    })
    .await;
    world.until_word("position", POSITION, "open").await;
    session.kill().await;
}
