//! The clusters and services of one machine, under one supervisor.
//!
//! Inputs: a data root, the configuration, the programs. Outputs: a running [`Stack`] with its URLs.
//! Invariants: one supervisor per data root; services stop before clusters; execution gets no URL of the
//! ingest cluster. It knows nothing of the venue: its addresses are configuration.

pub mod restart;
mod service;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_clusters::{
    ClusterError, ClusterKind, ClusterSpec, DataRoot, Durability, Host, ManagedCluster,
    SupervisorLock,
};
use penstock_config::Config;
use secrecy::{ExposeSecret, SecretString};

pub use restart::Exit;
pub use service::{Service, ServiceSpec, ServiceStatus, stop_left_behind};

/// Takes one line for the operator.
pub type Notice = Arc<dyn Fn(String) + Send + Sync>;

/// Name of the ingest process.
pub const INGEST: &str = "run-ingest";
/// Name of the execution process.
pub const EXECUTION: &str = "run-execution-live";

/// Variables of the supervisor that name ingest's key, and the tool's own key of looks; services get what the first name,
/// and no word of the second.
const TOOL_KEY_NAMES: [&str; 8] = [
    "KRAKEN_VERIFY_API_KEY",
    "KRAKEN_VERIFY_API_KEY_FILE",
    "KRAKEN_VERIFY_API_SECRET",
    "KRAKEN_VERIFY_API_SECRET_FILE",
    "PENSTOCK_INGEST_API_KEY",
    "PENSTOCK_INGEST_API_KEY_FILE",
    "PENSTOCK_INGEST_API_SECRET",
    "PENSTOCK_INGEST_API_SECRET_FILE",
];

/// What a stack is made of.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Host, for finding PostgreSQL.
    pub host: Host,
    /// Data root.
    pub root: DataRoot,
    /// File that the services read, as `--config`.
    pub config_file: Option<PathBuf>,
    /// Further variables of both services, stronger than the environment.
    pub environment: Vec<(String, String)>,
    /// Key and secret that ingest reads market data with; it never gets those that may trade.
    pub ingest_key: Option<(SecretString, SecretString)>,
    /// Directory of the services' programs.
    pub programs: PathBuf,
    /// Clusters also listen on 127.0.0.1.
    pub tcp: bool,
    /// URL of an external ingest cluster.
    pub ingest_url: Option<String>,
    /// URL of an external decision cluster.
    pub decision_url: Option<String>,
}

impl StackOptions {
    /// From a configuration that the tool has loaded. `file` is the one it was loaded from.
    ///
    /// # Errors
    /// [`ClusterError`] when no user or no reachable data root is found.
    pub fn from_config(config: &Config, file: Option<&Path>) -> Result<Self, ClusterError> {
        let host = host(config);
        let clone = std::env::current_dir().map_err(|source| ClusterError::Io {
            action: "find",
            path: PathBuf::from("."),
            source,
        })?;
        let clusters = &config.areas.clusters;
        let root = DataRoot::resolve(clusters.penstock_data.as_deref(), &clone, &host.run_as()?)?;
        let venues = &config.areas.venues;
        let key = venues.penstock_ingest_api_key.clone();
        let url = |secret: &Option<SecretString>| {
            secret.as_ref().map(|url| url.expose_secret().to_owned())
        };
        Ok(Self {
            host,
            root,
            config_file: file.map(Path::to_owned),
            environment: Vec::new(),
            ingest_key: key.zip(venues.penstock_ingest_api_secret.clone()),
            programs: own_directory(),
            tcp: false,
            ingest_url: url(&clusters.ingest_database_url),
            decision_url: url(&clusters.decision_database_url),
        })
    }

    /// Programs of the services that are not where they are looked for.
    #[must_use]
    pub fn missing_programs(&self) -> Vec<PathBuf> {
        [INGEST, EXECUTION]
            .iter()
            .map(|name| self.programs.join(name))
            .filter(|program| !program.exists())
            .collect()
    }

