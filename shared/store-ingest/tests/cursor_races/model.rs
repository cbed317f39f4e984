//! The model: a spool, a cluster with row locks, loaders, a recorder and a closing host; every decision in it
//! is the product's.

use penstock_store::spool::cursor::{
    Admission, ClosedRunAction, Cursor, CursorUse, Passage, RowLock, admit, number_behind,
    on_closed, passage,
};
use penstock_store::spool::format::{FLAG_OUTPUT, Record, SegmentHeader};
use penstock_store::spool::{Batch, SEGMENT_HEADER_LEN, Segments, SpoolPosition, StreamCode};
use penstock_store_ingest::generations::{AfterFailure, RefreshError};
use penstock_types::{FencingToken, GenerationId, RunId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const RUN: RunId = RunId(7);

/// A record of the spool: its segment, its number, and what it is when it is an output.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spooled {
    pub(crate) segment_no: u32,
    pub(crate) seq: u64,
    pub(crate) output: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Output {
    Candle(u64),
    Generation(u64),
}

/// Who takes part.
#[derive(Clone)]
pub(crate) struct Bounds {
    pub(crate) spool: Vec<Spooled>,
    /// Loaders on the same run; the first is that of the own process.
    pub(crate) loaders: usize,
    /// Generations to be recorded.
    pub(crate) generations: u64,
    /// Another host closes the run at some time.
    pub(crate) close: bool,
    /// Connections that may break.
    pub(crate) cuts: usize,
    /// A server session whose client has gone comes to its end.
    pub(crate) orphans_end: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Load { numbers: Vec<u64>, outputs: Vec<Output>, end: (u32, u64), last_seq: u64 },
    Record { generation: u64, wm_seq: u64 },
    Close { incomplete: Vec<u64> },
}

/// A transaction up to its commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    of: Who,
    work: Work,
    /// Somebody waits for the answer.
    has_client: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Loader(usize),
    Recorder,
    Closer,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Move {
    Sync,
    Begin(Who),
    Commit(usize),
    Abort(usize),
    /// The client goes: its deadline, its end, its network.
    Cut(Who),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    spool: Vec<Spooled>,
    synced: usize,
    cuts: usize,
    at: Vec<Option<(u32, u64)>>,
    stopped: BTreeSet<usize>,
    // The cluster.
    cursor: (u32, u64, u64),
    is_closed: bool,
    rows: BTreeSet<u64>,
    candles: BTreeSet<u64>,
    /// Generation: number that it has folded in, nothing missing below.
    generations: BTreeMap<u64, (u64, bool)>,
    sessions: Vec<Session>,
    // The recorder.
    recorded: u64,
    is_recorder_stopped: bool,
    /// Newest generation on the decision cluster.
    published: u64,
}

/// PostgreSQL's conflicts of row locks.
const fn excludes(a: RowLock, b: RowLock) -> bool {
    match (a, b) {
        (RowLock::KeyShare, RowLock::KeyShare | RowLock::NoKeyUpdate)
        | (RowLock::NoKeyUpdate, RowLock::KeyShare) => false,
        (RowLock::Update, _)
        | (_, RowLock::Update)
        | (RowLock::NoKeyUpdate, RowLock::NoKeyUpdate) => true,
    }
}

const fn use_of(who: Who) -> CursorUse {
    match who {
        Who::Loader(_) => CursorUse::Load,
        Who::Recorder => CursorUse::Record,
        Who::Closer => CursorUse::Close,
    }
}

/// A spool, how many of its records are synced, and where to read.
type Question = (Vec<Spooled>, usize, (u32, u64));

/// Reads batches of a spool as far as it is synced; each question is answered once.
pub(crate) struct Reader {
    dir: tempfile::TempDir,
    answers: HashMap<Question, Option<Batch>>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), answers: HashMap::new() }
    }

    fn batch(&mut self, spool: &[Spooled], synced: usize, at: (u32, u64)) -> Option<Batch> {
        let question = (spool.to_vec(), synced, at);
        if let Some(answer) = self.answers.get(&question) {
            return answer.clone();
        }
        let answer = self.segments(spool, synced).read_batch(position(at), 2).unwrap();
        self.answers.insert(question, answer.clone());
        answer
    }

    /// Writes the records as segments and registers what is synced.
    fn segments(&self, spool: &[Spooled], synced: usize) -> Segments {
        let segments = Segments::new(self.dir.path().to_owned());
        let last = spool.last().map_or(1, |s| s.segment_no);
        for no in 1..=last {
            let header = SegmentHeader {
                run_id: RUN,
                fencing_token: FencingToken(1),
                segment_no: no,
                schema_version: 1,
                first_seq: 1,
                created_at_us: 0,
            };
            let mut bytes = header.encode().to_vec();
            let mut synced_len = bytes.len();
            let of_segment = spool.iter().enumerate().filter(|(_, s)| s.segment_no == no);
            for (record_no, (i, spooled)) in of_segment.enumerate() {
                record(spooled, u32::try_from(record_no).unwrap()).encode(&mut bytes);
                if i < synced {
                    synced_len = bytes.len();
                }
            }
            std::fs::write(segments.path(RUN, no), &bytes).unwrap();
            segments.set(RUN, no, synced_len as u64, synced_len == bytes.len() && no < last);
        }
        segments
    }
}

