//! The races around a run's load cursor on the product's own decisions: all interleavings of the spool,
//! two loaders, the recorder of generations and a closing host, against a model of the ingest cluster with
//! its row locks.
//!
//! F2: outputs behind the cursor. F7: an I-transaction that hangs. F8: a paused process whose run another
//! host has closed. Batches are read by the product's reader from real segments.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod model;

use model::{Bounds, Output, Reader, Spooled, World};
use std::collections::HashSet;

/// Walks through every interleaving; returns the number of different states and of ends.
fn explore(bounds: &Bounds) -> (usize, usize) {
    let mut reader = Reader::new();
    let mut seen = HashSet::new();
    let mut ends = 0;
    let mut stack = vec![World::new(bounds)];
    while let Some(world) = stack.pop() {
        if !seen.insert(world.clone()) {
            continue;
        }
        let moves = world.moves(bounds, &mut reader);
        if moves.is_empty() {
            ends += 1;
            world.judge_end(bounds, &mut reader);
        }
        for step in moves {
            let mut next = world.clone();
            next.apply(step, &mut reader);
            stack.push(next);
        }
    }
    (seen.len(), ends)
}

fn row(segment_no: u32, seq: u64) -> Spooled {
    Spooled { segment_no, seq, output: None }
}

fn out(segment_no: u32, seq: u64, output: Output) -> Spooled {
    Spooled { segment_no, seq, output: Some(output) }
}

/// Outputs carry the number of the event that caused them, which the cursor may have passed; after a
/// device error a new segment repeats what was not committed, and row 4 was shed.
#[test]
fn f2_candle_and_generation_rows_behind_the_cursor() {
    use Output::{Candle, Generation};
    let spool = vec![
        row(1, 1),
        row(1, 2),
        out(1, 2, Candle(1)),
        row(1, 3),
        out(1, 3, Generation(1)),
        row(2, 3),
        out(2, 3, Generation(1)),
        out(2, 4, Candle(2)),
        row(2, 5),
        out(2, 5, Generation(2)),
        out(2, 5, Candle(3)),
    ];
    let (states, ends) = explore(&Bounds {
        spool,
        loaders: 2,
        generations: 0,
        close: false,
        cuts: 2,
        orphans_end: true,
    });
    assert!(states > 1_000 && ends > 0, "{states} states, {ends} ends");
}

/// The cluster hangs in the middle of I-transactions: generations are published all the same, each is
/// recorded in the end, and rows are loaded beside what hangs.
#[test]
fn f7_hanging_i_transaction() {
    for orphans_end in [true, false] {
        let (states, ends) = explore(&Bounds {
            spool: vec![row(1, 1), row(1, 2), row(1, 3)],
            loaders: 1,
            generations: 2,
            close: false,
            cuts: 2,
            orphans_end,
        });
        assert!(states > 100 && ends > 0, "{states} states, {ends} ends");
    }
}

/// Another host closes the run of a process that was paused anywhere: nothing is loaded or recorded
/// behind the close, no generation claims rows that are not there, and the process ends.
#[test]
fn f8_paused_ingest_after_another_host_closed_its_run() {
    let (states, ends) = explore(&Bounds {
        spool: vec![row(1, 1), row(1, 2), out(1, 2, Output::Candle(1)), row(1, 3)],
        loaders: 1,
        generations: 2,
        close: true,
        cuts: 1,
        orphans_end: true,
    });
    assert!(states > 1_000 && ends > 0, "{states} states, {ends} ends");
}
