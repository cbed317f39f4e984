//! Checkpoints that earlier lives left without a row, added up from the files.
//!
//! Purpose: a killed process takes with it what it had not inserted, and its snapshots may lie behind it, so
//! that no roll-forward passes there again. Inputs: the newest row, logs and journal. Output: checkpoints
//! from there to the last tick of the start. Invariants: records and frames are only read; what they do not
//! explain gives no checkpoint, and nothing is given unless the sum ends with the chain of the engine itself; a
//! chain begins anew where a cold start begins.

use penstock_engine::EngineConfig;
use penstock_engine::record::RECORD_LEN;
use penstock_engine_io::journal::JournalReader;
use penstock_engine_io::log::{LOG_HEADER_LEN, LogHeader, segments};
use penstock_engine_io::stored::Stored;
use penstock_engine_io::{CHECKPOINT_TICKS, Checkpoint, Code, Day, EngineDirs, Fault};
use penstock_types::engine_view::TokenFlags;
use penstock_types::frame::sha256;

/// Most ticks that are added up: a day. Older ones keep the chains of their logs and snapshots.
pub(super) const TICKS_MAX: u64 = 345_600;

/// A tick and the chain of states after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) tick: u64,
    pub(super) state_chain: [u8; 32],
}

/// Checkpoints behind the newest row up to where the engine stands, ascending.
pub(super) fn missing(
    dirs: &EngineDirs,
    config: &EngineConfig,
    newest: Option<Known>,
    last: Known,
) -> Result<Vec<Checkpoint>, Fault> {
    let Some(known) = begin(dirs, config, newest)? else { return Ok(Vec::new()) };
    let is_due = (known.tick + 1..=last.tick).any(|tick| tick.is_multiple_of(CHECKPOINT_TICKS));
    if !is_due {
        return Ok(Vec::new());
    }
    if last.tick - known.tick > TICKS_MAX {
        let what = format!("more than {TICKS_MAX} ticks have no checkpoint");
        return Err(Fault::new(Code::LogOffset, what).in_tick(known.tick));
    }
    let mut frames = Frames::new(dirs, known.tick)?;
    let mut found = Vec::new();
    for (tick, state_chain) in states(dirs, config, known, last)? {
        let Some(frame_chain) = frames.up_to(tick)? else { break };
        found.push(Checkpoint { tick, state_chain, frame_chain });
    }
    Ok(found)
}

/// Where the adding begins: at the newest row, or with the chain of a start that is newer.
fn begin(
    dirs: &EngineDirs,
    config: &EngineConfig,
    newest: Option<Known>,
) -> Result<Option<Known>, Fault> {
    let Some(token) = config.tokens.first() else { return Ok(None) };
    let mut anew = None;
    for (day, segment) in segments(dirs, token.id)? {
        if newest.is_some_and(|newest| day < Day::of(newest.tick)) {
            continue;
        }
        let mut open = Stored::open(&dirs.log_file(token.id, day, segment))?;
        let (mut header, mut record) = ([0; LOG_HEADER_LEN], [0; RECORD_LEN]);
        open.fill(&mut header)?;
        if open.fill(&mut record)? < RECORD_LEN {
            continue;
        }
        let (tick, flags) = head(&record);
        // No file stands before the first of all; days that were removed leave no such file.
        let is_first = LogHeader::decode(&header)?.previous == [0; 32];
        let is_start = is_first || flags.contains(TokenFlags::COLD_START);
        if is_start && newest.is_none_or(|newest| newest.tick < tick) {
            anew = Some(Known { tick: tick.saturating_sub(1), state_chain: config.sha256() });
        }
    }
    Ok(anew.or(newest))
}

/// Chains of states at the checkpoints behind `known`.
fn states(
    dirs: &EngineDirs,
    config: &EngineConfig,
    known: Known,
    last: Known,
) -> Result<Vec<(u64, [u8; 32])>, Fault> {
    let mut logs = Vec::with_capacity(config.tokens.len());
    for token in &config.tokens {
        let mut places = segments(dirs, token.id)?;
        places.retain(|(day, _)| *day >= Day::of(known.tick + 1));
        logs.push(Records::new(dirs, token.id, places, known.tick + 1));
    }
    let mut chain = known.state_chain;
    let mut bytes = Vec::with_capacity(32 + RECORD_LEN * logs.len());
    let mut found = Vec::new();
    for tick in known.tick + 1..=last.tick {
        bytes.clear();
        bytes.extend_from_slice(&chain);
        for log in &mut logs {
            match log.next()? {
                Some(record) if head(&record).0 == tick => bytes.extend_from_slice(&record),
                Some(_) | None => {
                    let what = "a log has no record of a tick behind the newest checkpoint";
                    return Err(Fault::new(Code::LogOffset, what)
                        .in_tick(tick)
                        .of_token(log.token));
                }
            }
        }
        chain = sha256(&bytes);
        if tick.is_multiple_of(CHECKPOINT_TICKS) {
            found.push((tick, chain));
        }
    }
    if chain != last.state_chain {
        let what = "records behind the newest checkpoint do not add up to the engine's chain";
        let fault = Fault::new(Code::LogOffset, what).in_tick(last.tick);
        return Err(fault.differing(hex::encode(last.state_chain), hex::encode(chain)));
    }
    Ok(found)
}

