//! The checksum that book messages carry.
//!
//! Input: the best levels of both sides as scaled integers. Output: CRC-32 (the zlib one) over the
//! digits of price and quantity of the ten best asks, then of the ten best bids. Invariant: a
//! number contributes its fixed-point digits at the pair's precision without point and leading
//! zeros, which for a scaled integer are its own decimal digits. It does not read wire text.

use crate::exchange::{Price, Qty};

/// Levels per side that the checksum covers.
pub const CHECKSUM_LEVELS: usize = 10;

/// Checksum of a book; both sides best first.
pub fn checksum(asks: &[(Price, Qty)], bids: &[(Price, Qty)]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for side in [asks, bids] {
        for (price, qty) in side.iter().take(CHECKSUM_LEVELS) {
            let mut digits = [0; 40];
            crc.update(token(price.0, &mut digits));
            crc.update(token(qty.0, &mut digits));
        }
    }
    crc.finalize()
}

/// Decimal digits of a positive number; nothing for zero, because leading zeros go away.
fn token(units: i64, buffer: &mut [u8; 40]) -> &[u8] {
    let mut left = units.unsigned_abs();
    let mut from = buffer.len();
    while left > 0 {
        from -= 1;
        buffer[from] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    &buffer[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(rows: &[(i64, i64)]) -> Vec<(Price, Qty)> {
        rows.iter().map(|&(price, qty)| (Price(price), Qty(qty))).collect()
    }

    #[test]
    fn the_published_example_has_its_checksum() {
        let asks = side(&[
            (452_852, 100_000),
            (452_864, 154_571_953),
            (452_866, 154_571_109),
            (452_896, 154_560_911),
            (452_902, 15_890_660),
            (452_918, 154_553_491),
            (452_947, 4_454_749),
            (452_961, 35_380_000),
            (452_975, 9_945_542),
            (452_995, 18_772_827),
        ]);
        let bids = side(&[
            (452_835, 10_000_000),
            (452_834, 154_582_015),
            (452_821, 10_000_000),
            (452_810, 10_000_000),
            (452_803, 154_592_586),
            (452_790, 7_990_000),
            (452_776, 3_310_103),
            (452_775, 30_000_000),
            (452_773, 154_602_737),
            (452_766, 15_445_238),
        ]);
        assert_eq!(checksum(&asks, &bids), 3_310_070_434);
        let mut deeper = asks.clone();
        deeper.push((Price(453_000), Qty(1)));
        assert_eq!(checksum(&deeper, &bids), 3_310_070_434, "the eleventh level does not count");
    }

    #[test]
    fn the_polynomial_is_the_one_of_zlib() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(token(0, &mut [0; 40]), b"");
        assert_eq!(token(50_100, &mut [0; 40]), b"50100");
    }
}
