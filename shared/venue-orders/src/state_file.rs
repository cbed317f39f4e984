//! The file that keeps the account's memory over a restart.
//!
//! Input: a path, the host's identity, the shared state. Output: `venue.json`, readable by its owner
//! only, replaced whole (temporary file, fsync, rename) at most once a second, at every back-off and
//! at the end. A file that is missing, unreadable, of another host or of another version is no memory:
//! the state starts cold. A failed write is reported by the log and by [`SharedVenueState::save`].

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use penstock_venues::kraken::rates::Tier;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::state::{KEPT_VERSION, Kept, VenueState};
use penstock_venue_net::{Clock, Stamp};

/// Distance of saves.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// The file could not be written.
#[derive(Debug, Error)]
#[error("{path}: {source}")]
pub struct StateFileError {
    path: String,
    source: io::Error,
}

/// The account's memory, shared by the clients of one key.
#[derive(Clone)]
pub struct SharedVenueState {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    host: String,
    clock: Arc<dyn Clock>,
    state: Mutex<VenueState>,
    /// What the file holds; also the lock of its writers.
    saved: Mutex<Option<Kept>>,
}

impl core::fmt::Debug for SharedVenueState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SharedVenueState").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl SharedVenueState {
    /// Reads the file, or starts cold. `host` identifies this machine: counters of another one say
    /// nothing about what this one has sent since.
    pub fn open(path: PathBuf, host: String, tier: Tier, clock: Arc<dyn Clock>) -> Self {
        let at = clock.now();
        let state = match read(&path, &host) {
            Ok(kept) => VenueState::restored(&kept, tier, at),
            Err(reason) => {
                tracing::info!(path = %path.display(), %reason, "venue state starts cold");
                VenueState::cold(tier, at)
            }
        };
        let inner = Inner { path, host, clock, state: Mutex::new(state), saved: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    /// The clock that the state is measured with.
    pub fn now(&self) -> Stamp {
        self.inner.clock.now()
    }

    /// The state, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, VenueState> {
        // A panic while the lock was held left whole values behind; every field is written at once.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the file now, if something changed. Blocking; not for an async task.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn save(&self) -> Result<(), StateFileError> {
        let mut saved = self.inner.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.lock().kept(&self.inner.host, self.now());
        let is_same = saved.as_ref().is_some_and(|saved| {
            saved.nonce == kept.nonce
                && saved.not_before == kept.not_before
                && saved.half_rate_until == kept.half_rate_until
                && saved.pairs.is_empty()
                && kept.pairs.is_empty()
        });
        if is_same {
            return Ok(());
        }
        write(&self.inner.path, &kept).map_err(|source| StateFileError {
            path: self.inner.path.display().to_string(),
            source,
        })?;
        *saved = Some(kept);
        Ok(())
    }

    /// Writes the file from an async task and waits for it.
    pub async fn flush(&self) {
        let state = self.clone();
        match tokio::task::spawn_blocking(move || state.save()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "venue state not saved"),
            Err(error) => tracing::warn!(%error, "venue state not saved"),
        }
    }

    /// Saves once a second until cancelled, and once more at the end.
    pub fn spawn_keeper(&self, cancel: CancellationToken) -> JoinHandle<()> {
        let state = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    // Biased: the end is saved, too.
                    biased;
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(SAVE_INTERVAL) => state.flush().await,
                }
            }
            state.flush().await;
        })
    }
}

/// Latest time that a file may name: the end of the year 9999.
const WALL_MS_MAX: i64 = 253_402_300_799_999;
/// The same for pauses: one that ends with a counter stands at half of what a number holds.
const NOT_BEFORE_MS_MAX: i64 = i64::MAX / 2 + WALL_MS_MAX;
/// Greatest nonce, nanoseconds: behind it no restart finds a higher one.
const NONCE_MAX: u64 = i64::MAX as u64;

