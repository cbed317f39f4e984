//! What is shed when the spool fills, and the gap rows that say so. Pure.
//!
//! Shedding takes place after numbering, so that every shed number lies in the range of a gap row;
//! outputs have no number and leave no gap. A level is left only when the fill falls below 75 %.

use penstock_types::{Seq, UtcMicros};

use super::format::StreamCode;

/// How full the spool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FillLevel {
    /// Below 80 %.
    Normal,
    /// 80 % and more: an alert, nothing is shed.
    High,
    /// 90 % and more: L3 rows.
    ShedL3,
    /// 95 % and more: L3, ticker, L2 and candle rows.
    ShedBulk,
    /// Full, or the device stalls: everything but status rows.
    Full,
}

impl FillLevel {
    const ALL: [Self; 5] = [Self::Normal, Self::High, Self::ShedL3, Self::ShedBulk, Self::Full];

    /// For an atomic.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::High => 1,
            Self::ShedL3 => 2,
            Self::ShedBulk => 3,
            Self::Full => 4,
        }
    }

    /// Back from an atomic; unknown values are the strictest.
    #[must_use]
    pub fn from_u8(value: u8) -> Self {
        Self::ALL.into_iter().find(|l| l.as_u8() == value).unwrap_or(Self::Full)
    }

    /// The level of a fill in percent, given the level before.
    #[must_use]
    pub fn next(self, fill_pct: u64, high_pct: u64) -> Self {
        let reached = match fill_pct {
            100.. => Self::Full,
            95.. => Self::ShedBulk,
            90.. => Self::ShedL3,
            pct if pct >= high_pct => Self::High,
            _ => Self::Normal,
        };
        // Between 75 % and the level that was reached nothing changes, so that the spool does not
        // flap around a threshold, each time with a gap row.
        if reached < self && fill_pct >= 75 { self } else { reached }
    }

    /// Whether anything is shed.
    #[must_use]
    pub const fn is_shedding(self) -> bool {
        match self {
            Self::Normal | Self::High => false,
            Self::ShedL3 | Self::ShedBulk | Self::Full => true,
        }
    }

    /// Whether rows of this stream are shed.
    #[must_use]
    pub const fn sheds(self, stream: StreamCode) -> bool {
        match stream {
            StreamCode::L3 => self.is_shedding(),
            StreamCode::Ticker | StreamCode::L2 | StreamCode::Candle => {
                matches!(self, Self::ShedBulk | Self::Full)
            }
            StreamCode::Trade
            | StreamCode::DerivTicker
            | StreamCode::Liquidation
            | StreamCode::Generation => matches!(self, Self::Full),
            StreamCode::Status => false,
            StreamCode::Frame
            | StreamCode::FrameRun
            | StreamCode::FrameSymbol
            | StreamCode::Exec => false,
        }
    }
}

/// A stretch of shed numbers, to be written as a `raw_drop` row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropRange {
    /// Stream.
    pub stream: StreamCode,
    /// Receipt time of the first shed row.
    pub from: UtcMicros,
    /// Receipt time of the last shed row.
    pub to: UtcMicros,
    /// First shed number.
    pub first_seq: Seq,
    /// Last shed number.
    pub last_seq: Seq,
}

/// Collects shed rows per stream until their gap row is due.
#[derive(Debug, Default)]
pub struct ShedTracker {
    open: Vec<DropRange>,
}

/// A burst is written once a second while it lasts, so that a kill inside it leaves at most a second
/// for the successor to explain.
const PART_US: i64 = 1_000_000;

impl ShedTracker {
    /// Notes a shed row.
    pub fn shed(&mut self, stream: StreamCode, seq: Seq, at: UtcMicros) {
        match self.open.iter_mut().find(|range| range.stream == stream) {
            Some(range) => {
                range.last_seq = seq;
                range.to = at.max(range.to);
            }
            None => {
                self.open.push(DropRange {
                    stream,
                    from: at,
                    to: at,
                    first_seq: seq,
                    last_seq: seq,
                });
            }
        }
    }

    /// Ranges whose row is due: of ended bursts, and of bursts that have lasted a second. While the
    /// spool is full a range is only extended, because its row would have to wait in memory.
    pub fn due(&mut self, level: FillLevel, now: UtcMicros) -> Vec<DropRange> {
        let (due, open) = core::mem::take(&mut self.open).into_iter().partition(|range| {
            let ended = !level.sheds(range.stream);
            ended || (level != FillLevel::Full && now.0 - range.from.0 >= PART_US)
        });
        self.open = open;
        due
    }

