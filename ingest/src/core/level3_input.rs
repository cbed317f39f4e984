//! Order-by-order books of the sockets into the core: what is tracked, what a message does, what a loss
//! costs.
//!
//! Input: pairs that are to have such a book, rows of the `level3` channel, notices of its connectors.
//! Output: calls of the market core and commands back to the connector. A socket of this kind is one more
//! group; whatever happens on it, L2 books, quotes and epochs of the public sockets go on.

use super::feed_input::{GroupKind, Market};
use super::level3_books::Applied;
use penstock_market::LostBook;
use penstock_types::raw::STREAM_LEVEL3;
use penstock_types::{Symbol, UtcMicros};
use penstock_venues::kraken::book::Precision;
use penstock_venues::kraken::level3::Level3Row;

/// A pair whose order-by-order book is to be maintained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level3Pair {
    pub symbol: Symbol,
    pub precision: Precision,
    /// Price levels that are subscribed.
    pub depth: u32,
    /// Socket that carries it; its group is of kind [`GroupKind::Level3`].
    pub group: usize,
}

impl GroupKind {
    /// Name of a socket in rows and gaps. Rows that bear the name of a level 3 socket touch no quote.
    pub(crate) fn stream(self, number: usize) -> String {
        match self {
            Self::Public => format!("spot-{number}"),
            Self::Level3 => format!("{STREAM_LEVEL3}-{number}"),
        }
    }
}

impl Market {
    /// Maintains order-by-order books of these pairs, or takes their new depth or digits over.
    pub(crate) fn track_level3(&mut self, pairs: &[Level3Pair], at: UtcMicros) {
        for pair in pairs {
            self.know(&pair.symbol);
            let group = self.groups.get_mut(pair.group).filter(|g| g.kind == GroupKind::Level3);
            let Some(group) = group else {
                tracing::error!(symbol = pair.symbol.as_str(), "its level 3 socket is not open");
                continue;
            };
            group.symbols.insert(pair.symbol.clone());
            let conn_id = group.conn_id;
            self.core.track_level3(&pair.symbol, pair.depth, at, &mut self.out);
            if self.books.level3.maintain(&pair.symbol, pair.depth, pair.precision)
                && let Some(conn_id) = conn_id
            {
                self.books.level3.opened(conn_id, std::iter::once(&pair.symbol));
            }
        }
    }

    /// Ends the order-by-order books of these symbols; those without one are left alone.
    pub(crate) fn untrack_level3(&mut self, symbols: &[Symbol], at: UtcMicros) {
        for symbol in symbols {
            if self.books.level3.drop_book(symbol) {
                self.core.untrack_level3(symbol, at, &mut self.out);
            }
            for group in self.groups.iter_mut().filter(|g| g.kind == GroupKind::Level3) {
                group.symbols.remove(symbol);
            }
        }
    }

    /// Takes a row of the `level3` channel.
    pub(super) fn level3(
        &mut self,
        group: usize,
        conn_id: i16,
        at: UtcMicros,
        row: &Level3Row<'_>,
        is_snapshot: bool,
    ) {
        let Some(symbol) = self.symbols.get(&*row.symbol).cloned() else {
            return;
        };
        match self.books.level3.apply(&symbol, row, is_snapshot, at) {
            Applied::Good => {
                self.core.level3_live(&symbol, conn_id);
                if is_snapshot {
                    self.check_whole(group, at);
                }
            }
            Applied::Lost(why) => {
                self.core.level3_lost(&symbol, why, at, &mut self.out);
                self.resync(group, &symbol, matches!(why, LostBook::Checksum { .. }));
            }
            Applied::Ignored => {}
        }
    }

    /// The connector subscribes a book anew by itself: what stands is no longer the venue's.
    pub(super) fn level3_resynced(&mut self, symbol: &Symbol, at: UtcMicros) {
        if self.books.level3.withdraw(symbol) {
            self.core.level3_lost(symbol, LostBook::Resync, at, &mut self.out);
        }
    }

    /// A pair has other digits: its order-by-order book is asked for anew.
    pub(super) fn change_level3_precision(
        &mut self,
        symbol: &Symbol,
        precision: Precision,
        at: UtcMicros,
    ) {
        let Some(depth) = self.books.level3.depth(symbol) else { return };
        if self.books.level3.maintain(symbol, depth, precision) {
            self.core.level3_lost(symbol, LostBook::Resync, at, &mut self.out);
            if let Some(group) = self.group_of(GroupKind::Level3, symbol) {
                self.resync(group, symbol, false);
            }
        }
    }
}

#[cfg(test)]
mod tests;
