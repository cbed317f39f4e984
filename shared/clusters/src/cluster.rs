//! Purpose: one managed cluster on disk: its places, its URLs, making it, configuring it, reading its
//! last log lines. Inputs: host, data root, kind. Outputs: [`ClusterSpec`]. Invariants: a data directory
//! appears under its name only when it is complete (made beside it, then renamed); the settings are
//! rewritten at every start, so a changed caller or socket directory never leaves a stale one behind.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::ClusterError;
use crate::binaries::{self, Binaries};
use crate::host::{Host, RunAs, caller_name};
use crate::kind::{ClusterKind, SUPERUSER};
use crate::root::DataRoot;
use crate::settings::{self, Durability};

/// Lines of a failing server that are shown.
const LOG_LINES: usize = 20;

/// Everything that is fixed about one managed cluster.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Which one.
    pub kind: ClusterKind,
    /// Data directory.
    pub data: PathBuf,
    /// Directory of the socket.
    pub socket_directory: PathBuf,
    /// Whether it also listens on 127.0.0.1.
    pub tcp: bool,
    /// Real data or a test.
    pub durability: Durability,
    /// Who runs it.
    pub user: RunAs,
    /// With which programs.
    pub binaries: Binaries,
}

impl ClusterSpec {
    /// The cluster of this kind in a data root.
    ///
    /// # Errors
    /// When no user, no server or no reachable directory is found.
    pub fn in_root(
        host: &Host,
        root: &DataRoot,
        kind: ClusterKind,
        tcp: bool,
        durability: Durability,
    ) -> Result<Self, ClusterError> {
        let user = host.run_as()?;
        let data = root.cluster(kind);
        let socket_directory = root.socket_directory(&user)?;
        for path in [&data, &socket_directory] {
            if let Some(ancestor) = user.first_closed(path.parent().unwrap_or(path)) {
                return Err(ClusterError::NotTraversable {
                    path: path.clone(),
                    ancestor,
                    user: user.name,
                });
            }
        }
        let binaries = binaries::find(host, &user, root.path(), existing_major(&data))?;
        Ok(Self { kind, data, socket_directory, tcp, durability, user, binaries })
    }

