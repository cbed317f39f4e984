//! Purpose: find the programs of a PostgreSQL server. Inputs: [`Host`], the user that will run it, the
//! version of an existing data directory. Outputs: [`Binaries`], or an error with the install command
//! for this system. Invariants: usable means that `initdb` and `postgres` exist and that
//! `postgres --version` runs as the very user that will run it; an existing data directory decides the
//! major version.

use std::path::{Path, PathBuf};

use crate::ClusterError;
use crate::host::{Host, RunAs};

/// The oldest supported major version.
pub const MAJOR_MIN: u32 = 15;

/// Directories in which distributions keep server binaries away from `PATH`: parent, name prefix, rest.
const SYSTEM_DIRECTORIES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/usr/libexec", "postgresql", ""),
];

/// A usable set of server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// Directory that holds `initdb`, `postgres`, `pg_ctl`.
    pub directory: PathBuf,
    /// Major version.
    pub major: u32,
}

impl Binaries {
    /// A program of this set.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Finds binaries: the major of an existing data directory, else the first place that has any ≥ 15, in
/// it the highest.
///
/// # Errors
/// [`ClusterError::NoServer`] with what was looked at and how to install one.
pub fn find(
    host: &Host,
    user: &RunAs,
    data_root: &Path,
    existing_major: Option<u32>,
) -> Result<Binaries, ClusterError> {
    let mut looked = Vec::new();
    for place in places(host, data_root) {
        let mut usable = Vec::new();
        for directory in place {
            match probe(user, &directory) {
                Ok(major)
                    if existing_major.map_or(major >= MAJOR_MIN, |wanted| wanted == major) =>
                {
                    usable.push(Binaries { directory, major });
                }
                Ok(major) => looked.push(format!("{} has version {major}", directory.display())),
                Err(Unusable::Missing) => {}
                Err(Unusable::Reason(why)) => {
                    looked.push(format!("{}: {why}", directory.display()))
                }
            }
        }
        if let Some(best) = usable.into_iter().max_by_key(|found| found.major) {
            return Ok(best);
        }
    }
    let looked = if looked.is_empty() { "none found".to_owned() } else { looked.join("; ") };
    let wanted = existing_major.map_or_else(
        || format!("{MAJOR_MIN} or newer"),
        |major| format!("{major} (that of the existing data directory)"),
    );
    Err(ClusterError::NoServer { wanted, looked, advice: install_advice(existing_major) })
}

/// Candidate directories in order of preference; those of one inner list are equals.
fn places(host: &Host, data_root: &Path) -> Vec<Vec<PathBuf>> {
    let mut places = vec![host.pg_bin.clone().into_iter().collect()];
    if let Some(program) = &host.pg_config {
        let said = std::process::Command::new(program).arg("--bindir").output();
        if let Ok(output) = said {
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if !text.is_empty() {
                places.push(vec![PathBuf::from(text)]);
            }
        }
    }
    if host.search_system {
        let found = SYSTEM_DIRECTORIES
            .iter()
            .flat_map(|(parent, prefix, rest)| children(Path::new(parent), prefix, rest))
            .collect();
        places.push(found);
    }
    let on_path = std::env::split_paths(&host.path)
        .filter_map(|directory| directory.join("postgres").canonicalize().ok())
        .filter_map(|program| program.parent().map(Path::to_owned))
        .collect();
    places.push(on_path);
    places.push(children(&data_root.join("pgdist"), "", "bin"));
    places
}

fn children(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| if rest.is_empty() { entry.path() } else { entry.path().join(rest) })
        .collect();
    found.sort();
    found
}

enum Unusable {
    Missing,
    Reason(String),
}

fn probe(user: &RunAs, directory: &Path) -> Result<u32, Unusable> {
    if !directory.join("postgres").exists() {
        return Err(Unusable::Missing);
    }
    if !directory.join("initdb").exists() {
        return Err(Unusable::Reason("has postgres and no initdb".to_owned()));
    }
    if let Some(closed) = user.first_closed(directory) {
        return Err(Unusable::Reason(format!(
            "user {} may not pass {}",
            user.name,
            closed.display()
        )));
    }
    let output = user
        .command(&directory.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| Unusable::Reason(format!("does not run as {}: {error}", user.name)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse_major(&text).ok_or_else(|| Unusable::Reason(format!("says {:?}", text.trim())))
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn parse_major(text: &str) -> Option<u32> {
    let rest = text.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn install_advice(existing_major: Option<u32>) -> String {
    let sudo = if nix::unistd::geteuid().is_root() { "" } else { "sudo " };
    let package =
        existing_major.map_or_else(|| "postgresql".to_owned(), |m| format!("postgresql-{m}"));
    let brew = existing_major.unwrap_or(17);
    let command = if cfg!(target_os = "macos") {
        format!("brew install postgresql@{brew}")
    } else if Path::new("/etc/debian_version").exists() {
        format!("{sudo}apt-get install -y {package}")
    } else {
        format!(
            "install the server package of PostgreSQL (Debian, Ubuntu: {sudo}apt-get install -y {package}; macOS: brew install postgresql@{brew})"
        )
    };
    format!(
        "{command}\n      or set PENSTOCK_PG_BIN to a directory that holds initdb and postgres, or INGEST_DATABASE_URL and DECISION_DATABASE_URL to use clusters of your own"
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{find, parse_major};
    use crate::host::{Host, RunAs};

    fn fake(root: &std::path::Path, name: &str, version: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let directory = root.join(name);
        std::fs::create_dir_all(&directory).expect("made");
        for program in ["postgres", "initdb"] {
            let path = directory.join(program);
            std::fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"))
                .expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        }
        directory
    }

    fn me() -> RunAs {
        RunAs {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            name: "me".to_owned(),
            switch: false,
        }
    }

    #[test]
    fn versions_are_read_from_what_the_server_says() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("psql 15"), None);
        assert_eq!(parse_major(""), None);
    }

    #[test]
    fn an_old_server_is_refused_with_the_install_command() {
        let root = tempfile::tempdir().expect("temp dir");
        let host = Host { pg_bin: Some(fake(root.path(), "old", "14.2")), ..Host::default() };

        let error = find(&host, &me(), root.path(), None).expect_err("14 is too old").to_string();

        assert!(error.contains("15 or newer"), "{error}");
        assert!(error.contains("has version 14"), "{error}");
        assert!(error.contains("install"), "{error}");
        assert!(error.contains("PENSTOCK_PG_BIN"), "{error}");
    }

    #[test]
    fn an_existing_data_directory_decides_the_major() {
        let root = tempfile::tempdir().expect("temp dir");
        fake(root.path(), "pgdist/16/bin", "16.2");
        fake(root.path(), "pgdist/17/bin", "17.1");
        let host = Host::default();

        let newest = find(&host, &me(), root.path(), None).expect("found");
        let same = find(&host, &me(), root.path(), Some(16)).expect("found");

        assert_eq!(newest.major, 17);
        assert_eq!(same.major, 16);
        assert!(find(&host, &me(), root.path(), Some(18)).is_err());
    }
}
