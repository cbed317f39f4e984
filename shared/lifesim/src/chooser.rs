//! What happens next: moves of the market, orders, faults.
//!
//! Input: chance. Output: one action. Each history draws its own weights, many of them zero, so that some histories are
//! all about one kind of trouble; without that rare pairs of state and event would need far more histories.

use penstock_sim::exchange::SystemStatus;
use penstock_trading::exit::market::Market;
use penstock_types::Decimal;
use penstock_types::vocab::ExitPolicy;

use crate::dice::Dice;
use crate::fault::Kind;
use crate::life::{LEASE_MS, Stop};
use crate::net::Event;
use crate::world::World;

/// Moves of the market and wishes of the operator.
const MOVES: usize = 9;
/// The mid stays between these, ticks.
const MID: (i64, i64) = (9_400, 11_200);
/// Pauses between actions, ms.
const PAUSES_MS: [i64; 8] = [1, 15, 60, 300, 1_200, 3_500, 9_000, 30_000];

/// Weights of one history.
#[derive(Debug)]
pub(crate) struct Chooser {
    weights: Vec<u64>,
    pauses: [u64; 8],
}

impl Chooser {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let mut weights = vec![26, 14, 8, 14, 5, 8, 3, 4, 2];
        for kind in Kind::ALL {
            let rare = matches!(kind, Kind::Maintenance | Kind::Transfer | Kind::RestLags);
            let list: &[u64] = if rare { &[0, 0, 0, 1, 2] } else { &[0, 0, 1, 2, 6] };
            weights.push(dice.pick(list).unwrap_or(0));
        }
        let (moves, kinds) = theme(dice);
        for at in moves {
            weights[*at] *= 4;
        }
        for (at, kind) in Kind::ALL.iter().enumerate() {
            if kinds.contains(kind) {
                weights[MOVES + at] = 30 / kinds.len() as u64 + weights[MOVES + at] * 2;
            }
        }
        let mut pauses = [0; 8];
        for pause in &mut pauses {
            *pause = dice.pick(&[1, 2, 6]).unwrap_or(1);
        }
        Self { weights, pauses }
    }

    pub(crate) fn pause(&self, dice: &mut Dice) -> i64 {
        PAUSES_MS[dice.weighted(&self.pauses).min(PAUSES_MS.len() - 1)]
    }

    pub(crate) fn act(&self, world: &mut World) {
        let at = world.cx.dice.weighted(&self.weights);
        match Kind::ALL.get(at.wrapping_sub(MOVES)) {
            Some(kind) if at >= MOVES => inject(world, *kind),
            _ => step_market(world, at),
        }
        world.spread();
    }
}

/// What a history is all about: moves and faults that come more often.
fn theme(dice: &mut Dice) -> (&'static [usize], &'static [Kind]) {
    use Kind::{
        CancelOnly, ClusterAway, CommitUnknown, CutOff, DoubleAnswer, DoubleReport, EarlyBalance,
        Killed, LateAnswer, LateReport, LateRequest, LostAnswer, LostReport, LostRequest,
        ManualCancel, Paused, PostOnly, SlowStop, SocketLost, StrangeAnswer, StreamStalled,
        ThinBook,
    };
    match dice.below(10) {
        0 => (&[1], &[Killed, Paused, CutOff, ClusterAway, CommitUnknown, LateRequest]),
        1 => {
            (&[], &[LostRequest, LateRequest, LostAnswer, LateAnswer, StrangeAnswer, DoubleAnswer])
        }
        2 => (&[1, 3], &[ManualCancel, LateReport, ClusterAway]),
        3 => {
            (&[1], &[LostReport, LateReport, DoubleReport, EarlyBalance, StreamStalled, SocketLost])
        }
        4 => (&[4, 7], &[ThinBook, SlowStop, CancelOnly, PostOnly, ManualCancel, LateRequest]),
        5 => (&[0, 1], &[CommitUnknown, Killed, CutOff]),
        6 => (&[0, 1, 4], &[CommitUnknown, LateRequest, Killed]),
        7 => (&[0, 1], &[CommitUnknown]),
        8 => (&[0, 1, 7], &[ManualCancel, LostRequest, LostAnswer]),
        _ => (&[], &[]),
    }
}

