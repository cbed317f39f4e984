//! Purpose: read what a server says about itself in `postmaster.pid` and whether its process lives.
//! Inputs: a data directory, `/proc` where there is one. Outputs: [`PidFile`], [`Liveness`].
//! Invariants: a zombie counts as dead; a process that got the number of a dead server is not taken
//! for it. It changes nothing.

use std::path::Path;

/// The lines of `postmaster.pid` that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    /// Line 1.
    pub(crate) pid: i32,
    /// Line 2.
    pub(crate) data_directory: String,
    /// Line 8 says `ready`.
    pub(crate) ready: bool,
}

/// Whether the server that a pid file names is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// No pid file, or one that is not complete yet.
    NoFile,
    /// A server with this data directory lives.
    Alive(PidFile),
    /// Its process has ended, or nobody has collected it yet.
    Dead,
}

/// Parses the text of a pid file.
pub(crate) fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    let pid: i32 = lines.next()?.trim().parse().ok().filter(|pid| *pid > 1)?;
    let data_directory = lines.next()?.trim().to_owned();
    let ready = lines.nth(5).is_some_and(|line| line.trim() == "ready");
    Some(PidFile { pid, data_directory, ready })
}

/// Reads the pid file of a data directory.
pub(crate) fn read(data_directory: &Path) -> Option<PidFile> {
    parse(&std::fs::read_to_string(data_directory.join("postmaster.pid")).ok()?)
}

/// Looks at pid file and process.
pub(crate) fn look(data_directory: &Path) -> Liveness {
    let Some(file) = read(data_directory) else { return Liveness::NoFile };
    let same =
        Path::new(&file.data_directory).canonicalize().ok() == data_directory.canonicalize().ok();
    if same && is_postgres(file.pid) { Liveness::Alive(file) } else { Liveness::Dead }
}

/// Whether a process exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    let there = match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) {
        // Not permitted means that it is there and belongs to somebody else.
        Ok(()) | Err(nix::errno::Errno::EPERM) => true,
        Err(_) => false,
    };
    there && !is_zombie(pid)
}

fn is_zombie(pid: i32) -> bool {
    // Without /proc (macOS) nothing is known; init collects quickly there.
    let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name stands in parentheses and may contain anything; the state follows the last one.
    text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn is_postgres(pid: i32) -> bool {
    if !is_alive(pid) {
        return false;
    }
    match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).contains("postgres"),
        // No /proc: the pid file and the living process have to do.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Liveness, is_alive, look, parse};

    const COMPLETE: &str = "4242\n/d/pg\n1790000000\n25432\n/d/run\n\n  0 0\nready   \n";

    #[test]
    fn ready_stands_in_line_eight() {
        let complete = parse(COMPLETE).expect("complete");
        assert_eq!((complete.pid, complete.data_directory.as_str()), (4242, "/d/pg"));
        assert!(complete.ready);
        assert!(!parse(&COMPLETE.replace("ready", "starting")).expect("complete").ready);
        assert_eq!(parse("4242\n"), None);
        assert_eq!(parse("-1\n/d\n"), None, "a negative number would address a process group");
        assert_eq!(parse("1\n/d\n"), None);
    }

    #[test]
    fn a_process_with_the_number_of_a_dead_server_is_not_the_server() {
        let directory = tempfile::tempdir().expect("temp dir");
        assert_eq!(look(directory.path()), Liveness::NoFile);
        let me = std::process::id();
        let text = format!("{me}\n{}\n", directory.path().display());
        std::fs::write(directory.path().join("postmaster.pid"), text).expect("written");
        assert!(is_alive(i32::try_from(me).expect("fits")));
        let elsewhere = format!("{me}\n/somewhere/else\n");
        std::fs::write(directory.path().join("postmaster.pid"), elsewhere).expect("written");
        assert_eq!(look(directory.path()), Liveness::Dead);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,200}") {
            if let Some(file) = parse(&text) {
                prop_assert!(file.pid > 1);
            }
        }
    }
}
