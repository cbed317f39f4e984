//! The start: steps 1 to 5b in their order, each with its codes.
//!
//! Input: options and the table of frames, if there is one. Output: a session that stands where its journal
//! ends. Invariants: a service and a start by hand run this code; no step is left out; nothing is executed
//! before logs and streams are judged; a snapshot is never chosen in place of a damaged one unless by name.

use super::roll::roll_forward;
use super::{Genesis, Session, State, change};
use crate::core::Core;
use crate::error::{Code, Fault};
use crate::files;
use crate::hooks::Hooks;
use crate::journal::{Chain, JournalReader, JournalWriter};
use crate::layout::{Day, EngineDirs};
use crate::lifecycle::{Event, Lifecycle, Mode, Step};
use crate::log::{LogHeader, TokenLog};
use crate::recovery::recover_log;
use crate::snapshots::{self, Loaded};
use crate::spans::all_segments;
use crate::streams::{self, Stream};
use crate::writer::{Files, WhenFull, Writer};
use penstock_engine::snapshot::{LogPosition, SnapshotContext};
use penstock_engine::{Engine, EngineConfig};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::PathBuf;

/// A delivered frame and its quote block.
pub type Delivered = (Vec<u8>, Vec<u8>);

/// The table of delivered frames, for the end that a loss of power took from the journal.
pub trait FrameStore {
    /// The frame behind number `frame_seq` with its quote block; `None` when it is gone.
    ///
    /// # Errors
    /// [`Code::Storage`] when the table cannot be asked.
    fn after(&mut self, frame_seq: u64) -> Result<Option<Delivered>, Fault>;
}

/// No table: the files are all there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStore;

impl FrameStore for NoStore {
    fn after(&mut self, _frame_seq: u64) -> Result<Option<Delivered>, Fault> {
        Ok(None)
    }
}

/// How an engine is started.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// Directories.
    pub dirs: EngineDirs,
    /// Resolved configuration.
    pub config: EngineConfig,
    /// LIVE or SNAPSHOT_RECOVERY; replay has an entry of its own.
    pub mode: Mode,
    /// Begin anew over files that exist; every later proof carries the flag.
    pub is_cold: bool,
    /// SHA-256 of a configuration that the operator accepts in place of the snapshot's; it has to be `config`'s.
    pub accept_config: Option<[u8; 32]>,
    /// By hand only: this snapshot instead of the newest.
    pub snapshot: Option<u64>,
    /// By hand only: from the first frame of the journal.
    pub from_genesis: bool,
    /// Least free bytes of the disk.
    pub disk_free_min_bytes: u64,
    /// Private signing key; a missing file is no error.
    pub signing_key: Option<PathBuf>,
    /// Staged crashes of tests.
    pub hooks: Hooks,
}

impl StartOptions {
    /// A live start with the defaults.
    #[must_use]
    pub fn live(dirs: EngineDirs, config: EngineConfig) -> Self {
        Self {
            dirs,
            config,
            mode: Mode::Live,
            is_cold: false,
            accept_config: None,
            snapshot: None,
            from_genesis: false,
            disk_free_min_bytes: 10_737_418_240,
            signing_key: None,
            hooks: Hooks::none(),
        }
    }
}

/// What a start found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Started {
    /// Tick of the snapshot that was loaded.
    pub snapshot_tick: Option<u64>,
    /// Last tick of the logs.
    pub log_tick: Option<u64>,
    /// Last tick after the roll-forward.
    pub last_tick: Option<u64>,
    /// Ticks that were executed behind the snapshot.
    pub rolled_ticks: u64,
    /// Frames that came from the table of frames.
    pub refetched_frames: u64,
    /// Logs of which bytes were cut.
    pub cut: Vec<PathBuf>,
    /// First tick under another configuration than the newest snapshot's.
    pub changed_at: Option<u64>,
}

/// What a full queue means in a mode.
pub(super) const fn when_full(mode: Mode) -> WhenFull {
    match mode {
        Mode::Live => WhenFull::Stop,
        Mode::Replay | Mode::SnapshotRecovery => WhenFull::Wait,
    }
}

