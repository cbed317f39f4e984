//! The high-water mark as a fold over snapshots of equity and over money from outside.
//!
//! Purpose: measure a drawdown of trading alone. Inputs: the mark of an earlier snapshot, the snapshots since, what came
//! from outside up to each of them. Outputs: the mark, the drawdown, the throttle of sizes. Invariants: pure. The mark
//! is the greatest equity less what had come from outside by then, plus what has come from outside by now: a deposit
//! neither hides a drawdown nor lifts the mark above the money that is there, a withdrawal is no drawdown. Money that was
//! booked after a snapshot, although that snapshot's cash had it already, is taken out of that snapshot's equity.

use penstock_types::Decimal;
use penstock_types::decimal::{round_to, scale};
use penstock_types::rows::{EquityRow, MarkSnapshot};

use crate::decide::config::DecideConfig;

/// Drawdown from which sizes are halved, bps of the mark.
const THROTTLE_DRAWDOWN_BPS: i64 = 200;

/// The mark and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// High-water mark, quote, at least the equity.
    pub hwm_quote: Decimal,
    /// Distance of the equity to it, bps of the mark.
    pub drawdown_bps: Decimal,
}

impl Mark {
    /// The mark over what is stored and the equity now, quote.
    #[must_use]
    pub fn of(stored: &EquityRow, equity: Decimal) -> Self {
        let outside = &stored.external;
        let kept =
            stored.hwm_quote.map(|hwm| hwm - outside.at_mark_quote.unwrap_or(outside.cum_quote));
        let own =
            outside.since.iter().map(|snapshot| own_quote(stored, snapshot)).chain(kept).max();
        let hwm_quote = own.map_or(equity, |own| (own + outside.cum_quote).max(equity));
        let drawdown_bps = if hwm_quote > Decimal::ZERO {
            round_to((hwm_quote - equity) / hwm_quote * Decimal::from(10_000), scale::BPS)
        } else {
            Decimal::ZERO
        };
        Self { hwm_quote, drawdown_bps }
    }

    /// 1, 0.5 or 0, by drawdown.
    #[must_use]
    pub fn throttle(&self, config: &DecideConfig) -> Decimal {
        if self.drawdown_bps >= config.drawdown_exit_only_bps {
            Decimal::ZERO
        } else if self.drawdown_bps >= Decimal::from(THROTTLE_DRAWDOWN_BPS) {
            Decimal::new(5, 1)
        } else {
            Decimal::ONE
        }
    }
}

/// A snapshot's equity without what had come from outside, booked by then or not.
fn own_quote(stored: &EquityRow, snapshot: &MarkSnapshot) -> Decimal {
    let unbooked: Decimal = stored
        .external
        .late
        .iter()
        .filter(|flow| flow.id > snapshot.external_seen_id && flow.at <= snapshot.cash_as_of)
        .map(|flow| flow.amount_quote)
        .sum();
    snapshot.equity_quote - snapshot.external_cum_quote - unbooked
}

#[cfg(test)]
mod tests {
    use penstock_types::UtcMicros;
    use penstock_types::rows::{ExternalFlow, ExternalMoney};
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    fn stored(hwm: i64, external: ExternalMoney) -> EquityRow {
        EquityRow { hwm_quote: Some(hwm.into()), external, ..fixtures::input(1).equity }
    }

    fn moved(at_mark: i64, cum: i64) -> ExternalMoney {
        ExternalMoney {
            cum_quote: cum.into(),
            at_mark_quote: Some(at_mark.into()),
            ..ExternalMoney::default()
        }
    }

    fn told(stored: &EquityRow, equity: i64) -> (i64, Decimal) {
        let mark = Mark::of(stored, equity.into());
        (i64::try_from(mark.hwm_quote).unwrap(), mark.drawdown_bps)
    }

    #[test]
    fn a_deposit_neither_hides_a_drawdown_nor_lifts_the_mark_for_ever() {
        // 1,000 fell to 960: 4 %. 1,000 more came in: still 40 below, of 2,000 now.
        assert_eq!(told(&stored(1_000, moved(0, 0)), 960), (1_000, 400.into()));
        assert_eq!(told(&stored(1_000, moved(0, 1_000)), 1_960), (2_000, 200.into()));
        // They went again: the mark is what it was.
        assert_eq!(told(&stored(2_000, moved(1_000, 0)), 960), (1_000, 400.into()));
    }

    #[test]
    fn a_withdrawal_is_no_drawdown() {
        assert_eq!(told(&stored(1_000, moved(0, -600)), 400), (400, 0.into()));
        assert_eq!(told(&stored(400, moved(-600, -600)), 390), (400, 250.into()));
    }

