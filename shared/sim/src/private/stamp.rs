//! The time at which the first byte of each client frame arrived.
//!
//! Inputs: the bytes of a socket on their way to the WebSocket library. Outputs: the same bytes,
//! and a queue with one wall-clock stamp per data message, taken when the read that brought its
//! first header byte returned, before anything was parsed. Invariants: bytes pass unchanged;
//! messages are stamped in their order; control frames and continuation frames are not stamped.
//! Limit: `STAMPS_LIMIT` unread stamps, then the newest are dropped and read as "now".

use crate::server::wall_us;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const STAMPS_LIMIT: usize = 65_536;

/// Follows frame borders in a stream of client frames.
#[derive(Debug, Default)]
pub(crate) struct FrameBorders {
    header: Vec<u8>,
    payload_left: u64,
}

impl FrameBorders {
    /// Consumes bytes; how many data messages begin in them.
    pub(crate) fn advance(&mut self, mut bytes: &[u8]) -> usize {
        let mut begun = 0;
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let skipped = skipped.min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            if self.header.is_empty() && matches!(first & 0x0f, 1 | 2) {
                begun += 1;
            }
            self.header.push(*first);
            bytes = rest;
            if let Some(length) = header_complete(&self.header) {
                self.payload_left = length;
                self.header.clear();
            }
        }
        begun
    }
}

/// Payload length once the header is whole.
fn header_complete(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if header.len() < 2 + extended + mask {
        return None;
    }
    let bytes = &header[2..2 + extended];
    let long = bytes.iter().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
    Some(if extended == 0 { u64::from(second & 0x7f) } else { long })
}

#[derive(Debug, Default)]
struct Stamps {
    frames: bool,
    borders: FrameBorders,
    queue: VecDeque<i64>,
}

/// Reads the stamps of one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct StampReader {
    stamps: Arc<Mutex<Stamps>>,
}

impl StampReader {
    /// From here on the stream carries frames: the handshake is over.
    pub(crate) fn frames_begin(&self) {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).frames = true;
    }

    /// Stamp of the next data message.
    pub(crate) fn take(&self) -> i64 {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        stamps.queue.pop_front().unwrap_or_else(wall_us)
    }

    fn saw(&self, bytes: &[u8]) {
        let at_us = wall_us();
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if !stamps.frames {
            return;
        }
        for _ in 0..stamps.borders.advance(bytes) {
            if stamps.queue.len() < STAMPS_LIMIT {
                stamps.queue.push_back(at_us);
            }
        }
    }
}

/// A stream that stamps what it reads.
#[derive(Debug)]
pub(crate) struct Stamped<S> {
    inner: S,
    reader: StampReader,
}

impl<S> Stamped<S> {
    pub(crate) fn new(inner: S) -> (Stamped<S>, StampReader) {
        let reader = StampReader::default();
        (Stamped { inner, reader: reader.clone() }, reader)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.reader.saw(read);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(opcode: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![0x80 | opcode];
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(std::iter::repeat_n(0x81, length));
        bytes
    }

    proptest! {
        #[test]
        fn every_data_frame_is_counted_once_however_the_bytes_are_cut(
            frames in prop::collection::vec((prop::sample::select(vec![1_u8, 2, 9, 10]), 0_usize..70_000), 1..6),
            cut in 1_usize..5_000,
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(op, len)| frame(*op, *len)).collect();
            let mut borders = FrameBorders::default();
            let begun: usize = bytes.chunks(cut).map(|chunk| borders.advance(chunk)).sum();
            let data = frames.iter().filter(|(op, _)| *op < 3).count();
            prop_assert_eq!(begun, data);
            prop_assert_eq!(borders.payload_left, 0);
            prop_assert!(borders.header.is_empty());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut borders = FrameBorders::default();
            prop_assert!(borders.advance(&bytes) <= bytes.len());
        }
    }
}
