//! The table of generated pairs and the minimums of recorded ones.
//!
//! Input: a count or a symbol. Output: instruments with precisions and minimums near the real
//! venue's. Invariant: the tick is below 0.75 basis points of the start price, so that a spread of
//! 1.5 basis points is at least two ticks. Prices are starting points, not quotes of any day.

use rust_decimal::Decimal;

use super::Listing;

/// Pairs that the scripted scenarios move; pairs beyond them only have a background market.
pub const SCENARIO_PAIRS: usize = 32;
/// The longest list: the table, and beyond it pairs with invented names and the numbers of a row.
pub const PAIRS_MAX: usize = 640;

/// (base, start price in ticks, price digits, smallest order in 1e-5 base units)
type Row = (&'static str, i64, u32, i64);

/// Rank order is volume order: the first 32 are those of the scenario.
const ROWS: [Row; 40] = [
    ("BTC", 635_019, 1, 5),
    ("ETH", 177_414, 2, 100),
    ("SOL", 14_821, 2, 6_000),
    ("XRP", 218_412, 5, 165_000),
    ("DOGE", 1_724_561, 7, 5_000_000),
    ("ADA", 652_310, 6, 700_000),
    ("LINK", 1_423_115, 5, 30_000),
    ("LTC", 17_142, 2, 5_000),
    ("XLM", 261_873, 6, 2_000_000),
    ("XMR", 33_157, 2, 2_000),
    ("DOT", 41_273, 4, 100_000),
    ("ATOM", 44_182, 4, 100_000),
    ("BCH", 48_216, 2, 1_000),
    ("ETC", 18_327, 3, 25_000),
    ("ZEC", 26_283, 2, 2_000),
    ("TRX", 318_452, 6, 1_600_000),
    ("AAVE", 17_436, 2, 3_000),
    ("ALGO", 19_834, 5, 2_500_000),
    ("SUI", 31_427, 4, 160_000),
    ("APT", 46_218, 4, 110_000),
    ("TAO", 34_871, 2, 1_300),
    ("NEAR", 25_731, 4, 200_000),
    ("HBAR", 17_342, 5, 2_800_000),
    ("PAXG", 334_218, 2, 150),
    ("FIL", 26_413, 4, 200_000),
    ("ICP", 54_216, 4, 100_000),
    ("TIA", 21_874, 4, 200_000),
    ("INJ", 123_742, 4, 40_000),
    ("SEI", 18_361, 5, 2_700_000),
    ("DASH", 21_486, 3, 23_000),
    ("BAT", 17_263, 5, 3_000_000),
    ("MANA", 26_517, 5, 1_900_000),
    ("RENDER", 34_128, 4, 150_000),
    ("FET", 67_214, 5, 750_000),
    ("KAVA", 41_273, 5, 1_200_000),
    ("GRT", 91_342, 6, 5_000_000),
    ("CRV", 62_418, 5, 800_000),
    ("SNX", 74_163, 5, 700_000),
    ("FLOW", 36_214, 5, 1_400_000),
    ("STORJ", 27_431, 5, 1_800_000),
];

/// The first `count` rows as listings.
pub(super) fn table(count: usize) -> Vec<Listing> {
    (0..count)
        .filter_map(|rank| {
            let (base, price_ticks, price_decimals, _) = *ROWS.get(rank % ROWS.len())?;
            // Invented names count the round and keep the row's: `2ETH`, `3ETH` …
            let round = rank / ROWS.len() + 1;
            let base = if round == 1 { base.to_owned() } else { format!("{round}{base}") };
            let price = Decimal::new(price_ticks, price_decimals);
            let mut one = Listing::from_symbol(&format!("{base}/USD"), price_decimals, 8, price)?;
            // Traded value falls with the rank, from 180 million down; strictly, so that a ranking
            // by volume has no ties.
            one.day_volume_quote = Decimal::from(180_000_000 / (rank as u64 + 1));
            Some(one)
        })
        .collect()
}

/// Smallest quantity (base) and cost (quote) of a pair, recorded ones included: by base asset
/// from the table, else from a short list of assets that only recordings contain.
pub fn minimums(symbol: &str, quote: &str) -> (Decimal, Decimal) {
    let base = symbol.split('/').next().unwrap_or_default();
    let known = base.trim_start_matches(|one: char| one.is_ascii_digit());
    let in_table = ROWS.iter().find(|row| row.0 == known).map(|row| row.3);
    let qty_min = in_table.unwrap_or(match base {
        "SC" => 100_000_000,
        "WAVES" => 200_000,
        "OCEAN" => 1_000_000,
        _ => 100_000,
    });
    let cost_min = match quote {
        "BTC" => Decimal::new(2, 5),
        "ETH" => Decimal::new(2, 4),
        _ => Decimal::new(5, 1),
    };
    (Decimal::new(qty_min, 5).normalize(), cost_min)
}
