//! Bytes of the engine's files, by what they are and whether they are compressed, as metrics.
//!
//! Input: its directories. Output: two gauges. Invariants: it opens no file; one that goes while it looks is not
//! counted; a directory that cannot be read counts as empty, because others say so louder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use metrics::gauge;
use penstock_engine_io::EngineDirs;

/// What a file is.
fn kind(name: &str) -> Option<&'static str> {
    let plain = name.strip_suffix(".zst").unwrap_or(name);
    match plain.rsplit_once('.')?.1 {
        "bin" => Some("log"),
        "ejf" => Some("journal"),
        "eqf" => Some("quotes"),
        "jsonl" => Some("streams"),
        "snap" => Some("snapshots"),
        _ => None,
    }
}

/// Bytes by what and form.
fn sizes(dir: &Path, depth: u32, found: &mut BTreeMap<(&'static str, &'static str), u64>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && depth > 0 {
            sizes(&entry.path(), depth - 1, found);
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(kind) = kind(&name) {
            let form = if name.ends_with(".zst") { "zst" } else { "raw" };
            *found.entry((kind, form)).or_default() += meta.len();
        }
    }
}

/// Looks once and sets the gauges.
pub(super) fn say(dirs: &EngineDirs) {
    let mut found = BTreeMap::new();
    // Logs lie one level down, by token; journals by day.
    for dir in [&dirs.log, &dirs.journal, &dirs.snapshots, &dirs.alerts, &dirs.transitions()] {
        sizes(dir, 1, &mut found);
    }
    let open = found.get(&("log", "raw")).copied().unwrap_or(0);
    gauge!("engine_log_bytes").set(open as f64);
    for ((kind, form), bytes) in found {
        gauge!("engine_files_bytes", "kind" => kind, "form" => form).set(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_by_what_they_are_and_in_which_form() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("1")).unwrap();
        for (name, bytes) in
            [("1/a.bin", 3), ("1/b.bin.zst", 2), ("engine-1.snap", 5), ("LOCK", 7), ("1/b.tmp", 9)]
        {
            fs::write(root.path().join(name), vec![0; bytes]).unwrap();
        }
        let mut found = BTreeMap::new();
        sizes(root.path(), 1, &mut found);
        let wanted = [(("log", "raw"), 3), (("log", "zst"), 2), (("snapshots", "raw"), 5)];
        assert!(found.into_iter().eq(wanted));
    }
}
