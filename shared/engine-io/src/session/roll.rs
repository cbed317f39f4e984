//! The roll-forward, step 5b of a start: the journal behind the snapshot, then what only the logs and the table of
//! frames still have.
//!
//! Input: a core that stands at its snapshot, the journal, the table of frames. Output: a core that stands where its
//! journal ends. Invariants: the end of the journal is judged before anything is executed; the newest hour is read
//! once for its end, its chain and the snapshot's frame, and its frames are hashed on a thread beside the reading;
//! only what lies behind the snapshot is read a second time.

use super::start::{FrameStore, Started};
use crate::core::Core;
use crate::error::{Code, Fault};
use crate::journal::{
    Chain, Entry, JournalReader, JournalWriter, Place, hours, recover_tail_seeing,
};
use crate::layout::{Day, EngineDirs, HOUR_TICKS};
use crate::writer::Writer;
use penstock_types::frame::{decode_frame, sha256};
use std::sync::mpsc::sync_channel;

/// Executes everything behind the snapshot.
pub(super) fn roll_forward(
    core: &mut Core<Writer>,
    dirs: &EngineDirs,
    log_tick: u64,
    store: &mut dyn FrameStore,
    started: &mut Started,
) -> Result<(), Fault> {
    let from = core.engine.last_tick().unwrap_or(0);
    let newest = newest_hour(dirs, Newest::behind(core.chain, from))?;
    let mut journal = JournalWriter::new(dirs);
    let place = newest.place;
    complete(newest, &core.chain, dirs, &mut journal, store, started)?;
    let mut reader = match place {
        Some(place) if place.hour == hour_of(from) => JournalReader::from_place_on(dirs, place)?,
        Some(_) | None => JournalReader::from_tick(dirs, from)?,
    };
    let mut entry = Entry::blank();
    while reader.next_into(&mut entry)? {
        // A snapshot within a gap belongs to the frame before the gap.
        if entry.tick() <= from {
            check_known(&core.chain, &entry)?;
            continue;
        }
        let chain = core.chain.with(&entry.header, &entry.frame)?;
        core.execute(&entry.header, &entry.events, chain)?;
    }
    while core.engine.last_tick().unwrap_or(0) < log_tick {
        let Some((frame, quotes)) = store.after(core.chain.frame_seq)? else {
            let last = core.engine.last_tick().unwrap_or(0);
            return Err(ahead_of_journal().in_tick(log_tick).differing(log_tick, last));
        };
        let (header, events) = decode_frame(&frame)?;
        let chain = core.chain.with(&header, &frame)?;
        journal.append(header.tick_id.0.unsigned_abs(), &frame, &quotes)?;
        core.execute(&header, &events, chain)?;
        started.refetched_frames += 1;
    }
    journal.close()?;
    let last = core.engine.last_tick().unwrap_or(0);
    if last > core.snapshot_tick || Day::of(last) != Day::of(core.snapshot_tick) {
        core.snapshot()?;
    }
    core.sink.wait()
}

const fn hour_of(tick: u64) -> (Day, u64) {
    (Day::of(tick), tick % crate::layout::DAY_TICKS / HOUR_TICKS)
}

/// The newest hour of the journal, as it is seen while its end is judged.
struct Newest {
    /// The snapshot's frame.
    known: Chain,
    /// The snapshot's tick.
    from: u64,
    /// The chain over the hour's whole entries, or the first that does not continue it.
    end: Result<Chain, Fault>,
    /// What is wrong with the snapshot's frame.
    is_known: Result<(), Fault>,
    /// Behind the entries that lie not behind the snapshot.
    place: Option<Place>,
    /// An entry behind the snapshot was seen.
    is_behind: bool,
}

impl Newest {
    fn behind(known: Chain, from: u64) -> Self {
        let end = Ok(Chain::default());
        Self { known, from, end, is_known: Ok(()), place: None, is_behind: false }
    }

    fn see(&mut self, entry: &Entry, behind: Place) {
        let Ok(end) = &self.end else { return };
        self.end = end.with(&entry.header, &entry.frame);
        if entry.tick() > self.from {
            self.is_behind = true;
            self.place.get_or_insert(Place { frames: 0, quotes: 0, ..behind });
        }
        if self.is_behind {
            return;
        }
        self.place = Some(behind);
        if let (Ok(end), Ok(())) = (&self.end, &self.is_known) {
            self.is_known = same(&self.known, entry, || end.sha256);
        }
    }
}

