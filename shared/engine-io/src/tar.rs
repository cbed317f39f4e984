//! An archive of files whose bytes follow from names and contents alone.
//!
//! Input: names with their bytes, in order. Output: a tape archive (ustar) that every tar program reads; or the
//! files of one. Invariants: no time, owner or mode of a machine is in it, so equal files give equal archives;
//! reading accepts exactly what writing makes, so every changed byte is seen; names cannot leave the folder.

use crate::error::{Code, Fault};
use crate::files;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Bytes of a block.
const BLOCK: usize = 512;
/// Longest name.
pub const NAME_LEN_MAX: usize = 100;
/// Most bytes of a file: eleven octal digits.
pub const FILE_LEN_MAX: u64 = (1 << 33) - 1;

fn refuse(what: impl Into<String>) -> Fault {
    Fault::new(Code::ManHash, what)
}

/// Whether a name is one of ours: parts of plain characters, none of which leads out of the folder.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
    };
    name.len() <= NAME_LEN_MAX && name.split('/').all(plain)
}

/// The header of a file; `None` when name or length have no place in it.
#[must_use]
pub fn header(name: &str, len: u64) -> Option<[u8; BLOCK]> {
    if !is_plain(name) || len > FILE_LEN_MAX {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000444\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// Name and length of a header; `None` for bytes that [`header`] does not make.
#[must_use]
pub fn parse_header(block: &[u8; BLOCK]) -> Option<(String, u64)> {
    let end = block[..NAME_LEN_MAX].iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN_MAX);
    let name = std::str::from_utf8(&block[..end]).ok()?;
    let digits = std::str::from_utf8(&block[124..135]).ok()?;
    let len = u64::from_str_radix(digits, 8).ok()?;
    (header(name, len)? == *block).then(|| (name.to_owned(), len))
}

fn padding(len: u64) -> usize {
    let over = usize::try_from(len % 512).unwrap_or(0);
    if over == 0 { 0 } else { BLOCK - over }
}

/// An archive that is written.
pub struct TarWriter<'a> {
    path: &'a Path,
    to: BufWriter<File>,
}

impl<'a> TarWriter<'a> {
    /// Makes the file, which must not exist.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn create(path: &'a Path) -> Result<Self, Fault> {
        let file = File::create_new(path).map_err(|error| Fault::storage("make", path, &error))?;
        Ok(Self { path, to: BufWriter::with_capacity(1 << 18, file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.to.write_all(bytes).map_err(|error| Fault::storage("write", self.path, &error))
    }

    fn begin(&mut self, name: &str, len: u64) -> Result<(), Fault> {
        let what = format!("the file {name} of {len} bytes has no place in an archive");
        let block = header(name, len).ok_or_else(|| Fault::new(Code::Invariant, what))?;
        self.write(&block)
    }

    /// Adds bytes under a name.
    ///
    /// # Errors
    /// [`Code::Storage`]; [`Code::Invariant`] for a name that is none of ours.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.begin(name, len)?;
        self.write(bytes)?;
        self.write(&[0; BLOCK][..padding(len)])
    }

    /// Adds a file of `len` bytes as it lies there; SHA-256 of what was taken.
    ///
    /// # Errors
    /// As [`TarWriter::bytes`]; [`Code::ManHash`] when it has another length by now.
    pub fn file(&mut self, name: &str, from: &Path, len: u64) -> Result<[u8; 32], Fault> {
        self.begin(name, len)?;
        let failed = |error| Fault::storage("read", from, &error);
        let file = File::open(from).map_err(failed)?;
        let mut file = file.take(len.saturating_add(1));
        let (mut hash, mut got, mut part) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
        loop {
            let n = file.read(&mut part).map_err(failed)?;
            if n == 0 {
                break;
            }
            got += u64::try_from(n).unwrap_or(0);
            hash.update(&part[..n]);
            self.write(&part[..n])?;
        }
        if got != len {
            let what = "the file changed while it was copied";
            return Err(refuse(what).of(from).differing(len, got));
        }
        self.write(&[0; BLOCK][..padding(len)])?;
        Ok(hash.finalize().into())
    }

    /// Ends the archive and puts it on disk.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn end(mut self) -> Result<(), Fault> {
        self.write(&[0; 2 * BLOCK])?;
        let failed = |error| Fault::storage("sync", self.path, &error);
        self.to.flush().map_err(failed)?;
        self.to.get_ref().sync_all().map_err(failed)
    }
}

/// An archive that is read.
pub struct TarReader<'a, R> {
    path: &'a Path,
    from: R,
    offset: u64,
}

impl<'a> TarReader<'a, BufReader<File>> {
    /// Opens an archive.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn open(path: &'a Path) -> Result<Self, Fault> {
        let file = File::open(path).map_err(|error| Fault::storage("open", path, &error))?;
        Ok(Self::new(path, BufReader::with_capacity(1 << 18, file)))
    }
}

impl<'a, R: Read> TarReader<'a, R> {
    /// Reads the bytes of an archive; `path` is what faults call it.
    pub const fn new(path: &'a Path, from: R) -> Self {
        Self { path, from, offset: 0 }
    }

