//! `penstock export raw`: every row of a run is in the files, with every digit.

use crate::recorded::Recorded;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use penstock_store::ClusterRole;
use std::fs::File;

const TABLES: [&str; 5] = [
    "ticker_samples",
    "trade_samples",
    "l2_snap_metrics",
    "ingest_stream_events",
    "state_generations",
];

pub(crate) async fn a_run_as_files(run: &Recorded) {
    let last = run.last().await;
    let folder = tempfile::tempdir().unwrap();
    for format in ["csv", "parquet"] {
        let (id, out) = (last.to_string(), folder.path().to_str().unwrap());
        let words = ["export", "raw", "--run", &id, "--format", format, "--out", out];
        let output = run.called(&words).await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        println!("{}", String::from_utf8_lossy(&output.stdout));
    }
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.map(|n| n.into_string().unwrap()).all(|n| !n.ends_with("partial")));
    for table in TABLES {
        let count = format!("select count(*) from {table} where run_id = {last}");
        let rows = usize::try_from(run.number(ClusterRole::Ingest, &count).await).unwrap();
        assert!(rows > 0, "{table}");
        let text = folder.path().join(format!("{table}_r{last}.csv"));
        let lines = std::fs::read_to_string(text).unwrap().lines().count();
        assert_eq!(lines, rows + 1, "{table}: a header and a line a row");
        let file = folder.path().join(format!("{table}_r{last}.parquet"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        let found: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(found, rows, "{table}");
    }
    let sum = format!(
        "select (sum(price) * 1000000000000)::bigint from (
            select price from trade_samples where run_id = {last} order by seq limit 5) t"
    );
    let expected = i128::from(run.number(ClusterRole::Ingest, &sum).await);
    let file = folder.path().join(format!("trade_samples_r{last}.parquet"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let prices = batch.column_by_name("price").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(prices.iter().take(5).map(Option::unwrap).sum::<i128>(), expected);
}
