//! Round trips, golden bytes, hostile bytes, and the chain under loss.

use super::*;
use crate::{FencingToken, RunId, Seq, TickId, UtcMicros};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn header(tick: i64) -> FrameHeader {
    FrameHeader {
        flags: FrameFlags::SESSION_START,
        tick_id: TickId(tick),
        frame_seq: 0,
        run_id: RunId(7),
        fencing_token: FencingToken(3),
        n_events: 0,
        gap_ticks: 0,
        previous: [0; 32],
        sealed_at: UtcMicros(1_783_465_203_250_000),
    }
}

fn quote(symbol_no: u16) -> QuoteEntry {
    QuoteEntry {
        symbol_no,
        bid: 641_231,
        ask: 641_232,
        bid_qty: 5,
        ask_qty: -6,
        exchange_ts: -7,
        seq: Seq(8),
    }
}

#[test]
fn the_crc_is_the_castagnoli_check_value_however_it_is_split() {
    assert_eq!(crc32c_of(b"123456789", b""), 0xE306_9283);
    assert_eq!(crc32c_of(b"1234", b"56789"), 0xE306_9283);
}

/// The table is what builds without `std` take; it is made here as it is made there.
#[test]
fn d06_the_table_and_the_instruction_give_the_same_crc() {
    let table = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);
    let bytes: Vec<u8> =
        (0_u32..4_096).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for len in 0..=bytes.len() {
        assert_eq!(crc32c(&bytes[..len]), table.checksum(&bytes[..len]), "length {len}");
        let (a, b) = bytes[..len].split_at(len / 3);
        assert_eq!(crc32c_of(a, b), table.checksum(&bytes[..len]), "length {len}, in two parts");
    }
}

#[test]
fn an_empty_frame_has_the_layout_of_the_journal() {
    let bytes = encode_frame(&header(0x0102_0304), &[]).unwrap();
    assert_eq!(bytes.len(), 96);
    assert_eq!(&bytes[..16], b"EJF1\x01\0\x42\0\x04\x03\x02\x01\0\0\0\0");
    assert_eq!(
        &bytes[16..48],
        &[[0; 8], [7, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat()[..]
    );
    assert_eq!(&bytes[88..92], &[0; 4], "CRC-32C of nothing is zero");
    let (read, events) = decode_frame(&bytes).unwrap();
    assert!(events.is_empty());
    assert_eq!(read.flags, FrameFlags::SESSION_START.with(FrameFlags::EMPTY));
}

#[test]
fn a_quote_block_has_fifty_bytes_per_entry() {
    let block = QuoteBlock { tick_id: TickId(9), full: true, entries: vec![quote(1), quote(300)] };
    let bytes = encode_quotes(&block).unwrap();
    assert_eq!(bytes.len(), 24 + 2 * 50);
    assert_eq!(&bytes[..20], b"EQB1\x01\0\x01\0\x09\0\0\0\0\0\0\0\x02\0\0\0");
    assert_eq!(&bytes[24..34], &[1, 0, 0xcf, 0xc8, 0x09, 0, 0, 0, 0, 0]);
    assert_eq!(decode_quotes(&bytes).unwrap(), block);
}

#[test]
fn entries_out_of_order_or_without_a_number_are_refused() {
    for entries in [vec![quote(2), quote(2)], vec![quote(3), quote(2)], vec![quote(0)]] {
        let block = QuoteBlock { tick_id: TickId(1), full: false, entries };
        assert!(encode_quotes(&block).is_err());
    }
}

#[test]
fn delivery_declares_what_was_lost_and_the_chain_holds() {
    let mut last = None;
    let mut frames = Vec::new();
    for tick in [100, 101, 105, 106] {
        let mut bytes = encode_frame(&header(tick), &[]).unwrap();
        last = Some(deliver(&mut bytes, last.as_ref()).unwrap());
        frames.push(bytes);
    }
    let gaps: Vec<u32> = frames.iter().map(|f| decode_header(f).unwrap().gap_ticks).collect();
    assert_eq!(gaps, [0, 0, 3, 0]);
    let mut link = None;
    for frame in &frames {
        link = Some(verify_link(frame, link.as_ref()).unwrap());
    }
    assert_eq!(link, last);
    let first = verify_link(&frames[0], None).unwrap();
    assert!(matches!(verify_link(&frames[2], Some(&first)), Err(ChainError::Number { .. })));
}

#[test]
fn an_older_fence_or_a_repeated_tick_is_not_delivered() {
    let mut bytes = encode_frame(&header(10), &[]).unwrap();
    let link = deliver(&mut bytes, None).unwrap();
    let mut again = encode_frame(&header(10), &[]).unwrap();
    assert!(matches!(deliver(&mut again, Some(&link)), Err(ChainError::Tick { .. })));
    let older = FrameHeader { fencing_token: FencingToken(2), ..header(11) };
    let mut older = encode_frame(&older, &[]).unwrap();
    assert!(matches!(deliver(&mut older, Some(&link)), Err(ChainError::Token { .. })));
}

#[test]
fn every_flipped_bit_of_frame_and_block_is_seen() {
    let event = FrameEvent::decode(&[5; EVENT_LEN]).unwrap();
    let frame = encode_frame(&header(77), &[event]).unwrap();
    let block = QuoteBlock { tick_id: TickId(77), full: false, entries: vec![quote(4)] };
    let block = encode_quotes(&block).unwrap();
    for bit in 0..frame.len() * 8 {
        let mut bad = frame.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_frame(&bad).is_err(), "frame bit {bit}");
    }
    for bit in 0..block.len() * 8 {
        let mut bad = block.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_quotes(&bad).is_err(), "block bit {bit}");
    }
}