/// Tick and flags of a record.
fn head(record: &[u8; RECORD_LEN]) -> (u64, TokenFlags) {
    let [a, b, c, d, e, f, g, h, _, _, _, _, _, _, _, _, low, high, ..] = *record;
    let tick = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (tick, TokenFlags(u16::from_le_bytes([low, high])))
}

/// Records of a token from a tick on, through its segments.
struct Records {
    dirs: EngineDirs,
    token: u16,
    places: std::vec::IntoIter<(Day, u16)>,
    from: u64,
    open: Option<Stored>,
}

impl Records {
    fn new(dirs: &EngineDirs, token: u16, places: Vec<(Day, u16)>, from: u64) -> Self {
        Self { dirs: dirs.clone(), token, places: places.into_iter(), from, open: None }
    }

    fn next(&mut self) -> Result<Option<[u8; RECORD_LEN]>, Fault> {
        loop {
            let mut record = [0; RECORD_LEN];
            if let Some(open) = &mut self.open
                && open.fill(&mut record)? == RECORD_LEN
            {
                let (tick, _) = head(&record);
                if tick >= self.from {
                    return Ok(Some(record));
                }
                // One record per tick: the one that is wanted stands so many records ahead.
                open.skip((self.from - tick - 1).saturating_mul(64))?;
                continue;
            }
            let Some((day, segment)) = self.places.next() else { return Ok(None) };
            let mut open = Stored::open(&self.dirs.log_file(self.token, day, segment))?;
            open.fill(&mut [0; LOG_HEADER_LEN])?;
            self.open = Some(open);
        }
    }
}

/// Hashes of frames, asked for in the order of ticks.
struct Frames {
    reader: JournalReader,
    /// Hash of the last frame that was passed.
    passed: Option<[u8; 32]>,
    /// The one that was read behind it: its tick, its hash, the one before it.
    ahead: Option<(u64, [u8; 32], [u8; 32])>,
}

impl Frames {
    fn new(dirs: &EngineDirs, from: u64) -> Result<Self, Fault> {
        let reader = JournalReader::from_tick(dirs, from)?;
        Ok(Self { reader, passed: None, ahead: None })
    }

