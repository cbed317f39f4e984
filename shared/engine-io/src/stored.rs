//! Closed files in either form: as they were written, or compressed beside that name.
//!
//! Input: the name under which a file was written. Output: its bytes, whichever form is there. Invariants: where
//! both forms are there, the raw one counts; names, sizes, offsets and hashes are those of the raw bytes; a
//! compressed file carries its length and checksums, so every changed bit of it is seen. What was compressed by
//! other hands is read too, as long as it is one frame with its length and checksum.
//!
//! ```text
//! one zstd frame (level 3, content size, checksum) · seal: skippable frame 50 2A 4D 18, length 32 u32,
//! SHA-256 of the bytes before it; every zstd program passes over it
//! ```

use crate::error::{Code, Fault};
use crate::files;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;
use zstd::zstd_safe;

/// Ending of a compressed file.
pub const PACKED_ENDING: &str = ".zst";
/// Level of compression: closed files shrink to a fifth at several hundred megabytes a second.
const LEVEL: i32 = 3;
/// Magic and length of the seal.
const SEAL_HEAD: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 32, 0, 0, 0];
/// Bytes of the seal.
const SEAL_LEN: usize = 40;
/// Most bytes of a compressed file: an hour of frames with the most events, incompressible.
const PACKED_LEN_MAX: u64 = 1 << 33;

/// Name of the compressed form.
#[must_use]
pub fn packed(path: &Path) -> PathBuf {
    files::beside(path, PACKED_ENDING)
}

/// The name under which a file was written.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    name.strip_suffix(PACKED_ENDING).unwrap_or(name)
}

/// Names in a directory as they were written, sorted, each once; none when there is no such directory.
///
/// # Errors
/// [`Code::Storage`].
pub fn names(dir: &Path) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> =
        files::names(dir)?.iter().map(|name| plain_name(name).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it was written.
    Raw,
    /// Compressed.
    Packed,
}

fn is_there(path: &Path) -> Result<bool, Fault> {
    fs::exists(path).map_err(|error| Fault::storage("look at", path, &error))
}

/// The form that counts; `None` when neither is there.
///
/// # Errors
/// [`Code::Storage`].
pub fn form(path: &Path) -> Result<Option<Form>, Fault> {
    if is_there(path)? {
        return Ok(Some(Form::Raw));
    }
    Ok(is_there(&packed(path))?.then_some(Form::Packed))
}

/// Where the bytes lie: the name itself or its compressed form.
///
/// # Errors
/// [`Code::Storage`].
pub fn place(path: &Path) -> Result<PathBuf, Fault> {
    Ok(match form(path)? {
        Some(Form::Packed) => packed(path),
        Some(Form::Raw) | None => path.to_owned(),
    })
}

/// What is wrong with a compressed file.
fn damaged(path: &Path, what: impl std::fmt::Display) -> Fault {
    let what = format!("the compressed file is damaged: {what}");
    Fault::new(Code::ManHash, what).of(&packed(path))
}

/// Length of the frame and of what it unpacks to.
fn judge(path: &Path, bytes: &[u8]) -> Result<(usize, u64), Fault> {
    let len = zstd_safe::find_frame_compressed_size(bytes)
        .map_err(|code| damaged(path, zstd_safe::get_error_name(code)))?;
    let descriptor = bytes.get(4).copied().unwrap_or(0);
    let size = zstd_safe::get_frame_content_size(bytes).ok().flatten();
    // Bit 2 announces the checksum, bits 0 and 1 a dictionary, bits 3 and 4 nothing.
    let is_checked = bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) && descriptor & 0b1_1111 == 0b100;
    let Some(size) = size.filter(|_| is_checked) else {
        return Err(damaged(path, "its frame does not carry length and checksum"));
    };
    let (frame, rest) = bytes.split_at(len.min(bytes.len()));
    let is_sealed = rest.len() == SEAL_LEN
        && rest.starts_with(&SEAL_HEAD)
        && rest.ends_with(&Sha256::digest(frame));
    if rest.is_empty() || is_sealed { Ok((len, size)) } else { Err(damaged(path, "its seal")) }
}