#[test]
fn a_frame_cut_at_any_offset_is_an_error() {
    let event = FrameEvent::decode(&[9; EVENT_LEN]).unwrap();
    let frame = encode_frame(&header(1), &[event]).unwrap();
    for len in 0..frame.len() {
        assert!(decode_frame(&frame[..len]).is_err(), "{len} bytes");
    }
}

prop_compose! {
    fn any_event()(bytes in prop::collection::vec(any::<u8>(), EVENT_LEN)) -> FrameEvent {
        FrameEvent::decode(&bytes).unwrap()
    }
}

prop_compose! {
    fn any_quote()(symbol_no in 1_u16.., v in any::<[i64; 5]>(), seq in 0_i64..) -> QuoteEntry {
        QuoteEntry { symbol_no, bid: v[0], ask: v[1], bid_qty: v[2], ask_qty: v[3], exchange_ts: v[4], seq: Seq(seq) }
    }
}

proptest! {
    #[test]
    fn frames_go_round(tick in 0_i64.., events in prop::collection::vec(any_event(), 0..20)) {
        let bytes = encode_frame(&header(tick), &events).unwrap();
        let (read, back) = decode_frame(&bytes).unwrap();
        prop_assert_eq!(back, events);
        prop_assert_eq!(read.tick_id, TickId(tick));
        prop_assert_eq!(encode_frame(&read, &[]).is_ok(), true);
    }

    #[test]
    fn blocks_go_round(mut entries in prop::collection::vec(any_quote(), 0..40), full: bool, tick in 0_i64..) {
        entries.sort_by_key(|e| e.symbol_no);
        entries.dedup_by_key(|e| e.symbol_no);
        let block = QuoteBlock { tick_id: TickId(tick), full, entries };
        prop_assert_eq!(decode_quotes(&encode_quotes(&block).unwrap()).unwrap(), block);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), magic in 0_usize..3) {
        let mut bytes = bytes;
        if bytes.len() >= 6 {
            match magic {
                0 => bytes[..6].copy_from_slice(b"EJF1\x01\0"),
                1 => bytes[..6].copy_from_slice(b"EQB1\x01\0"),
                _ => {}
            }
        }
        prop_assert!(decode_frame(&bytes).is_err());
        prop_assert!(decode_quotes(&bytes).is_err());
        prop_assert!(deliver(&mut bytes, None).is_err());
    }
}
