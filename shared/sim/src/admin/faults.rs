//! Faults that the venue's sockets commit on request.
//!
//! Inputs: `FaultRequest` values of the admin interface. Outputs: answers to the sockets'
//! questions ("is this channel silent now?", "how does the next answer to this method fail?").
//! Invariants: a counted fault is used up by the question that gets it; without requests every
//! question is answered "no fault". It does not commit anything itself.

use super::{Endpoint, ExecutionFault, FaultRequest, FrameFault, RequestFault};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What a REST answer becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFault {
    /// HTTP status.
    pub status: u16,
    /// Body, sent as HTML.
    pub body: String,
    /// True when the request is carried out before it is answered so.
    pub executed: bool,
}

#[derive(Clone, Debug)]
struct Silence {
    channel: String,
    symbol: Option<String>,
    until_us: i64,
}

#[derive(Clone, Debug)]
struct ErrorFault {
    text: String,
    executed: bool,
    left: u32,
}

#[derive(Debug, Default)]
struct State {
    bad_checksums: BTreeMap<(String, String), u32>,
    silences: Vec<Silence>,
    frames: BTreeMap<(String, String), VecDeque<FrameFault>>,
    executions: VecDeque<(ExecutionFault, u32)>,
    lost_acks: BTreeMap<String, u32>,
    errors: BTreeMap<String, VecDeque<ErrorFault>>,
    http: BTreeMap<String, VecDeque<HttpFault>>,
    delay_ms: u32,
    rest_delay_ms: u32,
    rest_lag_ms: u32,
    history_shift: i64,
    requests: BTreeMap<String, VecDeque<(RequestFault, u32)>>,
    vanished_until_us: BTreeMap<String, i64>,
    key_withdraws: bool,
    stalled_until_us: BTreeMap<Endpoint, i64>,
    closed_until_us: BTreeMap<Endpoint, i64>,
}

/// Faults that may be waiting per list; more are refused by cutting the count.
const WAITING_LIMIT: usize = 10_000;

