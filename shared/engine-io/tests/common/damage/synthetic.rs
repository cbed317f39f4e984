//! A short day that crosses midnight, and the day behind it: signed, compressed, handed out as one file.
//!
//! Input: an empty folder. Output: the files that an engine leaves at each stage. Invariants: keys rotate between
//! the two manifests; the second day is one long gap, so that it closes; nothing depends on a clock.

use crate::common::{DAY, MIDNIGHT, config, feed, options, start, stream, whole_run};
use penstock_engine::EngineConfig;
use penstock_engine_io::JanitorHooks;
use penstock_engine_io::compress::pack_day;
use penstock_engine_io::keys::{self, Signer};
use penstock_engine_io::manifest::{Facts, close_day};
use penstock_engine_io::{Day, EngineDirs, Fault};
use std::path::{Path, PathBuf};

/// The short day.
pub(crate) const FIRST: Day = Day(20_500);
/// The day behind it.
pub(crate) const SECOND: Day = Day(20_501);
/// Ticks before midnight and behind it.
const TICKS: (u64, u64) = (120, 50);

/// Two days of an engine, stage by stage.
pub(crate) struct Synthetic {
    /// The engine's folder.
    pub root: PathBuf,
    dirs: EngineDirs,
    private: PathBuf,
    config: EngineConfig,
}

impl Synthetic {
    /// The engine runs over midnight and stops: nothing is closed by a manifest yet.
    pub(crate) fn run(place: &Path) -> Self {
        let (root, private) = (place.join("engine"), place.join("private/signing.pem"));
        let config = config(40);
        let frames = stream(MIDNIGHT - TICKS.0, TICKS.0 + TICKS.1, |tick| tick % 37 == 3);
        whole_run(&root, &config, &frames);
        Self { dirs: EngineDirs::under(&root), root, private, config }
    }

    fn facts(day: Day) -> Facts {
        Facts {
            engine_sha256: "ab".repeat(32),
            bindings_hash: Some("cd".repeat(32)),
            max_tick_us: Some(900),
            written_at_ms: (day.last_tick() + 1) * 250,
        }
    }

    fn close(&self, day: Day) -> Result<(), Fault> {
        let signer = Signer::load(&self.private, &self.dirs)?;
        close_day(&self.dirs, &self.config, day, &Self::facts(day), Some(&signer)).map(|_| ())
    }

    /// The short day gets its manifest.
    pub(crate) fn sign(&self) -> Result<(), Fault> {
        keys::init(&self.dirs, &self.private, &[7; 32], &FIRST.to_string())?;
        self.close(FIRST)
    }

    /// The key rotates, a late frame ends the second day, and that one gets its manifest under the new key.
    pub(crate) fn sign_second(&self) -> Result<(), Fault> {
        keys::rotate(&self.dirs, &self.private, &[8; 32], &SECOND.to_string(), false)?;
        let frames = stream(MIDNIGHT - TICKS.0, TICKS.0 + TICKS.1, |tick| tick % 37 == 3);
        let last = frames.last().map(|(_, frame, _)| frame.as_slice()).unwrap_or_default();
        let link = penstock_types::frame::verify_link(last, None).unwrap();
        let mut next = stream(MIDNIGHT + DAY + 5, 1, |_| false).remove(0);
        penstock_types::frame::deliver(&mut next.1, Some(&link)).unwrap();
        let (mut session, _) = start(&options(&self.root, &self.config))?;
        feed(&mut session, &[next])?;
        session.stop()?;
        self.close(SECOND)
    }

    /// A day is compressed.
    pub(crate) fn pack(&self, day: Day) -> Result<(), Fault> {
        pack_day(&self.dirs, day, &JanitorHooks::none()).map(|_| ())
    }

    /// A day in one file.
    pub(crate) fn export(&self, day: Day, to: &Path) -> Result<(), Fault> {
        penstock_engine_io::bundle::export_day(&self.dirs, day, to).map(|_| ())
    }
}
