//! What the core shows: its newest view, how far it is, whether it has failed.
//!
//! Purpose: one place that evaluations, exits, heartbeat and metrics read without ever blocking the core.
//! Inputs: the core after each tick, the source when it looks. Outputs: copies. Invariants: a view is
//! replaced whole; a failure stays; the lag grows with time when no frame comes. It judges no entry.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use penstock_engine_io::Fault;
use penstock_trading::engine_gate::{CoreState, EngineCycle, EngineSeen, EngineToken};
use penstock_trading::exit::review::Sight;
use penstock_types::engine_view::{EngineView, TokenView};
use penstock_types::{Symbol, TickId};

/// Ticks that are remembered for whoever asks for one shortly after it.
const PAST_LEN_MAX: usize = 300;
/// Lag of a core that has executed nothing, and the greatest that is told: it has a canonical JSON form.
const LAG_TICKS_UNKNOWN: i64 = 1_000_000_000;
/// Milliseconds of a tick.
const TICK_MS: i64 = 250;

/// A view and the age of the frame behind it.
#[derive(Debug)]
struct Published {
    view: EngineView,
    /// Age of the frame at `at`, free of the skew between hosts.
    frame_age_ms: i64,
    at: Instant,
}

/// What is remembered of a tick when its view has been replaced.
#[derive(Debug, Clone, Copy)]
struct Past {
    tick: u64,
    chain: [u8; 32],
    /// When its view could be read.
    at: Instant,
}

#[derive(Debug, Default)]
struct Shared {
    newest: ArcSwapOption<Published>,
    newest_sealed: AtomicI64,
    has_caught_up: AtomicBool,
    /// What stopped the core, and when.
    fault: Mutex<Option<Fault>>,
    /// A fault that another part has found and the core has to take.
    breach: Mutex<Option<Fault>>,
    past: Mutex<VecDeque<Past>>,
    /// Longest tick of each day, microseconds.
    longest: Mutex<BTreeMap<u64, u64>>,
}

/// The board; cheap to clone. Without an engine it is empty and everything is neutral.
#[derive(Debug, Clone, Default)]
pub struct EngineBoard {
    shared: Option<Arc<Shared>>,
    /// Symbols with a token.
    bound: Arc<BTreeMap<Symbol, u16>>,
}

impl EngineBoard {
    /// The board of an engine whose tokens stand for these symbols.
    #[must_use]
    pub fn new(bound: BTreeMap<Symbol, u16>) -> Self {
        Self { shared: Some(Arc::default()), bound: Arc::new(bound) }
    }

    /// The board of an engine that is run like this, if there is one.
    #[must_use]
    pub fn of(run: Option<&super::EngineRun>) -> Self {
        run.map_or_else(Self::default, |run| Self::new(run.symbols.clone()))
    }

    /// One view for all symbols of a cycle; none without an engine.
    #[must_use]
    pub fn cycle(&self) -> Option<EngineCycle> {
        let shared = self.shared.as_ref()?;
        let newest = shared.newest.load();
        let view = newest.as_ref().map(|published| &published.view);
        let seen = |id: u16| view.and_then(|view| token(view, id)).map(EngineSeen::from);
        Some(EngineCycle {
            core: self.core(),
            tick_id: view.map(|view| view.last_tick),
            chain: view.map(|view| hex::encode(&view.state_chain[..8])),
            lag_ticks: self.lag_ticks(),
            gap_tick: view.and_then(|view| view.gap_tick),
            tokens: self
                .bound
                .iter()
                .map(|(symbol, id)| EngineToken {
                    symbol: symbol.clone(),
                    token_id: *id,
                    seen: seen(*id),
                })
                .collect(),
        })
    }

    /// What is seen of a held symbol; none without a token or before the first tick, and none of a core that
    /// does not run: an old view moves no stop.
    #[must_use]
    pub fn sight(&self, symbol: &Symbol) -> Option<Sight> {
        let shared = self.shared.as_ref()?;
        let id = *self.bound.get(symbol)?;
        if self.core() != CoreState::Running {
            return None;
        }
        let newest = shared.newest.load();
        let view = &newest.as_ref()?.view;
        let seen = EngineSeen::from(token(view, id)?);
        Some(Sight { tick: view.last_tick.0, lag_ticks: self.lag_ticks(), seen })
    }