fn step_market(world: &mut World, at: usize) {
    let now = world.cx.now;
    let dice = &mut world.cx.dice;
    match at {
        0 => enter(world),
        1 => {
            let lots = dice.pick(&[50, 75, 100]).unwrap_or(50);
            world.venue.sell_into(lots, now);
        }
        2 => world.venue.sell_into(400, now),
        3 => {
            let step = dice.between(-12, 14);
            shift(world, step);
        }
        4 => {
            let step = dice.between(-110, -55);
            shift(world, step);
        }
        5 => {
            let step = dice.between(20, 90);
            shift(world, step);
        }
        6 => {
            let step = dice.pick(&[-300, 500, 900]).unwrap_or(0);
            shift(world, step);
        }
        7 => world.lives.iter_mut().for_each(crate::life::Life::flatten),
        _ => world.venue.buy_from(300, now),
    }
}

fn shift(world: &mut World, step: i64) {
    let mid = (world.venue.mid + step).clamp(MID.0, MID.1);
    world.venue.move_to(mid, world.cx.now);
}

fn enter(world: &mut World) {
    let Some(at) = world.acting() else { return };
    let qty = Decimal::new(world.cx.dice.pick(&[100, 150, 200, 300]).unwrap_or(200), 2);
    let policies = [ExitPolicy::TrailingStop, ExitPolicy::MakerLadder, ExitPolicy::TimeDecay];
    let policy = world.cx.dice.pick(&policies).unwrap_or(ExitPolicy::TrailingStop);
    let limit = Decimal::new(world.venue.mid, 1);
    let life = &mut world.lives[at];
    match life.enter(&mut world.cx, qty, limit, policy) {
        Ok(_) => {}
        Err(Stop::Away) => {
            if let Err(stop) = life.lose_rows(&mut world.cx) {
                world.end_life(at, stop);
            }
        }
        Err(stop) => world.end_life(at, stop),
    }
}

/// One fault; those of one message wait for it.
fn inject(world: &mut World, kind: Kind) {
    if let Some(class) = kind.class() {
        let ms = world
            .cx
            .dice
            .pick(&[40, 400, 1_500, 2_600, 3_500, 6_000, 20_000, 70_000])
            .unwrap_or(40);
        return world.cx.net.arm(class, kind, ms);
    }
    match kind {
        Kind::Killed | Kind::Paused | Kind::CutOff => process(world, kind),
        Kind::ClusterAway | Kind::CommitUnknown => cluster(world, kind),
        Kind::CancelOnly | Kind::PostOnly | Kind::Maintenance => market(world, kind),
        Kind::ManualCancel | Kind::Transfer => account(world, kind),
        _ => place(world, kind),
    }
}

fn lasts(world: &mut World, kind: Kind, ms: i64) {
    world.cx.cover.fault(kind);
    world.count += 1;
    world.ends.insert((world.cx.now + ms, world.count), kind);
}

fn process(world: &mut World, kind: Kind) {
    let Some(at) = world.acting() else { return };
    let now = world.cx.now;
    match kind {
        Kind::Killed => {
            if world.cx.dice.percent(30) {
                return world.end_life(at, Stop::Killed);
            }
            world.lives[at].fuse = u32::try_from(world.cx.dice.between(0, 14)).ok();
        }
        _ if world.lives.len() > 1 || world.cx.db_away || world.cx.cut_off.is_some() => {}
        Kind::Paused => {
            let ms = world.cx.dice.between(2_000, 40_000);
            world.lives[at].paused = now + ms;
            world.start = Some(world.lives[at].lease + LEASE_MS + 1);
            world.cx.cover.fault(kind);
            world.judge.excuse(now + ms.min(LEASE_MS) + 25_000);
        }
        _ => {
            let ms = world.cx.dice.between(3_000, 60_000);
            world.cx.cut_off = Some(world.lives[at].no);
            world.start = Some(world.lives[at].lease + LEASE_MS + 1);
            lasts(world, kind, ms);
        }
    }
}

