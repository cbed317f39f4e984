//! The request file: a wish to close that needs no database.
//!
//! Input: `flatten.request` in the state directory, an object with `symbol` (or none for all), `by` and `at`
//! (microseconds since 1970). Output: the wish, and `flatten.done` with what was said to it; the request is removed.
//! Invariants: a file is carried out by the process that lives when it is written: older than [`AGE_MS_MAX`] it is
//! refused, so that a later start does not sell what nobody speaks of any more; larger than [`LEN_MAX`] it is not read.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_types::{Symbol, UtcMicros};
use serde::Deserialize;

use crate::desk::Desk;

/// The request.
const REQUEST: &str = "flatten.request";
/// The answer.
const DONE: &str = "flatten.done";
/// Distance of looks, milliseconds.
const LOOK_MS: i64 = 1_000;
/// Oldest request that is carried out, milliseconds; the tool waits for its answer a sixth of that.
const AGE_MS_MAX: i64 = 60_000;
/// Longest request, bytes.
const LEN_MAX: u64 = 4_096;
/// Longest wait for the disk.
const DISK_WAIT: Duration = Duration::from_millis(200);

/// A request as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    symbol: Option<Symbol>,
    by: String,
    at: UtcMicros,
}

/// Where the file is, and when it is looked for.
#[derive(Debug)]
pub(crate) struct RequestFile {
    dir: PathBuf,
    next_mono_ms: i64,
}

impl RequestFile {
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self { dir, next_mono_ms: 0 }
    }
}

impl Desk {
    /// Looks for the file once a second, in both worlds.
    pub(crate) async fn flatten_by_file(&mut self) {
        let mono = self.mono_ms();
        if mono < self.request_file.next_mono_ms {
            return;
        }
        self.request_file.next_mono_ms = mono + LOOK_MS;
        let dir = self.request_file.dir.clone();
        let read = on_disk(move || read_request(&dir.join(REQUEST))).await;
        let text = match read {
            Ok(None) => return,
            Ok(Some(text)) => text,
            Err(error) => return tracing::warn!("{REQUEST} is not read: {error}"),
        };
        let result = match judged(&text, self.now()) {
            Err(refusal) => format!("refused: {refusal}"),
            Ok(_) if !self.is_permitted() => {
                "refused: EXECUTION_ENABLE=false, nothing is sent; next: set it and start again"
                    .to_owned()
            }
            Ok(request) => {
                let count = self.flatten(request.symbol.as_ref());
                tracing::warn!("{} asks by file to close {count} positions", request.by);
                format!("closing {count} positions")
            }
        };
        let (dir, at) = (self.request_file.dir.clone(), self.now());
        if let Err(error) = on_disk(move || answer(&dir, &result, at)).await {
            // It is asked again with the next look: marking what is marked changes nothing.
            tracing::warn!("{DONE} is not written: {error}");
        }
    }
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::time::timeout(DISK_WAIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn read_request(path: &Path) -> io::Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(LEN_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn judged(text: &str, now: UtcMicros) -> Result<Request, String> {
    if text.len() as u64 > LEN_MAX {
        return Err(format!("{REQUEST} is longer than {LEN_MAX} bytes"));
    }
    let request: Request =
        serde_json::from_str(text).map_err(|e| format!("{REQUEST} is unreadable: {e}"))?;
    let age_ms = now.millis_since(request.at);
    if age_ms > AGE_MS_MAX {
        return Err(format!(
            "{REQUEST} is {age_ms} ms old, {AGE_MS_MAX} ms are allowed; next: penstock flatten --offline again"
        ));
    }
    Ok(request)
}

/// The answer is whole before the request goes.
fn answer(dir: &Path, result: &str, at: UtcMicros) -> io::Result<()> {
    let text = serde_json::json!({ "result": result, "at": at }).to_string();
    let temporary = dir.join(format!("{DONE}.new"));
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, dir.join(DONE))?;
    match std::fs::remove_file(dir.join(REQUEST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UtcMicros = UtcMicros(1_800_000_000_000_000);

    #[test]
    fn a_request_is_read_an_old_or_odd_one_is_refused_with_its_reason() {
        let at = |age_ms: i64| NOW.plus_millis(-age_ms).0;
        let text = |age_ms| format!(r#"{{"symbol":"BTC/USD","by":"anna","at":{}}}"#, at(age_ms));
        let request = judged(&text(0), NOW).unwrap();
        assert_eq!(request.symbol, Some(Symbol::new("BTC/USD").unwrap()));
        let all = format!(r#"{{"symbol":null,"by":"anna","at":{}}}"#, at(AGE_MS_MAX));
        assert_eq!(judged(&all, NOW).unwrap().symbol, None);
        let old = judged(&text(AGE_MS_MAX + 1), NOW).unwrap_err();
        assert!(old.contains("60001 ms old"), "{old}");
        let odd = judged(r#"{"symbol":"BTC"}"#, NOW).unwrap_err();
        assert!(odd.contains("unreadable"), "{odd}");
        let long = judged(&" ".repeat(5_000), NOW).unwrap_err();
        assert!(long.contains("4096"), "{long}");
    }

    #[test]
    fn the_answer_stands_when_the_request_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(REQUEST);
        assert_eq!(read_request(&path).unwrap(), None);
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read_request(&path).unwrap().as_deref(), Some("{}"));
        answer(dir.path(), "closing 1 positions", NOW).unwrap();
        assert!(!path.exists());
        let done = std::fs::read_to_string(dir.path().join(DONE)).unwrap();
        assert!(done.contains("closing 1 positions"), "{done}");
        answer(dir.path(), "again", NOW).unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_a_request_or_a_refusal(text in ".{0,120}") {
            let _ = judged(&text, NOW);
        }
    }
}
