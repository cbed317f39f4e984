//! The engine in the real process, killed without warning at every crash point of its files, and at random
//! while frames come as fast as it takes them. Life after life goes on over the same directory; in the end
//! files and rows are those that a replay of the journal makes.
//!
//! `PENSTOCK_ENGINE_KILLS` is how often each point is visited, `PENSTOCK_ENGINE_RANDOM_KILLS` how often the
//! process is killed at random, `PENSTOCK_ENGINE_SEED` the seed of places and times; `scripts/engine-kills`
//! asks for more than the tests do.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use penstock_engine::{Engine, EngineConfig, FrameView};
use penstock_engine_io::journal::JournalReader;
use penstock_engine_io::{CHECKPOINT_TICKS, CrashPoint, EngineDirs, snapshots};
use penstock_execution::engine::failpoints::name;
use penstock_types::frame::decode_frame;
use penstock_types::{FencingToken, RunId};
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval};

use super::engine_judge::{Judged, judge, lines_now};
use super::instances::resolved;
use super::made;
use super::process::{Execution, until};
use super::recorded::Recorded;
use super::tape::{MIDNIGHT, Tape};
use super::world::{LIMIT, LOOK, World};

/// First tick of every journal: midnight comes 300 ticks later.
const FIRST: u64 = MIDNIGHT - 300;
/// Ticks that every journal has at least: beyond warm-up, midnight and two checkpoints.
const TICKS_MIN: u64 = 560;
/// Ticks between two snapshots.
const SNAPSHOT_TICKS: u64 = 20;
/// Most frames that the core has not executed under load.
const LEAD_TICKS_MAX: u64 = 512;
/// Frames of one delivery under load.
const LOAD_TICKS: u64 = 32;
/// Most ticks of a journal under load: as many as a replay in a test build derives within a minute.
const LOAD_TICKS_MAX: u64 = 100_000;
/// Longest life under load once its engine starts.
const LOAD_MS_MAX: i64 = 3_000;
/// Random kills of one directory.
const RANDOM_KILLS_PER_WORLD: usize = 50;
/// Worlds side by side.
const WORLDS_MAX: usize = 4;
/// Tries of a life: a cluster that answers too late on a busy machine ends the service before its time.
const TRIES_MAX: usize = 5;

/// Three tokens, two of them in one cluster; every threshold is reached within seconds.
fn file() -> String {
    let token = |id: u16, more: &str| {
        format!(
            "[[engine.token]]\nid = {id}\nsymbol = \"T{id}\"\nclass = \"GMA\"\nprofile = \"DERIV\"\n{more}\
             instruments = [\n\
             {{ venue = \"kraken_futures\", symbol = \"PF_T{id}USD\", roles = [\"price_ref\", \
             \"deriv_primary\", \"flow\", \"oi_set\"], qty_exp = 3 }},\n\
             {{ venue = \"kraken\", symbol = \"T{id}/USD\", roles = [\"spot_primary\"], qty_exp = 3 }},\n]\n"
        )
    };
    let keys = "[engine]\nsnapshot_every_ticks = 20\nwarmup_minutes = 1\n\
        alerts.publish_build = true\n\
        fsm.p1 = 150000\nfsm.f1 = 300000\nfsm.t1 = 20000\nfsm.u1 = 250000\n\
        fsm.cost_gate.fragile = 1000000\nfsm.cost_gate.ready = 1000000\nfsm.cost_gate.unwind = 1000000\n\
        fsm.h1 = 2\nfsm.h2 = 2\nfsm.h3 = 2\nfsm.hu = 1\nfsm.h4 = 4\nfsm.h5 = 8\n\
        fsm.release.pressure = 4\nfsm.release.fragile = 4\nfsm.release.ready = 4\n\
        fsm.rebuild.dwell = 4\nfsm.rebuild.persist = 4\n\
        cluster.c1 = 1\ncluster.c2 = 1\ncluster.c3 = 1\ncluster.c4 = 1\ncluster.release = 4\n\
        cluster.min_members = 1\n";
    format!("{keys}{}{}{}", token(1, ""), token(2, ""), token(3, "cluster = 2\n"))
}

