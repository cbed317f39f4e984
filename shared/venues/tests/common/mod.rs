//! Where the recordings are, and how to read them.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The directory of recordings, or `None` with a line that says so.
pub(crate) fn recordings() -> Option<PathBuf> {
    let root = match std::env::var_os("PENSTOCK_RECORDINGS") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/recordings"),
    };
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: no recordings at {} (PENSTOCK_RECORDINGS)", root.display());
    None
}

/// The text of a compressed file.
pub(crate) fn unzipped(path: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("the listing named it");
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("a whole gzip file of text");
    text
}
