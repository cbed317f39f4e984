//! The supervisor with real clusters and services that are scripts: what is started again, what stays
//! down, in which order things stop, what a killed supervisor leaves to the next.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// Says what it was given, then lives until it is told to stop.
const LIVING: &str = r#"#!/bin/sh
echo "{\"marker\":\"STARTED\",\"ingest_url\":\"$INGEST_DATABASE_URL\",\"decision_url\":\"$DECISION_DATABASE_URL\",\"key\":\"$KRAKEN_API_KEY\",\"data\":\"$PENSTOCK_DATA\"}"
trap 'echo "{\"marker\":\"STOPPED\",\"cluster\":\"$(test -e "$PENSTOCK_DATA/run/.s.PGSQL.25433" && echo up)\"}"; exit 0' TERM
while :; do sleep 0.05; done
"#;

/// A directory with `penstock` and two services beside it, and a place for data.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new(ingest: &str, execution: &str) -> Self {
        let directory = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .expect("temp dir");
        let machine = Self { directory };
        let here = Path::new(env!("CARGO_BIN_EXE_penstock"));
        let penstock = machine.path("penstock");
        if std::fs::hard_link(here, &penstock).is_err() {
            std::fs::copy(here, &penstock).expect("copied");
        }
        for (name, text) in [("run-ingest", ingest), ("run-execution-live", execution)] {
            std::fs::write(machine.path(name), text).expect("written");
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(machine.path(name), mode).expect("mode");
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path("penstock"));
        command.args(arguments).current_dir(self.directory.path());
        command.env("PENSTOCK_DATA", self.path("data")).env("KRAKEN_API_KEY", "k");
        command.env("PENSTOCK_INGEST_API_KEY", "d").env("PENSTOCK_INGEST_API_SECRET", "c2VjcmV0");
        command.env_remove("INGEST_DATABASE_URL").env_remove("DECISION_DATABASE_URL");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("runs")
    }

    fn up(&self) -> Up {
        Up::of(self.command(&["up"]))
    }

    fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.path(&format!("data/log/{service}.jsonl"))).unwrap_or_default()
    }

    fn pid(&self, service: &str) -> i32 {
        let text = std::fs::read_to_string(self.path(&format!("data/state/{service}.pid")));
        text.expect("it was started").trim().parse().expect("a number")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Whatever a failed assertion left running must not outlive the test.
        let _ = self.command(&["down"]).output();
    }
}

struct Up {
    child: Child,
    said: std::sync::mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Up {
    fn of(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let (lines, said) = std::sync::mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, said, seen: Vec::new() }
    }

    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Ok(line) = self.said.recv_timeout(left) else { break };
            let found = line.contains(text);
            self.seen.push(line);
            if found {
                return;
            }
        }
        let mut errors = String::new();
        let _ = self.child.kill();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut errors);
        }
        panic!("{text:?} was not said: {:#?}\n{errors}", self.seen);
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("fits")
    }

    fn status(mut self) -> Option<i32> {
        self.child.wait().expect("ends").code()
    }
}

fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("sent");
}