/// Entries that are handed over together.
const BATCH_LEN: usize = 64;
/// Batches that wait to be hashed.
const BATCHES_LEN_MAX: usize = 2;

/// Entries of the hour, each with the place behind it; memory that is used again.
#[derive(Default)]
struct Batch {
    entries: Vec<(Entry, Place)>,
    len: usize,
}

/// Judges the end of the newest hour while its frames are hashed on a thread beside it.
fn newest_hour(dirs: &EngineDirs, mut newest: Newest) -> Result<Newest, Fault> {
    std::thread::scope(|scope| {
        let (sender, batches) = sync_channel::<Batch>(BATCHES_LEN_MAX);
        let (spare, again) = sync_channel::<Batch>(BATCHES_LEN_MAX + 2);
        let hashing = scope.spawn(move || {
            for batch in batches {
                batch.entries.iter().take(batch.len).for_each(|(entry, at)| newest.see(entry, *at));
                // The reading is at its end when nobody fills it again.
                let _ = spare.try_send(batch);
            }
            newest
        });
        let mut batch = Batch::default();
        recover_tail_seeing(dirs, |entry, place| {
            match batch.entries.get_mut(batch.len) {
                Some((room, at)) => {
                    std::mem::swap(room, entry);
                    *at = place;
                }
                None => batch.entries.push((std::mem::replace(entry, Entry::blank()), place)),
            }
            batch.len += 1;
            if batch.len == BATCH_LEN {
                let next = Batch { len: 0, ..again.try_recv().unwrap_or_default() };
                // The hashing takes all there is; that it has failed is said below.
                let _ = sender.send(std::mem::replace(&mut batch, next));
            }
        })?;
        let _ = sender.send(batch);
        drop(sender);
        let what = "the thread that hashes the newest hour has ended before its time";
        hashing.join().map_err(|_| Fault::new(Code::Invariant, what))
    })
}

fn ahead_of_journal() -> Fault {
    let what = "logs or snapshot say more than journal and table of frames explain; next: recover \
                by hand and quarantine the tail";
    Fault::new(Code::LogAheadOfJournal, what)
}

/// Frames up to the snapshot's that a loss of power took from the journal.
fn complete(
    newest: Newest,
    chain: &Chain,
    dirs: &EngineDirs,
    journal: &mut JournalWriter,
    store: &mut dyn FrameStore,
    started: &mut Started,
) -> Result<(), Fault> {
    let mut end = newest.end?;
    if end == Chain::default() {
        end = end_before(dirs)?;
    }
    while end.frame_seq < chain.frame_seq {
        let Some((frame, quotes)) = store.after(end.frame_seq)? else {
            return Err(ahead_of_journal().differing(chain.frame_seq, end.frame_seq));
        };
        let (header, _) = decode_frame(&frame)?;
        end = end.with(&header, &frame)?;
        journal.append(header.tick_id.0.unsigned_abs(), &frame, &quotes)?;
        started.refetched_frames += 1;
    }
    newest.is_known
}

/// The end of the newest hour that has a frame: the newest of all is compressed, or it has none because the crash
/// came between the making of its files and the first write.
fn end_before(dirs: &EngineDirs) -> Result<Chain, Fault> {
    let mut end = Chain::default();
    let mut entry = Entry::blank();
    for (day, hour) in hours(&dirs.journal)?.into_iter().rev() {
        let mut reader = JournalReader::from_tick(dirs, day.first_tick() + hour * HOUR_TICKS)?;
        while reader.next_into(&mut entry)? {
            end = end.with(&entry.header, &entry.frame)?;
        }
        if end != Chain::default() {
            break;
        }
    }
    Ok(end)
}

/// The frame that the snapshot names is the one of the journal.
fn check_known(chain: &Chain, entry: &Entry) -> Result<(), Fault> {
    same(chain, entry, || sha256(&entry.frame))
}

fn same(chain: &Chain, entry: &Entry, hash: impl FnOnce() -> [u8; 32]) -> Result<(), Fault> {
    let is_last = entry.header.frame_seq.unsigned_abs() == chain.frame_seq;
    if is_last && hash() != chain.sha256 {
        let what = "the journal has another frame of this number than the snapshot";
        return Err(Fault::new(Code::JrnChain, what).in_tick(entry.tick()));
    }
    Ok(())
}
