//! Reading the journal: frames with their quote blocks in the order in which they were taken.
//!
//! Input: the journal's directory. Output: one entry after the other. Invariants: both files of an hour are read
//! in step; the first byte that is wrong ends the reading with its file and offset; nothing is skipped.

use crate::error::{Code, Fault};
use crate::layout::{Day, EngineDirs};
use crate::stored::{self, Stored};
use penstock_types::frame::{
    EVENT_LEN, FRAME_HEADER_LEN, FrameEvent, FrameFlags, FrameHeader, QUOTE_ENTRY_LEN,
    QUOTE_HEADER_LEN, SYMBOL_NO_MAX, decode_frame_into, decode_header, decode_quotes,
};
use penstock_types::{FencingToken, RunId, TickId, UtcMicros};
use std::path::{Path, PathBuf};

/// A frame with its quote block, decoded and as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Header of the frame.
    pub header: FrameHeader,
    /// Events.
    pub events: Vec<FrameEvent>,
    /// The frame's bytes.
    pub frame: Vec<u8>,
    /// The block's bytes.
    pub quotes: Vec<u8>,
}

impl Entry {
    /// Room for [`JournalReader::next_into`].
    #[must_use]
    pub const fn blank() -> Self {
        let header = FrameHeader {
            flags: FrameFlags(0),
            tick_id: TickId(0),
            frame_seq: 0,
            run_id: RunId(0),
            fencing_token: FencingToken(0),
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: UtcMicros(0),
        };
        Self { header, events: Vec::new(), frame: Vec::new(), quotes: Vec::new() }
    }

    /// Tick of the frame.
    #[must_use]
    pub const fn tick(&self) -> u64 {
        self.header.tick_id.0.unsigned_abs()
    }
}

/// Day and hour of the files of frames, ascending.
///
/// # Errors
/// [`Code::Storage`].
pub fn hours(journal: &Path) -> Result<Vec<(Day, u64)>, Fault> {
    let mut hours = Vec::new();
    for name in stored::names(journal)? {
        let Some(day) = Day::parse(&name) else { continue };
        for file in stored::names(&journal.join(&name))? {
            let hour = file.strip_suffix(".ejf").filter(|hour| hour.len() == 2);
            let hour = hour.and_then(|hour| hour.parse().ok()).filter(|hour| *hour < 24);
            hours.extend(hour.map(|hour| (day, hour)));
        }
    }
    hours.sort_unstable();
    Ok(hours)
}

pub(super) struct Source {
    pub path: PathBuf,
    reader: Stored,
    pub offset: u64,
}

impl Source {
    pub(super) fn open(path: PathBuf, offset: u64) -> Result<Self, Fault> {
        let mut reader = Stored::open(&path)?;
        if offset > 0 {
            reader.skip(offset)?;
        }
        Ok(Self { reader, path, offset })
    }

    /// Reads `head` bytes and what they announce; false when the file ended before them.
    fn part(
        &mut self,
        bytes: &mut Vec<u8>,
        head: usize,
        len_of: impl Fn(&[u8]) -> Result<usize, Fault>,
    ) -> Result<bool, Fault> {
        bytes.resize(head, 0);
        let got = self.reader.fill(bytes)?;
        if got == 0 {
            return Ok(false);
        }
        if got < head {
            return Err(self.torn(got));
        }
        let more = len_of(bytes).map_err(|fault| self.here(fault))?;
        bytes.resize(head + more, 0);
        let rest = self.reader.fill(&mut bytes[head..])?;
        if rest < more {
            return Err(self.torn(head + rest));
        }
        Ok(true)
    }

    pub(super) fn here(&self, fault: Fault) -> Fault {
        fault.of(&self.path).at(self.offset)
    }

    fn torn(&self, got: usize) -> Fault {
        let what = format!("the file ends within a part, {got} bytes of it are there");
        self.here(Fault::new(Code::FrameCrc, what))
    }

    fn frame(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        let len = |head: &[u8]| Ok(decode_header(head)?.n_events as usize * EVENT_LEN);
        self.part(bytes, FRAME_HEADER_LEN, len)
    }

    fn quotes(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        self.part(bytes, QUOTE_HEADER_LEN, |head| {
            let [.., a, b, c, d, _, _, _, _] = *head else { return Ok(0) };
            let n = u32::from_le_bytes([a, b, c, d]);
            if !head.starts_with(b"EQB1") || n > SYMBOL_NO_MAX {
                let what = "the header is not that of a quote block";
                return Err(Fault::new(Code::FrameCrc, what));
            }
            Ok(n as usize * QUOTE_ENTRY_LEN)
        })
    }
}

/// Two files of an hour in step.
pub(super) struct Hour {
    hour: (Day, u64),
    pub frames: Source,
    pub quotes: Source,
    /// One file has ended before the other: a whole part has no partner.
    pub is_unpaired: bool,
}

