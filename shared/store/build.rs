//! Rebuilds the crate when a migration file appears: an embedded directory is read by a macro, which
//! the build tool does not see.

fn main() {
    for set in ["both", "ingest", "decision"] {
        println!("cargo:rerun-if-changed=../../migrations/{set}");
    }
}