fn read(path: &Path, host: &str) -> Result<Kept, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let kept: Kept = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if kept.version != KEPT_VERSION {
        return Err(format!("version {} instead of {KEPT_VERSION}", kept.version));
    }
    if kept.host != host {
        return Err(format!("written by host {:?}, this is {host:?}", kept.host));
    }
    let is_time = (0..=WALL_MS_MAX).contains(&kept.wall_ms)
        && kept.half_rate_until.is_none_or(|until| (0..=NOT_BEFORE_MS_MAX).contains(&until))
        && kept.not_before.iter().all(|(_, until)| (0..=NOT_BEFORE_MS_MAX).contains(until));
    if !is_time || kept.nonce > NONCE_MAX {
        return Err("a time or the nonce is outside its range".to_owned());
    }
    if !kept.rest.is_finite() || kept.pairs.values().any(|value| !value.is_finite()) {
        return Err("a counter is not a number".to_owned());
    }
    Ok(kept)
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = path.with_extension("json.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(serde_json::to_string(kept)?.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock_venue_net::SystemClock;
    use penstock_venues::kraken::rates::RestUse;
    use std::os::unix::fs::PermissionsExt;

    fn open(path: &Path, host: &str) -> SharedVenueState {
        let clock = Arc::new(SystemClock::new());
        SharedVenueState::open(path.to_owned(), host.to_owned(), Tier::Intermediate, clock)
    }

    fn is_cold(state: &SharedVenueState) -> bool {
        state.lock().is_cold(state.now().mono_ms())
    }

    #[test]
    fn a_saved_state_is_not_cold_and_nonces_rise_over_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("venue.json");
        let first = open(&path, "a");
        assert!(is_cold(&first));
        first.lock().learn(
            penstock_venues::kraken::error_table::judge("EGeneral:Temporary lockout"),
            None,
            first.now(),
        );
        first.save().unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = open(&path, "a");
        assert!(!is_cold(&second));
        let at = second.now();
        assert!(second.lock().admit_rest(1, RestUse::Reserved, at).is_err());
    }

    #[test]
    fn what_is_not_ours_or_not_whole_is_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("venue.json");
        open(&path, "a").save().unwrap();
        assert!(is_cold(&open(&path, "b")));
        let text = fs::read_to_string(&path).unwrap();
        for end in 0..text.len() {
            fs::write(&path, &text[..end]).unwrap();
            assert!(is_cold(&open(&path, "a")), "cut at {end}");
        }
        for (field, values) in [
            ("wall_ms", ["-9223372036854775808", "-1", "253402300800000"]),
            ("nonce", ["18446744073709551615", "9223372036854775808", "-1"]),
            ("rest", ["1e999", "null", "\"1\""]),
        ] {
            for value in values {
                let mut kept: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&text).unwrap();
                kept.remove(field).expect("a field of the file");
                let rest = serde_json::to_string(&kept).unwrap();
                let spoiled = format!("{{\"{field}\":{value},{}", &rest[1..]);
                fs::write(&path, spoiled).unwrap();
                assert!(is_cold(&open(&path, "a")), "{field} {value}");
            }
        }
        for until in ["-9223372036854775808", "9223372036854775807"] {
            let spoiled =
                text.replace("\"not_before\":[", &format!("\"not_before\":[[\"rest\",{until}]"));
            assert_ne!(spoiled, text);
            fs::write(&path, spoiled).unwrap();
            assert!(is_cold(&open(&path, "a")), "not before {until}");
        }
        fs::write(&path, &text).unwrap();
        let state = open(&path, "a");
        assert!(!is_cold(&state));
        // A pair that waits for its counter is kept and read again like everything else.
        let full = penstock_venues::kraken::error_table::judge("EOrder:Rate limit exceeded");
        state.lock().learn(full, Some("BTC/USD"), state.now());
        state.save().unwrap();
        assert!(!is_cold(&open(&path, "a")));
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_error_with_its_path() {
        let state = open(Path::new("/nonexistent/dir/venue.json"), "a");
        let error = state.save().unwrap_err().to_string();
        assert!(error.contains("/nonexistent/dir/venue.json"), "{error}");
    }
}
