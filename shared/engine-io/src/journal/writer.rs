//! Writing the journal, and the end that a crash left behind.
//!
//! Input: frames with their blocks, in order. Output: files. Invariants: both writes return before the engine
//! executes the frame; a write that fails ends the writing; a torn end is cut in both files to the last tick
//! of which both are whole, and only an end is: a whole frame behind a wrong one proves that it was no crash.

use super::reader::{Entry, Hour, Place, hours};
use crate::error::{Code, Fault};
use crate::files;
use crate::layout::{Day, EngineDirs, HOUR_TICKS};
use crate::stored::{self, Form};
use penstock_types::frame::{
    QUOTE_ENTRY_LEN, QUOTE_HEADER_LEN, QuoteBlock, SYMBOL_NO_MAX, decode_header, decode_quotes,
};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

struct OpenHour {
    hour: u64,
    frames: (PathBuf, File),
    quotes: (PathBuf, File),
    is_dirty: bool,
}

/// Appends to the journal.
pub struct JournalWriter {
    dirs: EngineDirs,
    open: Option<OpenHour>,
    /// Other files are open than those that were asked for last.
    pub(crate) is_new: bool,
}

impl JournalWriter {
    /// A writer that opens its first files with its first frame.
    #[must_use]
    pub fn new(dirs: &EngineDirs) -> Self {
        Self { dirs: dirs.clone(), open: None, is_new: false }
    }

    /// Writes a frame and its block.
    ///
    /// # Errors
    /// [`Code::Storage`]; nothing may be written after it.
    pub fn append(&mut self, tick: u64, frame: &[u8], quotes: &[u8]) -> Result<(), Fault> {
        let hour = tick / HOUR_TICKS;
        if self.open.as_ref().is_some_and(|open| open.hour != hour) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(tick, hour)?);
            self.is_new = true;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.is_dirty = true;
        for ((path, file), bytes) in [(&mut open.frames, frame), (&mut open.quotes, quotes)] {
            file.write_all(bytes).map_err(|error| Fault::storage("write", path, &error))?;
        }
        Ok(())
    }

    fn begin(&self, tick: u64, hour: u64) -> Result<OpenHour, Fault> {
        let dir = self.dirs.journal.join(Day::of(tick).to_string());
        files::make_dir_for(&self.dirs.frames_file(tick))?;
        let open = |path: PathBuf| -> Result<(PathBuf, File), Fault> {
            stored::make_raw(&path, u64::MAX - 1)?;
            let file = OpenOptions::new().append(true).create(true).open(&path);
            let file = file.map_err(|error| Fault::storage("open", &path, &error))?;
            Ok((path, file))
        };
        let frames = open(self.dirs.frames_file(tick))?;
        let quotes = open(self.dirs.quotes_file(tick))?;
        files::sync_dir(&dir)?;
        files::sync_dir(&self.dirs.journal)?;
        Ok(OpenHour { hour, frames, quotes, is_dirty: false })
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn sync(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_dirty) else { return Ok(()) };
        for (path, file) in [&open.frames, &open.quotes] {
            file.sync_data().map_err(|error| Fault::storage("sync", path, &error))?;
        }
        open.is_dirty = false;
        Ok(())
    }

    /// The open files once more, for whoever has to find them on disk before a snapshot. They are opened anew: the
    /// system tells of a failed write-back once to everyone who opened a file, and who shares a handle would be told
    /// that all is well after the other has heard of it.
    pub(crate) fn handles(&mut self) -> Result<Vec<(PathBuf, File)>, Fault> {
        self.is_new = false;
        let Some(open) = &self.open else { return Ok(Vec::new()) };
        let again = |(path, _): &(PathBuf, File)| {
            let file = File::open(path).map_err(|error| Fault::storage("open", path, &error))?;
            Ok((path.clone(), file))
        };
        [&open.frames, &open.quotes].into_iter().map(again).collect()
    }

    /// Closes the hour.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn close(&mut self) -> Result<(), Fault> {
        self.sync()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        for path in [&open.frames.0, &open.quotes.0] {
            files::set_mode(path, 0o640)?;
        }
        Ok(())
    }
}

