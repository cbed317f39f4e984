//! One history: venue, network, lives and chance under one virtual clock.
//!
//! Input: a seed. Output: counts, and the first thing that must not be. Invariants: the clock moves only to the next
//! message, tick or action; one seed is one history; at the end everything that is wrong with the world is repaired
//! and what remains is judged against the venue's own account.

use std::collections::BTreeMap;

use penstock_sim::exchange::SystemStatus;
use penstock_trading::exit::market::Market;
use penstock_types::Decimal;

use crate::chooser::Chooser;
use crate::cover::Cover;
use crate::dice::Dice;
use crate::fault::Kind;
use crate::judge::Judge;
use crate::life::{ACK_MS, Cx, LEASE_MS, Life, Stop};
use crate::net::{Class, Event, LookKind, Msg, Net, Seen};
use crate::rows::Db;
use crate::venue::Venue;

/// Events that a history has at least.
pub const EVENTS_MIN: u64 = 50;
/// Faults that a history has at least.
pub const FAULTS_MIN: u64 = 2;
/// Longest history under faults, ms.
const LONGEST_MS: i64 = 7_200_000;
/// Everything has settled this long after the last fault, ms.
const CALM_MS: i64 = 420_000;
/// ... and not before, ms: the longest proof and a round of looks.
const CALM_LEAST_MS: i64 = 130_000;
/// Distance of ticks with and without something under way, ms.
const TICK_MS: [i64; 2] = [250, 1_000];

/// What a history was.
#[derive(Clone, Debug)]
pub struct History {
    /// Its seed.
    pub seed: u64,
    /// Counts.
    pub cover: Cover,
    /// The first thing that must not be, with the virtual time.
    pub broken: Option<String>,
}

/// The world.
pub(crate) struct World {
    pub(crate) cx: Cx,
    pub(crate) venue: Venue,
    pub(crate) lives: Vec<Life>,
    /// When a process starts, ms.
    pub(crate) start: Option<i64>,
    /// What ends when, ms.
    pub(crate) ends: BTreeMap<(i64, u32), Kind>,
    pub(crate) count: u32,
    pub(crate) judge: Judge,
    next_tick: i64,
    trace: bool,
}

