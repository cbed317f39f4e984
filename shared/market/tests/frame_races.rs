//! The races of delivered frames on the product's own queue: all interleavings of processes that seal,
//! send, are cut off, killed and taken over, against a model of the table of frames with its fence row.
//!
//! F1: frames of a predecessor after a takeover. F9: a commit of unknown outcome while frames are dropped.
//! What is judged is the table: its chain is whole after every step, and at the end it holds every frame
//! that had to stand.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use penstock_market::SealedTick;
use penstock_market::delivery::{FrameQueue, Linked, Waiting};
use penstock_types::frame::{FrameFlags, FrameHeader, Link, encode_frame, verify_link};
use penstock_types::{FencingToken, RunId, TickId, UtcMicros};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

/// Frames of one transaction.
const BATCH: usize = 2;

/// How a race is bounded.
#[derive(Clone, Copy)]
struct Bounds {
    /// Frames that each process seals; their number is that of the processes.
    seals: &'static [usize],
    /// Frames that may wait.
    waiting_max: usize,
    /// Processes may be killed, and be overtaken while they live.
    takeovers: bool,
    /// Connections that may break before the answer to a commit.
    cuts: usize,
    /// Times that the oldest frames are too old.
    give_ups: usize,
}

/// Rows that a server session has written and not committed; it shares the lock of the fence row.
#[derive(Clone)]
struct Open {
    owner: usize,
    rows: Vec<Linked>,
}

#[derive(Clone)]
struct Process {
    queue: FrameQueue<()>,
    /// What it leaves behind.
    spool: Vec<SealedTick>,
    token: i64,
    is_alive: bool,
    /// The answer to its commit can still arrive.
    is_connected: bool,
    /// Newest tick that has ended for it.
    last: i64,
    sent: BTreeSet<i64>,
}

#[derive(Clone)]
struct World {
    bounds: Bounds,
    clock: i64,
    fence: i64,
    table: BTreeMap<i64, (Vec<u8>, Link)>,
    open: Option<Open>,
    processes: Vec<Process>,
    cuts: usize,
    give_ups: usize,
    /// Inherited frames, tick and token, that have to stand once their heir has delivered all.
    owed: BTreeSet<(i64, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The next process takes the fence: waits for transactions that have passed their check.
    Takeover,
    Seal(usize),
    /// Check of the fence and rows, up to the commit.
    Send(usize),
    /// The connection breaks; the server session goes on.
    Cut(usize),
    /// The server commits, and says so when it can.
    Commit,
    /// The server ends the session without a commit.
    Abort,
    /// Fence row for update, newest row.
    Settle(usize),
    Kill(usize),
    /// Its oldest frame has waited for too long.
    GiveUp(usize),
}

fn sealed(tick: i64, token: i64) -> SealedTick {
    let header = FrameHeader {
        flags: FrameFlags::EMPTY,
        tick_id: TickId(tick),
        frame_seq: 0,
        run_id: RunId(token),
        fencing_token: FencingToken(token),
        n_events: 0,
        gap_ticks: 0,
        previous: [0; 32],
        sealed_at: UtcMicros(0),
    };
    SealedTick {
        tick_id: TickId(tick),
        run_id: RunId(token),
        fencing_token: FencingToken(token),
        epoch_id: None,
        n_quotes: 0,
        frame: encode_frame(&header, &[]).unwrap(),
        quotes: Vec::new(),
    }
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let mut world = Self {
            bounds,
            clock: 0,
            fence: 0,
            table: BTreeMap::new(),
            open: None,
            processes: Vec::new(),
            cuts: bounds.cuts,
            give_ups: bounds.give_ups,
            owed: BTreeSet::new(),
        };
        world.apply(Move::Takeover);
        world
    }

    fn newest(&self) -> Option<Link> {
        self.table.last_key_value().map(|(_, (_, link))| *link)
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        let is_free = self.open.is_none();
        if self.bounds.takeovers && self.processes.len() < self.bounds.seals.len() && is_free {
            moves.push(Move::Takeover);
        }
        for (i, p) in self.processes.iter().enumerate().filter(|(_, p)| p.is_alive) {
            if p.spool.len() < self.bounds.seals[i] {
                moves.push(Move::Seal(i));
            }
            if !p.queue.is_empty() && !p.is_connected && is_free {
                moves.push(Move::Send(i));
            }
            if p.is_connected && self.cuts > 0 {
                moves.push(Move::Cut(i));
            }
            if p.queue.is_in_doubt() && !p.is_connected && is_free {
                moves.push(Move::Settle(i));
            }
            if self.bounds.takeovers {
                moves.push(Move::Kill(i));
            }
            if self.give_ups > 0 && !p.queue.is_empty() {
                moves.push(Move::GiveUp(i));
            }
        }
        if let Some(open) = &self.open {
            moves.push(Move::Commit);
            if !self.processes[open.owner].is_connected {
                moves.push(Move::Abort);
            }
        }
        moves
    }

