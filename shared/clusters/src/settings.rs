//! Purpose: the texts of a managed cluster's configuration. Inputs: kind, directories, users. Outputs:
//! `penstock.conf`, `pg_hba.conf`, `pg_ident.conf`. Invariants: sockets only unless TCP is asked for;
//! fsync is off for scratch clusters only; a system user may log in as the superuser and as each login
//! role of the cluster, nobody else may.

use std::fmt::Write as _;
use std::path::Path;

use crate::kind::{ClusterKind, SUPERUSER};

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Real data: every safety of PostgreSQL stays on.
    Durable,
    /// Tests: nothing survives a power cut, the last commits do not even survive a kill of the server,
    /// and everything is faster.
    Scratch,
}

/// Name of the file with our settings, included by `postgresql.conf` and rewritten at every start.
pub(crate) const CONF_FILE: &str = "penstock.conf";

/// `penstock.conf`.
pub(crate) fn conf(
    kind: ClusterKind,
    socket_directory: &Path,
    tcp: bool,
    durability: Durability,
) -> String {
    let listen = if tcp { "127.0.0.1" } else { "" };
    let (shared_buffers, max_connections) = match durability {
        Durability::Durable => ("64MB", 60),
        // One test run opens many small pools at once.
        Durability::Scratch => ("64MB", 300),
    };
    let mut text = format!(
        "# written by penstock at every start; changes here are lost\n\
         listen_addresses = '{listen}'\n\
         port = {}\n\
         unix_socket_directories = {}\n\
         unix_socket_permissions = 0700\n\
         cluster_name = 'penstock-{kind}'\n\
         shared_buffers = {shared_buffers}\n\
         max_connections = {max_connections}\n\
         track_commit_timestamp = on\n\
         logging_collector = on\n\
         log_destination = 'jsonlog'\n\
         log_directory = 'log'\n\
         log_filename = 'postgres-%a.log'\n\
         log_truncate_on_rotation = on\n\
         log_rotation_age = 1d\n\
         log_rotation_size = 0\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         password_encryption = 'scram-sha-256'\n",
        kind.port(),
        quoted(&socket_directory.display().to_string()),
    );
    // Tests kill servers: a commit stays synchronous, so that what was acknowledged has left the process.
    if durability == Durability::Scratch {
        text.push_str("fsync = off\nfull_page_writes = off\n");
    }
    text
}

/// `pg_hba.conf`: peer on the socket, passwords on loopback.
pub(crate) fn hba() -> &'static str {
    "# written by penstock at every start; changes here are lost\n\
     local all all peer map=penstock\n\
     host all all 127.0.0.1/32 scram-sha-256\n\
     host all all ::1/128 scram-sha-256\n\
     local replication all peer map=penstock\n\
     host replication all 127.0.0.1/32 scram-sha-256\n\
     host replication all ::1/128 scram-sha-256\n"
}

/// `pg_ident.conf`: which system user may be which role.
pub(crate) fn ident(kind: ClusterKind, run_as: &str, caller: &str) -> String {
    let mut text = "# written by penstock at every start; changes here are lost\n".to_owned();
    let users: &[&str] = if run_as == caller { &[run_as] } else { &[run_as, caller] };
    for user in users {
        for role in std::iter::once(&SUPERUSER).chain(kind.login_roles()) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "penstock \"{user}\" {role}");
        }
    }
    text
}

/// A value of `postgresql.conf` in quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Durability, conf, ident};
    use crate::kind::ClusterKind;

    #[test]
    fn only_scratch_clusters_give_up_fsync_and_none_listens_by_itself() {
        let real = conf(ClusterKind::Ingest, Path::new("/s"), false, Durability::Durable);
        let scratch = conf(ClusterKind::Ingest, Path::new("/s"), false, Durability::Scratch);
        let tcp = conf(ClusterKind::Decision, Path::new("/s'x"), true, Durability::Durable);

        assert!(!real.contains("fsync"), "{real}");
        assert!(real.contains("listen_addresses = ''"), "{real}");
        assert!(real.contains("port = 25432"), "{real}");
        assert!(scratch.contains("fsync = off"), "{scratch}");
        assert!(tcp.contains("listen_addresses = '127.0.0.1'"), "{tcp}");
        assert!(tcp.contains("'/s''x'"), "{tcp}");
    }

    #[test]
    fn execution_cannot_log_in_on_the_ingest_cluster() {
        let ingest = ident(ClusterKind::Ingest, "postgres", "root");
        let decision = ident(ClusterKind::Decision, "me", "me");

        assert!(!ingest.contains("exec_rw"), "{ingest}");
        assert!(!ingest.contains("publisher_rw"), "{ingest}");
        assert!(ingest.contains("penstock \"root\" ingest_rw"), "{ingest}");
        assert!(ingest.contains("penstock \"postgres\" penstock"), "{ingest}");
        assert_eq!(decision.matches("exec_rw").count(), 1, "{decision}");
    }
}
