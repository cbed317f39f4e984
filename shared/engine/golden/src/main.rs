//! Prints the hashes of the golden day, for builds and machines that are compared with each other.
//!
//! `golden hour` prints the configuration and the first hour, `golden day` that and the whole day in the form of
//! `tests/golden.txt`, `golden edges N` runs N random ticks of thirty tokens and says that no record took an
//! edge that does not exist, `golden walk` prints the chain of the short walk, `golden config` the canonical
//! text of its configuration. Exit 0, or 2 when it is called in another way.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/edges/mod.rs"]
mod edges;
#[path = "../../tests/golden_day/mod.rs"]
mod golden_day;
mod walk;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["hour"] => print!("{}", golden_day::first_hour()),
        ["day"] => print!("{}{}", golden_day::first_hour(), golden_day::whole_day()),
        ["config"] => print!("{}", walk::config().canonical()),
        ["walk"] => println!("{}", hex::encode(walk::chain())),
        ["edges", ticks] => match ticks.parse() {
            Ok(ticks) => println!("{}", edges::wild(ticks)),
            Err(_) => usage(),
        },
        _ => usage(),
    }
}

fn usage() {
    eprintln!("golden hour | day | walk | config | edges TICKS");
    std::process::exit(2);
}