/// Cuts the end of the newest hour to the last tick of which frame and block are whole; true when something
/// was cut. Hours before it are not touched.
///
/// # Errors
/// [`Code::JrnChain`] when a whole frame stands behind what is wrong, [`Code::Storage`].
pub fn recover_tail(dirs: &EngineDirs) -> Result<bool, Fault> {
    recover_tail_seeing(dirs, |_, _| {})
}

/// The same, with every whole entry of the hour shown on the way, and the place behind it: whoever asks for more
/// than the end need not read the hour again, and may keep the entry in exchange for another.
pub(crate) fn recover_tail_seeing(
    dirs: &EngineDirs,
    mut see: impl FnMut(&mut Entry, Place),
) -> Result<bool, Fault> {
    let Some(newest) = hours(&dirs.journal)?.pop() else { return Ok(false) };
    let tick = newest.0.first_tick() + newest.1 * HOUR_TICKS;
    let (frames, quotes) = (dirs.frames_file(tick), dirs.quotes_file(tick));
    if stored::form(&frames)? == Some(Form::Packed) {
        // Only hours of closed days are compressed, and those were whole.
        return Ok(false);
    }
    let is_there = std::fs::exists(&quotes);
    if !is_there.map_err(|error| Fault::storage("look at", &quotes, &error))? {
        // The crash came between the making of the two files.
        files::write_new(&quotes, &[])?;
    }
    let mut hour = Hour::open(dirs, newest)?;
    let mut entry = Entry::blank();
    let wrong = loop {
        match hour.next(&mut entry) {
            Ok(true) => see(&mut entry, hour.place()),
            Ok(false) => return Ok(false),
            Err(fault) if fault.code == Code::FrameCrc => break fault,
            Err(fault) => return Err(fault),
        }
    };
    let (frames_len, quotes_len) = (hour.frames.offset, hour.quotes.offset);
    let is_frame = wrong.file.as_deref() == Some(frames.as_path());
    let (path, from) = if is_frame { (&frames, frames_len) } else { (&quotes, quotes_len) };
    // Where one file merely ends before the other, power was lost between their syncs.
    if !hour.is_unpaired
        && let Some(at) = whole_part_behind(path, from, is_frame)?
    {
        let what = format!("{}; a whole part follows at byte {at}", wrong.what);
        return Err(Fault { code: Code::JrnChain, what, ..wrong });
    }
    files::cut(&frames, frames_len)?;
    files::cut(&quotes, quotes_len)?;
    Ok(true)
}

/// Where a frame with a valid header, or a whole block, stands behind the part at `from`.
fn whole_part_behind(path: &Path, from: u64, is_frame: bool) -> Result<Option<u64>, Fault> {
    let bytes = files::read(path, u64::MAX - 1)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let tail = bytes.get(from..).unwrap_or(&[]);
    let is_whole = |at: usize| {
        let part = &tail[at..];
        if is_frame { decode_header(part).is_ok() } else { block_of(part).is_some() }
    };
    let found = (1..tail.len()).find(|at| is_whole(*at));
    Ok(found.map(|at| u64::try_from(from + at).unwrap_or(u64::MAX)))
}

