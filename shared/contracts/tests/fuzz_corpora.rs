//! The committed corpora of the fuzz targets over the contracts, replayed without building the rest.

#[path = "../../../fuzz/src/targets/contracts.rs"]
mod contracts;

#[test]
fn every_input_of_a_corpus_keeps_what_its_target_promises() {
    for (name, target) in [
        ("ai_result", contracts::ai_result as fn(&[u8])),
        ("dec_str", contracts::dec_str),
        ("decision_snapshot", contracts::decision_snapshot),
    ] {
        let dir =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&std::fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs >= 3, "{name}");
    }
}
