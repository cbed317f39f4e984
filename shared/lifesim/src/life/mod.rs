//! One process: its memory, and how it takes what happens.
//!
//! Input: events. Output: transactions and requests. It composes the product's machines in the order in which the
//! product's own desk does; a rule that a machine or a pure function of the product holds is never repeated here. Its
//! memory dies with it. A transaction can fail because the cluster is away, because the fence is another's, or
//! because the process is killed at that very point.

mod back;
mod exits;
mod looks;
mod orders;
mod outage;
mod positions;
mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use penstock_trading::exit::closing::OrderView;
use penstock_trading::exit::market::Market;
use penstock_trading::exit::trigger::Quote;
use penstock_trading::ledger::difference::View;
use penstock_types::vocab::{ExitReason, OrderState};
use penstock_types::{Decimal, UtcMicros};

pub use outage::Outage;

use crate::cover::Cover;
use crate::dice::Dice;
use crate::fault::Kind;
use crate::net::{Class, Event, LookKind, Msg, Net, Verb};
use crate::rows::{Db, Id, Note, Row};
use crate::venue::{Answer, Ask, Report};

/// A method answer is awaited this long, ms.
pub const ACK_MS: i64 = 3_000;
/// A fence that was not renewed this long is free, ms.
pub const LEASE_MS: i64 = 15_000;
/// Longest sending without the cluster after the last renewal, ms.
pub const PREAUTH_MS: i64 = 300_000;
/// Longest lag of REST with its margin, ms.
pub const GRACE_MS: i64 = 90_000;
/// A fact of the stream outranks REST for this long, ms.
pub const STREAM_WINS_MS: i64 = 60_000;

/// Why a step ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The cluster is away.
    Away,
    /// The process is dead.
    Killed,
    /// The fence is another's.
    Fenced,
}

/// What all lives share: rows, network, counts, what a life sees of the market.
#[derive(Debug)]
pub struct Cx {
    /// Now, ms.
    pub now: i64,
    /// Rows.
    pub db: Db,
    /// Network.
    pub net: Net,
    /// Counts.
    pub cover: Cover,
    /// Chance.
    pub dice: Dice,
    /// The cluster is away for all.
    pub db_away: bool,
    /// ... for one life.
    pub cut_off: Option<u32>,
    /// The next commit is not answered.
    pub commit_unknown: bool,
    /// What the venue takes.
    pub market: Market,
    /// Best bid and ask.
    pub top: Option<(Decimal, Decimal)>,
    /// First thing that must not be.
    pub broken: Option<String>,
    /// Connections so far.
    pub connections: u32,
}

impl Cx {
    /// Remembers the first thing that must not be.
    pub fn broken(&mut self, what: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(what.into());
        }
    }

    /// Now.
    #[must_use]
    pub const fn wall(&self) -> UtcMicros {
        UtcMicros::from_millis(self.now)
    }

    /// The quote as exits use it.
    #[must_use]
    pub fn quote(&self) -> Option<Quote> {
        self.top.map(|(bid, ask)| Quote { bid, ask, age_ms: 0 })
    }

    /// Middle of the quote.
    #[must_use]
    pub fn mid(&self) -> Option<Decimal> {
        self.quote().map(|quote| quote.mid())
    }
}

/// The one open request of an order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Mutation {
    /// What was asked.
    pub verb: Verb,
    /// When, ms.
    pub sent: i64,
    /// Its time for an answer is over.
    pub timed_out: bool,
    /// Unresolved until then, ms.
    pub until: Option<i64>,
}

