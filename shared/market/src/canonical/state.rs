//! What the queues of all tokens carry into another run: their numbers and what was seen.

use penstock_types::Symbol;
use serde::{Deserialize, Serialize};

use super::binding::{InstrumentBinding, InstrumentKey};
use super::duplicates::SeenNumbers;
use super::normalise::Source;
use super::queue::{EventQueue, SourceState, TokenQueue};

/// Queues between two ticks: nothing waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueState {
    tokens: Vec<(u16, u64)>,
    sources: Vec<(InstrumentKey, Source, i64, SeenNumbers)>,
    timed_tickers: Vec<(Symbol, bool)>,
}

impl EventQueue {
    /// The state, in one order.
    #[must_use]
    pub(crate) fn state(&self) -> QueueState {
        let mut sources: Vec<_> = self
            .sources
            .iter()
            .map(|((key, source), held)| (*key, *source, held.newest_ts, held.seen.clone()))
            .collect();
        sources.sort_unstable_by_key(|held| (held.0, held.1));
        let mut timed_tickers: Vec<_> = self
            .timed_tickers
            .iter()
            .map(|(symbol, is_timed)| (symbol.clone(), *is_timed))
            .collect();
        timed_tickers.sort_unstable();
        QueueState {
            tokens: self.tokens.iter().map(|(id, token)| (*id, token.local_seq)).collect(),
            sources,
            timed_tickers,
        }
    }

    /// Queues that go on from a state.
    #[must_use]
    pub(crate) fn resume(bindings: Vec<InstrumentBinding>, state: QueueState) -> Self {
        let mut queue = Self::new(bindings);
        let token = |local_seq| TokenQueue { local_seq, waiting: Vec::new() };
        queue.tokens.extend(state.tokens.into_iter().map(|(id, local_seq)| (id, token(local_seq))));
        queue.sources.extend(state.sources.into_iter().map(|(key, source, newest_ts, seen)| {
            ((key, source), SourceState { seen, newest_ts })
        }));
        queue.timed_tickers.extend(state.timed_tickers);
        queue
    }
}