    fn wrong(&self, what: &str) -> Fault {
        refuse(format!("the bundle {what}")).of(self.path).at(self.offset)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        match self.from.read_exact(bytes) {
            Ok(()) => {
                self.offset += u64::try_from(bytes.len()).unwrap_or(0);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.wrong("ends too early"))
            }
            Err(error) => Err(Fault::storage("read", self.path, &error)),
        }
    }

    /// Name and length of the next file, whose content has to be taken before the one after it; `None` at the
    /// archive's end, behind which nothing may stand.
    ///
    /// # Errors
    /// [`Code::ManHash`] with the byte, [`Code::Storage`].
    pub fn next_file(&mut self) -> Result<Option<(String, u64)>, Fault> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        if block != [0; BLOCK] {
            let found = parse_header(&block);
            return found
                .map(Some)
                .ok_or_else(|| self.wrong("has a wrong header before this byte"));
        }
        self.fill(&mut block)?;
        let mut more = [0; 1];
        let rest = self.from.read(&mut more);
        let rest = rest.map_err(|error| Fault::storage("read", self.path, &error))?;
        if block == [0; BLOCK] && rest == 0 {
            Ok(None)
        } else {
            Err(self.wrong("does not end where it says"))
        }
    }

    /// Hands the content of the file that was named last on, in parts.
    ///
    /// # Errors
    /// As [`TarReader::next_file`], and whatever `take` says.
    pub fn content(
        &mut self,
        len: u64,
        mut take: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut part = vec![0; 1 << 16];
        let mut left = len;
        while left > 0 {
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(part.len());
            self.fill(&mut part[..n])?;
            take(&part[..n])?;
            left -= u64::try_from(n).unwrap_or(left);
        }
        let mut pad = [0; BLOCK];
        let pad = &mut pad[..padding(len)];
        self.fill(pad)?;
        if pad.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(self.wrong("has a wrong filling"))
        }
    }

    /// Writes the content of the file that was named last below a folder; its SHA-256.
    ///
    /// # Errors
    /// As [`TarReader::content`]; [`Code::ManHash`] when the name is there already.
    pub fn unpack(&mut self, root: &Path, name: &str, len: u64) -> Result<[u8; 32], Fault> {
        let path = root.join(name);
        files::make_dir(files::dir_of(&path))?;
        let mut file = File::create_new(&path)
            .map_err(|error| self.wrong(&format!("names {name} twice or in vain: {error}")))?;
        let mut hash = Sha256::new();
        self.content(len, |part| {
            hash.update(part);
            file.write_all(part).map_err(|error| Fault::storage("write", &path, &error))
        })?;
        Ok(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_flipped_bit_and_every_cut_of_an_archive_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let write = |to: &Path| {
            let mut tar = TarWriter::create(to).unwrap();
            tar.bytes("a/b.bin", &[7; 600]).unwrap();
            tar.bytes("c", b"").unwrap();
            tar.end().unwrap();
        };
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len(), 512 + 1_024 + 512 + 1_024);
        let other = dir.path().join("b.tar");
        write(&other);
        assert_eq!(std::fs::read(&other).unwrap(), whole, "two archives are equal bytes");
        let read = |bytes: &[u8]| -> Result<Vec<(String, u64)>, Fault> {
            std::fs::write(&other, bytes).unwrap();
            let mut tar = TarReader::open(&other)?;
            let mut found = Vec::new();
            while let Some((name, len)) = tar.next_file()? {
                tar.content(len, |part| {
                    if part.iter().all(|byte| *byte == 7) { Ok(()) } else { Err(refuse("content")) }
                })?;
                found.push((name, len));
            }
            Ok(found)
        };
        let files = vec![("a/b.bin".to_owned(), 600), ("c".to_owned(), 0)];
        assert_eq!(read(&whole).unwrap(), files);
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // Another name or length makes another sum, so only the list of files can tell of a whole header.
            assert_eq!(read(&bad).unwrap_err().code, Code::ManHash, "bit {bit}");
        }
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]).unwrap_err().code, Code::ManHash, "{len} bytes");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for name in ["/a", "../a", "a/../b", "a//b", "", ".a", "a/", "a b", "a\\b"] {
            assert!(header(name, 1).is_none(), "{name}");
        }
        assert!(header(&"a".repeat(101), 1).is_none());
        assert!(header("journal/2026-02-16/12.ejf.zst", FILE_LEN_MAX).is_some());
        assert!(header("a", FILE_LEN_MAX + 1).is_none());
    }

    proptest! {
        #[test]
        fn a_header_goes_round(name in "[a-z0-9]{1,20}(/[a-z0-9.]{0,0}[a-z]{1,9}){0,3}", len in 0..FILE_LEN_MAX) {
            let block = header(&name, len).unwrap();
            prop_assert_eq!(parse_header(&block), Some((name, len)));
        }

        #[test]
        fn any_block_is_a_header_that_goes_round_or_none(bytes in prop::collection::vec(any::<u8>(), 512)) {
            let block: [u8; 512] = bytes.try_into().unwrap();
            if let Some((name, len)) = parse_header(&block) {
                prop_assert_eq!(header(&name, len), Some(block));
            }
        }
    }
}