    /// Hash of the last frame up to a tick.
    fn up_to(&mut self, tick: u64) -> Result<Option<[u8; 32]>, Fault> {
        loop {
            if self.ahead.is_none() {
                let read = self.reader.next_entry()?;
                self.ahead =
                    read.map(|entry| (entry.tick(), sha256(&entry.frame), entry.header.previous));
            }
            match self.ahead {
                Some((at, hash, _)) if at <= tick => {
                    self.passed = Some(hash);
                    self.ahead = None;
                }
                // The frame before may lie in an hour that was not read.
                Some((_, _, previous)) => return Ok(self.passed.or(Some(previous))),
                None => return Ok(self.passed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_engine::config::{Class, InstrumentConfig, Profile, Roles};
    use penstock_engine_io::{NoStore, Session, StartOptions};
    use penstock_types::frame::{
        FrameFlags, FrameHeader, Link, QuoteBlock, deliver, encode_frame, encode_quotes,
    };
    use penstock_types::vocab::Venue;
    use penstock_types::{FencingToken, RunId, TickId, UtcMicros};

    const MIDNIGHT: u64 = 20_501 * 345_600;

    fn config() -> EngineConfig {
        let mut config = EngineConfig::default();
        for id in 1..=2 {
            let roles =
                Roles { price_ref: true, flow: true, spot_primary: true, ..Roles::default() };
            let spot = InstrumentConfig {
                venue: Venue::KrakenSpot,
                symbol: format!("T{id}/USD"),
                roles,
                qty_exp: 3,
                multiplier: 1,
                funding_interval_h: 8,
            };
            let name = format!("T{id}");
            let token = config.token(id, &name, Class::Gma, Profile::SpotOnly, vec![spot]);
            config.tokens.push(token);
        }
        config.snapshot_every_ticks = 20;
        config
    }

    fn options(root: &std::path::Path, is_cold: bool) -> StartOptions {
        let mut options = StartOptions::live(EngineDirs::under(root), config());
        options.disk_free_min_bytes = 0;
        options.is_cold = is_cold;
        options
    }

    /// Empty frames of these ticks through a session; the checkpoints that it passed and where it ended.
    fn life(
        options: &StartOptions,
        ticks: impl Iterator<Item = u64>,
        last: &mut Option<Link>,
    ) -> (Vec<Checkpoint>, Known) {
        let (mut session, _) = Session::start(options, &mut NoStore).unwrap();
        let mut passed = Vec::new();
        for tick in ticks {
            let tick_id = TickId::from_unsigned(tick);
            let header = FrameHeader {
                flags: FrameFlags::EMPTY,
                tick_id,
                frame_seq: 0,
                run_id: RunId(1),
                fencing_token: FencingToken(1),
                n_events: 0,
                gap_ticks: 0,
                previous: [0; 32],
                sealed_at: UtcMicros(0),
            };
            let mut frame = encode_frame(&header, &[]).unwrap();
            *last = Some(deliver(&mut frame, last.as_ref()).unwrap());
            let block = QuoteBlock { tick_id, full: true, entries: Vec::new() };
            let quotes = encode_quotes(&block).unwrap();
            passed.extend(session.take(&frame, &quotes).unwrap().checkpoints);
        }
        let engine = session.engine().unwrap();
        let end = Known { tick: engine.last_tick().unwrap(), state_chain: engine.chain() };
        session.stop().unwrap();
        (passed, end)
    }

    fn known(checkpoint: &Checkpoint) -> Known {
        Known { tick: checkpoint.tick, state_chain: checkpoint.state_chain }
    }

    #[test]
    fn what_no_row_says_is_added_up_from_any_row_on() {
        // given a life over midnight with a gap across a checkpoint and one of more than an hour
        let dir = tempfile::tempdir().unwrap();
        let options = options(dir.path(), false);
        let ticks = (MIDNIGHT - 500..MIDNIGHT - 245)
            .chain(MIDNIGHT - 235..MIDNIGHT + 500)
            .chain(MIDNIGHT + 16_000..MIDNIGHT + 16_300);
        let (passed, last) = life(&options, ticks, &mut None);
        assert_eq!((passed.len(), last.tick), (70, MIDNIGHT + 16_299));

        // then whichever row stands last, the others follow
        let (dirs, config) = (&options.dirs, &options.config);
        assert_eq!(missing(dirs, config, None, last).unwrap(), passed);
        for (at, newest) in passed.iter().enumerate().step_by(9) {
            let found = missing(dirs, config, Some(known(newest)), last).unwrap();
            assert_eq!(found, passed[at + 1..], "behind row {at}");
        }
        assert_eq!(missing(dirs, config, None, known(&passed[2])).unwrap(), passed[..3]);

        // and a row of files that are no longer there counts for nothing
        let old = Known { tick: MIDNIGHT - 345_600, state_chain: [0; 32] };
        assert_eq!(missing(dirs, config, Some(old), last).unwrap(), passed);

        // and what does not lead to the engine's chain gives nothing
        let ahead = Known { tick: last.tick + 1_000, state_chain: [0; 32] };
        assert_eq!(missing(dirs, config, Some(ahead), last).unwrap(), []);
        let far = Known { tick: last.tick + 2 * TICKS_MAX, state_chain: last.state_chain };
        assert!(missing(dirs, config, None, far).is_err());
        let other = Known { state_chain: [7; 32], ..known(&passed[1]) };
        assert!(missing(dirs, config, Some(other), last).is_err());
    }

    #[test]
    fn behind_a_cold_start_the_chain_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut link = None;
        let (first, _) = life(&options(dir.path(), false), MIDNIGHT..MIDNIGHT + 300, &mut link);
        let options = options(dir.path(), true);
        let (second, last) = life(&options, MIDNIGHT + 310..MIDNIGHT + 800, &mut link);
        assert_eq!((first.len(), second.len()), (2, 2));
        let (dirs, config) = (&options.dirs, &options.config);
        for newest in [None, Some(known(&first[0])), Some(known(&first[1]))] {
            assert_eq!(missing(dirs, config, newest, last).unwrap(), second);
        }
        assert_eq!(missing(dirs, config, Some(known(&second[0])), last).unwrap(), second[1..]);
    }
}
