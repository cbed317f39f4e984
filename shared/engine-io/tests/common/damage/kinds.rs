//! Kinds of files, the families of codes that damage of them has, and the verification that must see it.
//!
//! Input: a folder of an engine. Output: its files by kind; a verdict on one of them or on all. Invariants: a
//! verdict is that of the functions which `penstock verify log|journal|manifest` call; where those read
//! everything, the same reader is asked about the one file, and a few changes of each file go through the whole
//! command as well, which must say the same.

use super::flips::names;
use penstock_engine_io::journal::{Chain, JournalReader, Place};
use penstock_engine_io::log::{LOG_HEADER_LEN, LogHeader};
use penstock_engine_io::manifest::{days, verify_day, verify_document};
use penstock_engine_io::replay::{LogStream, ReplayStart, Report, Verdict, level_a, level_b};
use penstock_engine_io::stored::{Stored, plain_name};
use penstock_engine_io::{
    Code, Day, EngineDirs, Fault, keys, layout, origin, retention, snapshots,
};
use std::path::{Path, PathBuf};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A token's log.
    Log,
    /// Frames of an hour.
    Frames,
    /// Quote blocks of an hour.
    Quotes,
    /// A snapshot.
    Snapshot,
    /// Alerts of a day.
    Alerts,
    /// Transitions of a day.
    Transitions,
    /// An archived configuration.
    Config,
    /// A manifest.
    Manifest,
    /// A public key or its record.
    Key,
    /// A compressed file.
    Packed,
    /// A day in one file.
    Bundle,
}

impl Kind {
    /// Every kind that lies in an engine's folder.
    pub(crate) const IN_FOLDER: [Self; 10] = [
        Self::Log,
        Self::Frames,
        Self::Quotes,
        Self::Snapshot,
        Self::Alerts,
        Self::Transitions,
        Self::Config,
        Self::Manifest,
        Self::Key,
        Self::Packed,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Frames => "frames (.ejf)",
            Self::Quotes => "quote blocks (.eqf)",
            Self::Snapshot => "snapshot",
            Self::Alerts => "alerts",
            Self::Transitions => "transitions",
            Self::Config => "configuration",
            Self::Manifest => "manifest",
            Self::Key => "public key, record",
            Self::Packed => "compressed (.zst)",
            Self::Bundle => "bundle",
        }
    }

    /// Exit status that damage of it has.
    pub(crate) const fn exit(self) -> u8 {
        match self {
            Self::Snapshot => 12,
            Self::Log => 13,
            Self::Frames | Self::Quotes => 14,
            Self::Alerts | Self::Transitions => 15,
            Self::Config | Self::Manifest | Self::Key | Self::Packed | Self::Bundle => 18,
        }
    }

    /// The kind of a file by its name below an engine's folder.
    fn of(path: &Path) -> Option<Self> {
        let (mut parts, name) = (path.iter(), path.file_name()?.to_str()?);
        let depth = path.iter().count();
        let (stem, is_packed) = (plain_name(name), plain_name(name) != name);
        let kind = match (parts.next()?.to_str()?, depth) {
            ("log", 3) if layout::log_name(stem).is_some() => Self::Log,
            ("journal", 3) if stem.ends_with(".ejf") => Self::Frames,
            ("journal", 3) if stem.ends_with(".eqf") => Self::Quotes,
            ("journal", 3) if stem == "open.snap" => Self::Snapshot,
            ("snapshots", 2) if layout::snapshot_tick(stem).is_some() => Self::Snapshot,
            ("alerts", 2) if stem.ends_with(".jsonl") => Self::Alerts,
            ("transitions", 2) if stem.ends_with(".jsonl") => Self::Transitions,
            ("configs", 2) if stem.ends_with(".json") => Self::Config,
            ("manifests", 2) if Day::parse(stem.strip_suffix(".json")?).is_some() => Self::Manifest,
            ("manifests", 3) if stem.ends_with(".json") || stem.ends_with(".pem") => Self::Key,
            _ => return None,
        };
        Some(if is_packed { Self::Packed } else { kind })
    }
}

/// A file and what it is; nothing for what no verification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub kind: Option<Kind>,
    /// Relative to the folder.
    pub path: PathBuf,
}

/// Files below an engine's folder.
pub(crate) fn files(root: &Path) -> Result<Vec<Found>, Fault> {
    let found = |path: PathBuf| Found { kind: Kind::of(&path), path };
    Ok(names(root)?.into_iter().map(found).collect())
}

/// Who judges one file.
pub(crate) enum Light {
    Log { dirs: EngineDirs, token: u16, fingerprint: u32, segment: (Day, u16) },
    Journal { dirs: EngineDirs, is_frames: bool, places: Vec<Place> },
    Snapshot { dirs: EngineDirs, tick: u64 },
    Whole { root: PathBuf },
    Manifest { dirs: EngineDirs, day: Day },
    Key { dirs: EngineDirs },
    Packed { plain: PathBuf },
}

fn unknown(path: &Path) -> Fault {
    Fault::new(Code::Invariant, "the name of the file does not say what it is").of(path)
}

