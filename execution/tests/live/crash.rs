//! Every crash point of an order's life: the binary dies there by kill -9, the same binary takes over, and
//! each row ends where its history says, the venue's ledger and ours being one.
//!
//! All points run side by side, each on a database, a venue and a published market of its own, with the
//! shortest grace that the configuration admits. The first life has the failpoint, the second none.

use std::os::unix::process::ExitStatusExt;

use penstock_execution::desk::failpoints::{
    AFTER_ACK_BEFORE_FILL, AFTER_AUTHORISE_BEFORE_SEND, AFTER_CANCEL_BEFORE_CLOSE,
    AFTER_CLOSE_BEFORE_SEND, AFTER_COMMIT_BEFORE_SEND, AFTER_FILL_BEFORE_AUTHORISE,
    AFTER_FILL_BEFORE_LEDGER, AFTER_RAISE_BEFORE_AMEND, AFTER_SEND_BEFORE_B,
    AFTER_TRIGGER_BEFORE_CANCEL, ALL, BEFORE_COMMIT_A,
};

use super::process::Execution;
use super::world::World;

/// What leads a life to its point once its entry may go out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// The entry alone.
    Entry,
    /// The entry, while the stream keeps what becomes of it to itself.
    EntryUnseen,
    /// A protected position, and a rise.
    Rise,
    /// A protected position, and the operator's wish to close it.
    Flatten,
}

/// What the second life makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// Nothing ever existed.
    Nothing,
    /// The entry is proven absent.
    Absent,
    /// The position stands under its stop, until the operator closes it.
    Protected,
    /// The close that the first life decided is carried out.
    Closed,
}

/// One point: how it is reached, the rows that the kill leaves (any of these), their end.
struct Case {
    point: &'static str,
    way: Way,
    left: &'static [&'static str],
    end: End,
    ends: &'static str,
}

/// Rows but those that were never sent and were not needed.
const ROWS: &str = "select string_agg(role || ' ' || state, ', ' order by role, state)
    from execution_orders where state not in ('created', 'error')";
const LIVE: &str = "select count(*)::text from execution_orders where not terminal";
const POSITION: &str = "select status from positions";
const LOCKED: &str = "select count(*)::text from capital_reservations where released_at is null";

const FILLED: &str = "entry filled, exit filled, protection canceled";

static CASES: [Case; 11] = [
    Case { point: BEFORE_COMMIT_A, way: Way::Entry, left: &[""], end: End::Nothing, ends: "" },
    Case {
        point: AFTER_COMMIT_BEFORE_SEND,
        way: Way::Entry,
        left: &["entry pending_submit"],
        end: End::Absent,
        ends: "entry lost_or_rejected",
    },
    Case {
        point: AFTER_SEND_BEFORE_B,
        way: Way::EntryUnseen,
        left: &["entry pending_submit"],
        end: End::Protected,
        ends: FILLED,
    },
    Case {
        point: AFTER_ACK_BEFORE_FILL,
        way: Way::EntryUnseen,
        left: &["entry acked_open"],
        end: End::Protected,
        ends: FILLED,
    },
    Case {
        point: AFTER_FILL_BEFORE_LEDGER,
        way: Way::Entry,
        // The report of the fill may overtake the answer to the request.
        left: &["entry pending_submit", "entry acked_open"],
        end: End::Protected,
        ends: FILLED,
    },
    Case {
        point: AFTER_FILL_BEFORE_AUTHORISE,
        way: Way::Entry,
        left: &["entry filled"],
        end: End::Protected,
        ends: FILLED,
    },
    Case {
        point: AFTER_AUTHORISE_BEFORE_SEND,
        way: Way::Entry,
        left: &["entry filled, protection pending_submit"],
        end: End::Protected,
        ends: "entry filled, exit filled, protection canceled, protection lost_or_rejected",
    },
    Case {
        point: AFTER_RAISE_BEFORE_AMEND,
        way: Way::Rise,
        left: &["entry filled, protection acked_open"],
        end: End::Protected,
        ends: FILLED,
    },
    Case {
        point: AFTER_TRIGGER_BEFORE_CANCEL,
        way: Way::Flatten,
        left: &["entry filled, protection acked_open"],
        end: End::Closed,
        ends: FILLED,
    },
    Case {
        point: AFTER_CANCEL_BEFORE_CLOSE,
        way: Way::Flatten,
        left: &["entry filled, protection canceled"],
        end: End::Closed,
        ends: FILLED,
    },
    Case {
        point: AFTER_CLOSE_BEFORE_SEND,
        way: Way::Flatten,
        left: &["entry filled, exit pending_submit, protection canceled"],
        end: End::Closed,
        ends: "entry filled, exit filled, exit lost_or_rejected, protection canceled",
    },
];