    /// All ranges, at the end of a run.
    pub fn drain(&mut self) -> Vec<DropRange> {
        core::mem::take(&mut self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_their_thresholds_and_fall_only_below_75() {
        let mut level = FillLevel::Normal;
        for (pct, expected) in [
            (79, FillLevel::Normal),
            (80, FillLevel::High),
            (90, FillLevel::ShedL3),
            (95, FillLevel::ShedBulk),
            (100, FillLevel::Full),
            (96, FillLevel::Full),
            (75, FillLevel::Full),
            (74, FillLevel::Normal),
        ] {
            level = level.next(pct, 80);
            assert_eq!(level, expected, "{pct} %");
        }
    }

    #[test]
    fn classes_are_shed_in_their_order_and_status_never() {
        let shed_at = |level: FillLevel| -> Vec<StreamCode> {
            StreamCode::ALL.into_iter().filter(|s| level.sheds(*s)).collect()
        };
        assert!(shed_at(FillLevel::High).is_empty());
        assert_eq!(shed_at(FillLevel::ShedL3), [StreamCode::L3]);
        assert_eq!(
            shed_at(FillLevel::ShedBulk),
            [StreamCode::Ticker, StreamCode::L2, StreamCode::L3, StreamCode::Candle]
        );
        assert!(shed_at(FillLevel::Full).contains(&StreamCode::Trade));
        assert!(!shed_at(FillLevel::Full).contains(&StreamCode::Status));
    }

    #[test]
    fn burst_is_written_each_second_and_at_its_end() {
        let mut tracker = ShedTracker::default();
        tracker.shed(StreamCode::L3, Seq(5), UtcMicros(0));
        tracker.shed(StreamCode::L3, Seq(9), UtcMicros(400_000));

        let early = tracker.due(FillLevel::ShedL3, UtcMicros(900_000));
        let after_a_second = tracker.due(FillLevel::ShedL3, UtcMicros(1_000_000));
        tracker.shed(StreamCode::L3, Seq(12), UtcMicros(1_100_000));
        let at_end = tracker.due(FillLevel::Normal, UtcMicros(1_200_000));

        assert!(early.is_empty());
        assert_eq!((after_a_second[0].first_seq, after_a_second[0].last_seq), (Seq(5), Seq(9)));
        assert_eq!((at_end[0].first_seq, at_end[0].last_seq), (Seq(12), Seq(12)));
    }

    #[test]
    fn full_spool_extends_the_waiting_range() {
        let mut tracker = ShedTracker::default();
        tracker.shed(StreamCode::Trade, Seq(1), UtcMicros(0));
        assert!(tracker.due(FillLevel::Full, UtcMicros(60_000_000)).is_empty());
        tracker.shed(StreamCode::Trade, Seq(8), UtcMicros(61_000_000));

        let end = tracker.due(FillLevel::Normal, UtcMicros(62_000_000));

        assert_eq!((end[0].first_seq, end[0].last_seq), (Seq(1), Seq(8)));
    }

    /// A process numbers a row each 250 ms; the spool's level before each row is one of these.
    const STEP_US: i64 = PART_US / 4;
    const ROWS: u32 = 9;

    /// What a process has done up to a kill: gap rows are rows, so they have numbers of their own.
    #[derive(Default)]
    struct Killed {
        shed: Vec<(Seq, UtcMicros)>,
        told: Vec<DropRange>,
        last_seq: i64,
        is_full: bool,
    }

    fn run_until_killed(levels: &[FillLevel]) -> Killed {
        let mut tracker = ShedTracker::default();
        let mut killed = Killed::default();
        for (level, i) in levels.iter().zip(0_i64..) {
            let now = UtcMicros(i * STEP_US);
            killed.last_seq += 1;
            let stream = if i % 2 == 0 { StreamCode::L3 } else { StreamCode::Ticker };
            if level.sheds(stream) {
                let seq = Seq(killed.last_seq);
                tracker.shed(stream, seq, now);
                killed.shed.push((seq, now));
            }
            for range in tracker.due(*level, now) {
                killed.last_seq += 1;
                killed.told.push(range);
            }
            killed.is_full = *level == FillLevel::Full;
        }
        killed
    }

    /// Every course of the level over nine rows, killed after the last: a number that was shed stands in a gap
    /// row, or was shed within the last second, or the spool is full and has no room for the row. No gap row
    /// names a number that was not reached, and none begins or ends beside a shed one.
    #[test]
    fn f4_kill_inside_a_shedding_burst() {
        use FillLevel::{Full, Normal, ShedBulk, ShedL3};
        let choices = [Normal, ShedL3, ShedBulk, Full];
        let mut untold = 0;
        for course in 0..4_usize.pow(ROWS) {
            let levels: Vec<FillLevel> =
                (0..ROWS).map(|i| choices[course / 4_usize.pow(i) % 4]).collect();
            let killed = run_until_killed(&levels);
            let now = UtcMicros(i64::from(ROWS - 1) * STEP_US);
            for (seq, at) in &killed.shed {
                let is_told = killed.told.iter().any(|r| (r.first_seq..=r.last_seq).contains(seq));
                untold += usize::from(!is_told);
                assert!(
                    is_told || killed.is_full || now.0 - at.0 < PART_US,
                    "{levels:?}: {seq} is in no gap row"
                );
            }
            for range in &killed.told {
                let is_shed = |seq: Seq| killed.shed.iter().any(|(shed, _)| *shed == seq);
                assert!(is_shed(range.first_seq), "{levels:?}: {range:?}");
                assert!(is_shed(range.last_seq), "{levels:?}: {range:?}");
                assert!(range.last_seq.0 < killed.last_seq, "{levels:?}: {range:?}");
            }
        }
        assert!(untold > 0, "a kill inside a burst leaves something to the successor");
    }
}
