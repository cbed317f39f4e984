//! Where files lie and what they are called.
//!
//! Input: the directories of the configuration, ticks, tokens. Output: paths. Invariants: names follow from
//! tick ids alone; whatever has another name is not ours and is left alone. It opens no file.

use penstock_types::time::TICKS_PER_DAY;
use std::fmt;
use std::path::{Path, PathBuf};

/// Ticks of a UTC day.
pub const DAY_TICKS: u64 = TICKS_PER_DAY.unsigned_abs();
/// Ticks of an hour.
pub const HOUR_TICKS: u64 = DAY_TICKS / 24;
/// Most segments of a token's day.
pub const SEGMENT_MAX: u16 = 99;

/// Days since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u64);

impl Day {
    /// Day of a tick.
    #[must_use]
    pub const fn of(tick: u64) -> Self {
        Self(tick / DAY_TICKS)
    }

    /// First tick.
    #[must_use]
    pub const fn first_tick(self) -> u64 {
        self.0.saturating_mul(DAY_TICKS)
    }

    /// Last tick.
    #[must_use]
    pub const fn last_tick(self) -> u64 {
        self.first_tick().saturating_add(DAY_TICKS - 1)
    }

    /// The day of a name; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        let day = Self::of_date(date)?;
        (day.to_string() == text).then_some(day)
    }

    /// The day of a date; `None` before 1970.
    #[must_use]
    pub fn of_date(date: chrono::NaiveDate) -> Option<Self> {
        let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
        u64::try_from(days).ok().map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = chrono::NaiveDate::default().checked_add_days(chrono::Days::new(self.0));
        match date {
            Some(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            None => write!(f, "day-{}", self.0),
        }
    }
}

/// The directories of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDirs {
    /// Event logs.
    pub log: PathBuf,
    /// Frames and quote blocks.
    pub journal: PathBuf,
    /// Snapshots.
    pub snapshots: PathBuf,
    /// Alerts; transitions lie beside them.
    pub alerts: PathBuf,
    /// Manifests and public keys; archived configurations lie beside them.
    pub manifests: PathBuf,
}

impl EngineDirs {
    /// The directories by their default names under one folder.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self {
            log: root.join("log"),
            journal: root.join("journal"),
            snapshots: root.join("snapshots"),
            alerts: root.join("alerts"),
            manifests: root.join("manifests"),
        }
    }

    /// Transitions.
    #[must_use]
    pub fn transitions(&self) -> PathBuf {
        self.alerts.with_file_name("transitions")
    }

    /// Configurations by their hash.
    #[must_use]
    pub fn configs(&self) -> PathBuf {
        self.manifests.with_file_name("configs")
    }

    /// What a breach of determinism left behind.
    #[must_use]
    pub fn breach(&self) -> PathBuf {
        self.log.with_file_name("breach")
    }

    /// Public keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.manifests.join("keys")
    }

    /// The document of the last hard reset.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.manifests.join("GENESIS.json")
    }

    /// Every directory that has to exist.
    #[must_use]
    pub fn all(&self) -> [PathBuf; 8] {
        [
            self.log.clone(),
            self.journal.clone(),
            self.snapshots.clone(),
            self.alerts.clone(),
            self.transitions(),
            self.manifests.clone(),
            self.configs(),
            self.keys(),
        ]
    }

    /// The lock of the one writer.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.log.join("LOCK")
    }

    /// Log of a token's day.
    #[must_use]
    pub fn log_file(&self, token: u16, day: Day, segment: u16) -> PathBuf {
        let name = match segment {
            0 => format!("{day}.bin"),
            n => format!("{day}.s{n:02}.bin"),
        };
        self.log.join(token.to_string()).join(name)
    }

    /// Frames of the hour of a tick.
    #[must_use]
    pub fn frames_file(&self, tick: u64) -> PathBuf {
        self.hour_file(tick, "ejf")
    }

    /// Quote blocks of the hour of a tick.
    #[must_use]
    pub fn quotes_file(&self, tick: u64) -> PathBuf {
        self.hour_file(tick, "eqf")
    }

    fn hour_file(&self, tick: u64, extension: &str) -> PathBuf {
        let hour = tick % DAY_TICKS / HOUR_TICKS;
        self.journal.join(Day::of(tick).to_string()).join(format!("{hour:02}.{extension}"))
    }

    /// Snapshot of a tick.
    #[must_use]
    pub fn snapshot(&self, tick: u64) -> PathBuf {
        self.snapshots.join(format!("engine-{tick:020}.snap"))
    }

    /// The snapshot with which a day begins, once it has left the others.
    #[must_use]
    pub fn open_snapshot(&self, day: Day) -> PathBuf {
        self.journal.join(day.to_string()).join("open.snap")
    }

    /// Alerts of a day.
    #[must_use]
    pub fn alerts_file(&self, day: Day) -> PathBuf {
        self.alerts.join(format!("{day}.jsonl"))
    }

    /// Transitions of a day.
    #[must_use]
    pub fn transitions_file(&self, day: Day) -> PathBuf {
        self.transitions().join(format!("{day}.jsonl"))
    }

    /// Manifest of a day.
    #[must_use]
    pub fn manifest(&self, day: Day) -> PathBuf {
        self.manifests.join(format!("{day}.json"))
    }

    /// A configuration by its SHA-256.
    #[must_use]
    pub fn config(&self, sha256: &[u8; 32]) -> PathBuf {
        self.configs().join(format!("{}.json", hex::encode(sha256)))
    }
}