/// The core of an engine whose logs do not exist yet.
pub(super) fn core_of_genesis(
    engine: Engine,
    segment: u16,
    dirs: &EngineDirs,
    hooks: &Hooks,
) -> Result<Core<Writer>, Fault> {
    let position = LogPosition { segment, ..LogPosition::default() };
    let logs = vec![position; engine.config().tokens.len()];
    let context = SnapshotContext { logs, ..SnapshotContext::default() };
    let tick = engine.last_tick().unwrap_or(0);
    let mut started = Started::default();
    let loaded = Loaded { tick, engine, context, bytes: Vec::new() };
    let (core, _) = core_of(loaded, dirs, hooks, &mut started)?;
    Ok(core)
}

/// Step 4 for every token, and the core with its writer; also the last tick of all logs.
pub(super) fn core_of(
    loaded: Loaded,
    dirs: &EngineDirs,
    hooks: &Hooks,
    started: &mut Started,
) -> Result<(Core<Writer>, u64), Fault> {
    let Loaded { tick, engine, context, .. } = loaded;
    let config = engine.config();
    let fingerprint = LogHeader::fingerprint(&config.sha256());
    let every = config.snapshot_every_ticks.unsigned_abs();
    let mut logs: Vec<TokenLog> = Vec::with_capacity(config.tokens.len());
    let mut last_tick = tick;
    for (token, position) in config.tokens.iter().zip(&context.logs) {
        let recovered = recover_log(dirs, token.id, fingerprint, tick, position)?;
        last_tick = last_tick.max(recovered.last_tick);
        started.cut.extend(recovered.cut);
        let mut log = recovered.log;
        if started.changed_at == Some(tick + 1) {
            log.open_at_once(Day::of(tick + 1))?;
        }
        logs.push(log);
    }
    streams::cut_back(&dirs.alerts, tick)?;
    streams::cut_back(&dirs.transitions(), tick)?;
    let files = Files {
        dirs: dirs.clone(),
        logs,
        alerts: Stream::new(dirs.alerts.clone()),
        transitions: Stream::new(dirs.transitions()),
        hooks: hooks.clone(),
    };
    let writer = Writer::start(files, every)?;
    Ok((Core::new(engine, Chain::of(&context), context.logs, writer), last_tick))
}

impl Session {
    /// Starts an engine over its files.
    ///
    /// # Errors
    /// The fault of the first step that fails, with its code.
    pub fn start(
        options: &StartOptions,
        store: &mut dyn FrameStore,
    ) -> Result<(Self, Started), Fault> {
        let mut life = Lifecycle::new(options.mode);
        let StartOptions { dirs, config, hooks, .. } = options;
        config.check()?;
        let is_replay = life.take(Event::Done)? != Step::Environment;
        if is_replay {
            let what = "a replay writes no files; next: use its own entry";
            return Err(Fault::new(Code::Invariant, what));
        }
        let lock = environment(options)?;
        archive_config(dirs, config)?;
        life.take(Event::Done)?;
        let base = choose(options)?;
        life.take(Event::Done)?;
        let mut started = Started::default();
        let base = change::under_config(base, options, store, &mut started)?;
        let journal = JournalWriter::new(dirs);
        let state = match base {
            Base::Genesis(genesis) => {
                for _ in [Step::Logs, Step::Restored, Step::RolledForward] {
                    life.take(Event::Done)?;
                }
                State::Waiting(genesis)
            }
            // What was written under another configuration has been taken over.
            Base::Other(loaded) | Base::Snapshot(loaded) => {
                started.snapshot_tick = Some(loaded.tick);
                let from = loaded.tick;
                let (core, log_tick) = core_of(*loaded, dirs, hooks, &mut started)?;
                started.log_tick = Some(log_tick);
                life.take(Event::Done)?;
                life.take(Event::Done)?;
                let mut core = Box::new(core);
                roll_forward(&mut core, dirs, log_tick, store, &mut started)
                    .map_err(|fault| keep_breach(dirs, fault))?;
                started.last_tick = core.engine.last_tick();
                started.rolled_ticks = started.last_tick.unwrap_or(from) - from;
                life.take(Event::Done)?;
                core.sink.when_full = when_full(options.mode);
                State::Running(core)
            }
        };
        if life.step() == Step::Bound {
            life.take(Event::Done)?;
        }
        let session = Self {
            life,
            config: config.clone(),
            dirs: dirs.clone(),
            hooks: hooks.clone(),
            journal,
            state,
            _lock: lock,
        };
        Ok((session, started))
    }
}

