//! Fixed-size blocks of little-endian numbers: packed in order, unused bytes zero.
//!
//! Input: numbers, or the bytes of one block. Output: bytes, or numbers. Invariants: what is packed comes out
//! in the same order; a read behind the block's end gives zeros and a write there nothing, never a panic. It knows
//! no layout.

use core::num::NonZeroU64;

/// Writes into a block of zeros.
pub(crate) struct Pack<'a> {
    block: &'a mut [u8],
    at: usize,
}

impl<'a> Pack<'a> {
    pub(crate) const fn new(block: &'a mut [u8]) -> Self {
        Self { block, at: 0 }
    }

    pub(crate) fn bytes<const N: usize>(&mut self, bytes: &[u8; N]) {
        if let Some(place) = self.block.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut) {
            *place = *bytes;
        }
        self.at = self.at.saturating_add(N);
    }

    /// The next `len` bytes as a block of their own.
    pub(crate) fn section(&mut self, len: usize) -> Pack<'_> {
        let from = self.at.min(self.block.len());
        let to = self.at.saturating_add(len).min(self.block.len());
        self.at = self.at.saturating_add(len);
        Pack::new(self.block.get_mut(from..to).unwrap_or_default())
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A tick that may be missing, as 0.
    pub(crate) fn tick(&mut self, tick: Option<NonZeroU64>) {
        self.u64(tick.map_or(0, NonZeroU64::get));
    }

    /// Goes to `len` bytes from the block's beginning.
    pub(crate) const fn seek(&mut self, len: usize) {
        self.at = len;
    }
}

/// Reads a block.
pub(crate) struct Unpack<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Unpack<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.first_chunk::<N>() {
            Some(all) => out = *all,
            None => out.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte),
        }
        self.at = self.at.saturating_add(N);
        out
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, &'static str> {
        match self.u8() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(what),
        }
    }

    /// A code of a closed vocabulary.
    pub(crate) fn code<T>(
        &mut self,
        of: fn(u8) -> Option<T>,
        what: &'static str,
    ) -> Result<T, &'static str> {
        of(self.u8()).ok_or(what)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    pub(crate) fn i16(&mut self) -> i16 {
        i16::from_le_bytes(self.take())
    }

    pub(crate) fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }

    pub(crate) fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// A score, 0..=1,000,000.
    pub(crate) fn score(&mut self, what: &'static str) -> Result<i32, &'static str> {
        let value = self.i32();
        let fits = (0..=crate::num::SCORE_MAX).contains(&i64::from(value));
        if fits { Ok(value) } else { Err(what) }
    }

    pub(crate) fn tick(&mut self) -> Option<NonZeroU64> {
        NonZeroU64::new(self.u64())
    }

    /// Goes to `len` bytes from the block's beginning.
    pub(crate) const fn seek(&mut self, len: usize) {
        self.at = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_as_they_went_in_and_zeros_follow() {
        let mut out = [0; 65];
        let mut all = Pack::new(&mut out);
        all.u8(7);
        let mut pack = all.section(64);
        pack.u8(1);
        pack.bool(true);
        pack.u16(0x0203);
        pack.i16(-2);
        pack.u32(4);
        pack.i32(-4);
        pack.u64(8);
        pack.i64(-8);
        pack.tick(None);
        pack.tick(NonZeroU64::new(9));
        pack.seek(62);
        // What does not fit is not written.
        pack.u64(u64::MAX);
        all.u8(1);
        assert_eq!((out[0], &out[63..]), (7, &[0, 0][..]));
        let mut read = Unpack::new(&out[1..]);
        assert_eq!((read.u8(), read.bool("b"), read.u16()), (1, Ok(true), 0x0203));
        assert_eq!((read.i16(), read.u32(), read.i32()), (-2, 4, -4));
        assert_eq!((read.u64(), read.i64()), (8, -8));
        assert_eq!((read.tick(), read.tick()), (None, NonZeroU64::new(9)));
        read.seek(64);
        assert_eq!((read.u64(), read.score("s")), (0, Ok(0)));
        assert_eq!(Unpack::new(&[2]).bool("flag"), Err("flag"));
        assert_eq!(Unpack::new(&(-1_i32).to_le_bytes()).score("score"), Err("score"));
    }
}