    /// How the core is.
    #[must_use]
    pub fn core(&self) -> CoreState {
        let Some(shared) = &self.shared else { return CoreState::Behind };
        if self.fault().is_some() {
            CoreState::Failed
        } else if shared.has_caught_up.load(Ordering::Acquire) {
            CoreState::Running
        } else {
            CoreState::Behind
        }
    }

    /// Sealed ticks that are not executed: by number, and by the time that no frame has come.
    #[must_use]
    pub fn lag_ticks(&self) -> i64 {
        let Some(shared) = &self.shared else { return 0 };
        let newest = shared.newest.load();
        let Some(published) = newest.as_ref() else { return LAG_TICKS_UNKNOWN };
        let by_number = shared.newest_sealed.load(Ordering::Acquire) - published.view.last_tick.0;
        let waited = i64::try_from(published.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let by_age = published.frame_age_ms.saturating_add(waited) / TICK_MS;
        by_number.max(by_age).clamp(0, LAG_TICKS_UNKNOWN)
    }

    /// Tick that was executed last.
    #[must_use]
    pub fn last_tick(&self) -> Option<TickId> {
        let newest = self.shared.as_ref()?.newest.load();
        newest.as_ref().map(|published| published.view.last_tick)
    }

    /// Symbols with a token, and which.
    #[must_use]
    pub fn bound(&self) -> &BTreeMap<Symbol, u16> {
        &self.bound
    }

    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Option<EngineView> {
        let newest = self.shared.as_ref()?.newest.load();
        newest.as_ref().map(|published| published.view.clone())
    }

    /// The fault that stopped the core.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        let shared = self.shared.as_ref()?;
        let place = shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
        place.clone()
    }

    /// Figures of the heartbeat; none without an engine.
    #[must_use]
    pub fn status(&self) -> Option<serde_json::Value> {
        let shared = self.shared.as_ref()?;
        let newest = shared.newest.load();
        let view = newest.as_ref().map(|published| &published.view);
        Some(serde_json::json!({
            "core": self.core(),
            "tick_id": view.map(|view| view.last_tick),
            "chain": view.map(|view| hex::encode(&view.state_chain[..8])),
            "lag_ticks": view.map(|_| self.lag_ticks()),
            "health": view.map(|view| format!("HEALTH_{:?}", view.health).to_uppercase()),
            "fault": self.fault().map(|fault| fault.code.name()),
        }))
    }

    /// Since when the view of a tick could be read, while the tick is remembered; taken by the core itself,
    /// right before it shows the view.
    #[must_use]
    pub fn readable_since(&self, tick: TickId) -> Option<Instant> {
        self.past_of(tick.0.unsigned_abs()).map(|past| past.at)
    }

    /// The core has executed a tick.
    pub(crate) fn publish(&self, view: EngineView, frame_age_ms: i64, at: Instant) {
        let Some(shared) = &self.shared else { return };
        let (tick, chain) = (view.last_tick.0.unsigned_abs(), view.state_chain);
        let published = Arc::new(Published { view, frame_age_ms, at });
        {
            let mut past = shared.past.lock().unwrap_or_else(PoisonError::into_inner);
            if past.len() == PAST_LEN_MAX {
                past.pop_front();
            }
            past.push_back(Past { tick, chain, at: Instant::now() });
        }
        shared.newest.store(Some(published));
    }

    /// The state chain after a tick, while it is remembered.
    pub(crate) fn chain_of(&self, tick: u64) -> Option<[u8; 32]> {
        self.past_of(tick).map(|past| past.chain)
    }

    fn past_of(&self, tick: u64) -> Option<Past> {
        let past = &self.shared.as_ref()?.past;
        let past = past.lock().unwrap_or_else(PoisonError::into_inner);
        past.iter().rev().find(|past| past.tick == tick).copied()
    }

    /// A tick of a day took so long; two days are remembered.
    pub(crate) fn note_tick_us(&self, day: u64, took: Duration) {
        let Some(shared) = &self.shared else { return };
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut longest = shared.longest.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = longest.entry(day).or_insert(0);
        *entry = us.max(*entry);
        if longest.len() > 2 {
            longest.pop_first();
        }
    }

    /// Longest tick of a day, microseconds; none when this process has not executed it.
    pub(crate) fn max_tick_us(&self, day: u64) -> Option<u64> {
        let longest = &self.shared.as_ref()?.longest;
        longest.lock().unwrap_or_else(PoisonError::into_inner).get(&day).copied()
    }