    fn apply(&mut self, step: Move) {
        match step {
            Move::Takeover => self.take_over(),
            Move::Seal(i) => self.seal(i),
            Move::Send(i) => self.send(i),
            Move::Cut(i) => {
                self.cuts -= 1;
                self.processes[i].is_connected = false;
            }
            Move::Commit => self.commit(),
            Move::Abort => self.open = None,
            Move::Settle(i) => {
                let newest = self.newest();
                let p = &mut self.processes[i];
                if self.fence == p.token {
                    let given_up = p.queue.settled(newest);
                    assert!(given_up.is_empty(), "the holder of the fence is passed by nobody");
                } else {
                    p.is_alive = false;
                }
            }
            Move::GiveUp(i) => self.give_up(i),
            Move::Kill(i) => {
                self.processes[i].is_alive = false;
                self.processes[i].is_connected = false;
            }
        }
        self.judge_chain();
    }

    /// A later process reads what those left that have ended; their lock keeps it from the others.
    fn take_over(&mut self) {
        self.fence += 1;
        let newest = self.newest();
        let mut queue = FrameQueue::new(newest);
        let ended = self.processes.iter().filter(|p| !p.is_alive);
        let left: Vec<SealedTick> = ended.flat_map(|p| p.spool.clone()).collect();
        let mut stands = BTreeMap::new();
        for (tick, (_, link)) in &self.table {
            // Each process has one run, whose number is that of its token.
            stands.insert(RunId(link.fencing_token.0), TickId(*tick));
        }
        let waiting = left.iter().cloned().map(|sealed| Waiting { sealed, note: () });
        let given_up = queue.inherit(waiting, &stands);
        let has_stood = |s: &&SealedTick| {
            let row = self.table.get(&s.tick_id.0);
            row.is_some_and(|(_, link)| link.fencing_token == s.fencing_token)
        };
        let stood = left.iter().filter(has_stood).count();
        let told = stood + queue.len() + given_up.len();
        assert_eq!(told, left.len(), "each frame stands, waits, or is told as given up");
        let newest = newest.map(|link| (link.tick_id.0, link.fencing_token.0));
        let of = |s: &SealedTick| (s.tick_id.0, s.fencing_token.0);
        let known: Vec<(i64, i64)> = left.iter().map(of).chain(newest).collect();
        let is_owed = |f: &(i64, i64)| {
            newest.is_none_or(|newest| f.0 > newest.0)
                && !known.iter().any(|g| g.0 <= f.0 && g.1 > f.1)
        };
        self.owed.extend(left.iter().map(of).filter(is_owed));
        self.processes.push(Process {
            queue,
            spool: Vec::new(),
            token: self.fence,
            is_alive: true,
            is_connected: false,
            last: self.clock,
            sent: BTreeSet::new(),
        });
    }

    /// Two processes that live side by side seal the same ticks; none seals one twice.
    fn seal(&mut self, i: usize) {
        let p = &mut self.processes[i];
        p.last = self.clock.max(p.last + 1);
        self.clock = p.last;
        let frame = sealed(p.last, p.token);
        p.spool.push(frame.clone());
        if let Some(dropped) = p.queue.push(frame, (), self.bounds.waiting_max) {
            let may_stand = p.queue.is_in_doubt() && p.sent.contains(&dropped.0);
            assert!(!may_stand, "tick {dropped} was dropped while it may stand");
        }
    }

    /// Everything but the newest frame is too old.
    fn give_up(&mut self, i: usize) {
        self.give_ups -= 1;
        let p = &mut self.processes[i];
        let last = p.last;
        for tick in p.queue.give_up(|tick| tick.0 < last) {
            let may_stand = p.queue.is_in_doubt() && p.sent.contains(&tick.0);
            assert!(!may_stand, "tick {tick} was given up while it may stand");
        }
    }

    fn send(&mut self, i: usize) {
        let p = &mut self.processes[i];
        let was_in_doubt = p.queue.is_in_doubt();
        let rows = p.queue.send(BATCH).expect("what waits always continues the chain");
        if rows.is_empty() {
            assert!(was_in_doubt, "what waits goes out");
            return;
        }
        p.sent = rows.iter().map(|row| row.link.tick_id.0).collect();
        if self.fence != p.token {
            p.is_alive = false;
        } else if p.sent.iter().all(|tick| !self.table.contains_key(tick)) {
            p.is_connected = true;
            self.open = Some(Open { owner: i, rows });
        }
        // Else: a tick that stands refuses the transaction as a whole, and the process has to look.
    }

