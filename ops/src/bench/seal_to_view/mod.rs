//! Purpose: the time from a sealed tick to the view that the engine makes of it, by way of the decision
//! cluster and by a queue within the process. Inputs: numbers of ticks and tokens. Outputs: a report.
//! Invariants: a tick is sealed once and both ways take the same bytes, half a tick apart, so that neither
//! disturbs the other and what the machine does besides hits both; publisher, notification, source, core,
//! journal, log and board are the services' own code; the clock starts when frame and block are whole, before
//! their link is made and written, and stops when the core shows the view; every measured tick is a sample;
//! both ways end in the same state, else there is no report.

mod in_process;
mod sealed;
mod through_cluster;

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use penstock_store::ClusterRole;
use tokio::time::MissedTickBehavior;

use super::figures::{Figure, Report, Samples};
use super::floor::{DiskFloor, Floor};
use super::rig::Rig;
use crate::progress::Progress;
use in_process::InProcess;
use sealed::EVENTS_PER_TOKEN;
use through_cluster::ThroughCluster;

/// A tick.
const TICK: Duration = Duration::from_millis(250);
/// When the frame goes the other way, and when the floor is measured.
const HALF: Duration = Duration::from_millis(125);
/// Ticks whose times do not count: the first of a connection prepare its statements, the first of an engine
/// writes its genesis.
const WARM_UP_TICKS: u32 = 20;
/// Longest wait for a view; a journal may be synced meanwhile.
const VIEW_LIMIT: Duration = Duration::from_secs(10);
/// Targets, milliseconds: by way of the cluster, then within the process.
const CLUSTER_P50_MS_MAX: f64 = 8.0;
const CLUSTER_P99_MS_MAX: f64 = 20.0;
const IN_PROCESS_P99_MS_MAX: f64 = 2.0;

/// Options of `bench seal-to-view`.
#[derive(Debug, Clone, ClapArgs)]
pub struct Args {
    /// Measured ticks, four a second
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=14_400))]
    pub ticks: u32,
    /// Tokens of the engine; beyond some hundreds the limit of open files must be raised
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3_000))]
    pub tokens: u16,
}

#[derive(Debug, Default)]
struct Times {
    floor: Samples,
    disk: Samples,
    committed: Samples,
    shown: Samples,
    cluster: Samples,
    in_process: Samples,
}

/// Runs the bench on a pair of clusters.
///
/// # Errors
/// What a cluster said; a fault of either engine; a view that does not come; two ends that differ.
pub(super) async fn run(rig: Rig, args: Args) -> anyhow::Result<Report> {
    let progress = Progress::start("starting two engines");
    let databases = rig.databases("seal").await?;
    let mut cluster = ThroughCluster::start(&databases, args.tokens).await?;
    let mut in_process = InProcess::start(cluster.engine(), &rig.directory().join("in-process"))?;
    let mut floor = Floor::new(databases.superuser(ClusterRole::Decision).await?).await?;
    let mut disk = DiskFloor::new(&rig.directory().join("floor"))?;
    let mut sealer = cluster.sealer(args.tokens).await?;
    drop(progress);
    let progress = Progress::start("sealing four ticks a second");
    let mut times = Times::default();
    let mut beat = tokio::time::interval(TICK);
    // Views of a machine that stands still come late; ticks are not made up for.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frame_bytes = 0;
    for round in 0..WARM_UP_TICKS + args.ticks {
        beat.tick().await;
        let counts = round >= WARM_UP_TICKS;
        let began = tokio::time::Instant::now();
        let sealed = sealer.seal()?;
        frame_bytes = sealed.frame.len();
        cluster.deliver(&sealed, counts).await?;
        tokio::time::sleep_until(began + HALF).await;
        let took = in_process.take(&sealed).await?;
        let (commit, sync) = (floor.commit().await?, disk.sync(&sealed.frame)?);
        if counts {
            times.in_process.push(took);
            times.floor.push(commit);
            times.disk.push(sync);
        }
        cluster.collect(&mut times)?;
        cluster.renew().await?;
    }
    let (theirs, ours) = (cluster.finish(&mut times).await?, in_process.stop()?);
    anyhow::ensure!(
        theirs.is_some() && theirs == ours,
        "the same ticks led to state chain {theirs:02x?} through the cluster and {ours:02x?} in process"
    );
    drop(progress);
    Ok(report(&args, frame_bytes, &times))
}

/// A tick on its way to its view.
#[derive(Debug, Clone, Copy)]
struct OnItsWay {
    tick: penstock_types::TickId,
    sealed_at: Instant,
    committed: Duration,
    counts: bool,
}

impl Times {
    /// The view of a tick that came by way of the cluster could be read from `at` on.
    fn push(&mut self, one: &OnItsWay, at: Instant) {
        if !one.counts {
            return;
        }
        let whole = at.saturating_duration_since(one.sealed_at);
        self.committed.push(one.committed);
        self.shown.push(whole.saturating_sub(one.committed));
        self.cluster.push(whole);
    }
}

