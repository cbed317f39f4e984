//! Tests of the row table and its hash.

use super::*;
use alloc::string::ToString;
use alloc::vec;

fn row(symbol: &str) -> StateRow {
    let zero = Decimal::ZERO;
    StateRow {
        run_id: RunId(7),
        symbol: Symbol::new(symbol).unwrap(),
        generation_id: GenerationId(1_000_000_001),
        updated_at: UtcMicros(1_000_000),
        msg_age_ms: 12,
        last_ticker_at: None,
        last_trade_at: None,
        last_l2_at: None,
        last_l3_at: None,
        ticker_count: 1,
        trade_count: 2,
        l2_count: 3,
        l3_count: 0,
        ticker_count_w: 1,
        trade_count_w: 2,
        l2_count_w: 3,
        l3_count_w: 0,
        bid: Some(Decimal::new(15, 1)),
        ask: None,
        mid: None,
        last: None,
        bid_qty: None,
        ask_qty: None,
        spread_bps: None,
        spread_avg_bps: None,
        spread_std_bps: None,
        spread_p90_bps: None,
        microprice_dev_bps: None,
        imbalance_l1: None,
        imbalance_10: None,
        depth_bid_10bps_quote: None,
        depth_ask_10bps_quote: None,
        trades_1m: 0,
        trades_5m: 0,
        buy_quote_1m: None,
        sell_quote_1m: None,
        ofi_1m: None,
        vwap_5m: None,
        vwap_dev_bps: None,
        rv_1m_bps: None,
        rv_5m_bps: None,
        rv_15m_bps: None,
        rv_30m_bps: None,
        atr_15m_bps: None,
        drift_1m_bps: None,
        drift_5m_bps: None,
        drift_15m_bps: None,
        trend_strength: None,
        vol_expansion: None,
        l3_queue_ahead_bid_quote: None,
        l3_queue_ahead_ask_quote: None,
        l3_orders_at_bid: None,
        l3_orders_at_ask: None,
        l3_est_fill_bid_ms: None,
        l3_est_fill_ask_ms: None,
        l3_refill_ratio: None,
        l3_cancel_ratio: None,
        l3_avg_age_ms: None,
        l3_quality: zero,
        l3_n_efit: 0,
        l3_n_refill: 0,
        l3_n_cancel: 0,
        l3_n_qt: 0,
        book_ok: true,
        checksum_fail_w: 0,
        l3_resync_w: 0,
        regime: Regime::Range,
        regime_sub: None,
        regime_since: UtcMicros(0),
        regime_prev: None,
        regime_confidence: Decimal::new(3, 1),
        feature_complete: false,
        missing_features: vec!["rv_5m_bps".to_string(), "book_ok".to_string()],
    }
}

#[test]
fn the_table_has_the_73_columns_in_order() {
    assert_eq!(COLUMNS.len(), 73);
    assert_eq!(COLUMNS[0].name, "run_id");
    assert_eq!(COLUMNS[72].name, "missing_features");
    let mut names = Vec::new();
    row("A/B").for_each_value(|column, _| names.push(column.name));
    assert_eq!(names, COLUMNS.iter().map(|c| c.name).collect::<Vec<_>>());
}

#[test]
fn the_canonical_text_leaves_the_generation_out_and_shows_all_digits() {
    let mut text = String::new();
    canonical_text(&row("A/B"), &mut text);
    assert!(text.starts_with("7\u{1f}A/B\u{1f}1970-01-01T00:00:01.000000Z\u{1f}12\u{1f}\\N\u{1f}"));
    assert!(text.contains("\u{1f}1.500000000000\u{1f}"));
    assert!(text.ends_with("\u{1f}f\u{1f}rv_5m_bps\u{1d}book_ok\u{1e}"));
    assert_eq!(text.matches('\u{1f}').count(), 71);
}

#[test]
fn the_hash_disregards_the_generation_and_trailing_zeros_but_no_digit() {
    let a = row("A/B");
    let mut b = a.clone();
    b.generation_id = GenerationId(9);
    b.bid = Some(Decimal::new(1500, 3));
    assert_eq!(content_hash(core::slice::from_ref(&a)), content_hash(core::slice::from_ref(&b)));
    assert_eq!(first_difference(&a, &b), None);
    b.bid = Some(Decimal::new(1501, 3));
    assert_ne!(content_hash(core::slice::from_ref(&a)), content_hash(core::slice::from_ref(&b)));
    assert_eq!(first_difference(&a, &b), Some("bid"));
}

/// The text by the formatting of the libraries, column by column: what recorded hashes were made with.
fn formatted(row: &StateRow) -> String {
    let mut fields = Vec::new();
    row.for_each_value(|column, value| {
        let field = match value {
            _ if column.name == "generation_id" => return,
            ColumnValue::Bigint(n) => n.to_string(),
            ColumnValue::Integer(Some(n)) => n.to_string(),
            ColumnValue::Text(Some(text)) => text.to_string(),
            ColumnValue::Timestamp(Some(t)) => t.rfc3339(),
            ColumnValue::Numeric(Some(d)) => {
                let ColumnType::Numeric(scale) = column.kind else { panic!("{}", column.name) };
                let rounded = crate::decimal::round_to(d, scale);
                let clean = if rounded.is_zero() { Decimal::ZERO } else { rounded };
                alloc::format!("{clean:.*}", scale as usize)
            }
            ColumnValue::Boolean(b) => if b { "t" } else { "f" }.to_string(),
            ColumnValue::TextArray(items) => items.join("\u{1d}"),
            ColumnValue::Integer(None)
            | ColumnValue::Text(None)
            | ColumnValue::Timestamp(None)
            | ColumnValue::Numeric(None) => "\\N".to_string(),
        };
        fields.push(field);
    });
    fields.join("\u{1f}") + "\u{1e}"
}

