//! Gap rows against what is known to have happened.
//!
//! Inputs: the rows of `ingest_stream_events`, faults with their times. Outputs: gaps that nothing explains,
//! and per venue how long it was blind beside how long it may have been. Pure.

use crate::invariants::Verdict;
use penstock_types::raw::StatusRow;
use penstock_types::vocab::{StatusKind, Venue};
use penstock_types::{Symbol, UtcMicros};

/// How long a fault may go unnoticed, and how long the way back may take: the silence after which a liquid
/// symbol counts as silent, the longest of the limits that a fault of the plan can meet.
pub(super) const LIMIT_MS: i64 = 15_000;
/// An end that has not come.
const OPEN: UtcMicros = UtcMicros(i64::MAX);

/// Blind time as the rows tell it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gap {
    pub venue: Option<Venue>,
    pub stream: String,
    pub symbol: Option<Symbol>,
    conn_id: Option<i16>,
    pub from: UtcMicros,
    pub to: UtcMicros,
}

/// Something that explains blind time.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub venues: Vec<Venue>,
    pub from: UtcMicros,
    pub to: UtcMicros,
}

/// All gaps of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Gaps {
    list: Vec<Gap>,
}

impl Gaps {
    /// Takes a row; those that are about no gap are passed over.
    pub(super) fn row(&mut self, at: UtcMicros, row: &StatusRow) {
        let from = row.gap_from.unwrap_or(at);
        let gap = Gap {
            venue: row.venue,
            stream: row.stream.clone(),
            symbol: row.symbol.clone(),
            conn_id: row.conn_id,
            from,
            to: row.gap_to.unwrap_or(OPEN),
        };
        match row.kind {
            StatusKind::Gap | StatusKind::RawDrop => self.list.push(gap),
            StatusKind::Recovered => {
                let same = |open: &&mut Gap| {
                    Gap { to: OPEN, ..gap.clone() } == Gap { to: OPEN, ..(**open).clone() }
                        && open.to == OPEN
                };
                if let Some(open) = self.list.iter_mut().rev().find(same) {
                    open.to = gap.to;
                }
            }
            StatusKind::Connect
            | StatusKind::Disconnect
            | StatusKind::Resync
            | StatusKind::ChecksumFail
            | StatusKind::SubscribeReject
            | StatusKind::RateLimited
            | StatusKind::Silent
            | StatusKind::Heard => {}
        }
    }

    /// Gap rows.
    pub(super) fn count(&self) -> u64 {
        self.list.len() as u64
    }

    /// A gap of this venue and symbol, or of the whole venue, meets a stretch of time.
    pub(super) fn covers(
        &self,
        venue: Venue,
        symbol: &str,
        from: UtcMicros,
        to: UtcMicros,
    ) -> bool {
        self.list.iter().any(|gap| {
            gap.venue.is_none_or(|of| of == venue)
                && gap.symbol.as_ref().is_none_or(|of| of.as_str() == symbol)
                && gap.from <= to
                && gap.to >= from
        })
    }

    /// Each gap meets something known of its venue, give or take the limit.
    pub(super) fn explained(&self, known: &[Known]) -> Verdict {
        let mut verdict = Verdict::default();
        for gap in &self.list {
            let ok = known.iter().any(|one| {
                let meant = gap.venue.is_none_or(|venue| one.venues.contains(&venue));
                meant
                    && gap.from <= one.to.plus_millis(LIMIT_MS)
                    && gap.to >= one.from.plus_millis(-LIMIT_MS)
            });
            verdict.check(ok, || format!("nothing explains {gap:?}"));
        }
        verdict
    }

    /// How long a venue was blind from a time until the stop, milliseconds; overlapping gaps count once. The
    /// gaps of the stop itself begin with the last message before it, and are none of them.
    pub(super) fn blind_ms(&self, venue: Venue, from: UtcMicros, to: UtcMicros) -> i64 {
        let is_of_stop = |gap: &&Gap| gap.to >= to && to.millis_since(gap.from.min(to)) < LIMIT_MS;
        let own = self.list.iter().filter(|gap| gap.venue.is_none_or(|of| of == venue));
        let own = own.filter(|gap| !is_of_stop(gap));
        let mut parts: Vec<(i64, i64)> = own
            .map(|gap| (gap.from.0.max(from.0), gap.to.0.min(to.0)))
            .filter(|(from, to)| from < to)
            .collect();
        parts.sort_unstable();
        let (mut sum, mut end) = (0, i64::MIN);
        for (from, to) in parts {
            sum += (to - from.max(end)).max(0);
            end = end.max(to);
        }
        sum / 1_000
    }
}