/// The two quantiles and the slowest.
fn whole(samples: &Samples, name: &str, p50: Option<f64>, p99: Option<f64>) -> Vec<Figure> {
    let mut figures: Vec<Figure> = samples.figures(name, p50, p99).into();
    figures.push(Figure::ms(format!("{name}, max"), samples.quantile(100), None));
    figures
}

fn report(args: &Args, frame_bytes: usize, times: &Times) -> Report {
    let mut figures = Vec::new();
    figures.extend(times.floor.figures("floor: commit of one row", None, None));
    figures.extend(times.disk.figures("floor: write and sync of a frame", None, None));
    figures.extend(times.committed.figures("sealed → row committed", None, None));
    figures.extend(times.shown.figures("row committed → EngineView", None, None));
    let name = "sealed → EngineView, through the cluster";
    figures.extend(whole(&times.cluster, name, Some(CLUSTER_P50_MS_MAX), Some(CLUSTER_P99_MS_MAX)));
    let name = "sealed → EngineView, in process";
    figures.extend(whole(&times.in_process, name, None, Some(IN_PROCESS_P99_MS_MAX)));
    let per_commit = times.cluster.quantile(50).as_secs_f64()
        / times.floor.quantile(50).as_secs_f64().max(f64::EPSILON);
    Report {
        bench: "seal-to-view",
        setting: vec![
            ("ticks", args.ticks.to_string()),
            ("tokens", args.tokens.to_string()),
            ("pace_ms", TICK.as_millis().to_string()),
            ("events per token", EVENTS_PER_TOKEN.to_string()),
            ("bytes of a frame", frame_bytes.to_string()),
        ],
        figures,
        notes: vec![
            format!("Through the cluster is {per_commit:.0} commits of one row."),
            "The core notes when a view can be read; nobody looks for it while a tick is under way."
                .to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use penstock_types::TickId;
    use rstest::rstest;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[rstest]
    #[case::defaults(&[], Some((240, 30)))]
    #[case::an_hour_of_all(&["--ticks", "14400", "--tokens", "3000"], Some((14_400, 3_000)))]
    #[case::no_tick(&["--ticks", "0"], None)]
    #[case::more_than_an_hour(&["--ticks", "14401"], None)]
    #[case::no_token(&["--tokens", "0"], None)]
    #[case::too_many_tokens(&["--tokens", "3001"], None)]
    fn arguments_have_limits(#[case] words: &[&str], #[case] expected: Option<(u32, u16)>) {
        let line = Line::try_parse_from([&["bench"], words].concat());
        assert_eq!(line.ok().map(|line| (line.args.ticks, line.args.tokens)), expected);
    }

    #[test]
    fn ticks_that_warm_up_do_not_count_and_parts_add_up() {
        let sealed_at = Instant::now();
        let ms = Duration::from_millis;
        let mut one = OnItsWay { tick: TickId(1), sealed_at, committed: ms(2), counts: false };
        let mut times = Times::default();
        times.push(&one, sealed_at + ms(500));
        assert_eq!(times.cluster.quantile(100), Duration::ZERO);
        one.counts = true;
        times.push(&one, sealed_at + ms(5));
        // The reader may be sooner than the answer to the commit.
        times.push(&OnItsWay { committed: ms(4), ..one }, sealed_at + ms(3));
        assert_eq!((times.cluster.quantile(50), times.cluster.quantile(100)), (ms(3), ms(5)));
        assert_eq!((times.shown.quantile(50), times.shown.quantile(100)), (ms(0), ms(3)));
        assert_eq!(times.committed.quantile(100), ms(4));
    }

    #[test]
    fn the_report_names_every_target_and_the_floor() {
        let mut times = Times::default();
        let ms = Duration::from_millis;
        times.cluster.push(ms(9));
        times.in_process.push(ms(1));
        times.floor.push(ms(3));
        let args = Args { ticks: 1, tokens: 30 };
        let report = report(&args, 11_616, &times);
        let figure = |name: &str| {
            let found = report.figures.iter().find(|figure| figure.name == name);
            found.unwrap_or_else(|| panic!("{name}")).clone()
        };
        let cluster = "sealed → EngineView, through the cluster";
        assert_eq!(figure(&format!("{cluster}, p50")).verdict(), "over");
        assert_eq!(figure(&format!("{cluster}, p99")).verdict(), "pass");
        assert_eq!(figure(&format!("{cluster}, max")).verdict(), "");
        assert_eq!(figure("sealed → EngineView, in process, p99").verdict(), "pass");
        assert!(figure("floor: commit of one row, p50").value > 0.0);
        assert!(report.notes[0].contains("3 commits"), "{:?}", report.notes);
    }
}
