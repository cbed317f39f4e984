//! The header of a log.
//!
//! Input: values, or 64 bytes. Output: bytes, or values. Invariants: decoding is total and accepts exactly what
//! encoding can make.
//!
//! ```text
//! 0 "ENG3" · 4 schema u16 · 6 record_size u16 · 8 token_id u64 · 16 day u64 · 24 config fingerprint u32
//! 28 CRC-32C of the header with this field zero u32 · 32 SHA-256 of the token's previous closed file
//! ```

use crate::error::{Code, Fault};
use crate::layout::Day;
use penstock_types::frame::crc32c;

/// Bytes of the header.
pub const LOG_HEADER_LEN: usize = 64;
/// Schema of logs: major · 256 + minor.
pub const LOG_SCHEMA: u16 = 0x0100;
const MAGIC: [u8; 4] = *b"ENG3";
const RECORD_SIZE: u16 = 64;

/// Header of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHeader {
    /// Token.
    pub token: u16,
    /// Day.
    pub day: Day,
    /// First four bytes of the configuration's SHA-256, little-endian.
    pub fingerprint: u32,
    /// SHA-256 of the token's previous closed file; zero for the first.
    pub previous: [u8; 32],
}

fn take<const N: usize>(bytes: &[u8; LOG_HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl LogHeader {
    /// Fingerprint of a configuration.
    #[must_use]
    pub fn fingerprint(config_sha256: &[u8; 32]) -> u32 {
        let [a, b, c, d, ..] = *config_sha256;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; LOG_HEADER_LEN] {
        let mut out = [0; LOG_HEADER_LEN];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&LOG_SCHEMA.to_le_bytes());
        out[6..8].copy_from_slice(&RECORD_SIZE.to_le_bytes());
        out[8..16].copy_from_slice(&u64::from(self.token).to_le_bytes());
        out[16..24].copy_from_slice(&self.day.0.to_le_bytes());
        out[24..28].copy_from_slice(&self.fingerprint.to_le_bytes());
        out[32..64].copy_from_slice(&self.previous);
        let crc = crc32c(&out);
        out[28..32].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// [`Code::LogVersion`] for another major or record size, [`Code::LogHeader`] for anything else.
    pub fn decode(bytes: &[u8; LOG_HEADER_LEN]) -> Result<Self, Fault> {
        let wrong = |what: &str, at: u64| Err(Fault::new(Code::LogHeader, what).at(at));
        if bytes[..4] != MAGIC {
            return wrong("the file does not begin with the magic of a log", 0);
        }
        let mut blank = *bytes;
        blank[28..32].fill(0);
        let (got, want) = (u32::from_le_bytes(take(bytes, 28)), crc32c(&blank));
        if got != want {
            let what = "the header of the log does not match its CRC";
            let fault = Fault::new(Code::LogHeader, what).at(0);
            return Err(fault.differing(format!("{want:08x}"), format!("{got:08x}")));
        }
        let (schema, size) =
            (u16::from_le_bytes(take(bytes, 4)), u16::from_le_bytes(take(bytes, 6)));
        if schema >> 8 != LOG_SCHEMA >> 8 || size != RECORD_SIZE {
            let what = "the log is of another version; next: read it with the build that wrote it";
            let fault = Fault::new(Code::LogVersion, what).at(4);
            return Err(fault.differing("schema 1.x, 64 bytes", format!("{schema:#06x}, {size}")));
        }
        let token = u64::from_le_bytes(take(bytes, 8));
        let Ok(token) = u16::try_from(token) else {
            return wrong("the header of the log names a token beyond 65535", 8);
        };
        Ok(Self {
            token,
            day: Day(u64::from_le_bytes(take(bytes, 16))),
            fingerprint: u32::from_le_bytes(take(bytes, 24)),
            previous: take(bytes, 32),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_known_bytes_and_every_flipped_bit_is_seen() {
        let header =
            LogHeader { token: 3, day: Day(20_500), fingerprint: 0x1122_3344, previous: [0; 32] };
        let bytes = header.encode();
        assert_eq!(u32::from_le_bytes(take(&bytes, 28)), 0x0164_379f);
        assert_eq!(LogHeader::decode(&bytes).unwrap(), header);
        // The file of this header and the known record.
        let record = hex::decode(concat!(
            "001b4ca601000000030044e4030302020040080288fc07003cc70b00f42f0900",
            "e02e0000a07a0300c8bb1cfbfffffffff137000060ea0000a0680600852c5eed"
        ))
        .unwrap();
        let file = [&bytes[..], &record].concat();
        assert_eq!(
            hex::encode(penstock_types::frame::sha256(&file)),
            "38894b1801b46f4e3799f2e47c8208a2e341360cd4a1d517700155d187e4f436"
        );
        for bit in 0..LOG_HEADER_LEN * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LogHeader::decode(&bad).unwrap_err().code, Code::LogHeader, "bit {bit}");
        }
    }

    #[test]
    fn another_major_or_record_size_is_another_version() {
        for (at, byte) in [(5, 2), (6, 128)] {
            let header = LogHeader { token: 1, day: Day(1), fingerprint: 2, previous: [1; 32] };
            let mut bytes = header.encode();
            bytes[at] = byte;
            bytes[28..32].fill(0);
            let crc = crc32c(&bytes);
            bytes[28..32].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(LogHeader::decode(&bytes).unwrap_err().code, Code::LogVersion);
        }
    }
}