/// One order in memory.
#[derive(Clone, Debug)]
pub struct Mem {
    /// Committed row.
    pub row: Row,
    /// Its open request.
    pub mutation: Option<Mutation>,
    /// The stop is triggered.
    pub triggered: bool,
    /// Last change of its state, ms.
    pub changed: i64,
    /// When its request went out, ms.
    pub sent: Option<i64>,
    /// When its cancel went out, ms.
    pub cancel: Option<i64>,
    /// A look is wanted then, ms.
    pub look: Option<i64>,
    /// A look is under way.
    pub looking: bool,
    /// Looks that did not settle it.
    pub looks: u32,
    /// When the stream spoke of it last, ms.
    pub heard: Option<i64>,
    /// Newest venue time of that, µs.
    pub heard_at: i64,
    /// Executed quantity that the venue has told.
    pub told: Decimal,
    /// The stream said last that it has ended, then, ms.
    pub ended: Option<i64>,
}

impl Mem {
    const fn new(row: Row, now: i64) -> Self {
        Self {
            row,
            mutation: None,
            triggered: false,
            changed: now,
            sent: None,
            cancel: None,
            look: None,
            looking: false,
            looks: 0,
            heard: None,
            heard_at: 0,
            told: Decimal::ZERO,
            ended: None,
        }
    }

    /// What the pure machines see.
    #[must_use]
    pub const fn view(&self) -> OrderView {
        view_of(self.row.state, self.triggered)
    }

    fn is_fresh(&self, now: i64) -> bool {
        self.heard.is_some_and(|at| now - at < STREAM_WINS_MS)
    }
}

/// What a state says of an order.
#[must_use]
pub const fn view_of(state: OrderState, triggered: bool) -> OrderView {
    match state {
        OrderState::Created
        | OrderState::Filled
        | OrderState::Canceled
        | OrderState::Expired
        | OrderState::Rejected
        | OrderState::LostOrRejected
        | OrderState::Error => OrderView::Gone,
        OrderState::PendingSubmit => OrderView::Unanswered,
        OrderState::SubmitUnknown | OrderState::Suspect | OrderState::ReconcileRequired => {
            OrderView::Doubtful
        }
        OrderState::PendingCancel => OrderView::Canceling,
        OrderState::AckedOpen | OrderState::PartiallyFilled if triggered => OrderView::Triggered,
        OrderState::AckedOpen | OrderState::PartiallyFilled => OrderView::Live,
    }
}

/// A position in memory: what only this process knows.
#[derive(Clone, Copy, Default, Debug)]
pub struct Held {
    pub(crate) flatten: bool,
    pub(crate) close_reason: Option<ExitReason>,
    pub(crate) failures: i32,
    pub(crate) failed: i64,
    pub(crate) amend_refusals: i32,
    pub(crate) amend_refused: Option<i64>,
    pub(crate) bare: Option<i64>,
    pub(crate) alarmed: bool,
    pub(crate) decided: i64,
    pub(crate) maker: bool,
    pub(crate) short: Option<i64>,
    pub(crate) attempts_base: i32,
    pub(crate) close_refusals: i32,
    pub(crate) close_refused: i64,
    pub(crate) close_again: i64,
    pub(crate) raised: Option<i64>,
    pub(crate) loss_since: Option<UtcMicros>,
    pub(crate) reading: bool,
}

/// What waits for the fill of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    Report(Report),
    Released { id: Id, note: Note },
    Answer(Id, Answer),
}

/// The newest image.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    pub(crate) asked: i64,
    pub(crate) since: Option<i64>,
}