    /// The URL of this cluster's database for a login role.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.url_of(role, self.kind.as_str())
    }

    /// The URL of another database of this cluster.
    #[must_use]
    pub fn url_of(&self, role: &str, database: &str) -> String {
        socket_url(&self.socket_directory, self.kind.port(), role, database)
    }

    /// Options for a connection of the superuser.
    pub(crate) fn superuser(&self, database: &str) -> PgConnectOptions {
        // Without the password file and with everything set, nothing of the caller's environment counts.
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_directory)
            .port(self.kind.port())
            .username(SUPERUSER)
            .database(database)
            .disable_statement_logging()
    }

    /// Whether there is a complete data directory.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    fn partial(&self) -> PathBuf {
        with_suffix(&self.data, ".tmp")
    }

    /// Removes what an interrupted `initdb` left.
    pub(crate) fn remove_partial(&self) -> Result<(), ClusterError> {
        let partial = self.partial();
        if !partial.exists() {
            return Ok(());
        }
        std::fs::remove_dir_all(&partial).map_err(ClusterError::io("remove", &partial))
    }

    /// Makes the data directory. Blocking; takes about half a second.
    pub(crate) fn initialise(&self) -> Result<(), ClusterError> {
        self.remove_partial()?;
        let partial = self.partial();
        self.user.make_private(&partial)?;
        let password_file = with_suffix(&self.data, ".password");
        let mut random = [0_u8; 24];
        getrandom::fill(&mut random).map_err(|error| ClusterError::Program {
            program: "initdb",
            cluster: self.kind.to_string(),
            detail: format!("no random numbers for the password: {error}"),
        })?;
        self.user.write_private(&password_file, &format!("{}\n", hex::encode(random)))?;
        let mut command = self.user.command(&self.binaries.program("initdb"));
        command.arg("-D").arg(&partial);
        command.args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C", "--data-checksums"]);
        command.args(["--auth-local=peer", "--auth-host=scram-sha-256"]);
        let mut pwfile = std::ffi::OsString::from("--pwfile=");
        pwfile.push(&password_file);
        command.arg(pwfile);
        if self.durability == Durability::Scratch {
            command.arg("--no-sync");
        }
        let output =
            command.output().map_err(ClusterError::io("run", &self.binaries.program("initdb")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(ClusterError::Program {
                program: "initdb",
                cluster: self.kind.to_string(),
                detail: format!("{}: {}", output.status, last_lines(&said)),
            });
        }
        let conf = partial.join("postgresql.conf");
        let mut text = std::fs::read_to_string(&conf).map_err(ClusterError::io("read", &conf))?;
        text.push_str(&format!("\ninclude '{}'\n", settings::CONF_FILE));
        self.user.write_private(&conf, &text)?;
        std::fs::rename(&partial, &self.data).map_err(ClusterError::io("rename to", &self.data))
    }

    /// Writes the settings and makes the socket directory.
    pub(crate) fn configure(&self) -> Result<(), ClusterError> {
        self.user.make_private(&self.socket_directory)?;
        let conf = settings::conf(self.kind, &self.socket_directory, self.tcp, self.durability);
        self.user.write_private(&self.data.join(settings::CONF_FILE), &conf)?;
        self.user.write_private(&self.data.join("pg_hba.conf"), settings::hba())?;
        let ident = settings::ident(self.kind, &self.user.name, &caller_name());
        self.user.write_private(&self.data.join("pg_ident.conf"), &ident)
    }

    /// The command that runs the server in the foreground, its first words going to a file.
    pub(crate) fn server(&self) -> Result<std::process::Command, ClusterError> {
        let path = self.start_log();
        self.user.write_private(&path, "")?;
        let out = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(ClusterError::io("open", &path))?;
        let copy = out.try_clone().map_err(ClusterError::io("open", &path))?;
        let mut command = self.user.command(&self.binaries.program("postgres"));
        command.arg("-D").arg(&self.data).stdout(Stdio::from(out)).stderr(Stdio::from(copy));
        Ok(command)
    }

    fn start_log(&self) -> PathBuf {
        self.data.join("start.log")
    }

    /// The last lines that the server wrote: those before its log collector ran, then those of its
    /// newest log file.
    #[must_use]
    pub fn last_log_lines(&self) -> String {
        let mut text = std::fs::read_to_string(self.start_log()).unwrap_or_default();
        if let Some(newest) = newest_file(&self.data.join("log")) {
            text.push_str(&std::fs::read_to_string(newest).unwrap_or_default());
        }
        last_lines(&text)
    }

    /// `pg_ctl -m fast -w stop`, for a server that is not our child. Blocking.
    pub(crate) fn stop_with_pg_ctl(&self) -> Result<(), ClusterError> {
        let program = self.binaries.program("pg_ctl");
        let output = self
            .user
            .command(&program)
            .arg("-D")
            .arg(&self.data)
            .args(["-m", "fast", "-w", "stop"])
            .output()
            .map_err(ClusterError::io("run", &program))?;
        if output.status.success() {
            return Ok(());
        }
        Err(ClusterError::Program {
            program: "pg_ctl",
            cluster: self.kind.to_string(),
            detail: format!(
                "{}: {}",
                output.status,
                last_lines(&String::from_utf8_lossy(&output.stderr))
            ),
        })
    }
}

/// `postgres://role@<socket directory, percent-encoded>:port/database`.
pub(crate) fn socket_url(directory: &Path, port: u16, role: &str, database: &str) -> String {
    let mut host = String::new();
    for byte in directory.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            host.push(char::from(*byte));
        } else {
            host.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("postgres://{role}@{host}:{port}/{database}")
}

/// The major version of a data directory.
fn existing_major(data: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(data.join("PG_VERSION")).ok()?;
    u32::from_str(text.trim()).ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

fn newest_file(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?;
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .max()
        .map(|(_, path)| path)
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::str::FromStr;

    use super::{last_lines, socket_url};

    #[test]
    fn socket_urls_are_read_back_by_the_driver() {
        let url = socket_url(Path::new("/srv/a b/run"), 25_432, "ingest_rw", "ingest");
        assert_eq!(url, "postgres://ingest_rw@%2Fsrv%2Fa%20b%2Frun:25432/ingest");
        let read = sqlx::postgres::PgConnectOptions::from_str(&url).expect("parses");
        assert_eq!(read.get_socket(), Some(&Path::new("/srv/a b/run").to_owned()));
        assert_eq!((read.get_username(), read.get_database()), ("ingest_rw", Some("ingest")));
    }

    #[test]
    fn only_the_last_twenty_lines_are_shown() {
        let text: String = (1..=30).map(|n| format!("line {n}\n\n")).collect();
        let shown = last_lines(&text);
        assert_eq!(shown.lines().count(), 20);
        assert!(shown.starts_with("line 11\n"), "{shown}");
        assert_eq!(last_lines(""), "");
    }
}