    /// A frame of this tick stands in the table.
    pub(crate) fn sealed(&self, tick: TickId) {
        if let Some(shared) = &self.shared {
            shared.newest_sealed.fetch_max(tick.0, Ordering::AcqRel);
        }
    }

    /// The newest tick that stands in the table.
    pub(crate) fn newest_sealed(&self) -> i64 {
        self.shared.as_ref().map_or(0, |shared| shared.newest_sealed.load(Ordering::Acquire))
    }

    /// The core has caught up for the first time.
    pub(crate) fn caught_up(&self) {
        if let Some(shared) = &self.shared {
            shared.has_caught_up.store(true, Ordering::Release);
        }
    }

    /// The core has stopped.
    pub(crate) fn failed(&self, fault: &Fault) {
        if let Some(shared) = &self.shared {
            let mut place = shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
            place.get_or_insert_with(|| fault.clone());
        }
    }

    /// Tells the core of a fault that it cannot see itself.
    pub(crate) fn breach(&self, fault: Fault) {
        if let Some(shared) = &self.shared {
            let mut place = shared.breach.lock().unwrap_or_else(PoisonError::into_inner);
            place.get_or_insert(fault);
        }
    }

    /// The fault that the core was told of.
    pub(crate) fn breached(&self) -> Option<Fault> {
        let shared = self.shared.as_ref()?;
        shared.breach.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn token(view: &EngineView, id: u16) -> Option<&TokenView> {
    let at = view.tokens.binary_search_by_key(&id, |token| token.token_id).ok()?;
    view.tokens.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine_io::Code;
    use penstock_types::canonical;
    use penstock_types::engine_view::EngineHealth;

    fn board() -> EngineBoard {
        EngineBoard::new([(Symbol::new("AAA/USD").unwrap(), 1)].into())
    }

    fn view(tick: i64) -> EngineView {
        EngineView {
            last_tick: TickId(tick),
            lag_ticks: 0,
            state_chain: [7; 32],
            health: EngineHealth::Ok,
            gap_tick: None,
            tokens: Vec::new(),
        }
    }

    #[test]
    fn without_an_engine_everything_is_neutral() {
        let none = EngineBoard::default();
        assert_eq!((none.cycle(), none.status(), none.fault()), (None, None, None));
    }

    /// What a cycle stores has a canonical form, also before the first tick and long after the last.
    #[test]
    fn the_lag_counts_ticks_and_time_and_is_always_a_number_that_can_be_stored() {
        let board = board();
        let cycle = board.cycle().unwrap();
        assert_eq!((cycle.core, cycle.lag_ticks), (CoreState::Behind, LAG_TICKS_UNKNOWN));
        canonical::hash(&cycle).unwrap();
        board.sealed(TickId(120));
        board.publish(view(100), -3_600_000, Instant::now());
        assert_eq!(board.lag_ticks(), 20);
        board.publish(view(120), 2_500, Instant::now());
        assert!(board.lag_ticks() >= 10);
        board.publish(view(120), i64::MAX, Instant::now());
        assert_eq!(board.lag_ticks(), LAG_TICKS_UNKNOWN);
        canonical::hash(&board.cycle().unwrap()).unwrap();
    }

    #[test]
    fn a_fault_stays_and_its_views_are_not_used() {
        let board = board();
        board.caught_up();
        assert_eq!(board.core(), CoreState::Running);
        board.failed(&Fault::new(Code::Storage, "the disk is full"));
        board.failed(&Fault::new(Code::Arith, "another"));
        assert_eq!(board.core(), CoreState::Failed);
        assert_eq!(board.fault().unwrap().code, Code::Storage);
        assert_eq!(board.sight(&Symbol::new("AAA/USD").unwrap()), None, "no old view moves a stop");
    }

    #[test]
    fn the_last_ticks_are_remembered_with_chain_and_time() {
        let board = board();
        let began = Instant::now();
        for tick in 0..400 {
            board.publish(view(tick), 0, Instant::now());
        }
        assert_eq!((board.chain_of(99), board.chain_of(399)), (None, Some([7; 32])));
        assert_eq!(board.last_tick(), Some(TickId(399)));
        let since = |tick| board.readable_since(TickId(tick));
        assert_eq!(since(99), None);
        assert!(since(100).unwrap() >= began && since(100) <= since(399));
        board.note_tick_us(1, Duration::from_micros(5));
        board.note_tick_us(1, Duration::from_micros(3));
        assert_eq!((board.max_tick_us(1), board.max_tick_us(2)), (Some(5), None));
    }
}
