//! What a sealer carries into a run that follows by rollover: kept with the run's first checkpoint, so that
//! its frames derive from that run's rows alone.
//!
//! Input: a sealer behind [`Sealer::begin_run`], and the other way round the bindings of the run. Quotes,
//! withdrawals, numbers of tokens and what was seen go on; what is published begins anew with the run.

use super::{Quoted, RunSymbol, Sealer, venue::VenueState};
use crate::canonical::{EventQueue, InstrumentBinding, QueueState};
use penstock_types::frame::QuoteEntry;
use penstock_types::{Decimal, RunId, Seq, Symbol, UtcMicros};
use serde::{Deserialize, Serialize};

/// A sealer at the start of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SealerState {
    symbols: Vec<SymbolState>,
    quiet: Vec<i16>,
    venues: [VenueState; 3],
    conn_cause: Seq,
    events: QueueState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SymbolState {
    symbol: Symbol,
    price_decimals: i16,
    qty_decimals: i16,
    has_l2: bool,
    is_lost: bool,
    conn_id: i16,
    sampled_end: UtcMicros,
    newest: QuoteEntry,
}

/// The newest book sample of a symbol.
pub(crate) struct Sampled {
    pub symbol: Symbol,
    /// Best bid and ask with their quantities.
    pub best: [Decimal; 4],
    /// End of its tick.
    pub end: UtcMicros,
    pub conn_id: i16,
}

impl SealerState {
    /// The newest sample of each symbol whose book stands.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sampled> {
        let standing = self.symbols.iter().filter(|s| !s.is_lost && s.sampled_end > UtcMicros(0));
        standing.filter_map(|held| {
            let (entry, digits) = (&held.newest, |d: i16| u32::try_from(d).unwrap_or(0));
            let price = |units| Decimal::try_new(units, digits(held.price_decimals)).ok();
            let qty = |units| Decimal::try_new(units, digits(held.qty_decimals)).ok();
            let best =
                [price(entry.bid)?, price(entry.ask)?, qty(entry.bid_qty)?, qty(entry.ask_qty)?];
            let (symbol, end) = (held.symbol.clone(), held.sampled_end);
            Some(Sampled { symbol, best, end, conn_id: held.conn_id })
        })
    }
}

impl Sealer {
    /// The state with which a run begins; to be taken behind [`Self::begin_run`] and before its first row.
    #[must_use]
    pub fn state(&self) -> SealerState {
        let symbols = self.quoted.iter().map(|quoted| SymbolState {
            symbol: quoted.run_symbol.symbol.clone(),
            price_decimals: quoted.run_symbol.price_decimals,
            qty_decimals: quoted.run_symbol.qty_decimals,
            has_l2: quoted.has_l2,
            is_lost: quoted.is_lost,
            conn_id: quoted.conn_id,
            sampled_end: quoted.sampled_end,
            newest: quoted.newest,
        });
        SealerState {
            symbols: symbols.collect(),
            quiet: self.quiet.iter().copied().collect(),
            venues: self.venues.each_ref().map(super::VenueHealth::state),
            conn_cause: self.conn_cause,
            events: self.events.state(),
        }
    }

    /// The sealer that goes on from a state, under the bindings of its run.
    #[must_use]
    pub fn resume(run_id: RunId, bindings: Vec<InstrumentBinding>, state: SealerState) -> Self {
        let mut sealer = Self::new(run_id, bindings.clone());
        sealer.is_first = false;
        sealer.events = EventQueue::resume(bindings, state.events);
        sealer.quiet = state.quiet.into_iter().collect();
        for (health, state) in sealer.venues.iter_mut().zip(state.venues) {
            health.resume(state);
        }
        for held in state.symbols {
            let run_symbol = RunSymbol {
                run_id,
                symbol_no: held.newest.symbol_no,
                symbol: held.symbol,
                price_decimals: held.price_decimals,
                qty_decimals: held.qty_decimals,
            };
            sealer.next_no = held.newest.symbol_no.wrapping_add(1);
            sealer.index.insert(run_symbol.symbol.clone(), sealer.quoted.len());
            sealer.quoted.push(Quoted {
                published: QuoteEntry::withdrawn(run_symbol.symbol_no, 0, Seq(0)),
                run_symbol,
                is_tracked: true,
                has_l2: held.has_l2,
                is_lost: held.is_lost,
                conn_id: held.conn_id,
                is_sampled: false,
                sampled_end: held.sampled_end,
                newest: held.newest,
            });
        }
        sealer.conn_cause = state.conn_cause;
        sealer
    }
}