enum Bytes {
    Raw(BufReader<File>),
    Packed(Decoder<'static, Cursor<Vec<u8>>>),
}

/// A file that is read from its beginning.
pub struct Stored {
    path: PathBuf,
    bytes: Bytes,
    len: u64,
}

impl Stored {
    /// Opens a file by the name under which it was written.
    ///
    /// # Errors
    /// [`Code::Storage`] when neither form can be read, [`Code::ManHash`] when the compressed one is damaged.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        if form(path)? == Some(Form::Packed) {
            Self::open_packed(path)
        } else {
            Self::open_raw(path)
        }
    }

    fn open_raw(path: &Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| Fault::storage("open", path, &error))?;
        let meta = file.metadata().map_err(|error| Fault::storage("look at", path, &error))?;
        let bytes = Bytes::Raw(BufReader::with_capacity(1 << 16, file));
        Ok(Self { path: path.to_owned(), bytes, len: meta.len() })
    }

    /// Opens the compressed form, whether the raw one is there or not.
    pub(crate) fn open_packed(path: &Path) -> Result<Self, Fault> {
        Self::of_packed(path, files::read(&packed(path), PACKED_LEN_MAX)?)
    }

    /// Reads compressed bytes that lie elsewhere under the name of a file.
    pub(crate) fn of_packed(path: &Path, mut bytes: Vec<u8>) -> Result<Self, Fault> {
        let (frame, len) = judge(path, &bytes)?;
        bytes.truncate(frame);
        let decoder = Decoder::with_buffer(Cursor::new(bytes))
            .map_err(|error| damaged(path, error))?
            .single_frame();
        Ok(Self { path: path.to_owned(), bytes: Bytes::Packed(decoder), len })
    }

    /// Length of the raw bytes.
    #[must_use]
    pub const fn raw_len(&self) -> u64 {
        self.len
    }

    fn failed(&self, error: &io::Error) -> Fault {
        match self.bytes {
            Bytes::Raw(_) => Fault::storage("read", &self.path, error),
            Bytes::Packed(_) => damaged(&self.path, error),
        }
    }

    /// Fills `bytes` as far as the file goes; how many were filled.
    ///
    /// # Errors
    /// [`Code::Storage`], [`Code::ManHash`].
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Fault> {
        let (filled, fault) = self.fill_up_to(bytes);
        fault.map_or(Ok(filled), Err)
    }

    /// The same for whoever can use what was filled before a fault.
    pub(crate) fn fill_up_to(&mut self, bytes: &mut [u8]) -> (usize, Option<Fault>) {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            let read = match &mut self.bytes {
                Bytes::Raw(file) => file.read(rest),
                Bytes::Packed(decoder) => decoder.read(rest),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (filled, Some(self.failed(&error))),
            }
        }
        (filled, None)
    }

    /// Passes over bytes from where the reading stands.
    ///
    /// # Errors
    /// As [`Stored::fill`].
    pub fn skip(&mut self, mut n: u64) -> Result<(), Fault> {
        if let Bytes::Raw(file) = &mut self.bytes {
            let forward = SeekFrom::Current(i64::try_from(n).unwrap_or(i64::MAX));
            file.seek(forward).map_err(|error| Fault::storage("seek in", &self.path, &error))?;
            return Ok(());
        }
        let mut passed = [0; 1 << 14];
        while n > 0 {
            let part = usize::try_from(n).unwrap_or(usize::MAX).min(passed.len());
            let got = self.fill(&mut passed[..part])?;
            if got == 0 {
                break;
            }
            n -= u64::try_from(got).unwrap_or(n);
        }
        Ok(())
    }

    /// Hands the rest on in parts.
    ///
    /// # Errors
    /// As [`Stored::fill`], and whatever `take` says.
    pub fn each(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut part = vec![0; 1 << 16];
        loop {
            let got = self.fill(&mut part)?;
            if got == 0 {
                return Ok(());
            }
            take(&part[..got])?;
        }
    }

    /// SHA-256 and length of the rest.
    ///
    /// # Errors
    /// As [`Stored::fill`].
    pub fn digest(&mut self) -> Result<([u8; 32], u64), Fault> {
        let (mut hash, mut len) = (Sha256::new(), 0_u64);
        self.each(|part| {
            hash.update(part);
            len += u64::try_from(part.len()).unwrap_or(0);
            Ok(())
        })?;
        Ok((hash.finalize().into(), len))
    }
}

