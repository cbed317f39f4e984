//! Purpose: a sealed tick by way of the decision cluster: the publisher of frames writes and notifies, the
//! engine of the execution service reads, executes and shows. Inputs: sealed ticks. Outputs: times. Invariants:
//! link, transaction, notification, listener, poll, source, core, files and board are the services' own code
//! with their own settings; the quotes are followed beside the engine, as in the service; the core itself says
//! when a view could be read. It decides nothing: no evaluation runs here.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use penstock_config::{Config, Process, Sources, resolve};
use penstock_execution::context::Context;
use penstock_execution::engine::{Engine, EngineEnd, EngineRun};
use penstock_execution::settings::{RunMode, Settings};
use penstock_store::ClusterRole;
use penstock_store::twins::RunSymbolRow;
use penstock_store_decision::frames::{FramePrerequisites, FramePublisher, FrameRow};
use penstock_store_decision::publication::decision_clock;
use penstock_types::TickId;
use penstock_types::frame::{Link, decode_header, deliver};
use tokio::task::JoinHandle;

use super::sealed::{Sealed, Sealer, run_symbols, token_tables};
use super::{OnItsWay, Times, VIEW_LIMIT};
use crate::bench::attached::{Attached, attach};
use crate::bench::rig::{Databases, Run};

/// Domain of the bench.
const DOMAIN: &str = "bench";
/// Leases are renewed well before they end after fifteen seconds.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How often the last views are looked for once no tick is under way.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Publisher and engine.
pub(super) struct ThroughCluster {
    run: Run,
    publisher: FramePublisher,
    symbols: Vec<RunSymbolRow>,
    last: Option<Link>,
    context: Context,
    engine: Option<Engine>,
    tasks: Vec<JoinHandle<()>>,
    on_its_way: VecDeque<OnItsWay>,
    renewed_at: Instant,
}

impl ThroughCluster {
    /// Opens a run whose tokens are those of the engine, and starts the engine.
    ///
    /// # Errors
    /// What a cluster said; a configuration or an environment that refuses the engine.
    pub(super) async fn start(databases: &Databases, tokens: u16) -> anyhow::Result<Self> {
        let config = config(databases, tokens)?;
        let mut run = databases.open_run(DOMAIN, chrono::Utc::now().into()).await?;
        run.run.bindings_hash = hex::encode(config.bindings.hash());
        run.run.bindings = config.bindings.to_json().into();
        let symbols = run_symbols(tokens, run.run.run_id)?;
        let publisher = FramePublisher::new(run.publisher.clone(), DOMAIN.to_owned());
        let settings = Settings::new(config, RunMode::Attach)?;
        let Attached { context, wakes, tasks } = attach(databases, settings).await?;
        let mut started = Self {
            run,
            publisher,
            symbols,
            last: None,
            context,
            engine: None,
            tasks,
            on_its_way: VecDeque::new(),
            renewed_at: Instant::now(),
        };
        started.engine =
            Engine::start(&started.context, started.context.pool.clone(), &wakes).await?;
        started.judge_core()?;
        Ok(started)
    }

    /// How the engine is run.
    pub(super) fn engine(&self) -> Option<EngineRun> {
        self.context.settings.engine.clone()
    }

