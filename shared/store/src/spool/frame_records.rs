//! Payloads of the frame spool: a frame with its quote block, and the rows that must stand before it.
//!
//! Stream 32 holds header and events of the frame followed by the quote block; 33 the run with its
//! lineage, at the start of each run; 34 a `run_symbols` row, before the first frame that uses the
//! number. Pure.

use penstock_types::frame::{EVENT_LEN, FRAME_HEADER_LEN, QUOTE_HEADER_LEN, decode_header};
use serde::{Deserialize, Serialize};

use crate::twins::{LineageRow, RunRow, RunSymbolRow};

/// Why a payload is not what its stream says.
#[derive(Debug, thiserror::Error)]
pub enum FrameRecordError {
    /// The frame's header is not one, or its events are cut.
    #[error("frame record: {0}")]
    Frame(&'static str),
    /// The JSON of a run or symbol record does not fit.
    #[error("frame record: {0}")]
    Json(#[from] serde_json::Error),
}

/// Payload of a record of stream 33.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Run.
    pub run: RunRow,
    /// Lineage.
    pub lineage: LineageRow,
}

impl RunRecord {
    /// As JSON.
    ///
    /// # Errors
    /// [`FrameRecordError::Json`]; the bindings would have to hold something that JSON cannot.
    pub fn encode(&self) -> Result<Vec<u8>, FrameRecordError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// From JSON.
    ///
    /// # Errors
    /// [`FrameRecordError::Json`].
    pub fn decode(payload: &[u8]) -> Result<Self, FrameRecordError> {
        Ok(serde_json::from_slice(payload)?)
    }
}

/// Payload of a record of stream 34.
///
/// # Errors
/// [`FrameRecordError::Json`].
pub fn encode_symbol(row: &RunSymbolRow) -> Result<Vec<u8>, FrameRecordError> {
    Ok(serde_json::to_vec(row)?)
}

/// Reads a record of stream 34.
///
/// # Errors
/// [`FrameRecordError::Json`].
pub fn decode_symbol(payload: &[u8]) -> Result<RunSymbolRow, FrameRecordError> {
    Ok(serde_json::from_slice(payload)?)
}

/// Payload of a record of stream 32.
#[must_use]
pub fn encode_frame_record(frame: &[u8], quotes: &[u8]) -> Vec<u8> {
    [frame, quotes].concat()
}

/// Splits a record of stream 32 into frame and quote block.
///
/// # Errors
/// [`FrameRecordError::Frame`].
pub fn split_frame_record(payload: &[u8]) -> Result<(&[u8], &[u8]), FrameRecordError> {
    let header = decode_header(payload).map_err(|_| FrameRecordError::Frame("no frame header"))?;
    let events = usize::try_from(header.n_events).unwrap_or(usize::MAX);
    let len = events.saturating_mul(EVENT_LEN).saturating_add(FRAME_HEADER_LEN);
    let (frame, quotes) =
        payload.split_at_checked(len).ok_or(FrameRecordError::Frame("its events are cut"))?;
    if quotes.len() < QUOTE_HEADER_LEN {
        return Err(FrameRecordError::Frame("its quote block is cut"));
    }
    Ok((frame, quotes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_types::frame::{FrameFlags, FrameHeader, QuoteBlock, encode_frame, encode_quotes};
    use penstock_types::{FencingToken, RunId, TickId, UtcMicros};

    #[test]
    fn frame_and_quotes_come_apart_again_and_cuts_are_noticed() {
        let header = FrameHeader {
            flags: FrameFlags::EMPTY,
            tick_id: TickId(5),
            frame_seq: 1,
            run_id: RunId(1),
            fencing_token: FencingToken(1),
            n_events: 0,
            gap_ticks: 0,
            previous: [0; 32],
            sealed_at: UtcMicros(0),
        };
        let frame = encode_frame(&header, &[]).unwrap();
        let block = QuoteBlock { tick_id: TickId(5), full: true, entries: Vec::new() };
        let quotes = encode_quotes(&block).unwrap();

        let payload = encode_frame_record(&frame, &quotes);

        assert_eq!(split_frame_record(&payload).unwrap(), (&frame[..], &quotes[..]));
        for cut in 0..payload.len() {
            assert!(split_frame_record(&payload[..cut]).is_err(), "cut {cut}");
        }
    }
}
