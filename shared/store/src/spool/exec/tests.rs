//! Records survive their process, in order and once; a torn tail costs its own record alone.

use std::io::Write;

use penstock_types::{FencingToken, UtcMicros};
use proptest::prelude::*;

use super::*;

const NOW: UtcMicros = UtcMicros(1_771_243_200_000_000);

fn texts(opened: &OpenedExec) -> Vec<(i64, u64, String)> {
    let text = |r: &ExecRecord| {
        (r.fencing_token.0, r.seq, String::from_utf8_lossy(&r.payload).into_owned())
    };
    opened.records.iter().map(text).collect()
}

fn kept(root: &Path, token: i64, payloads: &[&str]) {
    let mut spool = ExecSpool::open(root, FencingToken(token)).unwrap().spool;
    for payload in payloads {
        spool.append(payload.as_bytes(), NOW).unwrap();
    }
}

#[test]
fn what_a_process_kept_is_found_by_the_next_one_in_its_order() {
    let root = tempfile::tempdir().unwrap();
    kept(root.path(), 3, &["a", "b"]);
    kept(root.path(), 4, &["c"]);

    let mut opened = ExecSpool::open(root.path(), FencingToken(5)).unwrap();

    let wanted = [(3, 1, "a".to_owned()), (3, 2, "b".to_owned()), (4, 1, "c".to_owned())];
    assert_eq!(texts(&opened), wanted);
    assert!(!opened.spool.is_empty());
    // and it stays until it is cleared, also beside what the new one keeps
    opened.spool.append(b"d", NOW).unwrap();
    drop(opened);
    let mut opened = ExecSpool::open(root.path(), FencingToken(6)).unwrap();
    assert_eq!(opened.records.len(), 4);
    opened.spool.clear().unwrap();
    assert!(opened.spool.is_empty());
    drop(opened);
    assert_eq!(ExecSpool::open(root.path(), FencingToken(7)).unwrap().records, []);
}

#[test]
fn a_spool_that_was_cleared_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = ExecSpool::open(root.path(), FencingToken(3)).unwrap().spool;
    spool.append(b"a", NOW).unwrap();
    spool.clear().unwrap();
    spool.append(b"b", NOW).unwrap();
    drop(spool);

    let opened = ExecSpool::open(root.path(), FencingToken(4)).unwrap();

    assert_eq!(texts(&opened), [(3, 2, "b".to_owned())]);
}

#[test]
fn while_a_stopped_process_holds_the_spool_its_successor_writes_beside_it() {
    let root = tempfile::tempdir().unwrap();
    let mut stopped = ExecSpool::open(root.path(), FencingToken(3)).unwrap().spool;
    stopped.append(b"a", NOW).unwrap();

    let mut next = ExecSpool::open(root.path(), FencingToken(4)).unwrap();

    assert_eq!(next.busy, [root.path().to_owned()]);
    assert_eq!(next.records, []);
    next.spool.append(b"b", NOW).unwrap();
    // and who comes when both have ended finds both
    drop((stopped, next));
    let opened = ExecSpool::open(root.path(), FencingToken(5)).unwrap();
    assert_eq!(texts(&opened), [(3, 1, "a".to_owned()), (4, 1, "b".to_owned())]);
}

#[test]
fn a_record_that_cannot_be_kept_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = ExecSpool::open(root.path(), FencingToken(3)).unwrap().spool;
    let kind = |result: io::Result<()>| result.unwrap_err().kind();

    assert_eq!(kind(spool.append(b"", NOW)), io::ErrorKind::InvalidInput);
    assert_eq!(kind(spool.append(&vec![1; PAYLOAD_LEN_MAX + 1], NOW)), io::ErrorKind::InvalidInput);
    let full = vec![1; PAYLOAD_LEN_MAX];
    let mut fitted = 0;
    let refused = loop {
        match spool.append(&full, NOW) {
            Ok(()) => fitted += 1,
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(refused, io::ErrorKind::StorageFull);
    assert_eq!(fitted, BYTES_MAX / PAYLOAD_LEN_MAX as u64 - 1, "headers count too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a crash leaves of the last record, those before it are whole.
    #[test]
    fn a_torn_tail_costs_no_record_before_it(
        payloads in proptest::collection::vec("[a-z]{1,40}", 1..8), cut in 1_usize..64,
    ) {
        let root = tempfile::tempdir().unwrap();
        let texts_in: Vec<&str> = payloads.iter().map(String::as_str).collect();
        kept(root.path(), 3, &texts_in);
        let path = root.path().join(segment_name(RUN, 1));
        let bytes = std::fs::read(&path).unwrap();
        let last = 24 + payloads.last().unwrap().len();
        let cut = cut.min(last);
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();

        let opened = ExecSpool::open(root.path(), FencingToken(4)).unwrap();

        let found: Vec<String> = texts(&opened).into_iter().map(|(_, _, text)| text).collect();
        prop_assert_eq!(&found[..], &payloads[..payloads.len() - 1]);
        prop_assert_eq!(opened.damage.len(), usize::from(cut < last));
    }

    /// Damage anywhere is found, never read as something else.
    #[test]
    fn a_flipped_bit_never_yields_another_record(
        payloads in proptest::collection::vec("[a-z]{1,40}", 1..6), at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let root = tempfile::tempdir().unwrap();
        let texts_in: Vec<&str> = payloads.iter().map(String::as_str).collect();
        kept(root.path(), 3, &texts_in);
        let path = root.path().join(segment_name(RUN, 1));
        let mut bytes = std::fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&bytes).unwrap();
        drop(file);

        let opened = ExecSpool::open(root.path(), FencingToken(4)).unwrap();

        let found: Vec<String> = texts(&opened).into_iter().map(|(_, _, text)| text).collect();
        prop_assert!(payloads.starts_with(&found), "{:?} of {:?}", found, payloads);
        prop_assert_eq!(opened.damage.len(), 1);
    }
}