    /// Who seals for this run, from the tick of now on.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn sealer(&mut self, tokens: u16) -> anyhow::Result<Sealer> {
        let now = decision_clock(&self.run.publisher).await?;
        let first = TickId(now.tick().0 - 1);
        self.publisher.ensure_day(first).await?;
        Ok(Sealer::new(tokens, (self.run.run.run_id, self.run.fence.token()), first))
    }

    /// Links and writes a tick; returns when it is committed, its view still to come.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn deliver(&mut self, sealed: &Sealed, counts: bool) -> anyhow::Result<()> {
        let mut frame = sealed.frame.clone();
        // From here on it is what the service does.
        let sealed_at = Instant::now();
        let link = deliver(&mut frame, self.last.as_ref())?;
        let header = decode_header(&frame)?;
        let row = FrameRow {
            tick_id: sealed.tick_id,
            frame_seq: link.frame_seq,
            run_id: header.run_id,
            fencing_token: header.fencing_token,
            epoch_id: None,
            flags: i32::from(header.flags.0),
            n_events: i32::try_from(header.n_events)?,
            frame_sha256: link.sha256,
            frame,
            quotes: sealed.quotes.clone(),
            seal_lag_ms: i32::try_from(sealed.at.elapsed().as_millis())?,
        };
        let is_first = self.last.is_none();
        let before = FramePrerequisites {
            run: is_first.then_some((&self.run.run, &self.run.lineage)),
            run_symbols: if is_first { &self.symbols } else { &[] },
        };
        self.publisher.publish(self.run.fence.token(), before, &[row]).await?;
        self.last = Some(link);
        let committed = sealed_at.elapsed();
        self.on_its_way.push_back(OnItsWay { tick: sealed.tick_id, sealed_at, committed, counts });
        Ok(())
    }

    /// Takes the times of the ticks whose views have come.
    ///
    /// # Errors
    /// A fault of the core; a view that did not come within ten seconds.
    pub(super) fn collect(&mut self, times: &mut Times) -> anyhow::Result<()> {
        while let Some(one) = self.on_its_way.front() {
            let Some(at) = self.context.engine.readable_since(one.tick) else { break };
            times.push(one, at);
            self.on_its_way.pop_front();
        }
        self.judge_core()?;
        if let Some(one) = self.on_its_way.front() {
            let waited = one.sealed_at.elapsed();
            anyhow::ensure!(
                waited < VIEW_LIMIT,
                "no view of tick {} within {VIEW_LIMIT:?} of its seal; next: try fewer tokens, or a \
                 machine with less to do",
                one.tick
            );
        }
        Ok(())
    }

    fn judge_core(&self) -> anyhow::Result<()> {
        match self.context.engine.fault() {
            Some(fault) => Err(fault.into()),
            None if self.engine.is_none() => anyhow::bail!("the engine was not started"),
            None => Ok(()),
        }
    }

    /// Keeps the fence of the publisher, outside the measured part.
    ///
    /// # Errors
    /// What the cluster said.
    pub(super) async fn renew(&mut self) -> anyhow::Result<()> {
        if self.renewed_at.elapsed() >= RENEW_EVERY {
            self.renewed_at = Instant::now();
            self.run.fence.renew(&self.run.publisher).await?;
        }
        Ok(())
    }

    /// Waits for the last views and stops; the state chain of the last one.
    ///
    /// # Errors
    /// As [`Self::collect`]; an engine that does not stop.
    pub(super) async fn finish(mut self, times: &mut Times) -> anyhow::Result<Option<[u8; 32]>> {
        self.collect(times)?;
        while !self.on_its_way.is_empty() {
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.collect(times)?;
        }
        if let Some(engine) = self.engine.take() {
            let end = engine.stop().await;
            anyhow::ensure!(end == EngineEnd::Clean, "the engine did not stop in time");
        }
        self.context.end.cancel();
        for task in self.tasks {
            task.await?;
        }
        Ok(self.context.engine.view().map(|view| view.state_chain))
    }
}

/// The service's configuration with the bench's database, directories and tokens; everything else has its
/// compiled default.
fn config(databases: &Databases, tokens: u16) -> anyhow::Result<Config> {
    let state = databases.state().display();
    let mut file = format!("domain = \"{DOMAIN}\"\nstate_directory = \"{state}\"\n[engine]\n");
    for (key, name) in [
        ("log_dir", "log"),
        ("journal_dir", "journal"),
        ("snapshot_dir", "snapshots"),
        ("alerts_dir", "alerts"),
        ("manifest_dir", "manifests"),
        ("signing_key_file", "keys/signing.pem"),
    ] {
        file.push_str(&format!("{key} = \"{state}/engine/{name}\"\n"));
    }
    // An hour of a thousand tokens is less than a gigabyte.
    file.push_str("disk_free_min_bytes = 1073741824\n\n");
    file.push_str(&token_tables(tokens)?);
    let url = databases.url(ClusterRole::Decision, "exec_rw")?;
    let sources = Sources {
        process: Process::Execution,
        file: Some(("the bench".to_owned(), file)),
        environment: BTreeMap::from([("DECISION_DATABASE_URL".to_owned(), url)]),
        secret_files: BTreeMap::new(),
    };
    resolve(&sources).map_err(|error| anyhow::anyhow!("{error}"))
}
