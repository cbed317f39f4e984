//! Writing a token's logs: one file after the other, rotated with the day.
//!
//! Input: records in the order of their ticks. Output: files. Invariants: a record that a file already has is
//! compared and not written again, and a difference is a breach of determinism; a closed file is on disk,
//! read-only, and its hash opens the next one. Buffered bytes reach the disk with `sync`, never before a
//! snapshot has asked for it.

use super::header::{LOG_HEADER_LEN, LogHeader};
use crate::error::{Code, Fault};
use crate::files::{self, CLOSED_MODE};
use crate::layout::{Day, EngineDirs};
use crate::stored;
use penstock_engine::record::RECORD_LEN;
use penstock_engine::snapshot::LogPosition;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Bytes of a token that are kept back before they are written.
const BUFFER_LEN: usize = 4_096;

struct Open {
    path: PathBuf,
    file: File,
    day: Day,
    segment: u16,
    hash: Sha256,
    /// Bytes behind the last record, those in the buffer too.
    position: u64,
    /// Bytes of earlier runs that still have to come again.
    due: Vec<u8>,
    /// Bytes of `due` that have come.
    due_at: usize,
    record_crc: u32,
    buffer: Vec<u8>,
    is_dirty: bool,
}

/// The logs of one token.
pub struct TokenLog {
    token: u16,
    fingerprint: u32,
    dirs: EngineDirs,
    previous: [u8; 32],
    /// Segment of the first file that is opened.
    first_segment: u16,
    open: Option<Open>,
}

impl TokenLog {
    /// A token whose first record opens segment `first_segment` of its day; `previous` is the hash of its
    /// newest closed file.
    #[must_use]
    pub fn new(
        dirs: &EngineDirs,
        token: u16,
        fingerprint: u32,
        previous: [u8; 32],
        first_segment: u16,
    ) -> Self {
        let dirs = dirs.clone();
        Self { token, fingerprint, dirs, previous, first_segment, open: None }
    }

    /// Goes on in a file of which `position` says what a snapshot covers; what lies behind it has to come
    /// again.
    ///
    /// # Errors
    /// [`Code::Storage`] when the file cannot be opened.
    pub fn resume(&mut self, day: Day, position: &LogPosition) -> Result<(), Fault> {
        let path = self.dirs.log_file(self.token, day, position.segment);
        stored::make_raw(&path, super::LOG_LEN_MAX)?;
        let bytes = files::read(&path, super::LOG_LEN_MAX)?;
        self.resume_with(day, position, &bytes)
    }

    /// The same for whoever has read the file, which is not compressed, already.
    pub(crate) fn resume_with(
        &mut self,
        day: Day,
        position: &LogPosition,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let path = self.dirs.log_file(self.token, day, position.segment);
        let split = usize::try_from(position.offset).unwrap_or(usize::MAX).min(bytes.len());
        let (before, due) = bytes.split_at(split);
        let mut open = self.open_file(path, day, position.segment, before)?;
        open.due = due.to_vec();
        open.record_crc = position.record_crc;
        self.open = Some(open);
        Ok(())
    }

    /// The hash of the newest closed file, for a token that has no open one.
    pub const fn follow(&mut self, previous: [u8; 32]) {
        self.previous = previous;
    }

