//! What a demo runs on: a data root of its own, the profile, the venue's arguments.

use super::Args;
use super::venue::Addresses;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The profile, as it stands in the repository.
pub(crate) const PROFILE: &str = include_str!("../../../config/demo.toml");
/// Depths that the venue offers, smallest first.
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];

/// Name of this demo's folder below the data root: one per run, because the venue's ledger lives in its
/// memory.
#[must_use]
pub(super) fn folder(now: penstock_types::UtcMicros, pid: u32) -> PathBuf {
    PathBuf::from(format!("demo-{}-{pid}", now.secs()))
}

/// The profile with what a recording demands, written to `directory`.
///
/// # Errors
/// When the file cannot be written or the recording cannot be read.
pub(crate) fn write_profile(
    directory: &Path,
    recording: Option<&Path>,
) -> anyhow::Result<(PathBuf, Option<usize>)> {
    let depth = recording.map(recorded_depth).transpose()?;
    let mut text = String::new();
    if let Some(depth) = depth {
        // Order-by-order books are not recorded, so the venue has none to offer.
        text.push_str(&format!("l2_depth = {depth}\nl3_enable = false\n"));
    }
    text.push_str(PROFILE);
    let path = directory.join("penstock.toml");
    std::fs::write(&path, text)?;
    Ok((path, depth))
}

/// Depth of a recording: what its acknowledgement says, else the smallest of the venue's depths that
/// holds the longest side of a snapshot.
fn recorded_depth(path: &Path) -> anyhow::Result<usize> {
    let bytes = std::fs::read(path)
        .map_err(|error| anyhow::anyhow!("read recording {}: {error}", path.display()))?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes)?;
    }
    let mut longest = 0;
    for line in text.lines() {
        let Some(frame) = line.splitn(3, '\t').nth(2) else { continue };
        if !frame.contains("\"book\"") || frame.contains("\"update\"") {
            continue;
        }
        let Ok(value) = serde_json::from_str::<serde_json::Value>(frame) else { continue };
        if let Some(depth) = value["result"]["depth"].as_u64() {
            return Ok(usize::try_from(depth)?);
        }
        for book in value["data"].as_array().into_iter().flatten() {
            for side in ["bids", "asks"] {
                longest = longest.max(book[side].as_array().map_or(0, Vec::len));
            }
        }
    }
    let fitting = DEPTHS.into_iter().find(|depth| *depth >= longest);
    fitting.ok_or_else(|| anyhow::anyhow!("{}: a snapshot has {longest} levels", path.display()))
}

/// Arguments of `venue-sim`.
#[must_use]
pub(super) fn venue_arguments(args: &Args) -> Vec<String> {
    let mut list = vec!["--seed".to_owned(), args.seed.to_string()];
    match &args.recording {
        Some(file) => list.extend(["--recording".to_owned(), file.display().to_string()]),
        // A recording brings its own symbols.
        None => list.extend(
            ["--scenario", "pulses", "--symbols", &args.symbols.to_string()].map(str::to_owned),
        ),
    }
    for (name, value) in
        [("--cash", args.cash.to_string()), ("--volume-30d", args.volume_30d.to_string())]
    {
        list.extend([name.to_owned(), value]);
    }
    if let Some(file) = &args.faults {
        list.extend(["--faults".to_owned(), file.display().to_string()]);
    }
    list
}

/// Variables that name the derivative venues; without them these are off.
const DERIVATIVES: [&str; 2] = ["KRAKEN_FUTURES_", "BINANCE_UM_"];

/// Variables without those of the derivative venues: a recording of the spot market has none beside it.
#[must_use]
pub(super) fn without_derivatives(variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let of_spot = |name: &str| !DERIVATIVES.iter().any(|prefix| name.starts_with(prefix));
    variables.into_iter().filter(|(name, _)| of_spot(name)).collect()
}

/// Variables of both services that make the venue theirs. Metrics stay off: two demos may run at once.
#[must_use]
pub(crate) fn environment(venue: &Addresses) -> Vec<(String, String)> {
    [
        ("KRAKEN_WS_PUBLIC_URL", venue.ws_public.clone()),
        ("KRAKEN_WS_L3_URL", venue.l3.clone()),
        ("KRAKEN_WS_AUTH_URL", venue.ws_private.clone()),
        ("KRAKEN_REST_URL", venue.rest.clone()),
        ("KRAKEN_FUTURES_WS_URL", venue.futures_ws.clone()),
        ("KRAKEN_FUTURES_REST_URL", venue.futures_rest.clone()),
        ("BINANCE_UM_WS_PUBLIC_URL", venue.binance_ws_public.clone()),
        ("BINANCE_UM_WS_MARKET_URL", venue.binance_ws_market.clone()),
        ("BINANCE_UM_REST_URL", venue.binance_rest.clone()),
        ("KRAKEN_API_KEY", venue.api_key.clone()),
        ("KRAKEN_API_SECRET", venue.api_secret.clone()),
        ("METRICS_PORT_INGEST", "0".to_owned()),
        ("METRICS_PORT_EXECUTION", "0".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recordings_depth_is_its_acknowledgement_or_its_longest_side() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.rec");
        let snapshot = r#"{"channel":"book","type":"snapshot","data":[{"symbol":"A/B","bids":[{},{},{}],"asks":[]}]}"#;
        std::fs::write(&file, format!("1\tr\t{snapshot}\n")).unwrap();
        assert_eq!(recorded_depth(&file).unwrap(), 10);
        let ack =
            r#"{"method":"subscribe","result":{"channel":"book","depth":100},"success":true}"#;
        std::fs::write(&file, format!("-\tr\t{ack}\n1\tr\t{snapshot}\n")).unwrap();
        assert_eq!(recorded_depth(&file).unwrap(), 100);
        assert!(recorded_depth(&directory.path().join("absent")).is_err());
    }

    #[test]
    fn a_recordings_profile_leaves_out_what_is_not_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.rec");
        std::fs::write(&file, "1\tr\t{\"channel\":\"book\",\"data\":[{\"bids\":[{}]}]}\n").unwrap();
        let load = |recording| {
            let (profile, _) = write_profile(directory.path(), recording).unwrap();
            penstock_config::load(penstock_config::Process::Tool, Some(&profile)).unwrap()
        };
        assert!(load(None).areas.feeds.l3_enable);
        assert!(!load(Some(file.as_path())).areas.feeds.l3_enable);
        let pair = |name: &str| (name.to_owned(), "ws://127.0.0.1:1".to_owned());
        let names = ["KRAKEN_WS_PUBLIC_URL", "KRAKEN_FUTURES_WS_URL", "BINANCE_UM_REST_URL"];
        assert_eq!(without_derivatives(names.map(pair).to_vec()), [pair("KRAKEN_WS_PUBLIC_URL")]);
    }
}