/// One process.
#[derive(Debug)]
pub struct Life {
    /// Its number.
    pub no: u32,
    /// Its token.
    pub token: u32,
    /// It stands still until then, ms.
    pub paused: i64,
    /// The fence was renewed last then, ms.
    pub lease: i64,
    /// It got the fence then, ms.
    pub fence: i64,
    /// Its connection.
    pub conn: Option<u32>,
    /// It connects again then, ms.
    pub connect: i64,
    /// It dies after so many more points.
    pub fuse: Option<u32>,
    /// The first reconcile is done.
    pub complete: bool,
    /// Without the cluster.
    pub outage: Option<Outage>,
    pub(crate) mem: BTreeMap<Id, Mem>,
    pub(crate) held: BTreeMap<Id, Held>,
    waiting: VecDeque<(i64, Waiting)>,
    replaying: bool,
    image: Option<Image>,
    image_lacks: BTreeMap<Id, i64>,
    next_image: i64,
    doomed: BTreeSet<Id>,
    snapshot_seen: bool,
    in_snapshot: bool,
    history_done: bool,
    full: Option<i64>,
    full_open: bool,
    views: Option<(View, View)>,
    base: Option<Decimal>,
    traded: Option<i64>,
    pass_seen: Option<i64>,
    pass_differs: bool,
    watched: Option<i64>,
    owed: BTreeMap<Id, Decimal>,
    /// Base of the open position after the last commit that was answered.
    known_base: Decimal,
}

impl Life {
    /// A process that has taken the fence.
    #[must_use]
    pub const fn new(no: u32, token: u32, now: i64) -> Self {
        Self {
            no,
            token,
            paused: 0,
            lease: now,
            fence: now,
            conn: None,
            connect: now,
            fuse: None,
            complete: false,
            outage: None,
            mem: BTreeMap::new(),
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
            replaying: false,
            image: None,
            image_lacks: BTreeMap::new(),
            next_image: now,
            doomed: BTreeSet::new(),
            snapshot_seen: false,
            in_snapshot: false,
            history_done: false,
            full: Some(now),
            full_open: false,
            views: None,
            base: None,
            traded: None,
            pass_seen: None,
            pass_differs: false,
            watched: None,
            owed: BTreeMap::new(),
            known_base: Decimal::ZERO,
        }
    }

