//! Rebuilds the crate when the committed query metadata changes: the query macros read it behind the
//! build tool's back.

fn main() {
    println!("cargo:rerun-if-changed=../../.sqlx");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
