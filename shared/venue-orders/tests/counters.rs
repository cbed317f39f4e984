//! The modelled counters beside those of the simulated venue, which shares no code with them: seeded random requests
//! at every tier under virtual time, with ways of up to a second, answers that are lost, and bursts. At no moment is a
//! modelled counter below the venue's own, no read that the model admits is refused, and
//! nothing that protects is ever held back here.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use penstock_sim::account::{
    AddOrder, AmendOrder, EngineTier, OrderKind, OrderRef, RestCounter, VenueError,
};
use penstock_sim::exchange::{Exchange, ExchangeConfig, Side, SymbolNo};
use penstock_sim::instruments::Catalog;
use penstock_types::{Decimal, UtcMicros};
use penstock_venue_orders::{Clock, EngineUse, SharedVenueState, Stamp};
use penstock_venues::kraken::error_table::judge;
use penstock_venues::kraken::rates::{EngineCall, RestUse, Tier};

/// Requests at each tier; three tiers make more than a hundred thousand.
const REQUESTS: usize = 34_000;
/// Requests of one mood: a burst, a busy time, a quiet one.
const MOOD: u64 = 300;
/// Longest distance of two requests in each mood, µs.
const GAPS_US: [u64; 3] = [20_000, 300_000, 6_000_000];
/// Pairs.
const PAIRS: usize = 3;
/// Orders of a pair, below what the lowest tier allows.
const OPEN_MAX: usize = 50;
/// Longest way of a request and of an answer, µs.
const WAY_US: u64 = 1_000_000;
/// When a request without an answer is given up, µs.
const ANSWER_US: i64 = 3_000_000;
/// The venue rounds its counter to hundredths.
const ROUNDING: f64 = 0.005;
/// Where wall time begins, µs.
const WALL_US: i64 = 1_771_243_200_000_000;

/// A clock that the test moves, µs.
#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Stamp {
        let us = self.0.load(Ordering::SeqCst);
        Stamp { wall: UtcMicros(WALL_US + us), mono_ns: us * 1_000 }
    }
}

/// A generator with a seed of its own (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn us(&mut self, most: u64) -> i64 {
        i64::try_from(self.roll(most)).unwrap()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Add,
    Amend,
    Cancel,
    Read { points: u32 },
}

/// What happens next: a request arrives, or its answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_us: i64,
    no: u64,
    is_answer: bool,
    what: What,
    pair: usize,
    protects: bool,
}

/// An order as its owner knows it: when he last sent something about it, and whether that is answered.
#[derive(Clone, Copy, Debug)]
struct Own {
    pair: usize,
    touched_us: i64,
    is_free: bool,
}

#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    held_back: usize,
    refused_protection: usize,
    overtaken: usize,
    above_ceiling: usize,
    looks: usize,
    least_margin: f64,
}

struct World {
    hands: Arc<Hands>,
    state: SharedVenueState,
    exchange: Exchange,
    reads: RestCounter,
    names: Vec<String>,
    own: BTreeMap<u64, Own>,
    events: BinaryHeap<Reverse<Event>>,
    reading: bool,
    tally: Tally,
    dice: Dice,
    _directory: tempfile::TempDir,
}

impl World {
    fn new(tier: Tier, theirs: EngineTier, seed: u64) -> Self {
        let catalog = Catalog::generated(PAIRS).unwrap();
        let instruments = catalog.instruments();
        let names = instruments.iter().map(|one| one.symbol.clone()).collect();
        let mut exchange = Exchange::new(ExchangeConfig {
            instruments,
            seed,
            cash_usd: Decimal::from(1_000_000_000),
            volume_30d_usd: Decimal::ZERO,
            recorded: false,
            start_us: WALL_US,
        })
        .unwrap();
        exchange.set_tier(theirs);
        let hands = Arc::new(Hands::default());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("venue.json");
        let file = format!(
            r#"{{"version":1,"host":"h","wall_ms":{},"nonce":1,"rest":0.0,"pairs":{{}},"not_before":[]}}"#,
            WALL_US / 1_000
        );
        std::fs::write(&path, file).unwrap();
        let state = SharedVenueState::open(path, "h".to_owned(), tier, hands.clone());
        Self {
            hands,
            state,
            exchange,
            reads: RestCounter::of(theirs),
            names,
            own: BTreeMap::new(),
            events: BinaryHeap::new(),
            reading: false,
            tally: Tally { least_margin: f64::INFINITY, ..Tally::default() },
            dice: Dice(seed),
            _directory: directory,
        }
    }