fn wait_until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn up_serves_restarts_what_is_killed_and_stops_services_before_clusters() {
    let machine = Machine::new(LIVING, LIVING);
    let mut up = machine.up();
    up.wait_for("Ctrl-C stops everything");

    let answer = machine.run(&[
        "psql",
        "decision",
        "--role",
        "exec_rw",
        "--",
        "-Atc",
        "select current_user, current_schema()",
    ]);
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "exec_rw|penstock", "{answer:?}");
    let refused = machine.run(&["psql", "ingest", "--role", "exec_rw"]);
    assert_eq!(refused.status.code(), Some(2), "execution has no login on the ingest cluster");
    let second = machine.run(&["up"]);
    assert_eq!(second.status.code(), Some(75), "{second:?}");

    wait_until("execution is started", || machine.log("run-execution-live").contains("STARTED"));
    let execution = machine.log("run-execution-live");
    assert!(execution.contains("\"ingest_url\":\"\""), "{execution}");
    assert!(execution.contains("exec_rw@"), "{execution}");
    assert!(execution.contains("\"key\":\"k\""), "{execution}");
    let ingest = machine.log("run-ingest");
    assert!(ingest.contains("ingest_rw@"), "{ingest}");
    assert!(ingest.contains("publisher_rw@"), "{ingest}");
    assert!(ingest.contains("\"key\":\"d\""), "ingest gets only a key of its own: {ingest}");

    let first = machine.pid("run-ingest");
    signal(first, nix::sys::signal::Signal::SIGKILL);
    up.wait_for("run-ingest ended: signal 9; starting it again");
    wait_until("a new process", || machine.pid("run-ingest") != first);
    wait_until("it runs", || machine.log("run-ingest").matches("STARTED").count() == 2);

    let server = std::fs::read_to_string(machine.path("data/pg-decision/postmaster.pid"));
    let server = server.expect("it runs").lines().next().and_then(|pid| pid.parse().ok());
    signal(server.expect("a number"), nix::sys::signal::Signal::SIGKILL);
    up.wait_for("cluster decision: ready, restart");

    signal(up.pid(), nix::sys::signal::Signal::SIGINT);
    assert_eq!(up.status(), Some(0));
    assert!(
        machine.log("penstock").contains("cluster decision: ready"),
        "{}",
        machine.log("penstock")
    );
    for service in ["run-ingest", "run-execution-live"] {
        let log = machine.log(service);
        assert!(log.contains("\"marker\":\"STOPPED\",\"cluster\":\"up\""), "{service}: {log}");
    }
    assert!(!machine.path("data/pg-ingest/postmaster.pid").exists());
    assert!(!machine.path("data/pg-decision/postmaster.pid").exists());
    let gone = machine.run(&["psql", "ingest"]);
    assert_eq!(gone.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("penstock up"), "{gone:?}");
}