#[test]
fn every_crash_point_has_a_case() {
    assert_eq!(CASES.each_ref().map(|case| case.point), ALL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_crash_point_the_next_life_leaves_one_truth() {
    let started = std::time::Instant::now();
    let lives: Vec<_> = CASES.iter().map(|case| tokio::spawn(case.run())).collect();
    let mut failed = Vec::new();
    for (case, life) in CASES.iter().zip(lives) {
        // What failed has said so above.
        match life.await {
            Ok(took) => println!("{}: held, {:.1} s", case.point, took.as_secs_f64()),
            Err(_) => failed.push(case.point),
        }
    }
    println!("{} crash points in {:.1} s", CASES.len(), started.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "crash points that did not hold: {failed:?}");
}

impl Case {
    async fn run(&self) -> std::time::Duration {
        let started = std::time::Instant::now();
        let world = World::new().await;
        self.first_life(&world).await;
        // Whatever the market does next, it is not worth a second entry.
        world.heat(false);
        world.fault(r#"{"kind":"clear"}"#);
        let mut life = world.execution("second", None);
        life.until_marker("RECONCILE_COMPLETE").await;
        self.second_life(&world, &life).await;
        world.until_word(&life, LIVE, &["0"]).await;
        assert_eq!(world.word(ROWS).await, self.ends, "{}: rows at the end", self.point);
        assert_eq!(world.word(LOCKED).await, "0", "{}: reservations", self.point);
        world.agrees(self.point).await;
        assert_eq!(life.stop().await, Some(0), "{}: {}", self.point, life.last_words());
        self.judge_requests(&world);
        started.elapsed()
    }

    /// Leads the binary to its point and looks at what the kill leaves.
    async fn first_life(&self, world: &World) {
        let mut life = world.execution("first", Some(&format!("{}=return", self.point)));
        life.until_marker("EXECUTION_ATTACHED").await;
        if self.way == Way::EntryUnseen {
            world.fault(
                r#"{"kind":"silence","channel":"executions","symbol":null,"for_ms":600000}"#,
            );
        }
        world.heat(true);
        if matches!(self.way, Way::Rise | Way::Flatten) {
            world.until_protected(&life).await;
        }
        match self.way {
            Way::Entry | Way::EntryUnseen => {}
            Way::Rise => world.rise(400),
            Way::Flatten => world.ask("flatten").await,
        }
        let status = life.ended().await;
        assert_eq!(status.signal(), Some(9), "{}: {status}\n{}", self.point, life.last_words());
        let left = world.word(ROWS).await;
        assert!(self.left.contains(&left.as_str()), "{}: the kill left {left:?}", self.point);
    }

    async fn second_life(&self, world: &World, life: &Execution) {
        match self.end {
            End::Nothing => {}
            End::Absent => world.until_word(life, ROWS, &[self.ends]).await,
            End::Protected => {
                world.until_protected(life).await;
                world.agrees(self.point).await;
                world.ask("flatten").await;
                world.until_word(life, POSITION, &["closed"]).await;
            }
            End::Closed => world.until_word(life, POSITION, &["closed"]).await,
        }
    }

    /// What the venue was asked: one entry or none, one stop more than were never sent.
    fn judge_requests(&self, world: &World) {
        let (requests, _) = world.venue.venue.requests.all();
        let added = requests.iter().filter(|r| r.method == "add_order");
        let sent = match self.end {
            End::Nothing | End::Absent => 0,
            End::Protected | End::Closed => 3,
        };
        assert_eq!(added.count(), sent, "{}: orders that the venue was asked for", self.point);
    }
}