    /// The cluster of a kind, when it is managed.
    ///
    /// # Errors
    /// [`ClusterError`] when PostgreSQL or a directory is missing.
    pub fn cluster(&self, kind: ClusterKind) -> Result<Option<ClusterSpec>, ClusterError> {
        let external = match kind {
            ClusterKind::Ingest => &self.ingest_url,
            ClusterKind::Decision => &self.decision_url,
        };
        if external.is_some() {
            return Ok(None);
        }
        ClusterSpec::in_root(&self.host, &self.root, kind, self.tcp, Durability::Durable).map(Some)
    }

    /// The URL of a cluster for a login role. An external cluster has the role that its URL names.
    ///
    /// # Errors
    /// As [`StackOptions::cluster`].
    pub fn url(&self, kind: ClusterKind, role: &str) -> Result<String, ClusterError> {
        let external = match kind {
            ClusterKind::Ingest => &self.ingest_url,
            ClusterKind::Decision => &self.decision_url,
        };
        match (external, self.cluster(kind)?) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(spec)) => Ok(spec.url(role)),
            // `cluster` gives none only for external ones.
            (None, None) => {
                Err(ClusterError::Test("a cluster is neither managed nor external".to_owned()))
            }
        }
    }

    /// What `run-ingest` is started with.
    ///
    /// # Errors
    /// As [`StackOptions::cluster`].
    pub fn ingest(&self) -> Result<ServiceSpec, ClusterError> {
        let mut set = vec![
            ("INGEST_DATABASE_URL".to_owned(), self.url(ClusterKind::Ingest, "ingest_rw")?),
            ("DECISION_DATABASE_URL".to_owned(), self.url(ClusterKind::Decision, "publisher_rw")?),
        ];
        if let Some((key, secret)) = &self.ingest_key {
            set.push(("KRAKEN_API_KEY".to_owned(), key.expose_secret().to_owned()));
            set.push(("KRAKEN_API_SECRET".to_owned(), secret.expose_secret().to_owned()));
        }
        // Ingest places no orders and asks no model: whatever key is in the environment is execution's.
        let mut removed = vec![
            "KRAKEN_API_KEY",
            "KRAKEN_API_KEY_FILE",
            "KRAKEN_API_SECRET",
            "KRAKEN_API_SECRET_FILE",
            "AI_GATE_API_KEY",
            "AI_GATE_API_KEY_FILE",
            "INGEST_DATABASE_URL_FILE",
            "DECISION_DATABASE_URL_FILE",
        ];
        removed.extend(TOOL_KEY_NAMES);
        Ok(self.service(INGEST, set, removed))
    }

    /// What `run-execution-live` is started with.
    ///
    /// # Errors
    /// As [`StackOptions::cluster`].
    pub fn execution(&self) -> Result<ServiceSpec, ClusterError> {
        let set = vec![
            ("DECISION_DATABASE_URL".to_owned(), self.url(ClusterKind::Decision, "exec_rw")?),
            ("EXECUTION_ONLY".to_owned(), "true".to_owned()),
        ];
        // A file that names the same URL once more would be refused as a contradiction.
        let mut removed =
            vec!["INGEST_DATABASE_URL", "INGEST_DATABASE_URL_FILE", "DECISION_DATABASE_URL_FILE"];
        removed.extend(TOOL_KEY_NAMES);
        Ok(self.service(EXECUTION, set, removed))
    }

    fn service(
        &self,
        name: &'static str,
        mut set: Vec<(String, String)>,
        removed: Vec<&'static str>,
    ) -> ServiceSpec {
        let root = std::path::absolute(self.root.path()).unwrap_or(self.root.path().to_owned());
        set.push(("PENSTOCK_DATA".to_owned(), root.to_string_lossy().into_owned()));
        for (name, value) in &self.environment {
            if !removed.contains(&name.as_str()) {
                set.push((name.clone(), value.clone()));
            }
        }
        let mut arguments = Vec::new();
        if let Some(file) = &self.config_file {
            arguments.push("--config".to_owned());
            arguments.push(file.to_string_lossy().into_owned());
        }
        ServiceSpec {
            name,
            program: self.programs.join(name),
            arguments,
            set,
            removed,
            log: self.root.log(),
            state: self.root.state(),
        }
    }
}