/// How long a venue may be blind by what is known: each fault and one limit more.
pub(super) fn allowed_ms(known: &[Known], venue: Venue) -> i64 {
    let own = known.iter().filter(|one| one.venues.contains(&venue));
    own.map(|one| one.to.millis_since(one.from).max(0) + LIMIT_MS).sum()
}

/// Longest pause between two attempts to connect: who was refused for most of a minute may wait as long again.
pub(super) const fn connect_pause_ms(venue: Venue) -> i64 {
    match venue {
        Venue::KrakenSpot | Venue::KrakenFutures => 30_000,
        Venue::BinanceUm => 60_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::{LineageId, Uuid};

    const SPOT: Venue = Venue::KrakenSpot;
    const S: i64 = 1_000_000;

    fn at(second: i64) -> UtcMicros {
        UtcMicros(second * S)
    }

    fn row(kind: StatusKind, stream: &str, from: i64, to: Option<i64>) -> StatusRow {
        StatusRow {
            lineage_id: LineageId(Uuid::nil()),
            venue: Some(SPOT),
            stream: stream.to_owned(),
            conn_id: Some(1),
            kind,
            symbol: None,
            gap_from: Some(at(from)),
            gap_to: to.map(at),
            first_seq: None,
            last_seq: None,
            detail: "{}".to_owned(),
        }
    }

    fn known(from: i64, to: i64) -> Known {
        Known { venues: vec![SPOT], from: at(from), to: at(to) }
    }

    fn gaps(rows: &[StatusRow]) -> Gaps {
        let mut gaps = Gaps::default();
        for row in rows {
            gaps.row(at(500), row);
        }
        gaps
    }

    #[test]
    fn a_recovery_ends_its_own_gap() {
        let gaps = gaps(&[
            row(StatusKind::Gap, "a", 100, None),
            row(StatusKind::Gap, "b", 100, None),
            row(StatusKind::Recovered, "a", 100, Some(110)),
            row(StatusKind::Silent, "a", 0, None),
        ]);
        assert_eq!(gaps.count(), 2);
        assert_eq!(gaps.list[0].to, at(110));
        assert_eq!(gaps.list[1].to, OPEN);
        assert!(gaps.covers(SPOT, "A/B", at(900), at(901)), "one is open");
        assert!(!gaps.covers(Venue::BinanceUm, "A/B", at(105), at(106)), "another venue");
        assert!(!gaps.covers(SPOT, "A/B", at(90), at(99)));
    }

    #[test]
    fn a_gap_without_a_fault_is_a_finding() {
        let gaps = gaps(&[row(StatusKind::RawDrop, "a", 100, Some(110))]);
        assert_eq!(gaps.explained(&[known(95, 99)]).holds(), Some(true));
        assert_eq!(gaps.explained(&[known(124, 130)]).holds(), Some(true));
        assert_eq!(gaps.explained(&[known(126, 130)]).holds(), Some(false));
        assert_eq!(gaps.explained(&[]).holds(), Some(false));
        let other = Known { venues: vec![Venue::BinanceUm], ..known(95, 99) };
        assert_eq!(gaps.explained(&[other]).holds(), Some(false));
        assert_eq!(Gaps::default().explained(&[]).holds(), None);
    }

    #[test]
    fn blind_time_counts_once_and_within_bounds() {
        let gaps = gaps(&[
            row(StatusKind::Gap, "a", 100, None),
            row(StatusKind::Recovered, "a", 100, Some(110)),
            row(StatusKind::RawDrop, "b", 105, Some(120)),
            row(StatusKind::Gap, "c", 180, None),
            row(StatusKind::Gap, "stop", 199, None),
        ]);
        assert_eq!(gaps.blind_ms(SPOT, at(0), at(200)), 40_000);
        assert_eq!(gaps.blind_ms(SPOT, at(108), at(195)), 27_000);
        assert_eq!(gaps.blind_ms(SPOT, at(108), at(190)), 12_000, "it began with the stop");
        assert_eq!(gaps.blind_ms(Venue::BinanceUm, at(0), at(200)), 0);
        assert_eq!(allowed_ms(&[known(100, 110), known(150, 150)], SPOT), 40_000);
        assert_eq!(allowed_ms(&[known(100, 110)], Venue::BinanceUm), 0);
    }
}