    fn now_us(&self) -> i64 {
        self.hands.0.load(Ordering::SeqCst)
    }

    fn run(mut self) -> Tally {
        let mut no = 0;
        while self.tally.sent < REQUESTS {
            let mood = usize::try_from(no / MOOD % 3).unwrap();
            let next_us = self.now_us() + self.dice.us(GAPS_US[mood]);
            while let Some(Reverse(event)) = self.events.peek().copied()
                && event.at_us <= next_us
            {
                self.events.pop();
                self.hands.0.store(event.at_us, Ordering::SeqCst);
                if event.is_answer {
                    self.answered(event)
                } else {
                    self.arrived(event)
                }
                // Between two events a margin does not shrink: what was changed is looked at, now and then everything.
                match event.what {
                    What::Read { .. } => self.look_at_reads(),
                    What::Add | What::Amend | What::Cancel => self.look_at(event.pair),
                }
            }
            self.hands.0.store(next_us, Ordering::SeqCst);
            if no % 50 == 0 {
                self.look_at_reads();
                (0..PAIRS).for_each(|pair| self.look_at(pair));
                // Nobody listens to the stream.
                let _ = self.exchange.take_events();
            }
            no += 1;
            self.ask(no);
        }
        self.tally
    }

    /// Sends one request, if the model lets it.
    fn ask(&mut self, no: u64) {
        let protects = self.dice.roll(3) == 0;
        let free: Vec<u64> =
            self.own.iter().filter(|(_, o)| o.is_free).map(|(id, _)| *id).collect();
        let any = (!free.is_empty())
            .then(|| free[usize::try_from(self.dice.roll(free.len() as u64)).unwrap()]);
        let pair = usize::try_from(self.dice.roll(PAIRS as u64)).unwrap();
        let open = self.own.values().filter(|own| own.pair == pair).count();
        match (self.dice.roll(8), any) {
            (0, _) => self.read(no),
            (1..=3, _) if open < OPEN_MAX => {
                self.order(no, What::Add, pair, protects, EngineCall::Add);
            }
            (_, None) => {}
            (1..=5, Some(id)) => self.change(id, What::Amend, protects),
            (_, Some(id)) => self.change(id, What::Cancel, protects),
        }
    }

    fn change(&mut self, id: u64, what: What, protects: bool) {
        let own = self.own[&id];
        let age_ms = (self.now_us() - own.touched_us) / 1_000;
        let call = if what == What::Amend {
            EngineCall::Amend { age_ms }
        } else {
            EngineCall::Cancel { age_ms }
        };
        self.order(id, what, own.pair, protects, call);
    }

    fn order(&mut self, no: u64, what: What, pair: usize, protects: bool, call: EngineCall) {
        let usage = match (protects, what) {
            (true, _) => EngineUse::Protective,
            (false, What::Amend) => EngineUse::Repeg,
            (false, _) => EngineUse::Entry,
        };
        let now_us = self.now_us();
        let admitted =
            self.state.lock().admit_order(&self.names[pair], call, usage, now_us / 1_000);
        if let Err(reason) = admitted {
            assert!(!protects && what != What::Cancel, "{what:?} of {usage:?}: {reason}");
            self.tally.held_back += 1;
            return;
        }
        let own = Own { pair, touched_us: now_us, is_free: false };
        self.own.insert(no, own);
        self.send(no, what, pair, protects);
    }

    fn read(&mut self, no: u64) {
        if self.reading {
            return;
        }
        let points = if self.dice.roll(4) == 0 { 4 } else { 1 };
        let usage = if self.dice.roll(2) == 0 { RestUse::Steady } else { RestUse::Reserved };
        let at = self.hands.now();
        if self.state.lock().admit_rest(points, usage, at).is_err() {
            self.tally.held_back += 1;
            return;
        }
        self.reading = true;
        self.send(no, What::Read { points }, 0, false);
    }

    fn send(&mut self, no: u64, what: What, pair: usize, protects: bool) {
        self.tally.sent += 1;
        let now_us = self.now_us();
        let there_us = now_us + self.dice.us(WAY_US);
        let event = Event { at_us: there_us, no, is_answer: false, what, pair, protects };
        self.events.push(Reverse(event));
        // One answer of ten is lost, and given up at its time.
        let back_us = if self.dice.roll(10) == 0 {
            now_us + ANSWER_US
        } else {
            there_us + self.dice.us(WAY_US)
        };
        self.events.push(Reverse(Event { at_us: back_us, is_answer: true, ..event }));
    }