/// The host with what the configuration says about PostgreSQL.
#[must_use]
pub fn host(config: &Config) -> Host {
    let mut host = Host::from_env();
    let clusters = &config.areas.clusters;
    host.pg_bin.clone_from(&clusters.penstock_pg_bin);
    host.pg_user.clone_from(&clusters.penstock_pg_user);
    host
}

/// The directory of this program, where the services are looked for.
fn own_directory() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|program| program.parent().map(Path::to_owned))
        .unwrap_or_default()
}

/// The managed clusters of a stack.
#[derive(Debug)]
pub struct Clusters {
    managed: Vec<ManagedCluster>,
}

impl Clusters {
    /// Starts (makes, adopts) what is managed, both at the same time.
    ///
    /// # Errors
    /// [`ClusterError`] of the first that does not come up; the other is stopped again.
    pub async fn start(options: &StackOptions) -> Result<Self, ClusterError> {
        let start = |kind| async move {
            match options.cluster(kind)? {
                Some(spec) => ManagedCluster::start(spec).await.map(Some),
                None => Ok(None),
            }
        };
        let (ingest, decision) =
            tokio::join!(start(ClusterKind::Ingest), start(ClusterKind::Decision));
        match (ingest, decision) {
            (Ok(ingest), Ok(decision)) => {
                Ok(Self { managed: ingest.into_iter().chain(decision).collect() })
            }
            (Err(error), other) | (other, Err(error)) => {
                if let Ok(Some(running)) = other {
                    running.stop().await?;
                }
                Err(error)
            }
        }
    }

    /// The managed clusters.
    #[must_use]
    pub fn managed(&self) -> &[ManagedCluster] {
        &self.managed
    }

    /// Stops them.
    ///
    /// # Errors
    /// The first [`ClusterError`]; the others are stopped all the same.
    pub async fn stop(self) -> Result<(), ClusterError> {
        let mut result = Ok(());
        for cluster in self.managed {
            let stopped = cluster.stop().await;
            result = result.and(stopped);
        }
        result
    }
}

/// Clusters and services.
#[derive(Debug)]
pub struct Stack {
    clusters: Clusters,
    ingest: Service,
    execution: Service,
    lock: SupervisorLock,
}

impl Stack {
    /// Takes the data root and brings everything up. Returns when the clusters serve and both services
    /// have been started; whether they are ready is said by their logs.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn start(options: &StackOptions, notices: &Notice) -> Result<Self, ClusterError> {
        let lock = SupervisorLock::take(&options.root)?;
        let clusters = Clusters::start(options).await?;
        for cluster in clusters.managed() {
            let spec = cluster.spec();
            notices(format!("cluster {}: {}", spec.kind, spec.data.display()));
        }
        let ingest = Service::start(options.ingest()?, Arc::clone(notices)).await;
        let execution = Service::start(options.execution()?, Arc::clone(notices)).await;
        Ok(Self { clusters, ingest, execution, lock })
    }

    /// `run-ingest`.
    #[must_use]
    pub const fn ingest(&self) -> &Service {
        &self.ingest
    }

    /// `run-execution-live`.
    #[must_use]
    pub const fn execution(&self) -> &Service {
        &self.execution
    }

    /// The managed clusters.
    #[must_use]
    pub fn clusters(&self) -> &[ManagedCluster] {
        self.clusters.managed()
    }

    /// Waits until both services have ended for good, and gives the worse of the two ends.
    pub async fn ended(&self) -> Exit {
        let (ingest, execution) = tokio::join!(self.ingest.down(), self.execution.down());
        [ingest, execution]
            .into_iter()
            .flatten()
            .max_by_key(|exit| badness(*exit))
            .unwrap_or(Exit::NotStarted)
    }

    /// Stops execution, then ingest (exits need prices until the end). The clusters go on serving, so
    /// that what happened can be read.
    pub async fn stop_services(self, notices: &Notice) -> Quiet {
        for service in [self.execution, self.ingest] {
            let name = service.spec().name;
            notices(format!("stopping {name}"));
            if let Some(exit) = service.stop().await {
                notices(format!("{name}: {exit}"));
            }
        }
        Quiet { clusters: self.clusters, _lock: self.lock }
    }

    /// Stops the services, then the clusters.
    ///
    /// # Errors
    /// [`ClusterError`] when a cluster does not stop.
    pub async fn stop(self, notices: &Notice) -> Result<(), ClusterError> {
        let quiet = self.stop_services(notices).await;
        notices("stopping the clusters".to_owned());
        quiet.stop().await
    }
}

