//! Purpose: ticks as the market core seals them. Inputs: a number of tokens. Outputs: frames with their quote
//! blocks, not linked yet, and the tokens as configuration. Invariants: the same numbers for the same tick;
//! events are in canonical order, six of each token, every quote changes in every tick. It is no model of a
//! market: only the number and the kind of the events matter here.

use std::fmt::Write as _;
use std::time::Instant;

use penstock_store::twins::RunSymbolRow;
use penstock_types::frame::{
    FULL_EVERY_TICKS, FrameEvent, FrameFlags, FrameHeader, QuoteBlock, QuoteEntry, encode_frame,
    encode_quotes,
};
use penstock_types::{FencingToken, RunId, Seq, TickId};

use crate::bench::market::symbol;

/// Events of a token in a tick.
pub(super) const EVENTS_PER_TOKEN: usize = 6;
/// Microseconds of a tick.
const TICK_US: i64 = 250_000;
/// A price of 100 in the engine's unit.
const PRICE: i64 = 1_000_000_000_000;
/// The venue of instrument 0, a derivative, and that of instrument 1, its spot pair, as frames number them.
const VENUES: [u8; 2] = [1, 0];

/// A tick as it is sealed.
#[derive(Debug, Clone)]
pub(super) struct Sealed {
    /// Tick.
    pub(super) tick_id: TickId,
    /// Frame, without its link.
    pub(super) frame: Vec<u8>,
    /// Quote block.
    pub(super) quotes: Vec<u8>,
    /// When both were whole.
    pub(super) at: Instant,
}

/// Seals one tick after the other.
#[derive(Debug)]
pub(super) struct Sealer {
    tokens: u16,
    run_id: RunId,
    fencing_token: FencingToken,
    next: TickId,
    is_first: bool,
    events: Vec<FrameEvent>,
}

impl Sealer {
    /// From tick `first` on.
    pub(super) const fn new(
        tokens: u16,
        (run_id, fencing_token): (RunId, FencingToken),
        first: TickId,
    ) -> Self {
        Self { tokens, run_id, fencing_token, next: first, is_first: true, events: Vec::new() }
    }

    /// The next tick.
    ///
    /// # Errors
    /// A number that its place in the bytes cannot hold: none of those in use.
    pub(super) fn seal(&mut self) -> anyhow::Result<Sealed> {
        let tick_id = self.next;
        self.events.clear();
        for token in 1..=self.tokens {
            self.token(token, tick_id);
        }
        let header = FrameHeader {
            flags: if self.is_first { FrameFlags::SESSION_START } else { FrameFlags::default() },
            tick_id,
            // Number, hash and the ticks since the last frame are filled in by the delivery.
            frame_seq: 0,
            run_id: self.run_id,
            fencing_token: self.fencing_token,
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: chrono::Utc::now().into(),
        };
        let frame = encode_frame(&header, &self.events)?;
        let full = self.is_first || tick_id.0 % FULL_EVERY_TICKS == 0;
        let entries = (1..=self.tokens).map(|no| quote(no, tick_id)).collect();
        let quotes = encode_quotes(&QuoteBlock { tick_id, full, entries })?;
        (self.next, self.is_first) = (TickId(tick_id.0 + 1), false);
        Ok(Sealed { tick_id, frame, quotes, at: Instant::now() })
    }

    /// A book, a trade of either instrument, mark price, open interest, funding.
    fn token(&mut self, token_id: u16, tick_id: TickId) {
        let swing = swing(token_id, tick_id);
        let mid = PRICE + swing * 1_000_000;
        // Instrument, source, flags, values.
        let numbers: [(u16, u8, u16, i64, i64); EVENTS_PER_TOKEN] = [
            (0, 1, 0, mid - 100_000_000, mid + 100_000_000),
            (0, 0, 1, mid, 500 + swing),
            (1, 0, 0, mid + 1_000_000, 700 + swing),
            (0, 2, 0, mid + 10_000_000, 0),
            (0, 4, 0, 50_000_000 + swing, 0),
            (0, 5, 0, 100_000_000 + swing * 100_000, 0),
        ];
        for (place, (instrument_id, source, flags, a, b)) in (0_i64..).zip(numbers) {
            let number = (tick_id.0 * 8 + place).unsigned_abs();
            self.events.push(FrameEvent {
                token_id,
                source,
                venue: VENUES[usize::from(instrument_id)],
                flags,
                instrument_id,
                exchange_ts: tick_id.0 * TICK_US + place,
                venue_seq: number,
                local_seq: number,
                a,
                b,
                c: 0,
                d: 0,
            });
        }
    }
}