/// Step 2.
fn environment(options: &StartOptions) -> Result<File, Fault> {
    for dir in options.dirs.all() {
        files::make_dir(&dir)?;
        let probe = dir.join(".probe");
        let refuse = |error: &std::io::Error| {
            let what = format!("the directory is not writable: {error}");
            Fault::new(Code::EnvDir, what).of(&dir)
        };
        let mut file = File::create(&probe).map_err(|error| refuse(&error))?;
        file.write_all(b"probe").and_then(|()| file.sync_all()).map_err(|error| refuse(&error))?;
        std::fs::remove_file(&probe).map_err(|error| refuse(&error))?;
        let disk = nix::sys::statvfs::statvfs(&dir).map_err(|error| {
            Fault::new(Code::EnvDisk, format!("the disk does not say what is free: {error}"))
        })?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if free < options.disk_free_min_bytes {
            let what = "too little of the disk is free; next: make room or lower \
                        engine.disk_free_min_bytes";
            let fault = Fault::new(Code::EnvDisk, what).of(&dir);
            return Err(fault.differing(options.disk_free_min_bytes, free));
        }
    }
    let lock = lock(&options.dirs)?;
    if let Some(path) = &options.signing_key {
        // Only a key that is known to be missing is none.
        let is_there = std::fs::exists(path).map_err(|error| {
            Fault::new(Code::EnvKey, format!("failed to look at the signing key: {error}")).of(path)
        })?;
        if is_there {
            crate::keys::Signer::load(path, &options.dirs)?;
        }
    }
    Ok(lock)
}

/// Takes the lock of the one writer; it is released with the answer.
///
/// # Errors
/// [`Code::EnvLock`] when another process has it.
pub fn lock(dirs: &EngineDirs) -> Result<File, Fault> {
    files::make_dir(&dirs.log)?;
    let path = dirs.lock();
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let lock = opened.map_err(|error| {
        Fault::new(Code::EnvLock, format!("failed to open the lock: {error}")).of(&path)
    })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let what = "another process writes here; next: stop it";
            Err(Fault::new(Code::EnvLock, what).of(&path))
        }
        Err(TryLockError::Error(error)) => {
            let what = format!("failed to lock: {error}");
            Err(Fault::new(Code::EnvLock, what).of(&path))
        }
    }
}

fn archive_config(dirs: &EngineDirs, config: &EngineConfig) -> Result<(), Fault> {
    let path = dirs.config(&config.sha256());
    let text = config.canonical();
    match files::read_if_there(&path, 1 << 24)? {
        Some(had) if had == text.as_bytes() => Ok(()),
        Some(_) => {
            let what = "the archived configuration is another than its name says";
            Err(Fault::new(Code::ManHash, what).of(&path))
        }
        None => files::write_whole(&path, text.as_bytes(), files::CLOSED_MODE),
    }
}

pub(super) enum Base {
    Genesis(Box<Genesis>),
    Snapshot(Box<Loaded>),
    /// A snapshot of another configuration.
    Other(Box<Loaded>),
}

