//! The numbers of prints, per symbol.
//!
//! Input: the number of each print and whether it stands in an image. Output: findings. An image
//! repeats prints that may be known already, which is neither a duplicate nor a gap.

use std::collections::BTreeMap;

use super::report::{FindingKind, Tally};
use crate::recording::Line;
use crate::sequence::{Contiguous, Seen};

/// Said of every recording with prints.
pub(super) const LAST_PRINTS: &str = "prints: a loss shows at the symbol's next print; one after the last, or before the first, leaves no trace";

/// Prints of all symbols.
#[derive(Debug, Default)]
pub(super) struct Trades(BTreeMap<String, Contiguous>);

impl Trades {
    /// A print.
    pub(super) fn print(
        &mut self,
        tally: &mut Tally,
        line: &Line<'_>,
        symbol: &str,
        number: u64,
        is_image: bool,
    ) {
        tally.trade();
        tally.note(LAST_PRINTS);
        if !self.0.contains_key(symbol) {
            self.0.insert(symbol.to_owned(), Contiguous::default());
        }
        let Some(sequence) = self.0.get_mut(symbol) else { return };
        let next = sequence.mark().and_then(|mark| mark.checked_add(1));
        let seen =
            if is_image { sequence.see_repeated(number) } else { Some(sequence.see(number)) };
        match seen {
            None | Some(Seen::First | Seen::Next) => {}
            Some(Seen::Gap { expected }) => {
                tally.gap(line, FindingKind::TradeGap, symbol, expected, number);
            }
            Some(Seen::Late) => {
                tally.finding(line, FindingKind::TradeLate, symbol, next, Some(number));
            }
            Some(Seen::Duplicate) => {
                tally.duplicate(line, FindingKind::TradeDuplicate, symbol, next, number);
            }
        }
    }
}