/// All faults.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
    cuts: BTreeMap<Endpoint, watch::Sender<u64>>,
    stalls: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            state: Mutex::default(),
            cuts: Endpoint::ALL.map(|endpoint| (endpoint, watch::Sender::new(0))).into(),
            stalls: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// Takes a fault. Status changes are not for here: the caller carries them out on the
    /// exchange.
    pub fn add(&self, request: &FaultRequest, now_us: i64) {
        match request {
            FaultRequest::BadChecksum { symbol, channel } => {
                let key = (channel.clone(), symbol.clone());
                *self.lock().bad_checksums.entry(key).or_default() += 1;
            }
            FaultRequest::Cut { endpoint, for_ms } => {
                let until_us = now_us.saturating_add(i64::from(*for_ms) * 1_000);
                self.lock().closed_until_us.insert(*endpoint, until_us);
                if let Some(sender) = self.cuts.get(endpoint) {
                    sender.send_modify(|n| *n += 1);
                }
            }
            FaultRequest::Stall { endpoint, for_ms } => {
                let until_us = now_us.saturating_add(i64::from(*for_ms) * 1_000);
                self.lock().stalled_until_us.insert(*endpoint, until_us);
                self.stalls.send_modify(|n| *n += 1);
            }
            FaultRequest::RestLag { ms } => self.lock().rest_lag_ms = *ms,
            FaultRequest::Silence { channel, symbol, for_ms } => {
                let until_us = now_us.saturating_add(i64::from(*for_ms) * 1_000);
                let (channel, symbol) = (channel.clone(), symbol.clone());
                let mut state = self.lock();
                state.silences.retain(|silence| silence.until_us > now_us);
                state.silences.push(Silence { channel, symbol, until_us });
            }
            FaultRequest::Frames { channel, symbol, action, count } => {
                let mut state = self.lock();
                let key = (channel.clone(), symbol.clone());
                wait(state.frames.entry(key).or_default(), action, *count);
            }
            FaultRequest::Executions { action, count, delay_ms } => {
                wait(&mut self.lock().executions, &(*action, *delay_ms), *count);
            }
            FaultRequest::Request { method, action, count, delay_ms } => {
                let mut state = self.lock();
                let waiting = state.requests.entry(method.clone()).or_default();
                wait(waiting, &(*action, *delay_ms), *count);
            }
            FaultRequest::Vanish { order_id, for_ms } => {
                let until_us = now_us.saturating_add(i64::from(*for_ms) * 1_000);
                let mut state = self.lock();
                state.vanished_until_us.retain(|_, until_us| *until_us > now_us);
                state.vanished_until_us.extend(order_id.clone().map(|id| (id, until_us)));
            }
            FaultRequest::KeyPermission { withdraw } => self.lock().key_withdraws = *withdraw,
            FaultRequest::LostAck { method, count } => {
                *self.lock().lost_acks.entry(method.clone()).or_default() += count;
            }
            FaultRequest::Error { method, text, count, executed } => {
                let fault = ErrorFault { text: text.clone(), executed: *executed, left: *count };
                self.lock().errors.entry(method.clone()).or_default().push_back(fault);
            }
            FaultRequest::Http { method, count, status, body, executed } => {
                let answer = HttpFault { status: *status, body: body.clone(), executed: *executed };
                let mut state = self.lock();
                wait(state.http.entry(method.clone()).or_default(), &answer, *count);
            }
            FaultRequest::RestDelay { ms } => self.lock().rest_delay_ms = *ms,
            FaultRequest::VenueDelay { ms } => self.lock().delay_ms = *ms,
            FaultRequest::HistoryShift { by } => self.lock().history_shift = *by,
            FaultRequest::Clear => *self.lock() = State::default(),
            FaultRequest::SystemStatus { .. }
            | FaultRequest::PairStatus { .. }
            | FaultRequest::Overfill { .. }
            | FaultRequest::ClockSkew { .. } => {}
        }
    }

    /// True once per `bad_checksum` of the symbol: the frame that asks must be wrong.
    #[must_use]
    pub fn take_bad_checksum(&self, channel: &str, symbol: &str) -> bool {
        let mut state = self.lock();
        if state.bad_checksums.is_empty() {
            return false;
        }
        take_count(&mut state.bad_checksums, &(channel.to_owned(), symbol.to_owned()))
    }

    /// True while the channel is to be silent for the symbol (`None`: for a frame without one).
    #[must_use]
    pub fn silent(&self, channel: &str, symbol: Option<&str>, now_us: i64) -> bool {
        let state = self.lock();
        let meant = |silence: &Silence| {
            let symbol_meant = match (silence.symbol.as_deref(), symbol) {
                (None, _) => true,
                (Some(meant), Some(symbol)) => meant == symbol,
                (Some(_), None) => false,
            };
            silence.channel == channel && symbol_meant && now_us < silence.until_us
        };
        state.silences.iter().any(meant)
    }

    /// Changes whenever a stall begins: connections look at `stall` then.
    #[must_use]
    pub fn stalls(&self) -> watch::Receiver<u64> {
        self.stalls.subscribe()
    }

    /// Changes whenever the connections of the endpoint are to be cut.
    #[must_use]
    pub fn cuts(&self, endpoint: Endpoint) -> watch::Receiver<u64> {
        match self.cuts.get(&endpoint) {
            Some(sender) => sender.subscribe(),
            // Every endpoint has its sender; one without would never be cut.
            None => watch::channel(0).1,
        }
    }

    /// True while an endpoint takes no new connections.
    #[must_use]
    pub fn closed(&self, endpoint: Endpoint, now_us: i64) -> bool {
        self.lock().closed_until_us.get(&endpoint).is_some_and(|until_us| now_us < *until_us)
    }

    /// How long the connections of an endpoint have to stand still from now on, if they have to.
    #[must_use]
    pub fn stall(&self, endpoint: Endpoint, now_us: i64) -> Option<Duration> {
        let until_us = *self.lock().stalled_until_us.get(&endpoint)?;
        let left_us = u64::try_from(until_us.saturating_sub(now_us)).ok()?;
        (left_us > 0).then(|| Duration::from_micros(left_us))
    }

    /// How far REST lags behind, ms.
    #[must_use]
    pub fn rest_lag_ms(&self) -> u32 {
        self.lock().rest_lag_ms
    }

    /// What happens to this frame of a public channel.
    #[must_use]
    pub fn take_frame_fault(&self, channel: &str, symbol: &str) -> Option<FrameFault> {
        let mut state = self.lock();
        if state.frames.is_empty() {
            return None;
        }
        state.frames.get_mut(&(channel.to_owned(), symbol.to_owned()))?.pop_front()
    }

    /// What happens to the next execution report, with the delay in ms.
    #[must_use]
    pub fn take_execution_fault(&self) -> Option<(ExecutionFault, u32)> {
        self.lock().executions.pop_front()
    }

    /// What happens to this request before the engine sees it, with the delay in ms.
    #[must_use]
    pub fn take_request_fault(&self, method: &str) -> Option<(RequestFault, u32)> {
        self.lock().requests.get_mut(method)?.pop_front()
    }

    /// Venue ids of the orders that no list shows now.
    #[must_use]
    pub fn vanished(&self, now_us: i64) -> BTreeSet<String> {
        let state = self.lock();
        let hidden = state.vanished_until_us.iter().filter(|(_, until_us)| now_us < **until_us);
        hidden.map(|(order_id, _)| order_id.clone()).collect()
    }

    /// True when the account's key may withdraw.
    #[must_use]
    pub fn key_withdraws(&self) -> bool {
        self.lock().key_withdraws
    }

    /// True when the answer to this request is to be swallowed.
    #[must_use]
    pub fn take_lost_ack(&self, method: &str) -> bool {
        take_count(&mut self.lock().lost_acks, &method.to_owned())
    }

    /// Error text for this request, and whether it is carried out all the same.
    #[must_use]
    pub fn take_error(&self, method: &str) -> Option<(String, bool)> {
        let mut state = self.lock();
        let waiting = state.errors.get_mut(method)?;
        let fault = waiting.front_mut().filter(|fault| fault.left > 0);
        let Some(fault) = fault else {
            waiting.pop_front();
            return None;
        };
        let taken = (fault.text.clone(), fault.executed);
        fault.left -= 1;
        if fault.left == 0 {
            waiting.pop_front();
        }
        Some(taken)
    }

    /// What this REST answer becomes.
    #[must_use]
    pub fn take_http(&self, method: &str) -> Option<HttpFault> {
        self.lock().http.get_mut(method)?.pop_front()
    }

    /// By how much answers of public REST are late, ms.
    #[must_use]
    pub fn rest_delay_ms(&self) -> u32 {
        self.lock().rest_delay_ms
    }

    /// By how much answers to private requests are late, ms.
    #[must_use]
    pub fn delay_ms(&self) -> u32 {
        self.lock().delay_ms
    }

    /// By how much REST of Kraken Futures numbers trades otherwise.
    pub fn history_shift(&self) -> i64 {
        self.lock().history_shift
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a fault so often, as far as there is room.
fn wait<T: Clone>(waiting: &mut VecDeque<T>, fault: &T, count: u32) {
    let free = WAITING_LIMIT.saturating_sub(waiting.len());
    waiting.extend(std::iter::repeat_n(fault.clone(), free.min(count as usize)));
}

fn take_count<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key).filter(|count| **count > 0) else { return false };
    *count -= 1;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> FaultRequest {
        serde_json::from_str(json).expect("a documented fault")
    }

    #[test]
    fn counted_faults_are_used_up() {
        let faults = Faults::default();
        faults.add(&request(r#"{"kind":"bad_checksum","symbol":"BTC/USD"}"#), 0);
        assert!(!faults.take_bad_checksum("book", "ETH/USD"));
        assert!(faults.take_bad_checksum("book", "BTC/USD"));
        assert!(!faults.take_bad_checksum("book", "BTC/USD"));
        let error = r#"{"kind":"error","method":"add_order","text":"EService:Busy","count":2}"#;
        faults.add(&request(error), 0);
        assert_eq!(faults.take_error("add_order"), Some(("EService:Busy".to_owned(), false)));
        assert!(faults.take_error("add_order").is_some());
        assert_eq!(faults.take_error("add_order"), None);
    }

    #[test]
    fn a_silence_ends_by_time_and_meets_only_its_symbol() {
        let faults = Faults::default();
        let silence = r#"{"kind":"silence","channel":"book","symbol":"BTC/USD","for_ms":10}"#;
        faults.add(&request(silence), 0);
        assert!(faults.silent("book", Some("BTC/USD"), 9_999));
        assert!(!faults.silent("book", Some("BTC/USD"), 10_000));
        assert!(!faults.silent("book", Some("ETH/USD"), 0));
        assert!(!faults.silent("trade", Some("BTC/USD"), 0));
    }

    #[test]
    fn a_cut_with_a_length_keeps_its_endpoint_closed_so_long() {
        let faults = Faults::default();
        let cuts = faults.cuts(Endpoint::Public);
        faults.add(&request(r#"{"kind":"cut","endpoint":"public","for_ms":5}"#), 1_000);
        assert!(cuts.has_changed().expect("the sender lives"));
        assert!(faults.closed(Endpoint::Public, 5_999));
        assert!(!faults.closed(Endpoint::Public, 6_000));
        assert!(!faults.closed(Endpoint::Private, 1_000));
        faults.add(&request(r#"{"kind":"cut","endpoint":"private"}"#), 1_000);
        assert!(!faults.closed(Endpoint::Private, 1_000), "without a length it is open at once");
    }

    #[test]
    fn an_order_that_vanished_is_back_when_its_time_is_over() {
        let faults = Faults::default();
        faults.add(&request(r#"{"kind":"vanish","order_id":"OA","for_ms":10}"#), 0);
        assert!(faults.vanished(9_999).contains("OA"));
        assert!(faults.vanished(10_000).is_empty());
    }

    #[test]
    fn a_request_meets_its_faults_in_their_order() {
        let faults = Faults::default();
        faults.add(&request(r#"{"kind":"request","method":"add_order","action":"drop"}"#), 0);
        let late =
            r#"{"kind":"request","method":"add_order","action":"delay","delay_ms":40,"count":1}"#;
        faults.add(&request(late), 0);
        assert_eq!(faults.take_request_fault("cancel_order"), None);
        assert_eq!(faults.take_request_fault("add_order"), Some((RequestFault::Drop, 1_000)));
        assert_eq!(faults.take_request_fault("add_order"), Some((RequestFault::Delay, 40)));
        assert_eq!(faults.take_request_fault("add_order"), None);
    }

    #[test]
    fn unknown_faults_and_fields_are_refused() {
        assert!(serde_json::from_str::<FaultRequest>(r#"{"kind":"flood"}"#).is_err());
        let typo = r#"{"kind":"bad_checksum","symbol":"A/B","symbols":1}"#;
        assert!(serde_json::from_str::<FaultRequest>(typo).is_err());
    }
}