/// Delivers columns from a stream of numbers: every type gets small, large, negative and missing values.
struct Dealt {
    state: u64,
    at: usize,
}

impl Dealt {
    fn next(&mut self) -> u64 {
        // A step of a 64-bit linear generator; its upper half is random enough to pick values.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.state >> 20
    }

    fn gap(&mut self) -> bool {
        self.at += 1;
        let required = [
            "run_id",
            "symbol",
            "generation_id",
            "updated_at",
            "msg_age_ms",
            "ticker_count",
            "trade_count",
            "l2_count",
            "l3_count",
            "ticker_count_w",
            "trade_count_w",
            "l2_count_w",
            "l3_count_w",
            "trades_1m",
            "trades_5m",
            "l3_quality",
            "l3_n_efit",
            "l3_n_refill",
            "l3_n_cancel",
            "l3_n_qt",
            "book_ok",
            "checksum_fail_w",
            "l3_resync_w",
            "regime",
            "regime_since",
            "regime_confidence",
            "feature_complete",
            "missing_features",
        ];
        !required.contains(&COLUMNS[self.at - 1].name) && self.next().is_multiple_of(5)
    }
}

impl ColumnReader for Dealt {
    type Error = ColumnError;

    fn bigint(&mut self) -> Result<Option<i64>, ColumnError> {
        let shift = self.next() % 44;
        Ok((!self.gap()).then(|| (self.next() >> shift) as i64))
    }

    fn integer(&mut self) -> Result<Option<i32>, ColumnError> {
        let shift = self.next() % 32;
        Ok((!self.gap()).then(|| (self.next() as i32) >> shift))
    }

    fn numeric(&mut self) -> Result<Option<Decimal>, ColumnError> {
        let gap = self.gap();
        let ColumnType::Numeric(scale) = COLUMNS[self.at - 1].kind else { panic!("no numeric") };
        let digits = u32::try_from(self.next() % 15).unwrap();
        let mantissa = i64::try_from(self.next() % 10_u64.pow(digits)).unwrap();
        let sign = if self.next().is_multiple_of(2) { 1 } else { -1 };
        // Also more digits than the column has: the text rounds.
        let own = u32::try_from(self.next()).unwrap_or(u32::MAX) % (scale + 3);
        Ok((!gap).then(|| Decimal::new(sign * mantissa, own)))
    }

    fn timestamp(&mut self) -> Result<Option<UtcMicros>, ColumnError> {
        Ok((!self.gap()).then(|| UtcMicros(self.next() as i64 * 100)))
    }

    fn text(&mut self) -> Result<Option<String>, ColumnError> {
        let gap = self.gap();
        let pick = usize::try_from(self.next()).unwrap();
        let word = match COLUMNS[self.at - 1].name {
            "symbol" => "A/B",
            "regime_sub" => RegimeSub::ALL[pick % RegimeSub::ALL.len()].as_str(),
            _ => Regime::ALL[pick % Regime::ALL.len()].as_str(),
        };
        Ok((!gap).then(|| word.to_string()))
    }

    fn boolean(&mut self) -> Result<Option<bool>, ColumnError> {
        self.at += 1;
        Ok(Some(self.next().is_multiple_of(2)))
    }

    fn text_array(&mut self) -> Result<Option<Vec<String>>, ColumnError> {
        self.at += 1;
        let count = self.next() % 4;
        Ok(Some((0..count).map(|i| alloc::format!("feature_{i}")).collect()))
    }
}

proptest::proptest! {
    #[test]
    fn the_text_and_the_hash_of_any_row_are_those_of_the_formatting_libraries(seed: u64) {
        let row = StateRow::read(&mut Dealt { state: seed, at: 0 }).unwrap();
        let mut text = String::new();
        canonical_text(&row, &mut text);
        proptest::prop_assert_eq!(&text, &formatted(&row));
        let want: [u8; 32] = <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes()).into();
        proptest::prop_assert_eq!(content_hash(&[row]), want);
    }

    #[test]
    fn the_first_difference_is_the_first_column_whose_text_differs(seed: u64, other: u64) {
        let a = StateRow::read(&mut Dealt { state: seed, at: 0 }).unwrap();
        let b = StateRow::read(&mut Dealt { state: other, at: 0 }).unwrap();
        let mut theirs = Vec::new();
        b.for_each_value(|_, value| theirs.push(value));
        let mut theirs = theirs.into_iter();
        let mut want = None;
        a.for_each_value(|column, value| {
            let other = theirs.next();
            if want.is_none() && column.name != "generation_id" && other != Some(value) {
                want = Some(column.name);
            }
        });
        proptest::prop_assert_eq!(first_difference(&a, &b), want);
        proptest::prop_assert_eq!(first_difference(&a, &a), None);
    }
}
