//! One way to the venue: who holds the signing client, who may ask it for what, and with what in hand. Read off the
//! sources, because what must not be there cannot be called.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use penstock_config::table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A source of the product: its path below the root, and its text without comments and without tests.
struct Source {
    path: String,
    text: String,
}

fn gather(folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !["tests", "benches", "examples", "target"].contains(&name) {
                gather(&path, found);
            }
        } else if name.ends_with(".rs") && !["tests.rs", "testing.rs"].contains(&name) {
            let text = std::fs::read_to_string(&path).expect("a source");
            let text = text.split("\n#[cfg(test)]\n").next().unwrap_or_default();
            let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
            let text = text.lines().map(code).collect::<Vec<_>>().join("\n");
            let path = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.push(Source { path, text });
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        gather(&root().join(folder), &mut found);
    }
    found
}

/// Sources that contain one of the words.
fn naming(sources: &[Source], words: &[&str]) -> BTreeSet<String> {
    let names = |source: &&Source| words.iter().any(|word| source.text.contains(word));
    sources.iter().filter(names).map(|source| source.path.clone()).collect()
}

fn paths<const N: usize>(paths: [&str; N]) -> BTreeSet<String> {
    paths.map(str::to_owned).into()
}

/// The body of a function, from its head to the next head of the same depth.
fn function<'a>(text: &'a str, head: &str) -> &'a str {
    let (_, rest) = text.split_once(head).unwrap_or_else(|| panic!("{head} is there"));
    rest.split("\n    pub").next().unwrap_or(rest)
}

const SEND: &str = "execution/src/submit/send.rs";
const EARLY: &str = "execution/src/submit/early.rs";

/// The client that signs is opened in one place and asked for an order in one function, which takes the committed row
/// that only its insert returns. Nothing else of the product reaches the venue: no other crate has the client, no
/// request of the whole account is sent, the REST side has no request that changes anything, nothing is only validated
/// or simulated, and no key turns on another network.
#[test]
fn client_is_private() {
    let product = sources(&["execution/src", "ingest/src", "ops/src", "shared"]);
    // The simulated venue, and the simulation that speaks to its exchange as a value: neither has a socket to a venue.
    let made_up = |source: &Source| {
        ["shared/sim/", "shared/lifesim/"].iter().any(|room| source.path.starts_with(room))
    };
    let product: Vec<Source> = product.into_iter().filter(|source| !made_up(source)).collect();
    assert!(product.len() > 400, "the sources are read: {}", product.len());

    // Who opens it.
    let opens = naming(&product, &["spawn_order_socket(", "PrivateRest::new("]);
    let own = |path: &String| !path.starts_with("shared/venue-orders/");
    let opens: BTreeSet<String> = opens.into_iter().filter(own).collect();
    assert_eq!(opens, paths(["execution/src/attach/venue.rs"]));

    // Who asks it for what.
    let asks = |words: &[&str]| {
        let wire = |path: &String| !path.starts_with("shared/ven");
        naming(&product, words).into_iter().filter(wire).collect::<BTreeSet<String>>()
    };
    assert_eq!(asks(&[".add_order("]), paths([SEND, EARLY]));
    assert_eq!(asks(&[".amend_order("]), paths([SEND]));
    assert_eq!(asks(&[".cancel_order("]), paths([SEND, "execution/src/reconcile/strangers.rs"]));
    let whole = ["cancel_all(", "add_batch(", "edit_order("];
    assert_eq!(asks(&whole), paths([]), "requests of the whole account");
    let switch = asks(&["cancel_all_orders_after("]);
    assert_eq!(switch, paths(["execution/src/dms/mod.rs"]), "the dead man's switch");
    assert_eq!(asks(&["request::add_order", "request::amend_order"]), paths([]), "wire texts");

    // With what in hand.
    let text = |path: &str| {
        let source = product.iter().find(|source| source.path == path);
        source.map(|source| source.text.as_str()).unwrap_or_else(|| panic!("{path} is there"))
    };
    let send = text(SEND);
    assert_eq!(send.matches(".add_order(").count(), 1);
    let body = function(send, "fn send_add(");
    assert!(body.starts_with("&mut self, persisted: PersistedOrder,"), "{body}");
    assert!(body.contains(".add_order("), "the one request stands in this function");
    assert!(body.contains("validate: false,"), "what is sent is meant");
    let made = naming(&product, &["PersistedOrder {", "PersistedOrder{"]);
    assert_eq!(made, paths(["shared/store-orders/src/orders/persist.rs"]));
    let persist = text("shared/store-orders/src/orders/persist.rs");
    let (_, fields) = persist.split_once("pub struct PersistedOrder {\n").expect("the struct");
    let fields: Vec<&str> = fields.split("\n}").next().unwrap_or_default().lines().collect();
    assert!(!fields.is_empty());
    let open = fields.iter().find(|field| field.trim_start().starts_with("pub"));
    assert_eq!(open, None, "nobody else makes one");
    // The wrong order of things, for the checker's own test, is in builds with failpoints alone.
    let submit = text("execution/src/submit/mod.rs");
    assert!(submit.contains("#[cfg(feature = \"failpoints\")]\nmod early;"));

    let asked: Vec<String> = CANCELS.map(|name| format!("PrivateRequest::{name}")).into();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    assert_eq!(asks(&asked), paths([]), "the REST side is asked for looks alone");
    rest_only_reads(text("shared/venues/src/kraken/rest/request.rs"));
    other_crates_lack_it();
    no_other_network(&product);
}

