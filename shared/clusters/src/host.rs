//! Purpose: what this host offers: who runs the server, which paths that user can reach. Inputs: the
//! environment (injected for tests), passwd, mode bits. Outputs: [`Host`], [`RunAs`]. Invariants: a
//! server is never started as root; a path is checked along all its ancestors before anything is
//! written there, because PostgreSQL itself would only say "Permission denied".

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ClusterError;

/// Users tried by root, in this order, after `PENSTOCK_PG_USER`.
const USERS: [&str; 3] = ["penstock", "postgres", "nobody"];

/// What the environment says. Read once with [`Host::from_env`]; tests build their own.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// `PENSTOCK_PG_BIN`: directory with `initdb` and `postgres`.
    pub pg_bin: Option<PathBuf>,
    /// `PENSTOCK_PG_USER`: who runs the server when the caller is root.
    pub pg_user: Option<String>,
    /// `PG_CONFIG`: a `pg_config` program.
    pub pg_config: Option<PathBuf>,
    /// `PATH`.
    pub path: String,
    /// System directories with server binaries of their own, besides `PATH`.
    pub search_system: bool,
}

impl Host {
    /// From the process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            pg_bin: text("PENSTOCK_PG_BIN").map(PathBuf::from),
            pg_user: text("PENSTOCK_PG_USER"),
            pg_config: text("PG_CONFIG").map(PathBuf::from),
            path: text("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned()),
            search_system: true,
        }
    }

    /// Who runs the server: the caller, or for root the first existing of the known users.
    ///
    /// # Errors
    /// [`ClusterError::NoUser`] when root finds none.
    pub fn run_as(&self) -> Result<RunAs, ClusterError> {
        let caller = nix::unistd::geteuid();
        if !caller.is_root() {
            let name = user_of(caller).map_or_else(|| caller.to_string(), |user| user.name);
            return Ok(RunAs {
                uid: caller.as_raw(),
                gid: nix::unistd::getegid().as_raw(),
                name,
                switch: false,
            });
        }
        let mut names: Vec<&str> = self.pg_user.as_deref().into_iter().collect();
        names.extend(USERS);
        for name in &names {
            if let Ok(Some(user)) = nix::unistd::User::from_name(name)
                && !user.uid.is_root()
            {
                return Ok(RunAs {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                    name: user.name,
                    switch: true,
                });
            }
        }
        Err(ClusterError::NoUser { tried: names.join(", ") })
    }
}

fn user_of(uid: nix::unistd::Uid) -> Option<nix::unistd::User> {
    nix::unistd::User::from_uid(uid).ok().flatten()
}

/// The name of the calling user, as peer authentication will see it.
#[must_use]
pub fn caller_name() -> String {
    let uid = nix::unistd::geteuid();
    user_of(uid).map_or_else(|| uid.to_string(), |user| user.name)
}

/// The user that a server runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Name in passwd.
    pub name: String,
    /// Whether the caller is root and has to change to it.
    pub switch: bool,
}

impl RunAs {
    /// A command that runs as this user with an empty environment, in `/`, in a process group of its
    /// own so that Ctrl-C at the terminal does not reach it before the supervisor acts. (A session of
    /// its own would need `unsafe`; the group is what the terminal looks at.)
    #[must_use]
    pub fn command(&self, program: &Path) -> std::process::Command {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new(program);
        command.env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir("/").stdin(std::process::Stdio::null()).process_group(0);
        if self.switch {
            // With root as caller this also drops the supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// The first directory on the way to `path` (itself included) that this user may not pass. Parts
    /// that do not exist yet are fine: they will be made for it.
    #[must_use]
    pub fn first_closed(&self, path: &Path) -> Option<PathBuf> {
        let resolved = existing_prefix(path);
        let mut ancestors: Vec<&Path> = resolved.ancestors().collect();
        ancestors.reverse();
        ancestors.into_iter().find(|directory| !self.may_pass(directory)).map(Path::to_owned)
    }

    fn may_pass(&self, directory: &Path) -> bool {
        let Ok(found) = std::fs::metadata(directory) else { return false };
        if !found.is_dir() {
            return true;
        }
        let bit = if found.uid() == self.uid {
            0o100
        } else if found.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        found.mode() & bit != 0
    }

    /// Makes a directory with mode 0700 that belongs to this user; parents are made with 0755.
    ///
    /// # Errors
    /// [`ClusterError::Io`] naming the directory.
    pub fn make_private(&self, path: &Path) -> Result<(), ClusterError> {
        if let Some(parent) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(ClusterError::io("create", parent))?;
        }
        // Two clusters of one installation start side by side and share a directory: whoever comes
        // second finds it made, which is what it asked for.
        match std::fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other.map_err(ClusterError::io("create", path))?,
        }
        self.own(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .map_err(ClusterError::io("set the mode of", path))
    }

    /// Writes a file with mode 0600 that belongs to this user, whole or not at all.
    ///
    /// # Errors
    /// [`ClusterError::Io`] naming the file.
    pub fn write_private(&self, path: &Path, text: &str) -> Result<(), ClusterError> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&part)
            .map_err(ClusterError::io("write", &part))?;
        file.write_all(text.as_bytes()).map_err(ClusterError::io("write", &part))?;
        file.sync_all().map_err(ClusterError::io("sync", &part))?;
        self.own(&part)?;
        std::fs::rename(&part, path).map_err(ClusterError::io("rename to", path))
    }

    fn own(&self, path: &Path) -> Result<(), ClusterError> {
        if !self.switch {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(ClusterError::io("change the owner of", path))
    }
}

/// The longest part of a path that exists, symlinks resolved.
fn existing_prefix(path: &Path) -> PathBuf {
    let mut candidate = Some(path);
    while let Some(current) = candidate {
        if let Ok(resolved) = current.canonicalize() {
            return resolved;
        }
        candidate = current.parent();
    }
    PathBuf::from("/")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Host, RunAs};

    #[test]
    fn a_closed_ancestor_is_found_before_anything_is_written() {
        let open = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("temp dir");
        let closed = open.path().join("closed");
        std::fs::create_dir(&closed).expect("made");
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).expect("mode");
        let stranger =
            RunAs { uid: 54_321, gid: 54_321, name: "stranger".to_owned(), switch: false };

        let found = stranger.first_closed(&closed.join("not-there-yet/data"));

        assert_eq!(found, Some(closed.canonicalize().expect("exists")));
        assert_eq!(stranger.first_closed(&open.path().join("not-there-yet")), None);
    }

    #[test]
    fn two_clusters_that_share_a_directory_may_make_it_at_the_same_moment() {
        let open = tempfile::tempdir().expect("temp dir");
        let me = RunAs {
            uid: nix::unistd::getuid().as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            name: "me".to_owned(),
            switch: false,
        };

        for round in 0..200 {
            let shared = open.path().join(format!("data-{round}/run"));
            let barrier = std::sync::Barrier::new(2);
            std::thread::scope(|scope| {
                let makers: Vec<_> = (0..2)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            me.make_private(&shared)
                        })
                    })
                    .collect();
                for maker in makers {
                    maker.join().expect("no panic").expect("made, or found made");
                }
            });
            assert!(shared.is_dir());
        }

        let file = open.path().join("file");
        std::fs::write(&file, "").expect("written");
        me.make_private(&file).expect_err("a file is no directory");
    }

    #[test]
    fn the_server_never_runs_as_root() {
        let host = Host { pg_user: Some("root".to_owned()), ..Host::default() };
        if let Ok(user) = host.run_as() {
            assert_ne!(user.uid, 0);
        }
    }
}