/// The whole quote block at the beginning of bytes.
fn block_of(bytes: &[u8]) -> Option<QuoteBlock> {
    let n = bytes.get(16..20).and_then(|n| n.try_into().ok()).map(u32::from_le_bytes)?;
    let len = QUOTE_HEADER_LEN + usize::try_from(n.min(SYMBOL_NO_MAX)).ok()? * QUOTE_ENTRY_LEN;
    decode_quotes(bytes.get(..len)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalReader;
    use penstock_types::frame::{
        FrameEvent, FrameFlags, FrameHeader, QuoteEntry, deliver, encode_frame, encode_quotes,
    };
    use penstock_types::{FencingToken, RunId, Seq, TickId, UtcMicros};

    const NOON: u64 = 7_084_972_800;

    /// Delivered frames with their blocks.
    fn parts(n: i64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let event = FrameEvent::decode(&[5; 64]).unwrap();
        let mut last = None;
        let noon = i64::try_from(NOON).unwrap();
        (noon..noon + n)
            .map(|tick| {
                let header = FrameHeader {
                    flags: FrameFlags(0),
                    tick_id: TickId(tick),
                    frame_seq: 0,
                    run_id: RunId(7),
                    fencing_token: FencingToken(3),
                    n_events: 0,
                    gap_ticks: 0,
                    previous: [0; 32],
                    sealed_at: UtcMicros(1),
                };
                let mut frame = encode_frame(&header, &[event]).unwrap();
                last = Some(deliver(&mut frame, last.as_ref()).unwrap());
                let entries = vec![QuoteEntry::withdrawn(1, 2, Seq(3))];
                let block = QuoteBlock { tick_id: TickId(tick), full: false, entries };
                (frame, encode_quotes(&block).unwrap())
            })
            .collect()
    }

    fn read_all(dirs: &EngineDirs) -> Result<Vec<u64>, Fault> {
        let mut reader = JournalReader::from_tick(dirs, NOON)?;
        let mut ticks = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            ticks.push(entry.tick());
        }
        Ok(ticks)
    }

    #[test]
    fn a_journal_cut_at_any_byte_of_its_end_keeps_every_whole_tick() {
        let parts = parts(4);
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        let mut writer = JournalWriter::new(&dirs);
        for (tick, (frame, quotes)) in (NOON..).zip(&parts) {
            writer.append(tick, frame, quotes).unwrap();
        }
        writer.close().unwrap();
        assert_eq!(read_all(&dirs).unwrap(), [NOON, NOON + 1, NOON + 2, NOON + 3]);
        let (frames, quotes) = (dirs.frames_file(NOON), dirs.quotes_file(NOON));
        for path in [&frames, &quotes] {
            let whole = [&frames, &quotes].map(|path| std::fs::read(path).unwrap());
            let bytes = std::fs::read(path).unwrap();
            let each = bytes.len() / 4;
            for len in each..bytes.len() {
                std::fs::write(path, &bytes[..len]).unwrap();
                let is_cut = recover_tail(&dirs).unwrap();
                // Cut at a part's end: the other file has more.
                assert!(is_cut, "{len}");
                assert_eq!(read_all(&dirs).unwrap().len(), len / each);
                std::fs::write(&frames, &whole[0]).unwrap();
                std::fs::write(&quotes, &whole[1]).unwrap();
            }
        }
        assert!(!recover_tail(&dirs).unwrap());
    }

    #[test]
    fn a_flipped_byte_before_a_whole_part_is_no_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        let mut writer = JournalWriter::new(&dirs);
        for (tick, (frame, quotes)) in (NOON..).zip(&parts(3)) {
            writer.append(tick, frame, quotes).unwrap();
        }
        writer.close().unwrap();
        for path in [dirs.frames_file(NOON), dirs.quotes_file(NOON)] {
            let bytes = std::fs::read(&path).unwrap();
            let each = bytes.len() / 3;
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                std::fs::write(&path, &bad).unwrap();
                let fault = read_all(&dirs).unwrap_err();
                assert_eq!(fault.code, Code::FrameCrc, "byte {at}");
                assert_eq!(fault.file.as_deref(), Some(path.as_path()));
                assert_eq!(fault.offset, Some(u64::try_from(at / each * each).unwrap()));
                if at < 2 * each {
                    let fault = recover_tail(&dirs).unwrap_err();
                    assert_eq!(fault.code, Code::JrnChain, "byte {at}");
                }
            }
            std::fs::write(&path, &bytes).unwrap();
        }
    }
}