    fn commit(&mut self) {
        let Some(open) = self.open.take() else { return };
        for row in open.rows {
            self.table.insert(row.link.tick_id.0, (row.frame, row.link));
        }
        let p = &mut self.processes[open.owner];
        if p.is_connected {
            p.queue.committed();
        }
        p.is_connected = false;
    }

    /// What a reader checks: numbers, hashes and declared gaps from the first frame on.
    fn judge_chain(&self) {
        let mut last = None;
        for (frame, link) in self.table.values() {
            let read = verify_link(frame, last.as_ref()).expect("the chain is whole");
            assert_eq!(read, *link);
            last = Some(read);
        }
    }

    /// At the end the youngest process has delivered all that it held.
    fn judge_end(&self) {
        let Some(youngest) = self.processes.last().filter(|p| p.is_alive) else { return };
        assert!(youngest.queue.is_empty() && !youngest.queue.is_in_doubt());
        for (tick, token) in &self.owed {
            let stands = self.table.get(tick).map(|(_, link)| link.fencing_token.0);
            assert_eq!(stands, Some(*token), "tick {tick} was left by its maker and is owed");
        }
        if self.bounds.waiting_max == usize::MAX {
            for frame in &youngest.spool {
                assert!(self.table.contains_key(&frame.tick_id.0), "own frames stand");
            }
        }
        for tick in &youngest.sent {
            assert!(self.table.contains_key(tick), "tick {tick} was sent and stands at the end");
        }
    }

    /// What later steps depend on; two worlds with one key have the same future.
    fn key(&self) -> String {
        let mut key = format!(
            "{} {} {} {} {:?}",
            self.clock, self.fence, self.cuts, self.give_ups, self.owed
        );
        for (tick, (_, link)) in &self.table {
            write!(key, " {tick}/{}", link.fencing_token).unwrap();
        }
        if let Some(open) = &self.open {
            let ticks: Vec<_> = open.rows.iter().map(|row| row.link.tick_id.0).collect();
            write!(key, " open {} {ticks:?}", open.owner).unwrap();
        }
        for p in &self.processes {
            let of = |s: &SealedTick| (s.tick_id.0, s.fencing_token.0);
            let waiting: Vec<_> = p.queue.iter().map(|w| of(&w.sealed)).collect();
            let spool: Vec<_> = p.spool.iter().map(of).collect();
            let newest = p.queue.newest().map(|link| link.frame_seq);
            let flags = (p.is_alive, p.is_connected, p.queue.is_in_doubt());
            let (last, sent) = (p.last, &p.sent);
            write!(key, "|{flags:?} {waiting:?} {newest:?} {spool:?} {last} {sent:?}").unwrap();
        }
        key
    }
}

/// Walks through every interleaving; returns the number of different states and of ends.
fn explore(bounds: Bounds) -> (usize, usize) {
    let mut seen = HashSet::new();
    let mut ends = 0;
    let mut stack = vec![World::new(bounds)];
    while let Some(world) = stack.pop() {
        if !seen.insert(world.key()) {
            continue;
        }
        let moves = world.moves();
        // Nobody has to die, to be cut off or to be overtaken.
        let must = |m: &Move| {
            !matches!(m, Move::Takeover | Move::Kill(_) | Move::Cut(_) | Move::GiveUp(_))
        };
        if !moves.iter().any(must) {
            ends += 1;
            world.judge_end();
        }
        for step in moves {
            let mut next = world.clone();
            next.apply(step);
            stack.push(next);
        }
    }
    (seen.len(), ends)
}

/// A predecessor is paused, overtaken by its lease, wakes and goes on sealing; what it and a third left
/// is delivered by the youngest: each frame once, none under an older fence behind a younger one.
#[test]
fn f1_frames_of_a_predecessor_after_a_takeover() {
    let bounds = Bounds {
        seals: &[3, 2, 1],
        waiting_max: usize::MAX,
        takeovers: true,
        cuts: 0,
        give_ups: 0,
    };
    let (states, ends) = explore(bounds);
    assert!(states > 1_000 && ends > 100, "{states} states, {ends} ends");
}

/// The answer to a commit is lost, the queue overflows meanwhile: what may stand is neither dropped nor
/// passed over, and every gap is declared as it is.
#[test]
fn f9_unknown_commit_plus_dropped_frames() {
    let bounds = Bounds { seals: &[8], waiting_max: 3, takeovers: false, cuts: 2, give_ups: 1 };
    let (states, ends) = explore(bounds);
    assert!(states > 1_000 && ends > 20, "{states} states, {ends} ends");
}