/// Reads a whole file of at most `max` raw bytes.
///
/// # Errors
/// [`Code::Storage`] when it cannot be read or is longer, [`Code::ManHash`] when it is damaged.
pub fn read(path: &Path, max: u64) -> Result<Vec<u8>, Fault> {
    if form(path)? != Some(Form::Packed) {
        return files::read(path, max);
    }
    let mut file = Stored::open_packed(path)?;
    if file.raw_len() > max {
        let what = format!("the file unpacks to more than {max} bytes");
        return Err(Fault::new(Code::Storage, what).of(&packed(path)));
    }
    all_of(&mut file)
}

fn all_of(file: &mut Stored) -> Result<Vec<u8>, Fault> {
    // The length is what the file says of itself, so it is not believed beyond a log's.
    let likely = usize::try_from(file.raw_len()).unwrap_or(usize::MAX).min(1 << 25);
    let mut bytes = Vec::with_capacity(likely);
    file.each(|part| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    Ok(bytes)
}

/// Unpacks the bytes of a compressed file to at most `max` bytes.
///
/// # Errors
/// [`Code::ManHash`] when they are damaged or say that they are more.
pub fn unpack(bytes: &[u8], max: u64) -> Result<Vec<u8>, Fault> {
    let path = Path::new("bytes");
    let mut file = Stored::of_packed(path, bytes.to_vec())?;
    if file.raw_len() > max {
        return Err(damaged(path, format!("it says that it holds more than {max} bytes")));
    }
    all_of(&mut file)
}

/// Reads a file that may be missing.
///
/// # Errors
/// As [`read`].
pub fn read_if_there(path: &Path, max: u64) -> Result<Option<Vec<u8>>, Fault> {
    if form(path)?.is_some() { read(path, max).map(Some) } else { Ok(None) }
}

/// Raw length of a file; `None` when it is missing.
///
/// # Errors
/// As [`Stored::open`].
pub fn len_if_there(path: &Path) -> Result<Option<u64>, Fault> {
    if form(path)?.is_some() { Ok(Some(Stored::open(path)?.raw_len())) } else { Ok(None) }
}

/// Makes sure that the raw form is there, for whoever has to write in it again.
///
/// # Errors
/// As [`read`].
pub fn make_raw(path: &Path, max: u64) -> Result<(), Fault> {
    if form(path)? == Some(Form::Packed) {
        files::write_whole(path, &read(path, max)?, 0o640)?;
    }
    Ok(())
}

/// Takes the compressed form away after the raw one has gone: what was cut must not come back by it.
///
/// # Errors
/// [`Code::Storage`].
pub fn remove_packed(path: &Path) -> Result<(), Fault> {
    let packed = packed(path);
    match fs::remove_file(&packed) {
        Ok(()) => files::sync_dir(files::dir_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Fault::storage("remove", &packed, &error)),
    }
}

/// Writes and hashes what is written.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    len: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.len += u64::try_from(n).unwrap_or(0);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Compresses a raw file into `to`, which must not exist, and puts it on disk; bytes that were written.
///
/// # Errors
/// [`Code::Storage`].
pub fn pack(raw: &Path, to: &Path) -> Result<u64, Fault> {
    let failed = |error: io::Error| Fault::storage("compress into", to, &error);
    let mut from = Stored::open_raw(raw)?;
    let file = OpenOptions::new().write(true).create_new(true).open(to).map_err(failed)?;
    let hashing = Hashing { to: file, hash: Sha256::new(), len: 0 };
    let mut encoder = Encoder::new(hashing, LEVEL).map_err(failed)?;
    encoder.include_checksum(true).map_err(failed)?;
    encoder.include_contentsize(true).map_err(failed)?;
    encoder.set_pledged_src_size(Some(from.raw_len())).map_err(failed)?;
    from.each(|part| encoder.write_all(part).map_err(failed))?;
    let Hashing { mut to, hash, len } = encoder.finish().map_err(failed)?;
    to.write_all(&SEAL_HEAD).map_err(failed)?;
    to.write_all(&hash.finalize()).map_err(failed)?;
    to.sync_all().map_err(failed)?;
    Ok(len + u64::try_from(SEAL_LEN).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed_pair(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, bytes).unwrap();
        pack(&path, &packed(&path)).unwrap();
        (dir, path)
    }

    /// Bytes with repetitions, of which a decoder could take one for another.
    fn sample() -> Vec<u8> {
        (0..3_000_u32).flat_map(|n| (n / 7 % 50).to_le_bytes()).collect()
    }

    #[test]
    fn either_form_gives_the_same_bytes_and_the_raw_one_counts() {
        for bytes in [Vec::new(), b"x".to_vec(), sample()] {
            let (dir, path) = packed_pair(&bytes);
            assert_eq!(form(&path).unwrap(), Some(Form::Raw));
            fs::remove_file(&path).unwrap();
            assert_eq!(form(&path).unwrap(), Some(Form::Packed));
            assert_eq!(read(&path, 1 << 20).unwrap(), bytes);
            assert_eq!(names(dir.path()).unwrap(), ["a.bin"]);
            let want = (Sha256::digest(&bytes).into(), u64::try_from(bytes.len()).unwrap());
            assert_eq!(Stored::open(&path).unwrap().digest().unwrap(), want);
            let mut file = Stored::open(&path).unwrap();
            file.skip(5_000).unwrap();
            let rest = bytes.get(5_000..).unwrap_or(&[]);
            assert_eq!(file.digest().unwrap().0[..], Sha256::digest(rest)[..]);
            make_raw(&path, 1 << 20).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_compressed_file_is_seen() {
        let (_dir, path) = packed_pair(&sample());
        fs::remove_file(&path).unwrap();
        let whole = fs::read(packed(&path)).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(packed(&path), &bad).unwrap();
            let fault = read(&path, 1 << 20).unwrap_err();
            assert_eq!(fault.code, Code::ManHash, "bit {bit}: {fault}");
        }
        for len in 0..whole.len() {
            fs::write(packed(&path), &whole[..len]).unwrap();
            // Without its seal a file is one that other hands compressed.
            assert_eq!(read(&path, 1 << 20).is_ok(), len == whole.len() - SEAL_LEN, "{len} bytes");
        }
    }

    #[test]
    fn a_file_that_other_hands_compressed_is_read_when_it_carries_length_and_checksum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        let with = |checksum: bool| {
            let mut encoder = Encoder::new(Vec::new(), 19).unwrap();
            encoder.include_checksum(checksum).unwrap();
            encoder.set_pledged_src_size(Some(12_000)).unwrap();
            encoder.write_all(&sample()).unwrap();
            encoder.finish().unwrap()
        };
        fs::write(packed(&path), with(true)).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap(), sample());
        assert_eq!(read(&path, 11_999).unwrap_err().code, Code::Storage);
        fs::write(packed(&path), with(false)).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().code, Code::ManHash);
    }
}