/// Ticks with an alert, of the first of every journal.
fn alert_ticks(config: &EngineConfig) -> Vec<u64> {
    let mut tape = Tape::new(RunId(1), FencingToken(1), FIRST);
    let mut engine = Engine::new(config).unwrap();
    let mut out = engine.output();
    let mut ticks = Vec::new();
    for tick in FIRST..FIRST + 4_000 {
        let ((_, frame, _), _) = tape.frame(|_| ());
        let (header, events) = decode_frame(&frame).unwrap();
        engine.step(&FrameView::new(&header, &events).unwrap(), &mut out).unwrap();
        if !out.alerts.is_empty() {
            ticks.push(tick);
        }
    }
    assert!(ticks.len() > 100, "{} alerts", ticks.len());
    ticks
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What ends the lives of one directory.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// This point, so many times.
    Point(CrashPoint, usize),
    /// A kill from outside, so many times.
    Random(usize),
}

/// Every point so often; a day ends once per directory, so its points get one for each time.
fn plans(each: usize, random: usize) -> Vec<Ends> {
    let mut plans = Vec::new();
    for point in CrashPoint::ALL {
        match point {
            CrashPoint::BeforeRotation | CrashPoint::AfterRotation => {
                plans.extend(std::iter::repeat_n(Ends::Point(point, 1), each));
            }
            CrashPoint::BeforeJournalWrite
            | CrashPoint::AfterJournalWrite
            | CrashPoint::BeforeLogAppend
            | CrashPoint::BeforeAlertAppend
            | CrashPoint::AfterAlertAppend
            | CrashPoint::BeforeSnapshotSync
            | CrashPoint::AfterJournalSync
            | CrashPoint::AfterLogSync
            | CrashPoint::BeforeSnapshotWrite
            | CrashPoint::AfterSnapshotWrite
            | CrashPoint::AfterSnapshotRename
            | CrashPoint::AfterSnapshotSync => plans.push(Ends::Point(point, each)),
        }
    }
    let mut left = random;
    while left > 0 {
        let kills = left.min(RANDOM_KILLS_PER_WORLD);
        plans.push(Ends::Random(kills));
        left -= kills;
    }
    plans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_at_any_crash_point_of_its_files_the_engine_leaves_what_a_replay_makes() {
    let started = Instant::now();
    let each = setting("PENSTOCK_ENGINE_KILLS", 1);
    let random = setting("PENSTOCK_ENGINE_RANDOM_KILLS", 2);
    let seed = u64::try_from(setting("PENSTOCK_ENGINE_SEED", 1)).unwrap();
    let config = resolved(&file()).engine.config;
    let alerts = Arc::new(alert_ticks(&config));
    let places = Arc::new(Semaphore::new(WORLDS_MAX));
    let plans = plans(each, random);
    let running = plans.iter().zip(seed..).map(|(plan, seed)| {
        let (plan, alerts, places) = (*plan, Arc::clone(&alerts), Arc::clone(&places));
        tokio::spawn(async move {
            let _place = places.acquire().await.unwrap();
            let began = Instant::now();
            let scene = Scene::new(alerts, seed).await;
            (scene.run(plan).await, began.elapsed())
        })
    });
    let running: Vec<_> = running.collect();
    let (mut failed, mut total, mut kills) = (Vec::new(), Judged::default(), 0);
    for (plan, ended) in plans.iter().zip(running) {
        // What failed has said so above.
        let Ok((judged, took)) = ended.await else {
            failed.push(*plan);
            continue;
        };
        println!("{plan:?}: held, {} ticks, {:.1} s", judged.ticks, took.as_secs_f64());
        total.add(judged);
        let (Ends::Point(_, count) | Ends::Random(count)) = plan;
        kills += count;
    }
    assert!(failed.is_empty(), "what did not hold: {failed:?}; PENSTOCK_ENGINE_SEED={seed}");
    println!(
        "engine kills: {kills} kills, {} lives, {} ticks, {} files, {} snapshots and {} rows judged, \
         mismatches 0, {:.0} s",
        kills + plans.len(),
        total.ticks,
        total.files,
        total.snapshots,
        total.rows,
        started.elapsed().as_secs_f64()
    );
}

/// A directory of the service and what happens to it.
struct Scene {
    world: World,
    dirs: EngineDirs,
    config: EngineConfig,
    recorded: Recorded,
    alerts: Arc<Vec<u64>>,
    chance: made::Stream,
    seed: u64,
    lives: usize,
}

impl Scene {
    async fn new(alerts: Arc<Vec<u64>>, seed: u64) -> Self {
        let config = resolved(&file());
        let mut recorded = None;
        let world = World::with(|market| {
            market.run.bindings_hash = hex::encode(config.bindings.hash());
            market.run.bindings = Arc::new(config.bindings.to_json());
            market.is_without_frames = true;
            recorded = Some(Recorded::new(market, FIRST));
        })
        .await;
        world.configure(&file());
        Self {
            dirs: EngineDirs::under(&world.data().join("engine")),
            world,
            config: config.engine.config,
            recorded: recorded.unwrap(),
            alerts,
            chance: made::Stream::new(seed),
            seed,
            lives: 0,
        }
    }

    async fn run(mut self, ends: Ends) -> Judged {
        match ends {
            Ends::Point(point, kills) => {
                for _ in 0..kills {
                    self.dies_at(point).await;
                }
            }
            Ends::Random(kills) => {
                for _ in 0..kills {
                    self.dies_under_load().await;
                }
            }
        }
        self.ends_well(ends).await
    }

    fn life(&mut self, failpoints: Option<&str>) -> Execution {
        self.lives += 1;
        self.world.execution(&format!("life{}", self.lives), failpoints)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.chance.below(i64::try_from(n).unwrap()).unsigned_abs()
    }

    /// Tick of the newest snapshot, with which the next life begins.
    fn snapshot(&self) -> Option<u64> {
        snapshots::ticks(&self.dirs).ok()?.pop()
    }

    /// Tick up to which the journal goes.
    fn journaled(&self) -> u64 {
        let mut last = FIRST - 1;
        let Ok(mut reader) = JournalReader::from_tick(&self.dirs, FIRST) else { return last };
        // A frame that is being written ends the reading.
        while let Ok(Some(entry)) = reader.next_entry() {
            last = entry.tick();
        }
        last
    }

    /// Which pass of a point ends the next life, and how many ticks have to exist until then.
    fn place(&mut self, point: CrashPoint) -> (u64, u64) {
        let base = self.snapshot().unwrap_or(FIRST - 1);
        let journaled = self.journaled();
        let ahead = 1 + self.below(90);
        match point {
            CrashPoint::BeforeJournalWrite | CrashPoint::AfterJournalWrite => {
                (ahead, journaled + ahead)
            }
            // Passed for every tick behind the snapshot, those that are derived again included.
            CrashPoint::BeforeLogAppend => {
                let pass = journaled + ahead - base;
                (pass, base + pass)
            }
            CrashPoint::BeforeAlertAppend | CrashPoint::AfterAlertAppend => {
                let tick = *self.alerts.iter().find(|tick| **tick > journaled).unwrap();
                (tick - base, tick)
            }
            CrashPoint::BeforeSnapshotSync
            | CrashPoint::AfterJournalSync
            | CrashPoint::AfterLogSync
            | CrashPoint::BeforeSnapshotWrite
            | CrashPoint::AfterSnapshotWrite
            | CrashPoint::AfterSnapshotRename
            | CrashPoint::AfterSnapshotSync => {
                let pass = 1 + self.below(5);
                (pass, journaled + (pass + 1) * SNAPSHOT_TICKS)
            }
            CrashPoint::BeforeRotation | CrashPoint::AfterRotation => (1, MIDNIGHT),
        }
    }

    /// The first frame alone: an engine that has seen nothing begins at the newest full block.
    async fn begin(&mut self, life: &mut Execution) {
        if self.recorded.next_tick() == FIRST {
            self.recorded.deliver(1).await;
        }
        let dirs = self.dirs.clone();
        until("the first snapshot", || {
            snapshots::ticks(&dirs).is_ok_and(|ticks| !ticks.is_empty()) || !life.runs()
        })
        .await;
    }

    /// Frames up to and with a tick.
    async fn deliver_to(&mut self, tick: u64) {
        let next = self.recorded.next_tick();
        if tick >= next {
            self.recorded.deliver(tick + 1 - next).await;
        }
    }

    /// A life that ends at a pass of this point.
    async fn dies_at(&mut self, point: CrashPoint) {
        for _ in 0..TRIES_MAX {
            let (pass, until_tick) = self.place(point);
            let mut life = self.life(Some(&format!("{}={}*off->return", name(point), pass - 1)));
            self.begin(&mut life).await;
            if life.runs() {
                self.deliver_to(until_tick).await;
            }
            let status = life.ended().await;
            let what = format!("{point:?}, pass {pass}, seed {}", self.seed);
            self.had_no_fault(&life, &what);
            if status.signal() == Some(9) {
                return;
            }
            self.gave_up(&life, &format!("{what}: {status}"));
        }
        panic!("{point:?}, seed {}: not reached in {TRIES_MAX} lives", self.seed);
    }

    /// A life that ended by itself did so because the cluster did not answer in time.
    fn gave_up(&self, life: &Execution, what: &str) {
        let ends = life.markers("SHUTDOWN_STARTED");
        let is_known = ends.iter().any(|end| end["reason"] == "desk");
        assert!(is_known, "{what}\n{}", life.last_words());
        println!("{what}: life {} lost its cluster and goes on as another", self.lives);
    }

    fn had_no_fault(&self, life: &Execution, what: &str) {
        let faults = life.markers("ENGINE_FATAL");
        assert!(faults.is_empty(), "{what}, life {}: {faults:?}", self.lives);
    }

    /// A life that is killed from outside some time after its engine starts, under all frames that it takes.
    async fn dies_under_load(&mut self) {
        let mut life = self.life(None);
        life.until_marker("ENGINE_START").await;
        let end = Instant::now() + Duration::from_millis(self.below(LOAD_MS_MAX.unsigned_abs()));
        let mut looks = interval(Duration::from_millis(5));
        while Instant::now() < end {
            match self.snapshot() {
                None if self.recorded.next_tick() == FIRST => self.recorded.deliver(1).await,
                None => {}
                Some(executed) => {
                    let next = self.recorded.next_tick();
                    let is_wanted = next < executed + LEAD_TICKS_MAX;
                    if is_wanted && next < FIRST + LOAD_TICKS_MAX {
                        self.recorded.deliver(LOAD_TICKS).await;
                    }
                }
            }
            looks.tick().await;
        }
        let what = format!("a random kill, seed {}", self.seed);
        if life.runs() {
            life.kill().await;
        } else {
            self.gave_up(&life, &what);
        }
        self.had_no_fault(&life, &what);
    }

    /// The last life executes what is there and is stopped cleanly; then everything is judged.
    async fn ends_well(mut self, ends: Ends) -> Judged {
        let what = format!("{ends:?}, seed {}", self.seed);
        for _ in 0..TRIES_MAX {
            let mut life = self.life(None);
            self.begin(&mut life).await;
            self.deliver_to(FIRST + TICKS_MIN - 1).await;
            let last = self.recorded.next_tick() - 1;
            let is_done = self.until_done(&mut life, last).await;
            let code = if is_done { life.stop().await } else { life.ended().await.code() };
            self.had_no_fault(&life, &what);
            if !is_done || code != Some(0) {
                self.gave_up(&life, &format!("{what}: {code:?}"));
                continue;
            }
            let ended = life.markers("ENGINE_SHUTDOWN");
            assert_eq!(ended.len(), 1, "{what}: {ended:?}");
            let (outcome, tick) = (&ended[0]["outcome"], &ended[0]["last_tick"]);
            assert_eq!((outcome, tick), (&"snapshot".into(), &last.into()), "{what}");
            let judged = judge(&self.dirs, &self.config, &self.world.pool, &what).await;
            assert_eq!(judged.ticks, last + 1 - FIRST, "{what}");
            return judged;
        }
        panic!("{what}: no clean end in {TRIES_MAX} lives");
    }

    /// Waits until the last tick is executed and everything has its row: a stop waits for rows too, but not for
    /// a busy machine. False when the life ends before.
    async fn until_done(&self, life: &mut Execution, last: u64) -> bool {
        let count = async |sql: &'static str| -> usize {
            self.world.word(sql).await.parse().unwrap_or_default()
        };
        let checkpoints = (FIRST..=last).filter(|tick| tick.is_multiple_of(CHECKPOINT_TICKS));
        let checkpoints = checkpoints.count();
        let end = Instant::now() + LIMIT;
        let mut looks = interval(LOOK);
        while life.runs() {
            looks.tick().await;
            let had = (
                count("select count(*)::text from engine_transitions").await,
                count("select count(*)::text from engine_alerts").await,
                count("select count(*)::text from engine_checkpoints").await,
            );
            let said = |dir: &Path| lines_now(dir).map_or(usize::MAX, |lines| lines.len());
            let wanted = (said(&self.dirs.transitions()), said(&self.dirs.alerts), checkpoints);
            let journaled = self.journaled();
            if journaled == last && had == wanted {
                return true;
            }
            assert!(
                Instant::now() < end,
                "tick {journaled} of {last}, rows {had:?} of {wanted:?}, seed {}\n{}",
                self.seed,
                life.last_words()
            );
        }
        false
    }
}