    #[test]
    fn a_mark_that_was_kept_without_knowing_of_money_from_outside_stands() {
        let external = ExternalMoney { at_mark_quote: None, ..moved(0, 700) };
        assert_eq!(told(&stored(1_000, external), 950), (1_000, 500.into()));
        let first = EquityRow { hwm_quote: None, ..stored(0, moved(0, 700)) };
        assert_eq!(told(&first, 950), (950, 0.into()));
    }

    #[test]
    fn money_that_is_booked_late_is_taken_out_of_the_snapshots_that_had_it() {
        let at = |secs: i64| UtcMicros(secs * 1_000_000);
        let snapshot = |equity: i64, cash_at| MarkSnapshot {
            equity_quote: equity.into(),
            external_cum_quote: 0.into(),
            external_seen_id: 4,
            cash_as_of: at(cash_at),
        };
        let late = ExternalMoney {
            cum_quote: 500.into(),
            seen_id: 5,
            at_mark_quote: Some(0.into()),
            late: vec![ExternalFlow { id: 5, at: at(20), amount_quote: 500.into() }],
            // The first was taken before the money came, the others after it and before its booking.
            since: vec![snapshot(1_010, 19), snapshot(1_500, 20), snapshot(1_490, 30)],
        };
        assert_eq!(told(&stored(1_000, late), 1_490), (1_510, dec_bps("132.4503")));
    }

    fn dec_bps(text: &str) -> Decimal {
        round_to(Decimal::from_str_exact(text).unwrap(), scale::BPS)
    }

    /// Money from outside at a second, booked that many seconds later.
    #[derive(Debug, Clone)]
    struct Flow {
        at: i64,
        late: i64,
        amount: i64,
    }

    fn flows() -> impl Strategy<Value = Vec<Flow>> {
        let one = (1_i64..200, 0_i64..40, -300_i64..300).prop_map(|(at, late, amount)| Flow {
            at,
            late,
            amount,
        });
        proptest::collection::vec(one, 0..6)
    }

    /// What a database with these snapshots and flows answers at a second: the query of the account in words.
    fn read(kept: &[(i64, Decimal, MarkSnapshot)], flows: &[Flow], now: i64) -> EquityRow {
        let mut booked: Vec<(i64, &Flow)> =
            flows.iter().map(|f| (f.at + f.late, f)).filter(|(at, _)| *at <= now).collect();
        booked.sort_by_key(|(at, _)| *at);
        let rows: Vec<ExternalFlow> = (1..)
            .zip(&booked)
            .map(|(id, (_, f))| ExternalFlow {
                id,
                at: UtcMicros(f.at),
                amount_quote: f.amount.into(),
            })
            .collect();
        let is_whole = |s: &MarkSnapshot| {
            !rows.iter().any(|f| f.id > s.external_seen_id && f.at <= s.cash_as_of)
        };
        let anchor = kept.iter().rev().find(|(.., s)| is_whole(s));
        let anchor_at = anchor.map_or(-1, |(at, ..)| *at);
        let anchor_seen = anchor.map_or(0, |(.., s)| s.external_seen_id);
        let since =
            kept.iter().filter(|(at, ..)| *at > anchor_at).map(|(.., s)| s.clone()).collect();
        let external = ExternalMoney {
            cum_quote: rows.iter().map(|f| f.amount_quote).sum(),
            seen_id: i64::try_from(rows.len()).unwrap(),
            at_mark_quote: anchor.map(|(.., s)| s.external_cum_quote),
            since,
            late: rows.iter().filter(|f| f.id > anchor_seen).cloned().collect(),
        };
        let hwm_quote = anchor.map(|(_, hwm, _)| *hwm);
        EquityRow { hwm_quote, external, ..fixtures::input(1).equity }
    }

    proptest! {
        #[test]
        fn the_mark_is_that_of_trading_whatever_comes_and_goes_and_however_late(
            flows in flows(),
            results in proptest::collection::vec(-20_i64..21, 200),
        ) {
            let (mut kept, mut trading, mut best) = (Vec::new(), 10_000_i64, i64::MIN);
            for (now, result) in (0_i64..).zip(&results) {
                trading += result;
                best = best.max(trading);
                let there: i64 = flows.iter().filter(|f| f.at <= now).map(|f| f.amount).sum();
                let equity = Decimal::from(trading + there);
                let row = read(&kept, &flows, now);
                let mark = Mark::of(&row, equity);
                if flows.iter().all(|f| f.at > now || f.at + f.late <= now) {
                    // All that came is booked: the mark is the best of trading, moved by it.
                    prop_assert_eq!(mark.hwm_quote, Decimal::from(best + there), "second {}", now);
                }
                kept.push((now, mark.hwm_quote, MarkSnapshot {
                    equity_quote: equity,
                    external_cum_quote: row.external.cum_quote,
                    external_seen_id: row.external.seen_id,
                    cash_as_of: UtcMicros(now),
                }));
            }
        }
    }
}