/// Tick of a snapshot's file name.
#[must_use]
pub fn snapshot_tick(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("engine-")?.strip_suffix(".snap")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Day and segment of a log's file name.
#[must_use]
pub fn log_name(name: &str) -> Option<(Day, u16)> {
    let stem = name.strip_suffix(".bin")?;
    match stem.split_once('.') {
        None => Some((Day::parse(stem)?, 0)),
        Some((day, segment)) => {
            let number: u16 = segment.strip_prefix('s')?.parse().ok()?;
            let is_known = segment.len() == 3 && number > 0;
            Some((Day::parse(day)?, number)).filter(|_| is_known)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_ticks_and_lead_back() {
        let dirs = EngineDirs::under(Path::new("e"));
        let noon = 7_084_972_800;
        assert_eq!(dirs.log_file(3, Day::of(noon), 0), Path::new("e/log/3/2026-02-16.bin"));
        assert_eq!(dirs.log_file(3, Day::of(noon), 2), Path::new("e/log/3/2026-02-16.s02.bin"));
        assert_eq!(dirs.frames_file(noon), Path::new("e/journal/2026-02-16/12.ejf"));
        let snapshot = dirs.snapshot(noon);
        assert_eq!(snapshot, Path::new("e/snapshots/engine-00000000007084972800.snap"));
        assert_eq!(snapshot_tick("engine-00000000007084972800.snap"), Some(noon));
        assert_eq!(snapshot_tick("engine-7084972800.snap"), None);
        assert_eq!(log_name("2026-02-16.bin"), Some((Day(20_500), 0)));
        assert_eq!(log_name("2026-02-16.s02.bin"), Some((Day(20_500), 2)));
        for other in ["2026-02-16.s2.bin", "2026-02-16.cut", "2026-2-16.bin", "x.bin"] {
            assert_eq!(log_name(other), None, "{other}");
        }
        assert_eq!(Day::of(noon).first_tick() + DAY_TICKS / 2, noon);
        assert_eq!(Day::parse("2026-02-16"), Some(Day(20_500)));
        for (text, day) in
            [("1970-01-01", Some(Day(0))), ("2028-02-29", Some(Day(21_243))), ("1969-12-31", None)]
        {
            assert_eq!(Day::of_date(text.parse().unwrap()), day, "{text}");
        }
        assert_eq!(dirs.transitions_file(Day(0)), Path::new("e/transitions/1970-01-01.jsonl"));
    }
}
