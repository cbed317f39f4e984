//! penstock: the operator's tool. Reads the command line, runs the command, exits with its status.

use clap::Parser;
use penstock_ops::cli::{self, Cli};

fn main() -> std::process::ExitCode {
    let parsed = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("start the runtime: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let status = runtime.block_on(cli::run(parsed)).unwrap_or_else(|error| {
        let status = cli::status_of(&error);
        if status != 0 {
            eprintln!("penstock: {error:#}");
        }
        status
    });
    // Statuses are below 256 by definition; anything else is a defect and must not look like success.
    std::process::ExitCode::from(u8::try_from(status).unwrap_or(1))
}