    fn arrived(&mut self, event: Event) {
        let now_us = WALL_US + event.at_us;
        let Event { no, what, pair, .. } = event;
        let order = OrderRef::Client(format!("o{no}"));
        let result = match what {
            What::Read { points } => {
                self.reads.charge(i64::from(points), now_us).expect("the model had room for it");
                return;
            }
            What::Add => {
                let mut add = AddOrder::new(SymbolNo(pair), Side::Buy, OrderKind::Limit);
                let one = &self.exchange.market(SymbolNo(pair)).instrument;
                add.qty = Some(one.qty(one.qty_min) * Decimal::from(1_000_000));
                add.limit = Some(one.price(one.tick));
                add.cl_ord_id = Some(format!("o{no}"));
                self.exchange.add_order(&add, now_us).map(|_| ())
            }
            What::Amend => {
                let limit = {
                    let one = &self.exchange.market(SymbolNo(pair)).instrument;
                    Some(one.price(one.tick) * Decimal::from(1 + self.dice.roll(3)))
                };
                let amend = AmendOrder {
                    order,
                    qty: None,
                    limit,
                    trigger: None,
                    post_only: false,
                    deadline_us: None,
                };
                self.exchange.amend_order(&amend, now_us).map(|_| ())
            }
            What::Cancel => self.exchange.cancel_order(&order, now_us).map(|_| ()),
        };
        match result {
            Ok(()) | Err(VenueError::UnknownOrder) => {}
            Err(VenueError::OrderRateLimit) => {
                // An entry that was admitted below its share can be overtaken on its way by what protects.
                if event.protects {
                    self.tally.refused_protection += 1;
                } else {
                    self.tally.overtaken += 1;
                }
                let refused = judge("EOrder:Rate limit exceeded");
                self.state.lock().learn(refused, Some(&self.names[pair]), self.hands.now());
            }
            Err(other) => panic!("{event:?}: {other}"),
        }
        if what == What::Cancel {
            self.own.remove(&no);
        }
    }

    fn answered(&mut self, event: Event) {
        let now_ms = event.at_us / 1_000;
        if matches!(event.what, What::Read { .. }) {
            self.reading = false;
            self.state.lock().rest_settled(now_ms);
            return;
        }
        self.state.lock().order_settled(&self.names[event.pair], now_ms);
        if let Some(own) = self.own.get_mut(&event.no) {
            own.is_free = true;
        }
    }

    /// Compares the counter of a pair at this moment.
    fn look_at(&mut self, pair: usize) {
        let now_us = self.now_us();
        let theirs = self.exchange.account().ratecount(SymbolNo(pair), WALL_US + now_us);
        let counter = self.state.lock().engine().counter(&self.names[pair]);
        let theirs = f64::try_from(theirs).unwrap();
        self.tally.above_ceiling += usize::from(theirs > counter.ceiling());
        let name = self.names[pair].clone();
        self.compare(&name, counter.value(now_us / 1_000), theirs);
    }

    fn look_at_reads(&mut self) {
        let now_us = self.now_us();
        let theirs = f64::try_from(self.reads.value_at(WALL_US + now_us)).unwrap();
        let ours = self.state.lock().rest().counter().value(now_us / 1_000);
        self.compare("REST", ours, theirs);
    }

    fn compare(&mut self, name: &str, ours: f64, theirs: f64) {
        let margin = ours - theirs;
        assert!(
            margin >= -ROUNDING,
            "{name} at {} µs: {ours} modelled, {theirs} at the venue, after {} requests",
            self.now_us(),
            self.tally.sent
        );
        self.tally.looks += 1;
        self.tally.least_margin = self.tally.least_margin.min(margin);
    }
}

#[test]
fn modelled_counters_are_never_below_the_venue_s_and_protection_is_never_held_back() {
    let tiers = [
        (Tier::Starter, EngineTier::STARTER),
        (Tier::Intermediate, EngineTier::INTERMEDIATE),
        (Tier::Pro, EngineTier::PRO),
    ];
    let (mut sent, mut refused_protection) = (0, 0);
    for (seed, (tier, theirs)) in (1..).zip(tiers) {
        let tally = World::new(tier, theirs, seed).run();
        println!("{tier:?}, seed {seed}: {tally:?}");
        assert!(tally.held_back > 0, "the model met its limit: {tally:?}");
        sent += tally.sent;
        refused_protection += tally.refused_protection;
    }
    println!("{sent} requests");
    assert!(refused_protection > 0, "the venue's own limit was met");
    assert!(sent >= 100_000);
}
