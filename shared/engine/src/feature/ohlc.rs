//! Candles of one and five minutes, built from the reference instrument's trades alone.
//!
//! Input: trades in canonical order. Output: the forming and the last closed candle. Invariants: no timer
//! closes a candle, only a trade of a later bucket does; a trade of an older bucket changes nothing and is
//! reported as late. It is context: no state machine reads it.

use crate::num::{ArithError, add, inc};
use penstock_types::engine_view::{Candle, Candles};

/// Adds a trade; true when it is late.
pub(super) fn apply(
    candles: &mut Candles,
    bucket_id: u64,
    price: i64,
    notional: i64,
) -> Result<bool, ArithError> {
    let forming = &mut candles.forming;
    if forming.count > 0 && bucket_id < forming.bucket_id {
        return Ok(true);
    }
    if forming.count == 0 || bucket_id > forming.bucket_id {
        if forming.count > 0 {
            candles.closed = candles.forming;
        }
        candles.forming = Candle {
            bucket_id,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: notional,
            count: 1,
        };
        return Ok(false);
    }
    forming.high = forming.high.max(price);
    forming.low = forming.low.min(price);
    forming.close = price;
    forming.volume = add(forming.volume, notional)?;
    forming.count = inc(forming.count)?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_bucket_closes_the_candle_and_an_older_one_is_late() {
        let mut candles = Candles::default();
        assert_eq!(apply(&mut candles, 10, 100, 5), Ok(false));
        assert_eq!(apply(&mut candles, 10, 90, 6), Ok(false));
        assert_eq!(apply(&mut candles, 10, 95, 7), Ok(false));
        assert_eq!(candles.closed.count, 0);
        // Bucket 11 has no trade and gives no candle.
        assert_eq!(apply(&mut candles, 12, 97, 1), Ok(false));
        let closed = Candle {
            bucket_id: 10,
            open: 100,
            high: 100,
            low: 90,
            close: 95,
            volume: 18,
            count: 3,
        };
        assert_eq!(candles.closed, closed);
        assert_eq!(apply(&mut candles, 11, 1, 1), Ok(true));
        assert_eq!(candles.closed, closed);
        assert_eq!((candles.forming.bucket_id, candles.forming.count), (12, 1));
        candles.forming.volume = i64::MAX;
        assert_eq!(apply(&mut candles, 12, 1, 1), Err(ArithError));
    }
}
