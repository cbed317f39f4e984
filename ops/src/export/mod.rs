//! `penstock export raw --run R --format parquet|csv --out DIR`: a recorded run as files;
//! `penstock export --engine-day D --to FILE.tar`: a closed day of the engine as one file.
//!
//! Input: the ingest cluster, read-only, and a run. Output: one file per table in `DIR`, rows in the order
//! of their numbers. Invariants: a file has its name only when it is whole and synced; numbers leave with
//! every digit of their column; rows are streamed, so memory does not grow with the run.

mod csv;
mod engine_day;
mod parquet;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use futures_util::StreamExt;
use penstock_clusters::ClusterKind;
use penstock_store::copy_out::{self, RUN_TABLES, TableColumn};
use penstock_store_ingest::runs::load_cursor;
use penstock_store_ingest::verify_read::dropped_tables;
use penstock_types::RunId;
use sqlx::PgPool;

use crate::exit;
use crate::progress::Bar;
use crate::verify::{Clusters, no_such_run};

/// Arguments of `penstock export`.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Args {
    /// What to export
    #[command(subcommand)]
    pub what: Option<What>,
    /// A closed day of the engine, into one file
    #[command(flatten)]
    pub engine_day: engine_day::Args,
}

/// What is exported.
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// The recorded rows, candles and generations of a run
    Raw(RawArgs),
}

/// Arguments of `penstock export raw`.
#[derive(Debug, Clone, clap::Args)]
pub struct RawArgs {
    /// Run
    #[arg(long)]
    pub run: i64,
    /// Form of the files
    #[arg(long, value_enum)]
    pub format: Format,
    /// Folder for the files; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Form of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Typed columns, compressed.
    Parquet,
    /// Text with a header, times in RFC 3339.
    Csv,
}

impl Format {
    const fn ending(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A cluster that does not answer, a folder that cannot be written.
pub async fn run(args: Args, config_file: Option<PathBuf>) -> anyhow::Result<i32> {
    let Some(What::Raw(args)) = args.what else {
        return tokio::task::block_in_place(|| engine_day::run(&args.engine_day, config_file));
    };
    let Some(clusters) = Clusters::load(config_file)? else { return Ok(exit::CONFIG) };
    let run_id = RunId(args.run);
    let pool = clusters.reader(ClusterKind::Ingest).await?;
    let Some(cursor) = load_cursor(&pool, run_id).await? else { return Ok(no_such_run(run_id)) };
    if !cursor.complete {
        eprintln!(
            "run {run_id} is not loaded to its end: what is exported ends where it stands now"
        );
    }
    let dropped = dropped_tables(&pool, run_id).await?;
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("--out {}: cannot be made", args.out.display()))?;
    for table in RUN_TABLES {
        if dropped.iter().any(|name| name == table.0) {
            println!("{}: its partition is dropped", table.0);
            continue;
        }
        let name = format!("{}_r{run_id}.{}", table.0, args.format.ending());
        let path = args.out.join(name);
        let rows = export(&pool, table, run_id, args.format, &path)
            .await
            .with_context(|| format!("{}", path.display()))?;
        println!("{}: {rows} rows", path.display());
    }
    Ok(exit::CLEAN)
}

/// Takes rows and writes them.
trait Writer {
    /// One row; the number of fields is that of the columns.
    fn row(&mut self, fields: Vec<Option<String>>) -> anyhow::Result<()>;
    /// Everything is there; gives the file back.
    fn end(self: Box<Self>) -> anyhow::Result<File>;
}

/// One table into one file: under another name until it is whole.
async fn export(
    pool: &PgPool,
    table: (&'static str, &'static str),
    run_id: RunId,
    format: Format,
    path: &Path,
) -> anyhow::Result<i64> {
    let columns = copy_out::columns(pool, table.0).await?;
    let total = copy_out::count(pool, table.0, run_id).await?;
    let partial = path.with_extension("partial");
    let file = File::create(&partial)?;
    let mut writer: Box<dyn Writer> = match format {
        Format::Csv => Box::new(csv::CsvFile::new(BufWriter::new(file), &columns)?),
        Format::Parquet => Box::new(parquet::ParquetFile::new(file, &columns)?),
    };
    let rows = write_rows(pool, table, run_id, &columns, total, writer.as_mut()).await?;
    writer.end()?.sync_all()?;
    std::fs::rename(&partial, path)?;
    Ok(rows)
}

async fn write_rows(
    pool: &PgPool,
    table: (&'static str, &'static str),
    run_id: RunId,
    columns: &[TableColumn],
    total: i64,
    writer: &mut dyn Writer,
) -> anyhow::Result<i64> {
    let mut chunks = copy_out::rows(pool, table, columns, run_id).await?;
    let (mut bar, mut rows, mut rest) = (Bar::new(table.0), 0_i64, Vec::new());
    while let Some(chunk) = chunks.next().await {
        rest.extend_from_slice(&chunk?);
        let mut start = 0;
        while let Some(len) = rest[start..].iter().position(|byte| *byte == b'\n') {
            writer.row(copy_out::fields(&rest[start..start + len], columns.len())?)?;
            rows += 1;
            start += len + 1;
        }
        rest.drain(..start);
        bar.at(rows, total);
    }
    if rest.is_empty() {
        Ok(rows)
    } else {
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last row has no end").into())
    }
}
