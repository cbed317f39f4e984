//! What this product writes itself and reads back: spool, frames, checkpoints, ids, configuration.

use penstock_config::{Process, Sources, resolve};
use penstock_market::checkpoint::{CHECKPOINT_FORMAT, decode as decode_checkpoint, encode};
use penstock_store::copy_out::fields;
use penstock_store::raw_rows::venue_and_time;
use penstock_store::spool::format::{
    SegmentHeader, decode_record, parse_segment_name, segment_name,
};
use penstock_store::spool::frame_records::{
    RunRecord, decode_symbol, encode_frame_record, encode_symbol, split_frame_record,
};
use penstock_store::spool::scan::scan_segment;
use penstock_store::tuple::split_tuple;
use penstock_types::cl_ord_id::{OrderIdSalt, Origin, recognise};
use penstock_types::frame::{decode_frame, decode_quotes, deliver, encode_quotes, verify_link};
use sha2::{Digest, Sha256};

/// A checkpoint of any version with the hash of its bytes: one that is written and read again is the same
/// bytes.
pub(super) fn checkpoint(bytes: &[u8]) {
    let hash = Sha256::digest(bytes);
    for format in 1..=CHECKPOINT_FORMAT {
        let Ok(read) = decode_checkpoint(format, bytes, &hash) else { continue };
        let (once, hash) = encode(&read).expect("what was read can be written");
        let again =
            decode_checkpoint(CHECKPOINT_FORMAT, &once, &hash).expect("what was written reads");
        assert_eq!(encode(&again).expect("it can be written again").0, once);
    }
}

/// A row of a copy in text format: fields or an error, and never more text than bytes.
pub(super) fn copy_text(bytes: &[u8]) {
    let want = bytes.iter().filter(|byte| **byte == b'\t').count() + 1;
    if let Ok(found) = fields(bytes, want) {
        assert_eq!(found.len(), want);
        assert!(found.iter().flatten().map(String::len).sum::<usize>() <= bytes.len());
    }
}

/// A client order id: ours or foreign, and what is ours reads back as it was written.
pub(super) fn cl_ord_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let salt = OrderIdSalt([7; 32]);
    if let Origin::Ours(id) = recognise(&salt, Some(text)) {
        assert_eq!(recognise(&salt, Some(&id.text())), Origin::Ours(id));
    }
}

/// A configuration file: settings or problems, and the same ones twice.
pub(super) fn config_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let sources = Sources {
        process: Process::Tool,
        file: Some(("fuzz.toml".to_owned(), text.to_owned())),
        environment: Default::default(),
        secret_files: Default::default(),
    };
    match (resolve(&sources), resolve(&sources)) {
        (Ok(one), Ok(two)) => {
            assert_eq!(one.hash(), two.hash());
            assert_eq!(one.bindings.hash(), two.bindings.hash());
        }
        (Err(one), Err(two)) => {
            assert!(!one.problems.is_empty());
            assert_eq!(one, two);
        }
        _ => panic!("the same text was accepted and refused"),
    }
}

/// A copy tuple: taking it apart never invents a byte.
pub(super) fn copy_tuple(bytes: &[u8]) {
    if let Ok(fields) = split_tuple(bytes) {
        let held: usize = fields.iter().flatten().map(|f| f.len()).sum();
        assert_eq!(2 + 4 * fields.len() + held, bytes.len());
    }
}

/// Payloads of the frame spool: a frame with its quotes, a run with its lineage, a symbol number.
pub(super) fn frame_record(bytes: &[u8]) {
    if let Ok((frame, quotes)) = split_frame_record(bytes) {
        assert_eq!(encode_frame_record(frame, quotes), bytes);
    }
    if let Ok(record) = RunRecord::decode(bytes) {
        let written = record.encode().expect("what was read can be written");
        assert_eq!(RunRecord::decode(&written).expect("what was written reads"), record);
    }
    if let Ok(row) = decode_symbol(bytes) {
        let written = encode_symbol(&row).expect("what was read can be written");
        assert_eq!(decode_symbol(&written).expect("what was written reads"), row);
    }
}

/// A spool segment, a record, a name of a file: the walk ends, and what it accepts encodes back to the same
/// bytes.
pub(super) fn spool_segment(bytes: &[u8]) {
    if let Ok(scan) = scan_segment(bytes, |record| {
        // The payload is foreign too.
        let _time = venue_and_time(record.stream, record.payload);
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again.len(), record.encoded_len());
    }) {
        assert!(scan.end_offset <= bytes.len().max(64));
    }
    if let Ok(Some(record)) = decode_record(bytes) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, bytes[..record.encoded_len()]);
    }
    if let Ok(header) = SegmentHeader::decode(bytes) {
        assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }
    let name = std::str::from_utf8(bytes).ok().filter(|name| parse_segment_name(name).is_some());
    if let Some((run_id, segment_no)) = name.and_then(parse_segment_name) {
        assert_eq!(Some(segment_name(run_id, segment_no).as_str()), name);
    }
}

/// A frame and a quote block: what is accepted is written back to the same bytes, and a delivery begins a
/// chain.
pub(super) fn tick_frame(bytes: &[u8]) {
    let _frame = decode_frame(bytes);
    let _link = verify_link(bytes, None);
    let mut copy = bytes.to_vec();
    if let Ok(link) = deliver(&mut copy, None) {
        assert_eq!(link.frame_seq, 1);
    }
    if let Ok(block) = decode_quotes(bytes) {
        assert_eq!(encode_quotes(&block).expect("a decoded block is whole"), bytes);
    }
}