    /// A point at which a kill may come.
    fn pass(&mut self) -> Result<(), Stop> {
        match &mut self.fuse {
            Some(0) => Err(Stop::Killed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The cluster answers this life.
    #[must_use]
    pub fn reaches(&self, cx: &Cx) -> bool {
        !cx.db_away && cx.cut_off != Some(self.no)
    }

    /// One transaction.
    pub(crate) fn write<T>(
        &mut self,
        cx: &mut Cx,
        work: impl FnOnce(&mut Db, &mut Cover) -> T,
    ) -> Result<T, Stop> {
        self.pass()?;
        if !self.reaches(cx) {
            return Err(Stop::Away);
        }
        if cx.db.token != self.token {
            return Err(Stop::Fenced);
        }
        let done = work(&mut cx.db, &mut cx.cover);
        if let Some(what) = cx.db.broken {
            cx.broken(what);
        }
        if core::mem::take(&mut cx.commit_unknown) {
            cx.cover.fault(Kind::CommitUnknown);
            return Err(Stop::Away);
        }
        self.known_base = cx.db.open_position().map_or(Decimal::ZERO, |p| p.head.base);
        self.pass()?;
        Ok(done)
    }

    /// One event, with rows or without them.
    ///
    /// # Errors
    /// [`Stop::Killed`] or [`Stop::Fenced`]: the process has ended.
    pub fn step(&mut self, cx: &mut Cx, event: Event) -> Result<(), Stop> {
        if self.outage.is_some() {
            return self.during(cx, event);
        }
        if event == Event::Tick {
            for (id, verb) in self.overdue(cx.now) {
                self.step(cx, Event::Answer(id, verb, Answer::Unknown, true))?;
            }
            if self.outage.is_some() {
                return Ok(());
            }
        }
        match self.work(cx, event.clone()) {
            Err(Stop::Away) => self.begin_outage(cx, event),
            done => done,
        }
    }

    pub(crate) fn work(&mut self, cx: &mut Cx, event: Event) -> Result<(), Stop> {
        match event {
            Event::Report(report) => self.on_report(cx, &report, true),
            Event::Image { asked, open, trades, base } => {
                self.see_base(cx.now, base, cx.now);
                self.on_image(cx, asked, &open, &trades)
            }
            Event::Balance(base, traded) => {
                self.see_base(cx.now, base, cx.now);
                self.base = Some(base);
                if traded {
                    self.traded = Some(cx.now);
                }
                self.judge_base(cx)
            }
            Event::Answer(id, verb, answer, in_time) => {
                self.on_answer(cx, id, verb, answer, in_time)
            }
            Event::Look(seen) => self.on_look(cx, &seen),
            Event::Lost => self.on_lost(cx),
            Event::Tick => self.tick(cx),
        }
    }

    /// The row as it was committed.
    pub(crate) fn put(&mut self, row: Row, now: i64) {
        let mem = self.mem.entry(row.id).or_insert_with(|| Mem::new(row, now));
        if mem.row.state != row.state {
            mem.changed = now;
        }
        mem.row = row;
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Mem> {
        self.mem.values().filter(|m| m.row.is_live())
    }

    /// A live entry.
    #[must_use]
    pub fn has_entry(&self) -> bool {
        self.live().any(|m| !m.row.reduces())
    }

    /// Something is under way that time moves.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let bare = self.held.values().any(|h| h.bare.is_some() || h.short.is_some());
        let open = self.mem.values().any(|m| m.mutation.is_some());
        bare || open || self.outage.is_some() || !self.complete || self.conn.is_none()
    }

    /// This request of the order is the one whose answer is awaited.
    #[must_use]
    pub fn awaits(&self, id: Id, verb: Verb) -> bool {
        let mutation = self.mem.get(&id).and_then(|m| m.mutation);
        mutation.is_some_and(|m| m.verb == verb && !m.timed_out)
    }

    /// Sends a request; without a socket it is not sent.
    pub(crate) fn send(&mut self, cx: &mut Cx, id: Id, verb: Verb, ask: Ask) -> Result<(), Stop> {
        self.pass()?;
        let now = cx.now;
        let token = self.mem.get(&id).map_or(self.token, |m| m.row.token);
        let until = matches!(verb, Verb::Amend { .. }).then_some(now + 4_000);
        if let Some(mem) = self.mem.get_mut(&id) {
            mem.mutation = Some(Mutation { verb, sent: now, timed_out: false, until });
            match verb {
                Verb::Add => mem.sent = Some(now),
                Verb::Cancel => mem.cancel = Some(now),
                Verb::Amend { .. } => {}
            }
        }
        if cx.db.rows.get(&id).is_none_or(|row| row.token != token) {
            cx.broken(format!("order {id} was sent without a committed row"));
        }
        // Only a process that is cut off from its rows may send under a fence that is another's.
        if cx.db.token != self.token && (self.outage.is_none() || now - self.lease > PREAUTH_MS) {
            cx.broken(format!("life {} sent for order {id} under a fence of another", self.no));
        }
        let Some(conn) = self.conn else { return Ok(()) };
        let travel = cx.dice.between(2, 30);
        let due = match cx.net.fault(now, Class::Request, &mut cx.cover) {
            Some((Kind::LostRequest, _)) => return Ok(()),
            Some((_, ms)) => now + travel + ms,
            None => now + travel,
        };
        cx.net.put(due, Msg::Request { life: self.no, conn, id, token, verb, ask });
        self.pass()
    }

    /// Starts a look by REST.
    pub(crate) fn ask_look(&self, cx: &mut Cx, kind: LookKind) {
        let due = cx.now + cx.dice.between(20, 150);
        cx.net.put(due, Msg::LookAsked { life: self.no, kind, started: cx.now });
    }

    /// Asks for an image.
    pub(crate) fn ask_image(&mut self, cx: &mut Cx) {
        let Some(conn) = self.conn else { return };
        let due = cx.now + cx.dice.between(5, 40);
        cx.net.put(due, Msg::ImageAsked { life: self.no, conn, asked: cx.now });
        self.next_image = cx.now + 5_000;
    }
}