#[test]
fn a_killed_supervisor_is_followed_by_one_that_adopts_and_cleans_up() {
    let machine = Machine::new(LIVING, LIVING);
    let mut up = machine.up();
    up.wait_for("Ctrl-C stops everything");
    let (ingest, execution) = (machine.pid("run-ingest"), machine.pid("run-execution-live"));
    signal(up.pid(), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(up.status(), None);

    let mut next = machine.up();
    next.wait_for(&format!("run-ingest of an earlier supervisor runs as process {ingest}"));
    next.wait_for(&format!(
        "run-execution-live of an earlier supervisor runs as process {execution}"
    ));
    next.wait_for("Ctrl-C stops everything");
    assert_ne!(machine.pid("run-ingest"), ingest);

    let down = machine.run(&["down"]);
    assert_eq!(down.status.code(), Some(0), "{down:?}");
    assert_eq!(next.status(), Some(0), "down asks the supervisor");
    assert!(!machine.path("data/pg-decision/postmaster.pid").exists());
    let again = machine.run(&["down"]);
    assert!(String::from_utf8_lossy(&again.stdout).contains("nothing was running"), "{again:?}");
}

#[test]
fn down_stops_what_a_killed_supervisor_left() {
    let machine = Machine::new(LIVING, LIVING);
    let mut up = machine.up();
    up.wait_for("Ctrl-C stops everything");
    signal(up.pid(), nix::sys::signal::Signal::SIGKILL);
    assert_eq!(up.status(), None);

    let down = machine.run(&["down"]);

    assert_eq!(down.status.code(), Some(0), "{down:?}");
    let text = String::from_utf8_lossy(&down.stdout).into_owned();
    assert!(text.contains("stopped the ingest cluster"), "{text}");
    assert!(machine.log("run-execution-live").contains("STOPPED"));
    assert!(!machine.path("data/pg-ingest/postmaster.pid").exists());
}

#[test]
fn services_that_must_not_be_started_again_end_the_stack_with_their_status() {
    let refused = "#!/bin/sh\necho 'STRAT_CONFIG_INVALID: something' >&2\nexit 78\n";
    let machine = Machine::new("#!/bin/sh\nexit 0\n", refused);
    let mut up = machine.up();
    up.wait_for("stays down; its last words: STRAT_CONFIG_INVALID: something");
    assert_eq!(up.status(), Some(78));
    assert!(!machine.path("data/pg-ingest/postmaster.pid").exists(), "the clusters are stopped");
}

/// A broken invariant is started again; the start that refuses because there were three is not.
#[test]
fn restart_loop() {
    let breaks = "#!/bin/sh\ncount=\"$PENSTOCK_DATA/starts\"\necho x >> \"$count\"\n\
        [ \"$(wc -l < \"$count\")\" -le 3 ] && exit 70\necho 'RESTART_LOOP: staying down' >&2\nexit 71\n";
    let machine = Machine::new("#!/bin/sh\nexit 0\n", breaks);
    let mut up = machine.up();
    up.wait_for("run-execution-live ended: exit 70");
    up.wait_for("stays down; its last words: RESTART_LOOP: staying down");
    assert_eq!(up.status(), Some(71));
    let starts = std::fs::read_to_string(machine.path("data/starts")).expect("it was started");
    assert_eq!(starts.lines().count(), 4, "three broken invariants and the start that refused");
}

#[test]
fn a_bad_configuration_is_refused_before_anything_is_touched() {
    let machine = Machine::new(LIVING, LIVING);
    std::fs::write(machine.path("penstock.toml"), "topn_size = 0\n").expect("written");

    for arguments in [&["up"][..], &["down"], &["config", "check"], &["psql", "ingest"]] {
        let output = machine.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{arguments:?}: {text}");
        assert!(text.contains("TOPN_SIZE"), "{text}");
        assert!(text.contains("penstock.toml:1"), "{text}");
        assert!(text.contains("1..200"), "{text}");
    }
    assert!(!machine.path("data").exists());
}

#[test]
fn config_show_tells_value_origin_and_range_and_no_secret() {
    let machine = Machine::new(LIVING, LIVING);
    std::fs::write(machine.path("p.toml"), "topn_size = 7\n").expect("written");
    let output = machine
        .command(&["--config", "p.toml", "config", "show", "--output", "json"])
        .env("KRAKEN_API_SECRET", "hunter2")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let read: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    let key = &read["keys"]["topn_size"];
    assert_eq!((&key["value"], &key["origin"]), (&"7".into(), &"p.toml:1".into()), "{key}");
    assert_eq!(key["range"], "1..200");
    assert_eq!(read["keys"]["kraken_api_secret"]["value"], "[redacted]");
    assert!(!text.contains("hunter2"));
    let changed = machine.run(&["--config", "p.toml", "config", "show", "--changed"]);
    let text = String::from_utf8_lossy(&changed.stdout).into_owned();
    assert_eq!(text.lines().count(), 2, "the changed key and the hash: {text}");
}

/// The demo's profile: what makes a simulated market come to life within seconds.
const PROFILE: &str = include_str!("../../config/demo.toml");

/// Longest wait for what a whole machine of services takes seconds for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ingest as a process that lives and says nothing: no fence, no heartbeat.
const SILENT: &str = "#!/bin/sh\nwhile :; do sleep 1; done\n";

/// The real services, beside this program.
fn real(name: &str) -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_penstock")).parent().expect("a directory");
    let program = beside.join(name);
    if !program.exists() {
        // Only this package was built before.
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "-p",
                "penstock-ingest",
                "-p",
                "penstock-execution",
                "--bins",
            ])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .status()
            .expect("cargo runs");
        assert!(built.success(), "{built}");
    }
    program
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("copied");
}

/// Puts another file in the place of one that may be running.
fn replace(place: &Path, make: impl FnOnce(&Path)) {
    let other = place.with_extension("next");
    make(&other);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&other, mode).expect("mode");
    std::fs::rename(&other, place).expect("renamed");
}

impl Machine {
    /// The real services on a venue, as an operator brings them up.
    fn with_services(venue: &penstock_sim::server::Addresses) -> Self {
        let machine = Self::new(LIVING, LIVING);
        for name in ["run-ingest", "run-execution-live"] {
            let place = machine.path(name);
            replace(&place, |to| copy(&real(name), to));
        }
        let own = [
            ("kraken_ws_public_url", venue.ws_public.as_str()),
            ("kraken_ws_auth_url", venue.ws_private.as_str()),
            ("kraken_rest_url", venue.rest.as_str()),
        ];
        let urls: String =
            own.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
        let (address, port) = penstock_clusters::testing::own_place();
        let quick = format!(
            "metrics_port_ingest = 0\nmetrics_port_execution = 0\nspool_min_free_bytes = 0\n\
             webui_bind = \"{address}\"\nwebui_port = {port}\n"
        );
        std::fs::write(machine.path("penstock.toml"), format!("{urls}{quick}{PROFILE}"))
            .expect("written");
        machine
    }