/// Another number for each token and tick, always the same.
const fn swing(token_id: u16, tick_id: TickId) -> i64 {
    (tick_id.0 * 31 + token_id as i64 * 17) % 997
}

fn quote(symbol_no: u16, tick_id: TickId) -> QuoteEntry {
    let bid = 10_000 + swing(symbol_no, tick_id);
    QuoteEntry {
        symbol_no,
        bid,
        ask: bid + 1,
        bid_qty: 500_000,
        ask_qty: 500_000,
        exchange_ts: tick_id.0 * TICK_US,
        seq: Seq(tick_id.0),
    }
}

/// The spot symbols with their numbers.
///
/// # Errors
/// None of the numbers in use; five digits make a symbol.
pub(super) fn run_symbols(tokens: u16, run_id: RunId) -> anyhow::Result<Vec<RunSymbolRow>> {
    let row = |symbol_no: u16| {
        let symbol = symbol(usize::from(symbol_no))?;
        Ok(RunSymbolRow { run_id, symbol_no, symbol, price_decimals: 2, qty_decimals: 4 })
    };
    (1..=tokens).map(row).collect()
}

/// The tokens as both services are told of them.
///
/// # Errors
/// As [`run_symbols`].
pub(super) fn token_tables(tokens: u16) -> anyhow::Result<String> {
    let mut text = String::new();
    for id in 1..=tokens {
        let spot = symbol(usize::from(id))?;
        write!(
            text,
            "[[engine.token]]\nid = {id}\nsymbol = \"S{id:05}\"\nclass = \"MEA\"\nprofile = \"DERIV\"\n\
             instruments = [\n  {{ venue = \"kraken_futures\", symbol = \"PF_S{id:05}USD\", qty_exp = 3, \
             roles = [\"price_ref\", \"deriv_primary\", \"flow\", \"oi_set\"] }},\n  \
             {{ venue = \"kraken\", symbol = \"{spot}\", qty_exp = 3, roles = [\"flow\", \
             \"spot_primary\"] }},\n]\n\n"
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine::frame_view::order_key;
    use penstock_types::frame::{decode_frame, decode_quotes};

    #[test]
    fn ticks_follow_one_another_with_six_events_of_each_token_in_canonical_order() {
        let mut sealer = Sealer::new(3, (RunId(1), FencingToken(7)), TickId(7_084_972_799));
        let (first, second) = (sealer.seal().unwrap(), sealer.seal().unwrap());
        let (header, events) = decode_frame(&first.frame).unwrap();
        assert!(header.flags.contains(FrameFlags::SESSION_START));
        assert_eq!((header.fencing_token, events.len()), (FencingToken(7), 3 * EVENTS_PER_TOKEN));
        let key = |event: &FrameEvent| (event.token_id, order_key(event));
        assert!(events.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
        let block = decode_quotes(&first.quotes).unwrap();
        assert!(block.full && block.entries.len() == 3);
        let (header, other) = decode_frame(&second.frame).unwrap();
        assert_eq!(header.tick_id, TickId(7_084_972_800));
        assert!(!header.flags.contains(FrameFlags::SESSION_START) && events != other);
        assert!(decode_quotes(&second.quotes).unwrap().full, "every minute");
        assert!(!decode_quotes(&sealer.seal().unwrap().quotes).unwrap().full);
        assert!(first.at <= second.at);
    }
}