fn cluster(world: &mut World, kind: Kind) {
    if kind == Kind::CommitUnknown {
        world.cx.commit_unknown = true;
    } else if !world.cx.db_away && world.cx.cut_off.is_none() {
        world.cx.db_away = true;
        let ms = world.cx.dice.pick(&[900, 4_000, 15_000, 60_000, 150_000]).unwrap_or(900);
        lasts(world, kind, ms);
    }
}

fn market(world: &mut World, kind: Kind) {
    let busy = |kind: &Kind| matches!(kind, Kind::CancelOnly | Kind::PostOnly | Kind::Maintenance);
    if world.ends.values().any(busy) {
        return;
    }
    let (status, seen) = match kind {
        Kind::CancelOnly => (SystemStatus::CancelOnly, Market::CancelOnly),
        Kind::PostOnly => (SystemStatus::PostOnly, Market::PostOnly),
        _ => (SystemStatus::Maintenance, Market::Closed),
    };
    world.venue.set_status(status, world.cx.now);
    // The word of it may come later than the first refusal.
    if world.cx.dice.percent(60) {
        world.cx.market = seen;
    }
    let ms = world.cx.dice.between(500, 15_000);
    world.judge.excuse(world.cx.now + ms + 20_000);
    lasts(world, kind, ms);
}

fn account(world: &mut World, kind: Kind) {
    let now = world.cx.now;
    if kind == Kind::ManualCancel {
        let ids: Vec<u32> = world.venue.open().filter_map(|r| r.own.map(|(id, _)| id)).collect();
        let Some(id) = world.cx.dice.pick(&ids) else { return };
        world.venue.cancel_by_hand(id, now);
        world.cx.cover.fault(kind);
        return world.judge.excuse(now + 10_000);
    }
    let amount = Decimal::from(world.cx.dice.pick(&[1, 2, -1]).unwrap_or(1));
    // What leaves of a remainder alone is for a person: no position takes the difference.
    let dust = world.cx.db.positions.values().any(|p| p.status == crate::rows::Status::Dust);
    if !(dust && amount < Decimal::ZERO) && world.venue.transfer(amount, now) {
        world.cx.cover.fault(kind);
        world.judge.excuse(now + 120_000);
    }
}

fn place(world: &mut World, kind: Kind) {
    let now = world.cx.now;
    let ms = world.cx.dice.between(500, 20_000);
    if world.ends.values().any(|one| *one == kind) {
        return;
    }
    match kind {
        Kind::SocketLost => {
            let Some(at) = world.acting().filter(|at| world.lives[*at].conn.is_some()) else {
                return;
            };
            world.cx.cover.fault(kind);
            world.judge.excuse(now + 30_000);
            return world.give(at, Event::Lost);
        }
        Kind::StreamStalled => {
            world.cx.net.stalled_until = now + ms;
            world.cx.cover.fault(kind);
            return world.judge.excuse(now + ms + 25_000);
        }
        Kind::EarlyBalance => {
            world.cx.net.early_until = now + ms;
            world.cx.cover.fault(kind);
            return world.judge.excuse(now + ms + 25_000);
        }
        Kind::RestLags => world.cx.net.rest_lag = world.cx.dice.between(500, 59_000),
        Kind::TradesLag => world.cx.net.trades_lag = world.cx.dice.between(500, 30_000),
        Kind::ThinBook => world.venue.set_thin(true, now),
        Kind::SlowStop => world.venue.set_slow(true),
        Kind::QuoteWithdrawn => world.judge.quote_withdrawn = true,
        _ => return,
    }
    world.judge.excuse(now + ms + 25_000);
    lasts(world, kind, ms);
}
