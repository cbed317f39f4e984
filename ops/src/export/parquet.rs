//! Parquet: whole numbers as 64 bits, times in microseconds UTC, numbers as decimals with every digit of
//! their column, the rest as text. Row groups are bounded, so memory is too.

use std::fs::File;
use std::sync::Arc;

use anyhow::Context;
use arrow_array::builder::{
    BooleanBuilder, Decimal128Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use penstock_store::copy_out::{ColumnKind, TableColumn};
use rust_decimal::Decimal;

use super::Writer;

/// Rows that are handed to the file at once: some MB.
const ROWS_PER_BATCH: usize = 8_192;
/// Rows of a row group: what the writer keeps encoded in memory, about 20 MB of the widest table.
const ROWS_PER_GROUP: usize = 131_072;

/// A file that is being written.
pub(super) struct ParquetFile {
    out: ArrowWriter<File>,
    schema: Arc<Schema>,
    columns: Vec<Builder>,
    rows: usize,
}

impl ParquetFile {
    /// Begins with the columns.
    pub(super) fn new(file: File, columns: &[TableColumn]) -> anyhow::Result<Self> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&column.name, data_type(column.kind), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .build();
        let out = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
        let columns = columns.iter().map(|column| Builder::of(column.kind)).collect();
        Ok(Self { out, schema, columns, rows: 0 })
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let arrays = self.columns.iter_mut().map(Builder::finish).collect();
        self.out.write(&RecordBatch::try_new(Arc::clone(&self.schema), arrays)?)?;
        self.rows = 0;
        Ok(())
    }
}

impl Writer for ParquetFile {
    fn row(&mut self, fields: Vec<Option<String>>) -> anyhow::Result<()> {
        for (column, field) in self.columns.iter_mut().zip(fields) {
            column.push(field.as_deref())?;
        }
        self.rows += 1;
        if self.rows == ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    fn end(mut self: Box<Self>) -> anyhow::Result<File> {
        if self.rows > 0 {
            self.flush()?;
        }
        Ok(self.out.into_inner()?)
    }
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnKind::Numeric { precision, scale } => DataType::Decimal128(precision, scale),
        ColumnKind::Text => DataType::Utf8,
    }
}

enum Builder {
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Numeric(Decimal128Builder, u32),
    Text(StringBuilder),
}

impl Builder {
    fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Integer => Self::Integer(Int64Builder::new()),
            ColumnKind::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnKind::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(data_type(kind)))
            }
            ColumnKind::Numeric { scale, .. } => Self::Numeric(
                Decimal128Builder::new().with_data_type(data_type(kind)),
                u32::try_from(scale).unwrap_or(0),
            ),
            ColumnKind::Text => Self::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, field: Option<&str>) -> anyhow::Result<()> {
        let whole = || {
            let parsed: Option<Result<i64, _>> = field.map(str::parse);
            parsed.transpose().with_context(|| format!("{field:?}: no whole number"))
        };
        match self {
            Self::Integer(builder) => builder.append_option(whole()?),
            Self::Timestamp(builder) => builder.append_option(whole()?),
            Self::Boolean(builder) => builder.append_option(field.map(|text| text == "t")),
            Self::Text(builder) => builder.append_option(field),
            Self::Numeric(builder, scale) => {
                builder.append_option(field.map(|text| units(text, *scale)).transpose()?);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Numeric(builder, _) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// A number in units of its column's last digit; the column has at most 28 digits.
fn units(text: &str, scale: u32) -> anyhow::Result<i128> {
    let number: Decimal = text.parse().with_context(|| format!("{text}: no number"))?;
    let missing = scale.checked_sub(number.scale()).with_context(|| format!("{text}: digits"))?;
    let units = number.mantissa().checked_mul(10_i128.pow(missing));
    units.with_context(|| format!("{text}: too large for its column"))
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn a_number_keeps_every_digit_of_its_column() {
        assert_eq!(units("1.5", 12).unwrap(), 1_500_000_000_000);
        assert_eq!(units("-0.000000000001", 12).unwrap(), -1);
        assert_eq!(
            units("999999999999.999999999999", 12).unwrap(),
            999_999_999_999_999_999_999_999
        );
        assert!(units("0.0000000000001", 12).is_err(), "more digits than the column");
        assert!(units("NaN", 12).is_err());
    }
}