/// Step 3.
fn choose(options: &StartOptions) -> Result<Base, Fault> {
    let StartOptions { dirs, config, .. } = options;
    if options.mode == Mode::SnapshotRecovery {
        if let Some(tick) = options.snapshot {
            return of_snapshot(dirs, config, tick);
        }
        if options.from_genesis {
            return Ok(Base::Snapshot(Box::new(genesis_of_journal(dirs, config)?)));
        }
    }
    let newest = snapshots::ticks(dirs)?.pop();
    let segment = all_segments(dirs)?.into_keys().map(|(_, segment)| segment).max();
    if options.is_cold {
        let first_segment = segment.map_or(0, |segment| segment + 1);
        let engine = Engine::new_cold(config)?;
        return Ok(Base::Genesis(Box::new(Genesis { engine, first_segment })));
    }
    match newest {
        Some(tick) => of_snapshot(dirs, config, tick),
        None if segment.is_some() => {
            let what = "there are logs and no snapshot; next: recover from genesis by hand, or \
                        start with --cold-start";
            Err(Fault::new(Code::SnapMissing, what).of(&dirs.snapshots))
        }
        None if options.mode == Mode::SnapshotRecovery => {
            let what = "there is no snapshot to recover from; next: recover from genesis";
            Err(Fault::new(Code::SnapMissing, what).of(&dirs.snapshots))
        }
        None => {
            // Behind a hard reset the first tick of the new major carries the flag.
            let path = dirs.genesis();
            let is_reset =
                std::fs::exists(&path).map_err(|error| Fault::storage("look at", &path, &error))?;
            let engine = if is_reset { Engine::new_cold(config)? } else { Engine::new(config)? };
            Ok(Base::Genesis(Box::new(Genesis { engine, first_segment: 0 })))
        }
    }
}

/// The snapshot of a tick, whatever it was written under.
fn of_snapshot(dirs: &EngineDirs, config: &EngineConfig, tick: u64) -> Result<Base, Fault> {
    let loaded = Box::new(snapshots::load_archived(dirs, config, tick).map_err(|fault| {
        // Without the configuration before nobody can say what the snapshot means under this one.
        let is_archive = matches!(fault.code.exit(), 10 | 18);
        if is_archive { Fault { code: Code::SnapConfig, ..fault } } else { fault }
    })?);
    let is_other = loaded.engine.config() != config;
    Ok(if is_other { Base::Other(loaded) } else { Base::Snapshot(loaded) })
}

/// The engine before the first frame of the journal.
fn genesis_of_journal(dirs: &EngineDirs, config: &EngineConfig) -> Result<Loaded, Fault> {
    let Some(first) = JournalReader::from_tick(dirs, 0)?.next_entry()? else {
        let what = "the journal has no frame to begin with";
        return Err(Fault::new(Code::JrnGap, what).of(&dirs.journal));
    };
    let mut engine = Engine::new(config)?;
    engine.start_at(first.tick())?;
    let logs = vec![LogPosition::default(); config.tokens.len()];
    let context = SnapshotContext { logs, ..SnapshotContext::default() };
    Ok(Loaded { tick: first.tick() - 1, engine, context, bytes: Vec::new() })
}

/// Keeps both versions of a record that does not follow, and the frame, for whoever looks into it.
pub(super) fn keep_breach(dirs: &EngineDirs, fault: Fault) -> Fault {
    let (Code::Determinism, Some(tick)) = (fault.code, fault.tick) else { return fault };
    let dir = dirs.breach().join(tick.to_string());
    let text = |side: &Option<Box<str>>| side.as_deref().unwrap_or_default().to_owned();
    let frame = || -> Result<Vec<u8>, Fault> {
        let mut reader = JournalReader::from_tick(dirs, tick)?;
        while let Some(entry) = reader.next_entry()? {
            if entry.tick() >= tick {
                return Ok(entry.frame);
            }
        }
        Ok(Vec::new())
    };
    let kept = files::make_dir(&dir)
        .and_then(|()| {
            files::write_whole(&dir.join("expected.hex"), text(&fault.expected).as_bytes(), 0o440)
        })
        .and_then(|()| {
            files::write_whole(&dir.join("actual.hex"), text(&fault.actual).as_bytes(), 0o440)
        })
        .and_then(|()| files::write_whole(&dir.join("frame.ejf"), &frame()?, 0o440));
    match kept {
        Ok(()) => fault,
        // The breach itself is what stops the engine; that it could not be kept is said with it.
        Err(why) => Fault { what: format!("{} ({why})", fault.what), ..fault },
    }
}
