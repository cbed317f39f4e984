//! Everything that is under way: requests, answers, reports, looks, each with the time of its arrival.
//!
//! Input: messages with their faults. Output: the next to arrive. Invariants: what has no fault keeps its order on its
//! connection; a fault that is armed takes the next message of its class and is counted then.

use std::collections::{BTreeMap, VecDeque};

use penstock_types::Decimal;

use crate::cover::Cover;
use crate::dice::Dice;
use crate::fault::Kind;
use crate::rows::Id;
use crate::venue::{Answer, Ask, Report};

/// What was asked of an order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Verb {
    /// Add.
    Add,
    /// Amend with these terms.
    Amend {
        /// Quantity.
        qty: Option<Decimal>,
        /// Trigger.
        trigger: Option<Decimal>,
    },
    /// Cancel.
    Cancel,
}

/// What a look by REST is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookKind {
    /// One order with its trades.
    Order(Id),
    /// Everything: open orders, trades, base.
    Full,
    /// Base alone.
    Balance,
}

/// What a look saw.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// What it was for.
    pub kind: LookKind,
    /// When it was started, ms.
    pub started: i64,
    /// Orders.
    pub orders: Vec<Report>,
    /// Trades.
    pub trades: Vec<Report>,
    /// Base.
    pub base: Decimal,
    /// It was answered whole.
    pub whole: bool,
}

/// What a life takes.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A report of the stream.
    Report(Report),
    /// An image of the stream.
    Image {
        /// When it was asked for, ms.
        asked: i64,
        /// Open orders.
        open: Vec<Report>,
        /// The newest trades.
        trades: Vec<Report>,
        /// Base.
        base: Decimal,
    },
    /// Base, and whether a trade moved it.
    Balance(Decimal, bool),
    /// An answer; none: its time is over.
    Answer(Id, Verb, Answer, bool),
    /// A look.
    Look(Seen),
    /// The socket was lost.
    Lost,
    /// Time.
    Tick,
}

/// A message under way.
#[derive(Clone, Debug)]
pub enum Msg {
    /// To the venue.
    Request {
        /// The life.
        life: u32,
        /// Its connection.
        conn: u32,
        /// The order.
        id: Id,
        /// The token in its id.
        token: u32,
        /// What it was.
        verb: Verb,
        /// What is asked.
        ask: Ask,
    },
    /// An image is asked for.
    ImageAsked {
        /// The life.
        life: u32,
        /// Its connection.
        conn: u32,
        /// When, ms.
        asked: i64,
    },
    /// A look is asked for.
    LookAsked {
        /// The life.
        life: u32,
        /// What for.
        kind: LookKind,
        /// When, ms.
        started: i64,
    },
    /// To a life, on a connection or beside any.
    ToLife {
        /// The life.
        life: u32,
        /// Its connection.
        conn: Option<u32>,
        /// What.
        event: Event,
    },
}

/// Class of messages that a fault is armed for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Requests.
    Request,
    /// Answers.
    Answer,
    /// Reports.
    Report,
    /// Balances.
    Balance,
    /// Looks.
    Look,
}

impl Kind {
    /// The class that it is armed for, if it is a fault of one message.
    #[must_use]
    pub const fn class(self) -> Option<Class> {
        match self {
            Self::LostRequest | Self::LateRequest => Some(Class::Request),
            Self::LostAnswer | Self::LateAnswer | Self::StrangeAnswer | Self::DoubleAnswer => {
                Some(Class::Answer)
            }
            Self::LostReport | Self::LateReport | Self::DoubleReport => Some(Class::Report),
            Self::LostBalance => Some(Class::Balance),
            Self::RestFails => Some(Class::Look),
            _ => None,
        }
    }
}

/// All messages under way.
#[derive(Debug, Default)]
pub struct Net {
    queue: BTreeMap<(i64, u64), Msg>,
    count: u64,
    armed: BTreeMap<Class, VecDeque<(Kind, i64)>>,
    /// Last arrival on each connection.
    last: BTreeMap<u32, i64>,
    /// The streams stand still until then, ms.
    pub stalled_until: i64,
    /// Balances overtake until then, ms.
    pub early_until: i64,
    /// REST shows what was true so long ago, ms.
    pub rest_lag: i64,
    /// The history of trades lags by this, ms.
    pub trades_lag: i64,
    /// Faults of single messages have their effects until then, ms.
    pub hit_until: i64,
}

impl Net {
    /// Arms a fault of one message.
    pub fn arm(&mut self, class: Class, kind: Kind, ms: i64) {
        self.armed.entry(class).or_default().push_back((kind, ms));
    }

    /// Forgets faults that have met no message.
    pub fn disarm(&mut self) {
        self.armed.clear();
    }

    /// The fault that the next message of a class meets.
    pub fn fault(&mut self, now: i64, class: Class, cover: &mut Cover) -> Option<(Kind, i64)> {
        let found = self.armed.get_mut(&class)?.pop_front()?;
        cover.fault(found.0);
        self.hit_until = self.hit_until.max(now + found.1 + 25_000);
        Some(found)
    }

    /// Puts a message on its way.
    pub fn put(&mut self, due: i64, msg: Msg) {
        self.count += 1;
        self.queue.insert((due, self.count), msg);
    }

    /// A message of a stream: in its place, or out of it when it is late.
    pub fn stream(
        &mut self,
        now: i64,
        life: u32,
        conn: u32,
        event: Event,
        dice: &mut Dice,
        late: Option<i64>,
    ) {
        let travel = dice.between(2, 30);
        let msg = Msg::ToLife { life, conn: Some(conn), event };
        if let Some(ms) = late {
            return self.put(now + travel + ms, msg);
        }
        let stalled = if self.stalled_until > now { self.stalled_until } else { now };
        let last = self.last.entry(conn).or_insert(0);
        let due = (stalled + travel).max(*last);
        *last = due;
        self.put(due, msg);
    }

    /// When the next message arrives, ms.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next message, if it has arrived.
    pub fn take(&mut self, now: i64) -> Option<Msg> {
        let due = self.next_due()?;
        (due <= now).then(|| self.queue.pop_first().map(|(_, msg)| msg)).flatten()
    }
}
