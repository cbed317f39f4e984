//! Every crash point of an order's life: a process of its own dies there, a successor takes over, and the
//! venue's ledger and ours are one.
//!
//! The child is this test binary again, told by its environment what to do; it dies by its failpoint as
//! by a kill. Each point has a database and a venue of its own and is a test of its own, so all run side
//! by side.

use std::process::Stdio;
use std::time::Duration;

use penstock_types::{EvaluationId, FencingToken, SessionId, Uuid};
use tokio::process::Command;

use super::super::failpoints::{self, ALL};
use super::place::{Place, plan, put_quote};
use super::{ENTRY, PLAN, POSITION, World};
use crate::account::{Account, EntryRequest};
use crate::quotes::QuoteBoard;

/// Environment of the child: what a desk must know, as JSON.
const CHILD: &str = "PENSTOCK_TEST_CRASH_CHILD";
/// Longest life of a child.
const CHILD_LIMIT: Duration = Duration::from_secs(90);

macro_rules! crash_points {
    ($($test:ident $point:ident $end:ident;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                die_and_take_over(failpoints::$point, End::$end).await;
            }
        )+

        #[test]
        fn every_crash_point_is_visited() {
            assert_eq!([$(failpoints::$point),+], ALL);
        }
    };
}

/// What the successor must reach.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Nothing exists anywhere.
    Nothing,
    /// The row is proven absent, the venue never saw it.
    Absent,
    /// The position stands under its stop.
    Armed,
    /// The position is closed.
    Closed,
}

crash_points! {
    killed_before_commit_a BEFORE_COMMIT_A Nothing;
    killed_after_commit_before_send AFTER_COMMIT_BEFORE_SEND Absent;
    killed_after_send_before_b AFTER_SEND_BEFORE_B Armed;
    killed_after_ack_before_fill AFTER_ACK_BEFORE_FILL Armed;
    killed_after_fill_before_ledger AFTER_FILL_BEFORE_LEDGER Armed;
    killed_after_fill_before_authorise AFTER_FILL_BEFORE_AUTHORISE Armed;
    killed_after_authorise_before_send AFTER_AUTHORISE_BEFORE_SEND Armed;
    killed_after_raise_before_amend AFTER_RAISE_BEFORE_AMEND Armed;
    killed_after_trigger_before_cancel AFTER_TRIGGER_BEFORE_CANCEL Closed;
    killed_after_cancel_before_close AFTER_CANCEL_BEFORE_CLOSE Closed;
    killed_after_close_before_send AFTER_CLOSE_BEFORE_SEND Closed;
}

async fn die_and_take_over(point: &'static str, end: End) {
    // given a process that dies at the point
    let mut world = World::new().await;
    let (token, session_id) = world.open_session().await;
    let place = serde_json::json!({
        "url": world.url(), "rest": world.venue.addresses.rest,
        "ws": world.venue.addresses.ws_private, "key": world.venue.addresses.api_key,
        "secret": world.venue.addresses.api_secret, "token": token.0,
        "session": session_id.0, "evaluation": world.evaluation.0, "mid": world.mid_ticks,
        "raise": point == failpoints::AFTER_RAISE_BEFORE_AMEND,
    });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "desk::tests::crash::child_lives_until_its_failpoint", "--nocapture"])
        .env(CHILD, place.to_string())
        .env("FAILPOINTS", format!("{point}=return"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ended = tokio::time::timeout(CHILD_LIMIT, child.wait_with_output()).await;
    let status = ended.expect("the child reaches its failpoint").unwrap().status;
    assert!(!status.success(), "{point}: the child must die, not end: {status}");
    // when a successor takes over, in the market that the child had seen
    if point == failpoints::AFTER_RAISE_BEFORE_AMEND {
        world.rise(4_000);
    }
    let next = world.session().await;
    // then the row is where its outcome says, and nothing was done twice
    let orders = "select count(*)::text from execution_orders";
    match end {
        End::Nothing => world.until_word("orders", orders, "0").await,
        End::Absent => world.until_word("entry", ENTRY, "lost_or_rejected").await,
        End::Armed => {
            world.until_word("entry", ENTRY, "filled").await;
            world.until_armed().await;
        }
        End::Closed => world.until_word("position", POSITION, "closed").await,
    }
    let entries = world.venue.venue.with(|e, _| {
        let bids = e.account().orders().filter(|o| o.side == super::SimSide::Buy);
        bids.count()
    });
    let sent = usize::from(matches!(end, End::Armed | End::Closed));
    assert_eq!(entries, sent, "{point}: entries at the venue");
    if end == End::Armed {
        assert_eq!(next.desk.flatten(None).await, 1);
        world.until_word("position", POSITION, "closed").await;
    }
    world.agrees().await;
    let live = "select count(*)::text from execution_orders where not terminal";
    world.until_word("live rows", live, "0").await;
    next.kill().await;
}

/// The child's life; without its environment there is nothing to live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_lives_until_its_failpoint() {
    let Ok(text) = std::env::var(CHILD) else {
        assert!(std::env::var("FAILPOINTS").is_err(), "failpoints without a life to end");
        return;
    };
    let _scenario = fail::FailScenario::setup();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let word = |key: &str| told[key].as_str().unwrap().to_owned();
    let number = |key: &str| told[key].as_i64().unwrap();
    let mid = number("mid");
    let quotes = QuoteBoard::new();
    put_quote(&quotes, mid, 1);
    let place = Place {
        pool: super::pool(&word("url")).await,
        rest: word("rest"),
        ws_private: word("ws"),
        key: word("key"),
        secret: word("secret"),
        quotes: quotes.clone(),
        token: FencingToken(number("token")),
        session_id: SessionId(Uuid::parse_str(&word("session")).unwrap()),
        evaluation: EvaluationId(number("evaluation")),
        mid_ticks: mid,
    };
    let session = place.desk().await;
    let request = EntryRequest {
        evaluation_id: place.evaluation,
        evaluation_index: 1,
        plan: plan(&session, place.mid_ticks, true),
    };
    session.desk.submit_entry(request).await;
    super::until_word_of(&place.pool, "plan", PLAN, "armed").await;
    if told["raise"] == true {
        put_quote(&quotes, mid + 4_000, 1);
        super::until_word_of(&place.pool, "plan", PLAN, "trailing").await;
    }
    session.desk.flatten(None).await;
    super::until_word_of(&place.pool, "position", POSITION, "closed").await;
}
