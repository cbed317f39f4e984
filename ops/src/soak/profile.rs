//! What a soak runs on: the demo's profile with more symbols, each bound on all three venues.
//!
//! Inputs: options. Outputs: the text of a configuration file, variables of the services, arguments of the
//! venue. It writes and starts nothing.

use super::Args;
use crate::demo::setup::PROFILE;
use anyhow::Context;
use penstock_sim::derivatives::{self, Spec};
use penstock_sim::instruments::Catalog;
use penstock_types::Decimal;
use std::path::Path;

/// Keys that a soak sets itself, whatever the demo's profile says.
const OWN: [&str; 4] = [
    "execution_universe_limit",
    "universe_l2_limit_override",
    "universe_l3_limit_override",
    "l3_enable",
];
/// Where the profile's table of the engine begins; keys stand before it.
const ENGINE: &str = "[engine]";
/// Where its tokens begin; a soak has its own.
const TOKENS: &str = "[[engine.token]]";

/// The configuration file.
///
/// # Errors
/// When the venue does not list so many symbols.
pub(super) fn text(args: &Args) -> anyhow::Result<String> {
    let symbols = usize::try_from(args.symbols)?;
    let catalog = Catalog::generated(symbols).context("--symbols")?;
    let head = PROFILE.split(TOKENS).next().unwrap_or_default();
    let (keys, engine) = head.split_once(ENGINE).unwrap_or((head, ""));
    let is_own = |line: &str| OWN.iter().any(|key| line.starts_with(key));
    let mut text: String =
        keys.lines().filter(|line| !is_own(line)).map(|line| format!("{line}\n")).collect();
    let [pool, l2, l3, level3] = OWN;
    text.push_str(&format!("{pool} = {symbols}\n{l2} = {symbols}\n"));
    match args.l3_symbols {
        0 => text.push_str(&format!("{level3} = false\n")),
        limit => text.push_str(&format!("{level3} = true\n{l3} = {limit}\n")),
    }
    // Open interest is polled for ten symbols a second and must not be stale between two polls of one.
    let stale_ticks = 240.max(8 * symbols.div_ceil(10));
    text.push_str(&format!("\n{ENGINE}{engine}stale.oi = {stale_ticks}\n"));
    let (futures, binance) = (derivatives::futures(&catalog), derivatives::binance(&catalog));
    for (index, listing) in catalog.listings().iter().enumerate() {
        let of = |list: &[Spec], prefix: &str| {
            let own = |spec: &&Spec| spec.spot.0 == index && spec.symbol.starts_with(prefix);
            list.iter().find(own).map(|spec| spec.symbol.clone())
        };
        let (id, base, spot) = (index + 1, &listing.base.id, &listing.instrument.symbol);
        let (Some(perpetual), Some(flexible)) = (of(&binance, base), of(&futures, "PF_")) else {
            continue;
        };
        let class = class(args, id);
        text.push_str(&format!(
            "\n{TOKENS}\nid = {id}\nsymbol = \"{base}\"\nclass = \"{class}\"\nprofile = \"DERIV\"\ninstruments = [\n  \
             {{ venue = \"binance_um\", symbol = \"{perpetual}\", roles = [\"price_ref\", \"deriv_primary\", \"flow\", \"oi_set\"] }},\n  \
             {{ venue = \"kraken_futures\", symbol = \"{flexible}\", roles = [\"flow\", \"oi_set\"] }},\n  \
             {{ venue = \"kraken\", symbol = \"{spot}\", roles = [\"spot_primary\"] }},\n]\n"
        ));
    }
    Ok(text)
}

/// Class of a token: those that walk are a cluster of their own, whose funding and open interest count in full.
fn class(args: &Args, id: usize) -> &'static str {
    let walks = args.scenario == "cascade" && id as u64 <= u64::from(args.walkers);
    if walks { "MEA" } else { "MSPC" }
}

/// Variables of both services that the options ask for.
pub(super) fn environment(args: &Args) -> Vec<(String, String)> {
    let mut set = Vec::new();
    if let Some(seconds) = args.rollover_s {
        let hours = Decimal::from(seconds) / Decimal::from(3_600);
        set.push(("RUN_ROLLOVER_HOURS".to_owned(), hours.round_dp(6).normalize().to_string()));
    }
    if let Some(seconds) = args.binance_rotation_s {
        set.push(("BINANCE_UM_ROTATE_SECS".to_owned(), seconds.to_string()));
    }
    set
}

/// Arguments of `venue-sim`; everything it sends stands in `send_log`.
pub(super) fn venue_arguments(args: &Args, send_log: &Path) -> Vec<String> {
    let mut pairs = vec![
        ("--seed", args.seed.to_string()),
        ("--scenario", args.scenario.clone()),
        ("--symbols", args.symbols.to_string()),
        ("--rate", args.rate.to_string()),
        ("--send-log", send_log.display().to_string()),
    ];
    if args.scenario == "cascade" {
        pairs.push(("--walkers", args.walkers.to_string()));
        pairs.push(("--calm-s", args.calm_s.to_string()));
    }
    pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        Line::parse_from([&["soak"], line].concat()).args
    }

    #[test]
    fn the_profile_is_one_that_the_product_takes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("penstock.toml");
        std::fs::write(&file, text(&args(&["--symbols", "40"])).unwrap()).unwrap();
        let config = penstock_config::load(penstock_config::Process::Tool, Some(&file)).unwrap();
        let tokens = config.bindings.tokens();
        assert_eq!(tokens.len(), 40);
        assert!(tokens.iter().all(|token| token.instruments.len() == 3));
        assert_eq!(config.areas.universe.execution_universe_limit, 40);
    }

    #[test]
    fn what_was_asked_for_becomes_variables_and_arguments() {
        let args = args(&["--rollover-s", "180", "--binance-rotation-s", "60", "--rate", "2"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            environment(&args),
            [pair("RUN_ROLLOVER_HOURS", "0.05"), pair("BINANCE_UM_ROTATE_SECS", "60")]
        );
        let line = venue_arguments(&args, Path::new("/a/sends")).join(" ");
        assert_eq!(line, "--seed 1 --scenario pulses --symbols 200 --rate 2 --send-log /a/sends");
    }

    #[test]
    fn symbols_that_walk_are_a_cluster_of_their_own() {
        let args = args(&["--symbols", "30", "--scenario", "cascade", "--walkers", "4"]);
        let text = text(&args).unwrap();
        assert_eq!(text.matches("class = \"MEA\"").count(), 4);
        assert_eq!(text.matches("class = \"MSPC\"").count(), 26);
        let line = venue_arguments(&args, Path::new("/a/sends")).join(" ");
        assert!(line.contains("--scenario cascade"), "{line}");
        assert!(line.ends_with("--walkers 4 --calm-s 1200"), "{line}");
    }
}