fn record(spooled: &Spooled, record_no: u32) -> Record<'static> {
    const NAMES: [&[u8]; 10] = [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"];
    let (stream, flags, payload) = match spooled.output {
        None => (StreamCode::Ticker, 0, NAMES[0]),
        Some(Output::Candle(n)) => (StreamCode::Candle, FLAG_OUTPUT, NAMES[n as usize]),
        Some(Output::Generation(n)) => (StreamCode::Generation, FLAG_OUTPUT, NAMES[n as usize]),
    };
    Record { stream, flags, row_version: 1, record_no, seq: spooled.seq, payload }
}

fn output(stream: StreamCode, payload: &[u8]) -> Output {
    let n = u64::from(payload[0] - b'0');
    if stream == StreamCode::Candle { Output::Candle(n) } else { Output::Generation(n) }
}

const fn position((segment_no, offset): (u32, u64)) -> SpoolPosition {
    SpoolPosition { run_id: RUN, segment_no, offset }
}

impl World {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self {
            spool: bounds.spool.clone(),
            synced: 0,
            cuts: bounds.cuts,
            at: vec![None; bounds.loaders],
            stopped: BTreeSet::new(),
            cursor: (1, SEGMENT_HEADER_LEN as u64, 0),
            is_closed: false,
            rows: BTreeSet::new(),
            candles: BTreeSet::new(),
            generations: BTreeMap::new(),
            sessions: Vec::new(),
            recorded: 0,
            is_recorder_stopped: false,
            published: 0,
        }
    }

    fn open_cursor(&self) -> Option<Cursor> {
        let (segment_no, offset, last_seq) = self.cursor;
        (!self.is_closed).then_some(Cursor { at: position((segment_no, offset)), last_seq })
    }

    fn waits_for_an_answer(&self, who: Who) -> bool {
        self.sessions.iter().any(|s| s.of == who && s.has_client)
    }

    /// Whether the lock of the cursor row is to be had.
    fn is_lock_free(&self, who: Who) -> bool {
        let lock = use_of(who).lock();
        !self.sessions.iter().any(|s| excludes(lock, use_of(s.of).lock()))
    }

    fn wants_to_begin(&self, who: Who, bounds: &Bounds, reader: &mut Reader) -> bool {
        let wants = match who {
            Who::Loader(i) => {
                !self.stopped.contains(&i) && (self.is_closed || self.batch(i, reader).is_some())
            }
            Who::Recorder => !self.is_recorder_stopped && self.recorded < bounds.generations,
            Who::Closer => bounds.close && !self.is_closed,
        };
        wants && !self.waits_for_an_answer(who)
    }

    fn batch(&self, i: usize, reader: &mut Reader) -> Option<(SpoolPosition, Batch)> {
        let at = self.at[i].unwrap_or((self.cursor.0, self.cursor.1));
        Some((position(at), reader.batch(&self.spool, self.synced, at)?))
    }

    pub(crate) fn moves(&self, bounds: &Bounds, reader: &mut Reader) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.synced < self.spool.len() {
            moves.push(Move::Sync);
        }
        let all = (0..self.at.len()).map(Who::Loader).chain([Who::Recorder, Who::Closer]);
        for who in all {
            if self.wants_to_begin(who, bounds, reader) {
                if self.is_lock_free(who) && !self.waits_for_a_key(who, reader) {
                    moves.push(Move::Begin(who));
                } else if who == Who::Recorder {
                    moves.push(Move::Cut(who));
                }
            } else if self.waits_for_an_answer(who) && self.cuts > 0 {
                moves.push(Move::Cut(who));
            }
        }
        for (i, session) in self.sessions.iter().enumerate() {
            if session.has_client {
                moves.push(Move::Commit(i));
            } else if bounds.orphans_end {
                moves.extend([Move::Commit(i), Move::Abort(i)]);
            }
        }
        moves
    }

    /// An insert waits for a session that has inserted the same generation.
    fn waits_for_a_key(&self, who: Who, reader: &mut Reader) -> bool {
        let Who::Loader(i) = who else { return false };
        let Some((_, batch)) = self.batch(i, reader) else { return false };
        let is_held = |n: u64| {
            self.sessions
                .iter()
                .any(|s| matches!(s.work, Work::Record { generation, .. } if generation == n))
        };
        batch.records.iter().filter(|r| r.stream == StreamCode::Generation).any(|r| {
            let Output::Generation(n) = output(r.stream, batch.payload(r)) else { return false };
            is_held(n)
        })
    }

    pub(crate) fn apply(&mut self, step: Move, reader: &mut Reader) {
        match step {
            Move::Sync => self.synced += 1,
            Move::Begin(Who::Loader(i)) => self.begin_load(i, reader),
            Move::Begin(Who::Recorder) => self.begin_record(),
            Move::Begin(Who::Closer) => {
                let last_seq = self.cursor.2;
                let above = self.generations.iter().filter(|(_, (wm_seq, _))| *wm_seq > last_seq);
                let incomplete = above.map(|(n, _)| *n).collect();
                self.open(Who::Closer, Work::Close { incomplete });
            }
            Move::Commit(i) => self.commit(i),
            Move::Abort(i) => {
                self.sessions.remove(i);
            }
            Move::Cut(who) => self.cut(who),
        }
        self.judge();
    }

    fn open(&mut self, of: Who, work: Work) {
        self.sessions.push(Session { of, work, has_client: true });
    }

    fn begin_load(&mut self, i: usize, reader: &mut Reader) {
        let read = self.batch(i, reader);
        let from = read.as_ref().map_or_else(|| position((1, 0)), |(from, _)| *from);
        let cursor = self.open_cursor();
        match admit(cursor.as_ref(), from) {
            Admission::Closed => {
                // What `SetAside` does belongs to another process; here every loader has the own run.
                assert_eq!(on_closed(true), ClosedRunAction::Stop);
                self.stopped.insert(i);
            }
            Admission::Reposition(to) => self.at[i] = Some((to.segment_no, to.offset)),
            Admission::Load => {
                let (Some((_, batch)), Some(cursor)) = (read, cursor) else { return };
                let (mut numbers, mut outputs) = (Vec::new(), Vec::new());
                let mut last_seq = cursor.last_seq;
                for record in &batch.records {
                    let way = passage(record.flags, record.seq, cursor.last_seq);
                    last_seq = number_behind(way, record.seq, last_seq);
                    match way {
                        Passage::Skip => {}
                        Passage::Numbered => numbers.push(record.seq),
                        Passage::Output => {
                            outputs.push(output(record.stream, batch.payload(record)));
                        }
                    }
                }
                let end = (batch.end.segment_no, batch.end.offset);
                self.open(Who::Loader(i), Work::Load { numbers, outputs, end, last_seq });
            }
        }
    }

    /// A generation has folded in everything that is numbered, loaded or not.
    fn begin_record(&mut self) {
        let generation = self.recorded + 1;
        if self.is_closed {
            self.failed(generation, &RefreshError::RunClosed { run_id: RUN });
            assert!(self.is_recorder_stopped, "the process of a closed run publishes nothing more");
            return;
        }
        let wm_seq = self.wm_seq();
        self.open(Who::Recorder, Work::Record { generation, wm_seq });
    }

    fn wm_seq(&self) -> u64 {
        self.spool.iter().filter(|s| s.output.is_none()).map(|s| s.seq).max().unwrap_or(0)
    }

    fn failed(&mut self, generation: u64, error: &RefreshError) {
        match error.follow_up() {
            AfterFailure::Stop => self.is_recorder_stopped = true,
            AfterFailure::SpoolAndPublish => {
                let (segment_no, seq) = self.spool.last().map_or((1, 1), |s| (s.segment_no, s.seq));
                let output = Some(Output::Generation(generation));
                self.spool.push(Spooled { segment_no, seq, output });
                (self.recorded, self.published) = (generation, generation);
            }
        }
    }

    fn cut(&mut self, who: Who) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.of == who && s.has_client) {
            session.has_client = false;
            self.cuts -= 1;
        }
        match who {
            // What stands is read from the cursor.
            Who::Loader(i) => self.at[i] = None,
            Who::Recorder => {
                let generation = self.recorded + 1;
                let generation_id = GenerationId(i64::try_from(generation).unwrap());
                self.failed(
                    generation,
                    &RefreshError::Deadline { generation_id, deadline_ms: 250 },
                );
            }
            Who::Closer => {}
        }
    }

    fn commit(&mut self, i: usize) {
        let session = self.sessions.remove(i);
        match session.work {
            Work::Load { numbers, outputs, end, last_seq } => {
                for seq in numbers {
                    assert!(self.rows.insert(seq), "row {seq} is loaded twice");
                }
                for output in outputs {
                    match output {
                        Output::Candle(n) => drop(self.candles.insert(n)),
                        Output::Generation(n) => {
                            let wm_seq = self.wm_seq();
                            self.generations.entry(n).or_insert((wm_seq, true));
                        }
                    }
                }
                let at = (self.cursor.0, self.cursor.1);
                assert!(end >= at, "the cursor went back: what lies between may be trimmed");
                self.cursor = (end.0, end.1, last_seq);
                if let (Who::Loader(i), true) = (session.of, session.has_client) {
                    self.at[i] = Some(end);
                }
            }
            Work::Record { generation, wm_seq } => {
                self.generations.entry(generation).or_insert((wm_seq, true));
                if session.has_client {
                    (self.recorded, self.published) = (generation, generation);
                }
            }
            Work::Close { incomplete } => {
                for n in incomplete {
                    self.generations.get_mut(&n).unwrap().1 = false;
                }
                self.is_closed = true;
            }
        }
    }

    /// What holds after every step.
    fn judge(&self) {
        assert_eq!(self.cursor.2, self.rows.last().copied().unwrap_or(0), "only rows move it");
        if self.is_closed {
            for (n, (wm_seq, is_complete)) in &self.generations {
                let is_whole = *wm_seq <= self.cursor.2;
                assert!(is_whole || !is_complete, "generation {n} of a closed run is not whole");
            }
        }
    }

    /// What holds when nobody can do anything any more.
    pub(crate) fn judge_end(&self, bounds: &Bounds, reader: &mut Reader) {
        if self.is_closed {
            assert!(self.is_recorder_stopped || self.recorded == bounds.generations);
            assert_eq!(self.stopped.len(), self.at.len(), "loaders of a closed run end");
            return;
        }
        assert_eq!(self.published, bounds.generations, "publication waits for nobody");
        if self.sessions.iter().all(|s| s.of == Who::Recorder) {
            for i in 0..self.at.len() {
                let who = Who::Loader(i);
                let is_done = self.batch(i, reader).is_none();
                let waits = self.waits_for_a_key(who, reader);
                assert!(
                    is_done || waits,
                    "beside a hanging recorder a loader waits for its row only"
                );
            }
        }
        if self.sessions.is_empty() {
            for spooled in &self.spool {
                match spooled.output {
                    None => assert!(self.rows.contains(&spooled.seq)),
                    Some(Output::Candle(n)) => assert!(self.candles.contains(&n), "candle {n}"),
                    Some(Output::Generation(n)) => {
                        assert!(self.generations.contains_key(&n), "generation {n}");
                    }
                }
            }
            let n = self.generations.len() as u64;
            assert!(n >= bounds.generations, "every generation is recorded");
        }
    }
}