impl Light {
    /// Who judges `path` below `root`, while it is not damaged.
    pub(crate) fn new(root: &Path, kind: Kind, path: &Path) -> Result<Self, Fault> {
        let dirs = EngineDirs::under(root);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Ok(match kind {
            Kind::Log => {
                let segment = layout::log_name(name).ok_or_else(|| unknown(path))?;
                let mut head = [0; LOG_HEADER_LEN];
                Stored::open(&root.join(path))?.fill(&mut head)?;
                let LogHeader { token, fingerprint, .. } = LogHeader::decode(&head)?;
                Self::Log { dirs, token, fingerprint, segment }
            }
            Kind::Frames | Kind::Quotes => {
                let day = path.iter().nth(1).and_then(|day| Day::parse(day.to_str()?));
                let hour = name.get(..2).and_then(|hour| hour.parse().ok());
                let hour = day.zip(hour).ok_or_else(|| unknown(path))?;
                let places = places(&dirs, hour)?;
                Self::Journal { dirs, is_frames: kind == Kind::Frames, places }
            }
            Kind::Snapshot => {
                let tick = layout::snapshot_tick(name).ok_or_else(|| unknown(path))?;
                Self::Snapshot { dirs, tick }
            }
            Kind::Manifest => {
                let day = name.strip_suffix(".json").and_then(Day::parse);
                Self::Manifest { dirs, day: day.ok_or_else(|| unknown(path))? }
            }
            Kind::Key => Self::Key { dirs },
            Kind::Packed => {
                Self::Packed { plain: root.join(path).with_file_name(plain_name(name)) }
            }
            Kind::Alerts | Kind::Transitions | Kind::Config => {
                Self::Whole { root: root.to_owned() }
            }
            Kind::Bundle => return Err(unknown(path)),
        })
    }

    /// The whole command reads the file too, and says what this one says.
    pub(crate) const fn has_whole(&self) -> bool {
        match self {
            Self::Log { .. } | Self::Journal { .. } | Self::Snapshot { .. } => true,
            Self::Whole { .. } | Self::Manifest { .. } | Self::Key { .. } | Self::Packed { .. } => {
                false
            }
        }
    }

    /// Judges the file, which is changed at `at` or not at all.
    pub(crate) fn judge(&self, at: u64) -> Result<(), Fault> {
        match self {
            Self::Log { dirs, token, fingerprint, segment } => {
                let mut stream = LogStream::of_segment(dirs, *token, *fingerprint, *segment)?;
                while stream.next_record()?.is_some() {}
                Ok(())
            }
            Self::Journal { dirs, is_frames, places } => journal(dirs, *is_frames, places, at),
            Self::Snapshot { dirs, tick } => snapshots::read_checked(dirs, *tick).map(|_| ()),
            Self::Whole { root } => whole(root).map(|_| ()),
            Self::Manifest { dirs, day } => verify_document(dirs, *day).map(|_| ()),
            Self::Key { dirs } => keys::records(dirs).map(|_| ()),
            Self::Packed { plain } => Stored::open(plain)?.digest().map(|_| ()),
        }
    }
}

/// Where each entry of an hour stands.
fn places(dirs: &EngineDirs, hour: (Day, u64)) -> Result<Vec<Place>, Fault> {
    let mut places = vec![Place { hour, frames: 0, quotes: 0 }];
    let mut reader = JournalReader::from_place(dirs, places[0])?;
    while reader.next_entry()?.is_some() {
        places.extend(reader.place());
    }
    Ok(places)
}

/// Reads the entry that holds the byte and the one behind it, in chain with the one before.
fn journal(dirs: &EngineDirs, is_frames: bool, places: &[Place], at: u64) -> Result<(), Fault> {
    let begins = |place: &Place| if is_frames { place.frames } else { place.quotes };
    let holds = places.partition_point(|place| begins(place) <= at).saturating_sub(1);
    let Some(from) = places.get(holds.saturating_sub(1)) else { return Ok(()) };
    let mut reader = JournalReader::from_place(dirs, *from)?;
    let mut chain = Chain::default();
    for _ in 0..3 {
        let Some(entry) = reader.next_entry()? else { break };
        chain = chain.with(&entry.header, &entry.frame)?;
    }
    Ok(())
}

/// What an undamaged folder says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Judges {
    pub level_a: Report,
    pub level_b: Report,
    pub manifests: usize,
}

/// All that `penstock verify log`, `journal` and `manifest` do on a folder; a difference is a fault of its code.
pub(crate) fn whole(root: &Path) -> Result<Judges, Fault> {
    let dirs = EngineDirs::under(root);
    let config = origin::config_of(&dirs)?;
    let level_a = identical(level_a(&dirs, &config, None)?)?;
    let from_genesis = level_b(&dirs, &config, ReplayStart::Genesis, None, None);
    let level_b = match from_genesis {
        // The beginning has had its time: from the oldest snapshot on.
        Err(fault) if fault.code == Code::SnapMissing => {
            let Some(first) = snapshots::all_ticks(&dirs)?.first().copied() else {
                return Err(fault);
            };
            level_b(&dirs, &config, ReplayStart::Snapshot(first), None, None)?
        }
        report => report?,
    };
    let level_b = identical(level_b)?;
    let all = days(&dirs)?;
    for day in &all {
        if retention::has_gone(&dirs, *day)? {
            verify_document(&dirs, *day)?;
        } else {
            verify_day(&dirs, *day)?;
        }
    }
    Ok(Judges { level_a, level_b, manifests: all.len() })
}

fn identical(report: Report) -> Result<Report, Fault> {
    let Some(found) = report.first_mismatch.clone() else { return Ok(report) };
    assert_eq!(report.verdict, Verdict::Breach);
    let fault = Fault::new(Code::Determinism, format!("{} differs", found.field));
    Err(fault.in_tick(found.tick).differing(found.expected, found.actual))
}
