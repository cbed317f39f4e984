//! Targets of the engine's files: logs, snapshots, manifests, streams.

use super::engine::config;
use penstock_engine::Engine;
use penstock_engine_io::log::scan;
use penstock_engine_io::manifest::Manifest;
use penstock_engine_io::streams::kept_len;

/// Any bytes are a log up to its first wrong byte, or no log at all.
pub(super) fn engine_log(bytes: &[u8]) {
    if let Ok(found) = scan(bytes) {
        let len = u64::try_from(bytes.len()).expect("a length");
        assert!(found.valid_len() <= len.max(64), "whole records lie within the bytes");
        assert_eq!(found.bad.is_none(), found.valid_len() == len, "what is not whole is bad");
        if let Some(bad) = &found.bad {
            assert_eq!(bad.offset, Some(found.valid_len()), "the first wrong byte is named");
        }
    }
}

/// Any bytes are a snapshot that exports to them, or an error.
pub(super) fn engine_snapshot(bytes: &[u8]) {
    let config = config();
    let mut out = Vec::new();
    if let Ok((engine, context)) = Engine::import(&config, bytes) {
        engine.export(&context, &mut out);
        let (again, same) = Engine::import(&config, &out).expect("an export is a snapshot");
        assert_eq!((again.chain(), same), (engine.chain(), context), "a snapshot goes round");
    }
    // Behind the hashes: the bytes as sections of a snapshot whose checks hold.
    let mut engine = Engine::new(&config).expect("the configuration can be run");
    engine.start_at(7_084_972_800).expect("a tick before it");
    engine.export(&Default::default(), &mut out);
    let split = out.len() - 32;
    out.truncate(split);
    for (place, byte) in out.iter_mut().skip(256).zip(bytes) {
        *place = *byte;
    }
    for (from, len, at) in [(256, 128, 65), (384, 128, 65), (512, 2_304, 30), (2_816, 2_304, 30)] {
        if let Some(block) = out.get_mut(from..from + len) {
            block[at..at + 4].fill(0);
            let crc = penstock_types::frame::crc32c(block);
            block[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
    }
    let hash = penstock_types::frame::sha256(&out);
    out.extend_from_slice(&hash);
    if let Ok((mut engine, _)) = Engine::import(&config, &out) {
        let mut output = engine.output();
        for tick in 7_084_972_800..7_084_972_830 {
            if engine.step(&penstock_engine::FrameView::gap(tick), &mut output).is_err() {
                return;
            }
        }
    }
}

/// Any bytes are a manifest that writes itself again, or an error.
pub(super) fn engine_manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(manifest.bytes().expect("it was canonical"), bytes, "a manifest goes round");
    }
}

/// Any bytes keep whole lines alone, and more of them for a later tick.
pub(super) fn engine_stream(bytes: &[u8]) {
    let mut before = 0;
    for tick in [0, 7_084_972_800, u64::MAX] {
        let kept = kept_len(bytes, tick);
        assert!(kept >= before, "a later tick keeps more");
        let end = usize::try_from(kept).expect("a length");
        assert!(end <= bytes.len() && (end == 0 || bytes[end - 1] == b'\n'), "lines are whole");
        before = kept;
    }
}
