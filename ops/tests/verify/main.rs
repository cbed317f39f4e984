//! `penstock verify` on a real recording: ingest and the simulated venue record runs with a rollover, every
//! one is derived again, and one edited row is named.
#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod export;
mod recorded;

use penstock_store::ClusterRole;
use recorded::{Recorded, recorded};

fn verdict(said: &serde_json::Value) -> &str {
    said["verdict"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_recording_with_a_rollover_derives_again_and_one_edited_row_is_named() {
    let run = recorded().await;
    for run_id in run.runs().await {
        run_is_whole(&run, run_id).await;
    }
    a_single_generation(&run).await;
    an_edited_row(&run).await;
    a_refused_row(&run).await;
    a_lost_row(&run).await;
    nobody_there(&run).await;
    the_state_is_written_again(&run).await;
    export::a_run_as_files(&run).await;
}

/// Numbers, generations and frames of a run are as recorded.
async fn run_is_whole(run: &Recorded, run_id: i64) {
    let id = run_id.to_string();
    let (code, said) = run.json(&["verify", "run", "--run", &id]).await;
    assert_eq!((code, verdict(&said)), (0, "Equal"), "{said}");
    let (code, said) = run.json(&["verify", "generation", "--all", "--run", &id]).await;
    println!("run {run_id}, generations: {said}");
    assert_eq!((code, verdict(&said)), (0, "Equal"), "{said}");
    assert!(said["equal"].as_i64() >= Some(2), "{said}");
    let (code, said) = run.json(&["verify", "frames", "--run", &id]).await;
    println!("run {run_id}, frames: {said}");
    assert_eq!((code, verdict(&said)), (0, "Equal"), "{said}");
    assert!(said["equal"].as_i64() >= Some(8), "{said}");
    let events =
        format!("select sum(n_events)::bigint from engine_tick_frames where run_id = {id}");
    assert!(run.number(ClusterRole::Decision, &events).await > 0, "frames carry events");
}

/// One generation, from the newest checkpoint before it.
async fn a_single_generation(run: &Recorded) {
    let last = run.last().await;
    let newest = format!("select max(generation_id) from state_generations where run_id = {last}");
    let newest = run.number(ClusterRole::Ingest, &newest).await;
    for generation in [newest, newest - 1] {
        let (last, generation) = (last.to_string(), generation.to_string());
        let asked = ["verify", "generation", "--run", &last, "--generation", &generation];
        let (code, said) = run.json(&asked).await;
        assert_eq!((code, verdict(&said)), (0, "Equal"), "{said}");
        assert_eq!(said["equal"].as_i64(), Some(1), "{said}");
    }
    let (code, _) =
        run.json(&["verify", "generation", "--run", &last.to_string(), "--generation", "1"]).await;
    assert_eq!(code, 2, "a generation of another run");
}

/// A digit of the last sample that the last generation has folded in.
async fn an_edited_row(run: &Recorded) {
    let last = run.last().await;
    let sample = format!(
        "select seq from l2_snap_metrics where run_id = {last} and seq <= (
            select max(wm_seq) from state_generations where run_id = {last})
        order by seq desc limit 1"
    );
    let seq = run.number(ClusterRole::Ingest, &sample).await;
    let change = |sign: &str| {
        format!(
            "update l2_snap_metrics set bid_qty = bid_qty {sign} 1 where run_id = {last}
            and seq = {seq}"
        )
    };
    run.owner(&change("+")).await;
    let id = last.to_string();
    let (code, said) = run.json(&["verify", "generation", "--all", "--run", &id]).await;
    println!("edited, generations: {said}");
    assert_eq!((code, verdict(&said)), (15, "Different"), "{said}");
    let place = match &said["published_difference"] {
        serde_json::Value::Null => &said["first_difference"],
        other => other,
    };
    assert!(place["symbol"].is_string() && place["column"].is_string(), "{said}");
    let (code, said) = run.json(&["verify", "frames", "--run", &id]).await;
    println!("edited, frames: {said}");
    assert_eq!((code, verdict(&said)), (15, "Different"), "{said}");
    let tick = format!(
        "select floor(extract(epoch from ts_local) * 4)::bigint from l2_snap_metrics
        where run_id = {last} and seq = {seq}"
    );
    let tick = run.number(ClusterRole::Ingest, &tick).await;
    let named = said["first_difference"]["tick"].as_i64().unwrap_or_default();
    assert!((tick..tick + 8).contains(&named), "row in tick {tick}: {said}");
    run.owner(&change("-")).await;
    let human = run.called(&["verify", "frames", "--run", &id]).await;
    assert_eq!(human.status.code(), Some(0), "put back: {human:?}");
    assert!(String::from_utf8_lossy(&human.stdout).contains("Equal"), "{human:?}");
}

/// A sample of the first half of a run, moved to the quarantine with what follows from it.
async fn a_refused_row(run: &Recorded) {
    let last = run.last().await;
    let middle = format!(
        "select seq from trade_samples where run_id = {last} order by seq
        offset (select count(*) / 2 from trade_samples where run_id = {last}) limit 1"
    );
    let seq = run.number(ClusterRole::Ingest, &middle).await;
    run.owner(&format!(
        "create table kept as select * from trade_samples where run_id = {last} and seq = {seq};
        grant select on kept to ops_rw;
        delete from trade_samples where run_id = {last} and seq = {seq};
        insert into raw_quarantine values ({last}, {seq}, 2, '22003', 'test', '', now());
        update state_generations set raw_complete = false where run_id = {last} and wm_seq >= {seq}"
    ))
    .await;
    let id = last.to_string();
    for asked in [["generation", "--all"].as_slice(), &["frames"]] {
        let mut words = vec!["verify"];
        words.extend(asked);
        words.extend(["--run", &id]);
        let (code, said) = run.json(&words).await;
        println!("refused, {asked:?}: {said}");
        assert_eq!((code, verdict(&said)), (0, "Incomplete"), "{said}");
        assert!(said["incomplete"].as_i64() > Some(0), "{said}");
    }
    let (code, said) = run.json(&["verify", "run", "--run", &id]).await;
    assert_eq!((code, verdict(&said)), (0, "Equal"), "a refused row is accounted for: {said}");
    run.owner(&format!("delete from raw_quarantine where run_id = {last}")).await;
}

/// The same row, gone without a word.
async fn a_lost_row(run: &Recorded) {
    let last = run.last().await;
    let seq = run.number(ClusterRole::Ingest, "select seq from kept").await;
    let (code, said) = run.json(&["verify", "run", "--run", &last.to_string()]).await;
    assert_eq!((code, verdict(&said)), (15, "Different"), "{said}");
    assert_eq!(said["first_hole"]["first_missing"].as_i64(), Some(seq), "{said}");
    run.owner(&format!(
        "insert into trade_samples select * from kept; drop table kept;
        update state_generations set raw_complete = true where run_id = {last}"
    ))
    .await;
    let (code, said) = run.json(&["verify", "run", "--run", &last.to_string()]).await;
    assert_eq!((code, verdict(&said)), (0, "Equal"), "{said}");
}

/// The ingest cluster's state rows, gone and derived again.
async fn the_state_is_written_again(run: &Recorded) {
    let (last, first) = (run.last().await.to_string(), run.runs().await[0].to_string());
    let state =
        "select ('x' || left(md5(string_agg(s::text, ',' order by symbol)), 15))::bit(60)::bigint
        from run_symbol_state s";
    let before = run.number(ClusterRole::Ingest, state).await;
    run.owner("delete from run_symbol_state; delete from refresh_watermarks").await;
    let older = run.called_as("ingest_rw", &["replay", "--write-state", "--run", &first]).await;
    assert_eq!(older.status.code(), Some(2), "the state is another run's: {older:?}");
    let looked = run.called_as("ingest_rw", &["replay", "--run", &last]).await;
    assert_eq!(looked.status.code(), Some(0), "{looked:?}");
    let rows = "select count(*) from run_symbol_state";
    assert_eq!(run.number(ClusterRole::Ingest, rows).await, 0, "a look writes nothing");
    let written = run.called_as("ingest_rw", &["replay", "--write-state", "--run", &last]).await;
    println!("{}", String::from_utf8_lossy(&written.stdout));
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    assert_eq!(run.number(ClusterRole::Ingest, state).await, before, "the same rows");
    let marks = "select count(*) from refresh_watermarks";
    assert!(run.number(ClusterRole::Ingest, marks).await > 0);
}

/// A run that nobody recorded.
async fn nobody_there(run: &Recorded) {
    for what in [["run", "--run"].as_slice(), &["frames", "--run"]] {
        let mut words = vec!["verify"];
        words.extend(what);
        words.push("4711");
        let output = run.called(&words).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("4711"), "{output:?}");
    }
}
