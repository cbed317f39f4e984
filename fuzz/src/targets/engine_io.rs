//! Targets of the engine's files: logs, snapshots, manifests, streams.

use super::engine::config;
use penstock_engine::Engine;
use penstock_engine_io::archive::{ArchiveList, Genesis};
use penstock_engine_io::bundle::{BundleIndex, check_bundle};
use penstock_engine_io::log::scan;
use penstock_engine_io::manifest::Manifest;
use penstock_engine_io::stored::unpack;
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

/// Any bytes are a snapshot that exports to them, or an error; sealing takes any bytes.
pub(super) fn engine_snapshot(bytes: &[u8]) {
    let config = config();
    let mut out = bytes.to_vec();
    penstock_engine::snapshot::seal(&mut out);
    out.clear();
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

/// Any bytes are a bundle whose files are what its index names, or an error; the same of each document.
pub(super) fn engine_bundle(bytes: &[u8]) {
    let found = check_bundle(std::path::Path::new("bundle"), bytes);
    if let Ok(index) = &found {
        let files: u64 = index.files.iter().map(|file| file.bytes).sum();
        let len = u64::try_from(bytes.len()).expect("a length");
        assert!(files < len && bytes.len().is_multiple_of(512), "a bundle holds its files");
    }
    let again = |value: &dyn Fn() -> Result<Vec<u8>, penstock_types::canonical::CanonicalError>| {
        assert_eq!(value().expect("it was canonical"), bytes, "a document goes round");
    };
    if let Ok(index) = BundleIndex::parse(bytes) {
        again(&|| penstock_types::canonical::to_bytes(&index));
    }
    if let Ok(list) = ArchiveList::parse(bytes) {
        again(&|| penstock_types::canonical::to_bytes(&list));
    }
    if let Ok(genesis) = Genesis::parse(bytes) {
        again(&|| penstock_types::canonical::to_bytes(&genesis));
    }
}

/// Any bytes are a compressed file of the length that it says, or an error.
pub(super) fn engine_packed(bytes: &[u8]) {
    if let Ok(raw) = unpack(bytes, 1 << 20) {
        let mut other = bytes.to_vec();
        other.push(0);
        assert!(unpack(&other, 1 << 20).is_err(), "nothing may stand behind it");
        assert!(
            raw.is_empty() || unpack(bytes, 0).is_err(),
            "it is no longer than what is allowed"
        );
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