    fn open_file(
        &self,
        path: PathBuf,
        day: Day,
        segment: u16,
        before: &[u8],
    ) -> Result<Open, Fault> {
        let failed = |doing: &'static str| {
            let path = path.clone();
            move |error| Fault::storage(doing, &path, &error)
        };
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            // A closed file of a day that is derived again.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                files::set_mode(&path, 0o640)?;
                OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open"))?
            }
            Err(error) => return Err(Fault::storage("open", &path, &error)),
        };
        file.seek(SeekFrom::End(0)).map_err(failed("seek in"))?;
        let mut hash = Sha256::new();
        hash.update(before);
        let position = u64::try_from(before.len()).unwrap_or(u64::MAX);
        Ok(Open {
            path,
            file,
            day,
            segment,
            hash,
            position,
            due: Vec::new(),
            due_at: 0,
            record_crc: 0,
            buffer: Vec::with_capacity(BUFFER_LEN + RECORD_LEN),
            is_dirty: true,
        })
    }

    /// Opens the file of a day, or makes it.
    fn begin(&mut self, day: Day) -> Result<Open, Fault> {
        let segment = std::mem::take(&mut self.first_segment);
        let path = self.dirs.log_file(self.token, day, segment);
        let header = LogHeader {
            token: self.token,
            day,
            fingerprint: self.fingerprint,
            previous: self.previous,
        }
        .encode();
        stored::make_raw(&path, super::LOG_LEN_MAX)?;
        if let Some(bytes) = files::read_if_there(&path, super::LOG_LEN_MAX)? {
            let head = bytes.get(..LOG_HEADER_LEN).unwrap_or(&bytes);
            if head != header {
                let what =
                    "the header of the log is not the one that follows from the files before";
                return Err(Fault::new(Code::Determinism, what)
                    .of(&path)
                    .at(0)
                    .of_token(self.token)
                    .differing(hex::encode(header), hex::encode(head)));
            }
            let mut open = self.open_file(path, day, segment, &header)?;
            open.due = bytes[LOG_HEADER_LEN..].to_vec();
            return Ok(open);
        }
        files::make_dir_for(&path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut file = file.map_err(|error| Fault::storage("make", &path, &error))?;
        file.write_all(&header).map_err(|error| Fault::storage("write", &path, &error))?;
        files::sync_dir(files::dir_of(&path))?;
        self.open_file(path, day, segment, &header)
    }

    /// Opens the file of a day at once and puts its header on disk: whoever finds it knows that the token goes on
    /// in it.
    ///
    /// # Errors
    /// [`Code::Determinism`] when the file has another header, [`Code::Storage`].
    pub fn open_at_once(&mut self, day: Day) -> Result<(), Fault> {
        if self.open.is_none() {
            self.open = Some(self.begin(day)?);
        }
        self.sync()
    }

    /// Takes the next record; `tick` is its tick.
    ///
    /// # Errors
    /// [`Code::Determinism`] when the file has another record of this tick, [`Code::Storage`].
    pub fn append(&mut self, tick: u64, record: &[u8; RECORD_LEN]) -> Result<(), Fault> {
        let day = Day::of(tick);
        if self.open.as_ref().is_some_and(|open| open.day != day) {
            self.close()?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(day)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let had = open.still_due();
        if had.is_empty() {
            open.buffer.extend_from_slice(record);
            open.is_dirty = true;
        } else {
            let had = &had[..RECORD_LEN.min(had.len())];
            if had != record {
                let what = "a record that was published does not follow from the journal; \
                            next: keep breach/ and both versions";
                return Err(Fault::new(Code::Determinism, what)
                    .of(&open.path)
                    .at(open.position)
                    .in_tick(tick)
                    .of_token(self.token)
                    .differing(hex::encode(record), hex::encode(had)));
            }
            open.due_at += RECORD_LEN;
        }
        open.hash.update(record);
        open.position += 64;
        let [.., a, b, c, d] = *record;
        open.record_crc = u32::from_le_bytes([a, b, c, d]);
        if open.buffer.len() >= BUFFER_LEN { open.flush() } else { Ok(()) }
    }

    /// Puts everything on disk.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn sync(&mut self) -> Result<(), Fault> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.flush()?;
        if open.is_dirty {
            open.file.sync_data().map_err(|error| Fault::storage("sync", &open.path, &error))?;
            open.is_dirty = false;
        }
        Ok(())
    }

    /// Closes the open file: on disk, read-only, hashed.
    ///
    /// # Errors
    /// [`Code::Storage`]; [`Code::Determinism`] when the file has records that did not come again.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.sync()?;
        let Some(open) = self.open.take() else { return Ok(()) };
        if !open.still_due().is_empty() {
            let what = "the log has records that do not follow from the journal";
            return Err(Fault::new(Code::Determinism, what)
                .of(&open.path)
                .at(open.position)
                .of_token(self.token));
        }
        files::set_mode(&open.path, CLOSED_MODE)?;
        files::sync_dir(files::dir_of(&open.path))?;
        self.previous = open.hash.finalize().into();
        Ok(())
    }

    /// Records of earlier runs that have not come again yet.
    #[must_use]
    pub fn due_records(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.still_due().len() / RECORD_LEN)
    }

    /// Where the token's log stands; `None` when no file is open.
    #[must_use]
    pub fn position(&self) -> Option<LogPosition> {
        let open = self.open.as_ref()?;
        let (segment, offset) = (open.segment, open.position);
        Some(LogPosition { segment, offset, record_crc: open.record_crc })
    }
}

impl Open {
    /// Bytes of earlier runs that have not come again.
    fn still_due(&self) -> &[u8] {
        self.due.get(self.due_at..).unwrap_or(&[])
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.file
            .write_all(&self.buffer)
            .map_err(|error| Fault::storage("write", &self.path, &error))?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
    use penstock_engine::{Engine, EngineConfig, FrameView};
    use penstock_types::vocab::Venue;

    /// One token on spot alone.
    pub(crate) fn config() -> EngineConfig {
        let instrument = InstrumentConfig {
            venue: Venue::KrakenSpot,
            symbol: "A/USD".to_owned(),
            roles: Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() },
            qty_exp: 3,
            multiplier: 1,
            funding_interval_h: 8,
        };
        let mut config = EngineConfig::default();
        let token = config.token(1, "A", Class::Mea, Profile::SpotOnly, vec![instrument]);
        config.tokens.push(token);
        config
    }

    #[test]
    fn a_day_closes_its_file_and_the_next_one_names_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = EngineDirs::under(dir.path());
        let config = config();
        let mut engine = Engine::new(&config).unwrap();
        let mut out = engine.output();
        let midnight = Day(20_501).first_tick();
        let mut records = Vec::new();
        for tick in midnight - 100..midnight + 10 {
            engine.step(&FrameView::gap(tick), &mut out).unwrap();
            records.push((tick, out.records[0]));
        }
        let mut log = TokenLog::new(&dirs, 1, 7, [0; 32], 0);
        for (tick, record) in &records {
            log.append(*tick, record).unwrap();
        }
        log.sync().unwrap();
        let position = log.position().unwrap();
        assert_eq!((position.segment, position.offset), (0, 64 + 640));
        let old = files::read(&dirs.log_file(1, Day(20_500), 0), 1 << 20).unwrap();
        let new = files::read(&dirs.log_file(1, Day(20_501), 0), 1 << 20).unwrap();
        assert_eq!((old.len(), new.len()), (64 + 6_400, 64 + 640));
        assert_eq!(super::super::scan(&new).unwrap().header.previous[..], Sha256::digest(&old)[..]);

        // The same records come again and change nothing; another one is a breach.
        let mut again = TokenLog::new(&dirs, 1, 7, [0; 32], 0);
        for (tick, record) in &records[..105] {
            again.append(*tick, record).unwrap();
        }
        assert_eq!(again.due_records(), 5);
        let (tick, mut other) = records[105];
        other[20] ^= 1;
        let fault = again.append(tick, &other).unwrap_err();
        assert_eq!((fault.code, fault.tick), (Code::Determinism, Some(tick)));
        assert_eq!(fault.offset, Some(64 + 5 * 64));
    }
}
