//! `penstock flatten --offline`: a request that needs no database.
//!
//! Inputs: a symbol or none, the state directory. Outputs: the service's answer from `flatten.done`. Invariants: the
//! file is whole before it has its name, and only its owner reads it; what no living process took within the wait is
//! withdrawn, so that a later start does not sell what nobody speaks of any more.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use penstock_types::{Symbol, UtcMicros};
use tokio::time::{Instant, sleep};

use crate::exit;

/// The request.
const REQUEST: &str = "flatten.request";
/// The answer.
const DONE: &str = "flatten.done";
/// Longest wait for the living process, which looks once a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often the answer is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Asks by file.
///
/// # Errors
/// When the state directory cannot be written.
pub(super) async fn run(state_directory: &Path, symbol: Option<&Symbol>) -> anyhow::Result<i32> {
    ask(state_directory, symbol, ANSWER_LIMIT).await
}

async fn ask(
    state_directory: &Path,
    symbol: Option<&Symbol>,
    limit: Duration,
) -> anyhow::Result<i32> {
    if !state_directory.is_dir() {
        eprintln!(
            "{} is no state directory; next: set STATE_DIRECTORY as the service has it",
            state_directory.display()
        );
        return Ok(exit::USAGE);
    }
    let by = penstock_clusters::caller_name();
    write_request(state_directory, symbol, &by, UtcMicros::from(chrono::Utc::now()))?;
    println!("{}: written", state_directory.join(REQUEST).display());
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if let Some(answer) = answer(state_directory)? {
            println!("execution: {answer}");
            return Ok(if answer.starts_with("refused") { exit::USAGE } else { exit::CLEAN });
        }
        sleep(LOOK_INTERVAL).await;
    }
    match std::fs::remove_file(state_directory.join(REQUEST)) {
        Ok(()) => {}
        // Taken this very moment: the answer stands.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("execution: {}", answer(state_directory)?.unwrap_or_default());
            return Ok(exit::CLEAN);
        }
        Err(error) => return Err(error.into()),
    }
    eprintln!(
        "no living run-execution-live took {} within {} s, it is withdrawn; next: the venue's own page, or start the \
         service",
        state_directory.join(REQUEST).display(),
        limit.as_secs()
    );
    Ok(exit::UNAVAILABLE)
}

fn write_request(
    dir: &Path,
    symbol: Option<&Symbol>,
    by: &str,
    at: UtcMicros,
) -> anyhow::Result<()> {
    match std::fs::remove_file(dir.join(DONE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let temporary = dir.join(format!("{REQUEST}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&temporary)?;
    let text = serde_json::json!({ "symbol": symbol, "by": by, "at": at });
    file.write_all(text.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, dir.join(REQUEST))?;
    Ok(())
}

fn answer(dir: &Path) -> anyhow::Result<Option<String>> {
    let text = match std::fs::read_to_string(dir.join(DONE)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value: serde_json::Value = serde_json::from_str(&text)?;
    Ok(value.get("result").and_then(serde_json::Value::as_str).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_is_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let symbol = Symbol::new("BTC/USD").unwrap();
        let waited = ask(dir.path(), Some(&symbol), Duration::from_millis(300)).await;
        assert_eq!(waited.unwrap(), exit::UNAVAILABLE);
        assert!(!dir.path().join(REQUEST).exists());
    }

    #[test]
    fn an_answer_of_before_is_gone_when_a_request_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(DONE), r#"{"result":"closing 9 positions"}"#).unwrap();
        write_request(dir.path(), None, "anna", UtcMicros(5)).unwrap();
        assert_eq!(answer(dir.path()).unwrap(), None);
        let text = std::fs::read_to_string(dir.path().join(REQUEST)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, serde_json::json!({ "symbol": null, "by": "anna", "at": 5 }));
        std::fs::write(dir.path().join(DONE), r#"{"result":"closing 1 positions","at":6}"#)
            .unwrap();
        assert_eq!(answer(dir.path()).unwrap().as_deref(), Some("closing 1 positions"));
    }
}