/// Clusters whose services have stopped.
#[derive(Debug)]
pub struct Quiet {
    clusters: Clusters,
    _lock: SupervisorLock,
}

impl Quiet {
    /// Stops the clusters and gives the data root back.
    ///
    /// # Errors
    /// [`ClusterError`] when a cluster does not stop.
    pub async fn stop(self) -> Result<(), ClusterError> {
        self.clusters.stop().await
    }
}

fn badness(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => code,
        Exit::NotStarted => i32::MAX,
        Exit::Signal(_) => i32::MAX - 1,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use penstock_clusters::{ClusterKind, DataRoot, Host};

    use super::StackOptions;

    fn external() -> StackOptions {
        StackOptions {
            host: Host::default(),
            root: DataRoot::at(Path::new("/srv/p")),
            config_file: Some(PathBuf::from("a.toml")),
            environment: vec![
                ("KRAKEN_API_KEY".to_owned(), "k".to_owned()),
                ("L2_DEPTH".to_owned(), "10".to_owned()),
            ],
            ingest_key: None,
            programs: PathBuf::from("/nowhere"),
            tcp: false,
            ingest_url: Some("postgres://i@/ingest?host=/a".to_owned()),
            decision_url: Some("postgres://d@/decision?host=/b".to_owned()),
        }
    }

    #[test]
    fn external_clusters_are_used_as_they_are_and_nothing_is_managed() {
        let options = external();
        for kind in ClusterKind::ALL {
            assert!(options.cluster(kind).expect("no PostgreSQL is looked for").is_none());
        }
        let url = options.url(ClusterKind::Decision, "exec_rw").expect("known");
        assert_eq!(url, "postgres://d@/decision?host=/b");
        assert_eq!(options.missing_programs().len(), 2);
    }

    #[test]
    fn execution_gets_no_ingest_url_and_ingest_only_a_key_of_its_own() {
        let mut options = external();
        let has = |set: &[(String, String)], name: &str| set.iter().any(|(one, _)| one == name);

        let ingest = options.ingest().expect("known");
        let execution = options.execution().expect("known");

        assert!(has(&ingest.set, "INGEST_DATABASE_URL"));
        assert!(!has(&ingest.set, "KRAKEN_API_KEY"));
        assert!(ingest.removed.contains(&"KRAKEN_API_KEY"));
        assert!(!has(&execution.set, "INGEST_DATABASE_URL"));
        assert!(execution.removed.contains(&"INGEST_DATABASE_URL"));
        assert!(has(&execution.set, "KRAKEN_API_KEY"));
        assert!(ingest.removed.contains(&"AI_GATE_API_KEY"));
        assert!(!execution.removed.contains(&"AI_GATE_API_KEY"));
        options.ingest_key = Some(("data".into(), "c2VjcmV0".into()));
        let with_key = options.ingest().expect("known");
        assert!(with_key.set.contains(&("KRAKEN_API_KEY".to_owned(), "data".to_owned())));
        assert!(has(&with_key.set, "KRAKEN_API_SECRET"));
        assert!(!options.execution().expect("known").set.iter().any(|(_, value)| value == "data"));
        for spec in [ingest, execution] {
            assert!(has(&spec.set, "L2_DEPTH"));
            assert_eq!(spec.arguments, ["--config", "a.toml"]);
            assert!(spec.set.contains(&("PENSTOCK_DATA".to_owned(), "/srv/p".to_owned())));
        }
    }
}
