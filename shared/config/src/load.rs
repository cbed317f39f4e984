//! Purpose: collect the sources of this process. Inputs: environment, the configuration file, files
//! named by `<NAME>_FILE`. Outputs: [`Config`]. Invariants: a file with secrets that others may read is
//! refused; a file that was named and is not there is an error, the default one may be missing.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{ConfigError, Problem};
use crate::file::FILE_BYTES_LIMIT;
use crate::key::{Key, Process};
use crate::resolve::{Config, Sources, resolve};
use crate::table;

/// The file that is read when none is named, in the working directory.
pub const DEFAULT_FILE: &str = "penstock.toml";

/// Loads the configuration of this process. `file` is what the command line names.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong.
pub fn load(process: Process, file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let environment = environment(&mut problems);
    let file = read_file(file, &mut problems);
    let secret_files = secret_files(&environment, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    resolve(&Sources { process, file, environment, secret_files })
}

/// The environment as text. A variable of ours that is not UTF-8 is a problem, others are nobody's
/// business.
fn environment(problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let known: std::collections::BTreeSet<String> = table::keys().map(Key::env).collect();
    let mut found = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                found.insert(name, value);
            }
            Err(_) if known.contains(&name) => {
                problems.push(unreadable(&name, "environment", "is not UTF-8", "set it as text"));
            }
            Err(_) => {}
        }
    }
    found
}

fn read_file(named: Option<&Path>, problems: &mut Vec<Problem>) -> Option<(String, String)> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    if named.is_none() && !path.exists() {
        return None;
    }
    let shown = path.display().to_string();
    match read_limited(path) {
        Ok(text) => Some((shown, text)),
        Err(error) => {
            let reason = format!("cannot be read: {error}");
            problems.push(unreadable(&shown, "command line", &reason, "name a readable file"));
            None
        }
    }
}

fn read_limited(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    // One byte more than allowed, so that the parser can say that it is too long.
    let limit = u64::try_from(FILE_BYTES_LIMIT).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(limit).read_to_string(&mut text)?;
    Ok(text)
}

/// Texts of the files that hold secrets.
fn secret_files(
    environment: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for key in table::keys().filter(|key| key.is_secret()) {
        let variable = format!("{}_FILE", key.env());
        let Some(path) = environment.get(&variable).filter(|path| !path.is_empty()) else {
            continue;
        };
        match read_secret(Path::new(path)) {
            Ok(text) => {
                found.insert(key.env(), text);
            }
            Err(reason) => {
                let next = format!("chmod 600 {path}, and let it belong to the service's user");
                problems.push(unreadable(&variable, path, &reason, &next));
            }
        }
    }
    found
}

fn read_secret(path: &Path) -> Result<String, String> {
    let shown = |error: std::io::Error| format!("cannot be read: {error}");
    let mode = std::fs::metadata(path).map_err(shown)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("has mode {:03o}: others may read it", mode & 0o777));
    }
    Ok(read_limited(path).map_err(shown)?.trim_end_matches(['\n', '\r']).to_owned())
}

fn unreadable(key: &str, origin: &str, reason: &str, next: &str) -> Problem {
    Problem {
        key: key.to_owned(),
        origin: origin.to_owned(),
        value: "[redacted]".to_owned(),
        reason: reason.to_owned(),
        allowed: String::new(),
        next: next.to_owned(),
        engine_code: None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::read_secret;

    #[test]
    fn a_secret_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().expect("temp dir");
        let path = directory.path().join("key");
        std::fs::write(&path, "abc\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        let refused = read_secret(&path).expect_err("refused");
        assert!(refused.contains("640"), "{refused}");
        assert!(!refused.contains("abc"), "{refused}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        assert_eq!(read_secret(&path).as_deref(), Ok("abc"));
    }
}