    /// What the decision cluster answers; nothing while it does not.
    fn ask(&self, sql: &str) -> String {
        let output = self.run(&["psql", "decision", "--", "-Atc", sql]);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn until(&self, sql: &str, want: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.ask(sql);
            if found == want {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{sql} is {found:?} and not {want:?}\n{}",
                self.log("run-execution-live")
                    .lines()
                    .rev()
                    .take(20)
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
    }
}

/// The alert of an ingest that shows no sign of life.
const MISSING: &str = "from alerts where primary_reason = 'INGEST_HEARTBEAT_MISSING'
    and source = 'execution' and severity = 'CRIT' and symbol = ''";

/// An ingest that is killed and does not come back is an alert of execution as soon as its heartbeat is older than three
/// intervals, raised once, as a row and as an event. How late it came is measured by the row against the last heartbeat and
/// printed; 20 s are promised on a machine that has time.
#[test]
fn ingest_killed() {
    // given: both services under the supervisor, each with a heartbeat
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = penstock_sim::server::Options { symbols: 8, ..Default::default() };
    let venue = runtime.block_on(penstock_sim::server::start(options)).expect("a venue");
    let machine = Machine::with_services(&venue.addresses);
    let mut command = machine.command(&["up"]);
    command.env("KRAKEN_API_KEY", &venue.addresses.api_key);
    command.env("KRAKEN_API_SECRET", &venue.addresses.api_secret);
    let mut up = Up::of(command);
    up.wait_for("Ctrl-C stops everything");
    machine.until("select count(distinct service) from service_heartbeats", "2");

    // when: it is killed, and what the supervisor starts in its place never beats
    replace(&machine.path("run-ingest"), |to| std::fs::write(to, SILENT).expect("written"));
    let first = machine.pid("run-ingest");
    signal(first, nix::sys::signal::Signal::SIGKILL);
    up.wait_for("run-ingest ended: signal 9; starting it again");

    // then: one row, and one event, after three intervals
    machine.until(&format!("select count(*) {MISSING} and cleared_at is null"), "1");
    let last = "(select max(ts) from service_heartbeats where service = 'ingest')";
    let took = machine.ask(&format!("select extract(epoch from first_ts - {last}) {MISSING}"));
    println!("INGEST_HEARTBEAT_MISSING {took} s after the last heartbeat");
    let took: f64 = took.parse().expect("seconds");
    assert!(took > 15.0, "three intervals are waited for: {took} s");
    assert!(took < 60.0, "promised are 20 s: {took} s");
    // and it stays one while it lasts: three heartbeats of execution later
    let later = format!(
        "select (max(ts) > (select first_ts + interval '15 seconds' {MISSING}))::text
         from service_heartbeats where service = 'execution'"
    );
    machine.until(&later, "true");
    let one = format!("select count(*) || ' ' || max(count) {MISSING} and cleared_at is null");
    assert_eq!(machine.ask(&one), "1 1", "once");
    let events = "select count(*) from audit_events where event_type = 'ALERT_RAISED'
        and reasons @> array['INGEST_HEARTBEAT_MISSING']";
    machine.until(events, "1");

    // and when another instance beats, it was one
    replace(&machine.path("run-ingest"), |to| copy(&real("run-ingest"), to));
    signal(machine.pid("run-ingest"), nix::sys::signal::Signal::SIGKILL);
    let instances =
        "select count(distinct instance_id) from service_heartbeats where service = 'ingest'";
    machine.until(instances, "2");
    assert_eq!(machine.ask(&format!("select count(*) || ' ' || max(count) {MISSING}")), "1 1");
    assert_eq!(machine.ask(events), "1");
    signal(up.pid(), nix::sys::signal::Signal::SIGINT);
    up.status();
    runtime.block_on(venue.stop());
}