/// Runs the history of a seed.
#[must_use]
pub fn run(seed: u64, trace: bool) -> History {
    let mut world = World::new(seed, trace);
    let mut chooser = Chooser::new(&mut world.cx.dice);
    world.cx.cover.trace = trace;
    world.suffer(&mut chooser);
    if world.cx.broken.is_none() {
        world.calm();
    }
    let now = world.cx.now;
    let broken = world.cx.broken.map(|what| format!("{what} (at {now} ms)"));
    History { seed, cover: world.cx.cover, broken }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let cx = Cx {
            now: 1_000,
            db: Db::default(),
            net: Net::default(),
            cover: Cover::default(),
            dice: Dice::new(seed),
            db_away: false,
            cut_off: None,
            commit_unknown: false,
            market: Market::Online,
            top: None,
            broken: None,
            connections: 0,
        };
        Self {
            cx,
            venue: Venue::new(seed),
            lives: Vec::new(),
            start: Some(1_000),
            ends: BTreeMap::new(),
            count: 0,
            judge: Judge::default(),
            next_tick: 1_000,
            trace,
        }
    }

    /// Until there was enough of everything.
    fn suffer(&mut self, chooser: &mut Chooser) {
        let mut actions = 0_u32;
        let least = u32::try_from(self.cx.dice.between(25, 70)).unwrap_or(25);
        let mut next_action = self.cx.now + 2_000;
        while self.cx.broken.is_none() && self.cx.now < LONGEST_MS {
            let cover = &self.cx.cover;
            let enough = cover.events >= EVENTS_MIN && cover.faults() >= FAULTS_MIN;
            if enough && actions >= least {
                return;
            }
            if self.cx.now >= next_action {
                chooser.act(self);
                actions += 1;
                next_action = self.cx.now + chooser.pause(&mut self.cx.dice);
            }
            self.advance(Some(next_action));
        }
    }

    /// Faults end, everything settles, what remains is judged.
    fn calm(&mut self) {
        self.cx.net.disarm();
        let kinds: Vec<Kind> = self.ends.values().copied().collect();
        self.ends.clear();
        for kind in kinds {
            self.end_fault(kind);
        }
        self.cx.commit_unknown = false;
        let now = self.cx.now;
        for life in &mut self.lives {
            (life.paused, life.fuse) = (now, None);
        }
        self.judge.excuse(now + 20_000);
        let until = now + CALM_MS;
        while self.cx.broken.is_none() && self.cx.now < until {
            self.advance(None);
            if self.cx.now >= now + CALM_LEAST_MS && self.verdict().is_ok() {
                return;
            }
        }
        if self.cx.broken.is_some() {
            return;
        }
        if let Err(what) = self.verdict() {
            self.cx.broken(what);
        }
    }

    fn verdict(&self) -> Result<(), String> {
        self.judge.settled(&self.cx, &self.lives)?;
        self.judge.last(&self.cx, &self.venue)
    }

    /// To the next message, tick or action.
    fn advance(&mut self, action: Option<i64>) {
        let ends = self.ends.keys().next().map(|(at, _)| *at);
        let next = [self.cx.net.next_due(), Some(self.next_tick), action, ends, self.start];
        let next = next.into_iter().flatten().min().unwrap_or(self.next_tick);
        self.cx.now = self.cx.now.max(next);
        let now = self.cx.now;
        while let Some(((at, no), kind)) = self.ends.first_key_value().map(|(k, v)| (*k, *v)) {
            if at > now {
                break;
            }
            self.ends.remove(&(at, no));
            self.end_fault(kind);
        }
        self.venue.ex.tick(now * 1_000);
        self.spread();
        if self.start.is_some_and(|at| at <= now) {
            self.begin_life();
        }
        while let Some(msg) = self.cx.net.take(now) {
            self.take(msg);
            self.spread();
            if self.cx.broken.is_some() {
                return;
            }
        }
        if now >= self.next_tick {
            self.tick();
        }
        if let Some(what) = self.venue.broken {
            self.cx.broken(what);
        }
        self.judge.look(&mut self.cx, &self.venue, &self.lives);
    }

    fn tick(&mut self) {
        for at in (0..self.lives.len()).rev() {
            if self.lives[at].paused <= self.cx.now {
                self.give(at, Event::Tick);
            }
        }
        self.spread();
        let busy = self.lives.iter().any(Life::is_busy);
        self.next_tick = self.cx.now + TICK_MS[usize::from(!busy)];
        if self.lives.is_empty() && self.start.is_none() {
            self.start = Some(self.cx.now + self.cx.dice.between(200, 3_000));
        }
    }

    /// One event to one life; it may end it.
    pub(crate) fn give(&mut self, at: usize, event: Event) {
        self.cx.top = self.venue.top().filter(|_| !self.judge.quote_withdrawn);
        if self.trace && event != Event::Tick {
            println!("{:>8} life {} {event:?}", self.cx.now, self.lives[at].no);
        }
        if event != Event::Tick {
            self.cx.cover.events += 1;
        }
        if let Err(stop) = self.lives[at].step(&mut self.cx, event) {
            self.end_life(at, stop);
        }
    }

    pub(crate) fn end_life(&mut self, at: usize, stop: Stop) {
        let life = self.lives.remove(at);
        if self.trace {
            println!("{:>8} life {} ends: {stop:?}", self.cx.now, life.no);
        }
        if stop == Stop::Killed {
            self.cx.cover.fault(Kind::Killed);
            self.judge.excuse(self.cx.now + 20_000);
        }
        if self.lives.is_empty() {
            self.start = Some(self.cx.now + self.cx.dice.between(200, 3_000));
        }
    }

    /// A process starts and takes the fence.
    fn begin_life(&mut self) {
        self.start = None;
        let now = self.cx.now;
        // Another still renews the fence: it is waited for.
        let free = self.lives.iter().all(|life| now - life.lease > LEASE_MS);
        if !free || self.cx.db_away {
            self.start =
                (self.lives.is_empty() || self.cx.cut_off.is_some()).then_some(now + 1_000);
            return;
        }
        self.cx.db.token += 1;
        self.count += 1;
        let mut life = Life::new(self.count, self.cx.db.token, now);
        match life.attach(&mut self.cx) {
            Ok(()) => self.lives.push(life),
            Err(_) => self.start = Some(now + 1_000),
        }
    }

    fn take(&mut self, msg: Msg) {
        let now = self.cx.now;
        match msg {
            Msg::Request { life, conn, id, token, verb, ask } => {
                if self.trace {
                    println!("{now:>8} venue takes {verb:?} of {token}-{id}: {ask:?}");
                }
                let mut answer = self.venue.take(id, token, &ask, now);
                self.spread();
                let mut due = now + self.cx.dice.between(2, 30);
                match self.cx.net.fault(now, Class::Answer, &mut self.cx.cover) {
                    Some((Kind::LostAnswer, _)) => return,
                    Some((Kind::DoubleAnswer, ms)) => {
                        let event = Event::Answer(id, verb, answer, false);
                        let again = Msg::ToLife { life, conn: Some(conn), event };
                        self.cx.net.put(due + ms, again);
                    }
                    Some((Kind::StrangeAnswer, ms)) => {
                        answer = crate::venue::Answer::Unknown;
                        due += ms;
                    }
                    Some((_, ms)) => due += ms,
                    None => {}
                }
                let event = Event::Answer(id, verb, answer, due - now < ACK_MS);
                self.cx.net.put(due, Msg::ToLife { life, conn: Some(conn), event });
            }
            Msg::ImageAsked { life, conn, asked } => {
                let (open, trades) = self.venue.image();
                let event = Event::Image { asked, open, trades, base: self.venue.base() };
                self.cx.net.stream(now, life, conn, event, &mut self.cx.dice, None);
            }
            Msg::LookAsked { life, kind, started } => self.look(life, kind, started),
            Msg::ToLife { life, conn, event } => self.deliver(life, conn, event),
        }
    }

    fn deliver(&mut self, life: u32, conn: Option<u32>, event: Event) {
        let Some(at) = self.lives.iter().position(|one| one.no == life) else { return };
        let one = &self.lives[at];
        if one.paused > self.cx.now {
            return self.cx.net.put(one.paused, Msg::ToLife { life, conn, event });
        }
        if conn.is_some() && one.conn != conn {
            return;
        }
        let event = match event {
            // Neither a second answer nor one that comes late ends what was asked since.
            Event::Answer(id, verb, answer, first) => {
                Event::Answer(id, verb, answer, first && one.awaits(id, verb))
            }
            event => event,
        };
        self.give(at, event);
    }

    fn look(&mut self, life: u32, kind: LookKind, started: i64) {
        let now = self.cx.now;
        let fails = self.cx.net.fault(now, Class::Look, &mut self.cx.cover).is_some();
        let at = now - self.cx.net.rest_lag;
        let trades_at = at.min(now - self.cx.net.trades_lag);
        let (mut orders, mut trades) = (self.venue.orders_at(at), self.venue.trades_at(trades_at));
        match kind {
            LookKind::Order(id) => {
                let of = |r: &crate::venue::Report| r.own.is_some_and(|(own, _)| own == id);
                orders.retain(of);
                trades.retain(of);
            }
            LookKind::Full => orders.retain(|r| r.open),
            LookKind::Balance => (orders, trades) = (Vec::new(), Vec::new()),
        }
        let base = self.venue.base_at(at);
        let event = Event::Look(Seen { kind, started, orders, trades, base, whole: !fails });
        let due = now + self.cx.dice.between(5, 60);
        self.cx.net.put(due, Msg::ToLife { life, conn: None, event });
    }

    /// News of the venue go out on every connection.
    pub(crate) fn spread(&mut self) {
        let now = self.cx.now;
        let (reports, balances) = self.venue.news(now);
        let on: Vec<(u32, u32)> =
            self.lives.iter().filter_map(|life| Some((life.no, life.conn?))).collect();
        let early = now < self.cx.net.early_until;
        for (life, conn) in on {
            for report in &reports {
                let event = Event::Report(*report);
                let late = early.then(|| self.cx.dice.between(500, 4_000));
                match self.cx.net.fault(now, Class::Report, &mut self.cx.cover) {
                    Some((Kind::LostReport, _)) => {
                        self.judge.excuse(now + 150_000);
                        self.judge.blind = true;
                        continue;
                    }
                    Some((Kind::DoubleReport, _)) => {
                        let again = Some(self.cx.dice.between(0, 3_000));
                        self.cx.net.stream(
                            now,
                            life,
                            conn,
                            event.clone(),
                            &mut self.cx.dice,
                            again,
                        );
                        self.cx.net.stream(now, life, conn, event, &mut self.cx.dice, late);
                    }
                    Some((_, ms)) => {
                        self.cx.net.stream(now, life, conn, event, &mut self.cx.dice, Some(ms));
                    }
                    None => self.cx.net.stream(now, life, conn, event, &mut self.cx.dice, late),
                }
            }
            for (base, traded) in &balances {
                if self.cx.net.fault(now, Class::Balance, &mut self.cx.cover).is_some() {
                    continue;
                }
                let event = Event::Balance(*base, *traded);
                let late = early.then_some(0);
                self.cx.net.stream(now, life, conn, event, &mut self.cx.dice, late);
            }
        }
        self.judge.transfers = self.venue.transfers.iter().map(|(_, amount)| *amount).collect();
    }

    /// A fault with a duration is over.
    fn end_fault(&mut self, kind: Kind) {
        let now = self.cx.now;
        match kind {
            Kind::ClusterAway => self.cx.db_away = false,
            Kind::CutOff => self.cx.cut_off = None,
            Kind::CancelOnly | Kind::PostOnly | Kind::Maintenance => {
                self.venue.set_status(SystemStatus::Online, now);
                self.venue.move_to(self.venue.mid, now);
                self.cx.market = Market::Online;
            }
            Kind::ThinBook => self.venue.set_thin(false, now),
            Kind::SlowStop => self.venue.set_slow(false),
            Kind::QuoteWithdrawn => self.judge.quote_withdrawn = false,
            Kind::RestLags => self.cx.net.rest_lag = 0,
            Kind::TradesLag => self.cx.net.trades_lag = 0,
            _ => {}
        }
        self.judge.excuse(now + 20_000);
    }

    /// The life that acts: the newest that runs.
    pub(crate) fn acting(&self) -> Option<usize> {
        let runs = |at: &usize| self.lives[*at].paused <= self.cx.now;
        (0..self.lives.len()).filter(runs).max_by_key(|at| self.lives[*at].token)
    }
}

/// Base of the account when a history begins.
pub const BASE: Decimal = Decimal::ZERO;