impl Hour {
    pub(super) fn open(dirs: &EngineDirs, hour: (Day, u64)) -> Result<Self, Fault> {
        Self::open_at(dirs, Place { hour, frames: 0, quotes: 0 })
    }

    fn open_at(dirs: &EngineDirs, place: Place) -> Result<Self, Fault> {
        let (day, hour) = place.hour;
        let tick = day.first_tick() + hour * crate::layout::HOUR_TICKS;
        let frames = Source::open(dirs.frames_file(tick), place.frames)?;
        let quotes = Source::open(dirs.quotes_file(tick), place.quotes)?;
        Ok(Self { hour: place.hour, frames, quotes, is_unpaired: false })
    }

    /// Reads the next entry; false at the end of both files, and what is in `entry` then means nothing.
    pub(super) fn next(&mut self, entry: &mut Entry) -> Result<bool, Fault> {
        if !self.frames.frame(&mut entry.frame)? {
            if !self.quotes.quotes(&mut entry.quotes)? {
                return Ok(false);
            }
            self.is_unpaired = true;
            let what = "a quote block has no frame";
            return Err(self.quotes.here(Fault::new(Code::FrameCrc, what)));
        }
        let header = decode_frame_into(&entry.frame, &mut entry.events)
            .map_err(|error| self.frames.here(error.into()))?;
        if !self.quotes.quotes(&mut entry.quotes)? {
            self.is_unpaired = true;
            let what = "a frame has no quote block";
            return Err(self.quotes.here(Fault::new(Code::FrameCrc, what)));
        }
        let block = decode_quotes(&entry.quotes).map_err(|error| self.quotes.here(error.into()))?;
        if block.tick_id != header.tick_id {
            let what = "the quote block is of another tick than the frame";
            let fault = self.quotes.here(Fault::new(Code::FrameCrc, what));
            return Err(fault.differing(header.tick_id, block.tick_id));
        }
        self.frames.offset += u64::try_from(entry.frame.len()).unwrap_or(u64::MAX);
        self.quotes.offset += u64::try_from(entry.quotes.len()).unwrap_or(u64::MAX);
        entry.header = header;
        Ok(true)
    }

    /// Where the next entry would stand.
    pub(super) const fn place(&self) -> Place {
        Place { hour: self.hour, frames: self.frames.offset, quotes: self.quotes.offset }
    }
}

/// Where an entry stands in the two files of its hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Day and hour.
    pub hour: (Day, u64),
    /// Bytes before its frame.
    pub frames: u64,
    /// Bytes before its quote block.
    pub quotes: u64,
}

/// The journal from an hour on.
pub struct JournalReader {
    dirs: EngineDirs,
    hours: std::vec::IntoIter<(Day, u64)>,
    open: Option<Hour>,
}

impl JournalReader {
    /// From the hour of a tick on.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn from_tick(dirs: &EngineDirs, tick: u64) -> Result<Self, Fault> {
        let from = (Day::of(tick), tick % crate::layout::DAY_TICKS / crate::layout::HOUR_TICKS);
        let mut hours = hours(&dirs.journal)?;
        hours.retain(|hour| *hour >= from);
        Ok(Self { dirs: dirs.clone(), hours: hours.into_iter(), open: None })
    }

    /// One hour alone, from an entry on: for whoever asks about a part and knows where it begins.
    ///
    /// # Errors
    /// [`Code::Storage`], [`Code::ManHash`] when a compressed file is damaged.
    pub fn from_place(dirs: &EngineDirs, place: Place) -> Result<Self, Fault> {
        let open = Some(Hour::open_at(dirs, place)?);
        Ok(Self { dirs: dirs.clone(), hours: Vec::new().into_iter(), open })
    }

    /// An hour from an entry on, and the hours behind it.
    pub(crate) fn from_place_on(dirs: &EngineDirs, place: Place) -> Result<Self, Fault> {
        let mut hours = hours(&dirs.journal)?;
        hours.retain(|hour| *hour > place.hour);
        let open = Some(Hour::open_at(dirs, place)?);
        Ok(Self { dirs: dirs.clone(), hours: hours.into_iter(), open })
    }

    /// Where the next entry of the hour that is read would stand; `None` before the first one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.open.as_ref().map(Hour::place)
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// [`Code::FrameCrc`] with file and byte, [`Code::Storage`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        let mut entry = Entry::blank();
        Ok(self.next_into(&mut entry)?.then_some(entry))
    }

    /// The same into an entry that was read before: an hour has thousands, and their memory is asked for once. False
    /// at the end.
    ///
    /// # Errors
    /// As [`JournalReader::next_entry`].
    pub fn next_into(&mut self, entry: &mut Entry) -> Result<bool, Fault> {
        loop {
            if let Some(hour) = &mut self.open
                && hour.next(entry)?
            {
                return Ok(true);
            }
            let Some(next) = self.hours.next() else { return Ok(false) };
            self.open = Some(Hour::open(&self.dirs, next)?);
        }
    }
}
