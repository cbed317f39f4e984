//! Each layer owns its state: a program outside the crate can neither name a part of it nor change one.
//!
//! The programs below are compiled against this crate as it was just built. One that only reads compiles, so a
//! refusal is about what the program does and not about how it is compiled.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// What everybody may do.
const READS: &str = "pub fn f(config: &penstock_engine::EngineConfig) -> [u8; 32] {
    penstock_engine::Engine::new(config).map(|engine| engine.chain()).unwrap_or_default()
}";

/// Layer, what somebody might try, and the compiler's word against it.
const TRIES: &[(&str, &str, &str)] = &[
    (
        "2 features",
        "pub fn f(x: &mut penstock_engine::feature::Features) { let _ = &mut x.memory; }",
        "E0616",
    ),
    ("2 features", "pub use penstock_engine::feature::memory::Memory;", "E0603"),
    ("3 tier", "pub fn f(x: &mut penstock_engine::tier::TierState) { x.exit = 0; }", "E0616"),
    ("3 tier", "pub fn f(x: &penstock_engine::tier::TierState) -> u32 { x.exhausted }", "E0616"),
    ("4 cost", "pub fn f(x: &mut penstock_engine::cost::CostState) { x.cost = 0; }", "E0616"),
    (
        "4 cost",
        "pub fn f() -> penstock_engine::cost::CostState { penstock_engine::cost::CostState { density: 0, divergence: 0, elasticity: 0, compression: 0, cost: 0 } }",
        "E0451",
    ),
    ("5 token", "pub fn f(x: &mut penstock_engine::fsm::FsmMemory) { x.cycle_id = 9; }", "E0616"),
    (
        "5 token",
        "pub fn f(x: &mut penstock_engine::fsm::FsmMemory) { x.state = penstock_types::engine_view::FsmState::Unwind; }",
        "E0616",
    ),
    (
        "6 cluster",
        "pub fn f(x: &mut penstock_engine::cluster::ClusterMemory) { x.heat = 0; }",
        "E0616",
    ),
    (
        "7 phase",
        "pub fn f(x: &mut penstock_engine::phase::PhaseMemory) { x.latch = None; }",
        "E0616",
    ),
    (
        "8 alerts",
        "pub fn f(x: &mut penstock_engine::alert::TokenAlerts) { x.raised_mask = 0; }",
        "E0616",
    ),
    (
        "8 alerts",
        "pub fn f(x: &mut penstock_engine::alert::ClusterAlerts) { x.systemic = 0; }",
        "E0616",
    ),
    ("9 chain", "pub fn f(x: &mut penstock_engine::Engine) { x.chain = [0; 32]; }", "E0616"),
    ("9 tokens", "pub fn f(x: &mut penstock_engine::Engine) { x.tokens.clear(); }", "E0616"),
    ("9 inside", "pub use penstock_engine::engine::Engine;", "E0603"),
];

/// Directory of this test's own program, where its libraries lie too.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Compiles a program; what the compiler says when it refuses.
fn compile(engine: &Path, types: Option<&Path>, program: &str) -> Result<(), String> {
    let dir = tempfile();
    let source = dir.join("program.rs");
    std::fs::write(&source, program).unwrap();
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "--out-dir"])
        .arg(&dir)
        .arg("--extern")
        .arg(format!("penstock_engine={}", engine.display()))
        .arg("-L")
        .arg(format!("dependency={}", libraries().display()));
    if let Some(types) = types {
        command.arg("--extern").arg(format!("penstock_types={}", types.display()));
    }
    let output = command.arg(&source).output().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// A directory of this call alone.
fn tempfile() -> PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("penstock-ownership-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Built libraries of a name, newest first.
fn built(name: &str) -> Vec<PathBuf> {
    let mut found: Vec<(std::time::SystemTime, PathBuf)> = std::fs::read_dir(libraries())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            file.starts_with(&format!("lib{name}-")) && file.ends_with(".rlib")
        })
        .map(|path| (std::fs::metadata(&path).unwrap().modified().unwrap(), path))
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

#[test]
fn d10_no_layers_state_can_be_named_or_changed_from_outside() {
    let engine = built("penstock_engine")
        .into_iter()
        .find(|engine| compile(engine, None, READS).is_ok())
        .expect("a program that only reads compiles against the engine as it was built");
    let reads = "pub fn f(x: penstock_types::engine_view::FsmState) -> Option<penstock_types::engine_view::FsmState> { penstock_engine::fsm::next(x, penstock_engine::fsm::Edge::Forward) }";
    let types = built("penstock_types")
        .into_iter()
        .find(|types| compile(&engine, Some(types), reads).is_ok())
        .expect("the engine's own types are among the libraries");
    for (layer, program, code) in TRIES {
        let refusal = compile(&engine, Some(&types), program).expect_err(program);
        assert!(refusal.contains(&format!("error[{code}]")), "layer {layer}: {program}\n{refusal}");
    }
}
