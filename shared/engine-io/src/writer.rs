//! The writer thread: what ticks leave behind goes to disk here, and nowhere else.
//!
//! Input: copies of a tick's output and of snapshots, through a bounded queue. Output: files. Invariants: jobs
//! are done in their order; a snapshot is written only when everything up to it is on disk; the first failure
//! ends the thread and is what every later job gets; a queue that stays full is a failure too.

use crate::core::{Sink, TickFiles};
use crate::error::{Code, Fault};
use crate::files;
use crate::hooks::{CrashPoint, Hooks};
use crate::layout::{DAY_TICKS, EngineDirs};
use crate::log::TokenLog;
use crate::snapshots;
use crate::streams::Stream;
use penstock_engine::record::RECORD_LEN;
use penstock_engine::snapshot::{LogPosition, TRAILER_LEN, seal};
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Jobs that may wait: a minute of ticks.
const QUEUE_LEN_MAX: usize = 256;
/// Milliseconds for which a live core waits for a place in the queue: missing ticks and frames after an outage
/// run faster than any disk, a disk that moves nothing for so long is broken. The end of a service has as much.
const QUEUE_WAIT_MS_MAX: u32 = 10_000;

/// Open files of the journal that a snapshot has to find on disk.
pub(crate) type JournalFiles = Vec<(PathBuf, File)>;

enum Job {
    Tick { tick: u64, records: Vec<[u8; RECORD_LEN]>, alerts: String, transitions: String },
    Snapshot { tick: u64, bytes: Vec<u8>, logs: Vec<LogPosition>, journal: JournalFiles },
    CloseDay,
    Barrier(SyncSender<()>),
    End,
}

/// What the thread owns.
pub(crate) struct Files {
    pub dirs: EngineDirs,
    pub logs: Vec<TokenLog>,
    pub alerts: Stream,
    pub transitions: Stream,
    pub hooks: Hooks,
}

impl Files {
    fn tick(
        &mut self,
        tick: u64,
        records: &[[u8; RECORD_LEN]],
        alerts: &str,
        transitions: &str,
    ) -> Result<(), Fault> {
        self.hooks.pass(CrashPoint::BeforeLogAppend)?;
        for (log, record) in self.logs.iter_mut().zip(records) {
            log.append(tick, record)?;
        }
        self.hooks.pass(CrashPoint::BeforeAlertAppend)?;
        // Whoever follows both streams finds the transition behind an alert.
        self.transitions.append(tick, transitions)?;
        self.alerts.append(tick, alerts)?;
        self.hooks.pass(CrashPoint::AfterAlertAppend)
    }

    fn snapshot(
        &mut self,
        tick: u64,
        bytes: &[u8],
        logs: &[LogPosition],
        journal: &JournalFiles,
    ) -> Result<(), Fault> {
        // Both sides count where the logs stand; a snapshot that names another place could not be resumed.
        for (log, due) in self.logs.iter().zip(logs) {
            let stands = log.position();
            if stands.is_some_and(|stands| stands != *due) {
                let what = "a log does not stand where the snapshot says";
                let fault = Fault::new(Code::Invariant, what).in_tick(tick);
                return Err(fault.differing(format!("{due:?}"), format!("{stands:?}")));
            }
        }
        self.hooks.pass(CrashPoint::BeforeSnapshotSync)?;
        for (path, file) in journal {
            file.sync_data().map_err(|error| Fault::storage("sync", path, &error))?;
        }
        self.hooks.pass(CrashPoint::AfterJournalSync)?;
        for log in &mut self.logs {
            log.sync()?;
        }
        self.alerts.sync()?;
        self.transitions.sync()?;
        files::sync_dir(&self.dirs.log)?;
        self.hooks.pass(CrashPoint::AfterLogSync)?;
        snapshots::write(&self.dirs, tick, bytes, &self.hooks)?;
        snapshots::prune(&self.dirs)?;
        Ok(())
    }

    fn close_day(&mut self) -> Result<(), Fault> {
        self.hooks.pass(CrashPoint::BeforeRotation)?;
        for log in &mut self.logs {
            log.close()?;
        }
        self.alerts.close()?;
        self.transitions.close()?;
        self.hooks.pass(CrashPoint::AfterRotation)
    }

    fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Fault> {
        // The sender's end is the end of a core that failed: what it wrote so far stays as it is.
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Tick { tick, records, alerts, transitions } => {
                    self.tick(tick, &records, &alerts, &transitions)?;
                }
                Job::Snapshot { tick, mut bytes, logs, journal } => {
                    seal(&mut bytes);
                    self.snapshot(tick, &bytes, &logs, &journal)?;
                }
                Job::CloseDay => self.close_day()?,
                Job::Barrier(done) => {
                    // Nobody waits any more when the core has gone.
                    let _ = done.send(());
                }
                Job::End => {
                    for log in &mut self.logs {
                        log.sync()?;
                    }
                    self.alerts.sync()?;
                    self.transitions.sync()?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What the core does when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Live: a disk that stays a minute behind does not catch up.
    Stop,
    /// The input can wait.
    Wait,
}

/// Hands a job over, waiting for a bounded time while the queue is full; `None` when nobody takes it.
fn send_in_time(jobs: &SyncSender<Job>, mut job: Job) -> Result<(), Option<Fault>> {
    for _ in 0..QUEUE_WAIT_MS_MAX {
        job = match jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(_)) => return Err(None),
            Err(TrySendError::Full(job)) => job,
        };
        std::thread::sleep(Duration::from_millis(1));
    }
    let what = format!(
        "{QUEUE_LEN_MAX} ticks have waited for the disk for {QUEUE_WAIT_MS_MAX} ms; next: look at \
         its latency"
    );
    Err(Some(Fault::new(Code::Storage, what)))
}

/// The core's end of the queue.
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    fault: Arc<Mutex<Option<Fault>>>,
    pub when_full: WhenFull,
    pub snapshot_every_ticks: u64,
    pub journal: JournalFiles,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(files: Files, snapshot_every_ticks: u64) -> Result<Self, Fault> {
        let (jobs, queue) = sync_channel(QUEUE_LEN_MAX);
        let fault = Arc::new(Mutex::new(None));
        let place = Arc::clone(&fault);
        let run = move || {
            if let Err(fault) = files.run(&queue) {
                *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            }
        };
        let thread = std::thread::Builder::new().name("engine-writer".to_owned()).spawn(run);
        let thread = thread.map_err(|error| {
            Fault::new(Code::Storage, format!("failed to start the writer thread: {error}"))
        })?;
        let when_full = WhenFull::Wait;
        let (jobs, thread) = (Some(jobs), Some(thread));
        Ok(Self { jobs, thread, fault, when_full, snapshot_every_ticks, journal: Vec::new() })
    }

    fn send(&mut self, job: Job) -> Result<(), Fault> {
        let Some(jobs) = &self.jobs else { return Err(self.why()) };
        let sent = match self.when_full {
            WhenFull::Wait => jobs.send(job).map_err(|_| None),
            WhenFull::Stop => send_in_time(jobs, job),
        };
        sent.map_err(|fault| fault.unwrap_or_else(|| self.why()))
    }

    /// Why the thread has ended.
    fn why(&mut self) -> Fault {
        self.jobs = None;
        self.join();
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.unwrap_or_else(|| Fault::new(Code::Storage, "the writer thread has ended"))
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is a fault like any other: `why` tells of it.
            let _ = thread.join();
        }
    }

    /// Waits until every job so far is done.
    pub(crate) fn wait(&mut self) -> Result<(), Fault> {
        let (done, is_done) = sync_channel(1);
        self.send(Job::Barrier(done))?;
        is_done.recv().map_err(|_| self.why())
    }

    /// Ends the thread behind its last job.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        self.send(Job::End)?;
        self.jobs = None;
        self.join();
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        fault.map_or(Ok(()), Err)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        self.join();
    }
}

impl Sink for Writer {
    fn tick(&mut self, tick: &TickFiles<'_>) -> Result<(), Fault> {
        self.send(Job::Tick {
            tick: tick.tick,
            records: tick.records.to_vec(),
            alerts: tick.alerts.to_owned(),
            transitions: tick.transitions.to_owned(),
        })
    }

    fn wants_snapshot(&self, tick: u64) -> bool {
        tick.is_multiple_of(self.snapshot_every_ticks) || tick % DAY_TICKS == DAY_TICKS - 1
    }

    fn snapshot(&mut self, tick: u64, bytes: &[u8], logs: &[LogPosition]) -> Result<(), Fault> {
        let mut journal = Vec::with_capacity(self.journal.len());
        for (path, file) in &self.journal {
            let clone = file.try_clone().map_err(|error| Fault::storage("open", path, &error))?;
            journal.push((path.clone(), clone));
        }
        let mut copy = Vec::with_capacity(bytes.len() + TRAILER_LEN);
        copy.extend_from_slice(bytes);
        self.send(Job::Snapshot { tick, bytes: copy, logs: logs.to_vec(), journal })
    }

    fn close_day(&mut self) -> Result<(), Fault> {
        self.send(Job::CloseDay)
    }
}