/// Requests of the REST side that change something, for nobody's use: they can only take orders away.
const CANCELS: [&str; 2] = ["CancelAll", "CancelOrder"];

/// The private REST requests: every one reads but the two that nobody asks for.
fn rest_only_reads(text: &str) {
    let (_, body) = text.split_once("pub enum PrivateRequest<'a> {").expect("the requests");
    let body = body.split("\n}").next().unwrap_or(body);
    let variants: BTreeSet<&str> = body
        .lines()
        .filter(|line| line.starts_with("    ") && !line.starts_with("     "))
        .filter_map(|line| line.trim().split(['(', '{', ',', ' ']).next())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()))
        .collect();
    let reads = [
        "Get",
        "Balance",
        "OpenOrders",
        "ClosedOrders",
        "Query",
        "TradesHistory",
        "Ledgers",
        "TradeVolume",
    ];
    assert!(variants.len() >= 8, "{variants:?}");
    let is_read = |name: &str| reads.iter().any(|read| name.starts_with(read));
    let odd: Vec<&str> = variants.into_iter().filter(|name| !is_read(name)).collect();
    assert_eq!(odd, CANCELS, "requests that change something");
}

/// No crate but execution depends on the client, and neither service on the simulated venue.
fn other_crates_lack_it() {
    let manifest = |folder: &str| {
        let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("there");
        let (_, rest) = text.split_once("\n[dependencies]\n").expect("dependencies");
        rest.split("\n[").next().unwrap_or(rest).to_owned()
    };
    assert!(manifest("execution").contains("penstock-venue-orders "), "the client is its own");
    assert!(!manifest("execution").contains("penstock-sim "));
    assert!(!manifest("ingest").contains("penstock-sim "));
    let mut folders = vec!["ingest".to_owned(), "ops".to_owned()];
    for entry in std::fs::read_dir(root().join("shared")).expect("the shared crates") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        folders.push(format!("shared/{name}"));
    }
    for folder in folders {
        if root().join(&folder).join("Cargo.toml").exists() && folder != "shared/venue-orders" {
            assert!(!manifest(&folder).contains("penstock-venue-orders "), "{folder}");
        }
    }
}

/// No key names another network or a simulated fill, and no source has the address of one.
fn no_other_network(product: &[Source]) {
    let words = ["testnet", "sandbox", "paper", "dry_run", "simulate", "fake_fill", "demo_mode"];
    for key in table::keys() {
        let named = words.iter().find(|word| key.name.contains(**word));
        assert_eq!(named, None, "{}", key.name);
    }
    let services: Vec<&Source> =
        product.iter().filter(|source| source.path.starts_with("execution/src")).collect();
    for source in services {
        let text = source.text.to_ascii_lowercase();
        for word in ["testnet", "sandbox", "demo-futures", "paper_trading", "simulated_fill"] {
            assert!(!text.contains(word), "{}: {word}", source.path);
        }
    }
}
