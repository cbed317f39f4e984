//! Searches for a change by the AI gate that raises risk: `cargo run --release -p penstock-contracts --example
//! modify_lattice -- CASES [SEED]`.
//!
//! Input: a number of cases (1,000,000) and a seed (1). Output: one line; exit code 1 with the case when one is found.

use penstock_contracts::ai::enforce::lattice::search;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let cases = numbers.next().unwrap_or(Ok(1_000_000));
    let seed = numbers.next().unwrap_or(Ok(1));
    let (Ok(cases), Ok(seed)) = (cases, seed) else {
        eprintln!("CASES and SEED are whole numbers, for example: modify_lattice 1000000 1");
        return ExitCode::from(2);
    };
    match search(seed, cases) {
        Ok(tried) => {
            println!("{} changes made, {} refused, none raised risk", tried.made, tried.refused);
            ExitCode::SUCCESS
        }
        Err(raised) => {
            eprintln!("{raised}");
            ExitCode::FAILURE
        }
    }
}
