//! Comma-separated text: a header, one line a row, fields quoted where they must be. A null is an empty
//! field, an empty text is `""`. Times are RFC 3339 with six digits.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use penstock_store::copy_out::{ColumnKind, TableColumn};
use penstock_types::UtcMicros;

use super::Writer;

/// A file that is being written.
pub(super) struct CsvFile {
    out: BufWriter<File>,
    kinds: Vec<ColumnKind>,
}

impl CsvFile {
    /// Begins with the header.
    pub(super) fn new(mut out: BufWriter<File>, columns: &[TableColumn]) -> anyhow::Result<Self> {
        let names = columns.iter().map(|column| Some(column.name.clone())).collect();
        out.write_all(line(names).as_bytes())?;
        Ok(Self { out, kinds: columns.iter().map(|column| column.kind).collect() })
    }
}

impl Writer for CsvFile {
    fn row(&mut self, mut fields: Vec<Option<String>>) -> anyhow::Result<()> {
        for (field, kind) in fields.iter_mut().zip(&self.kinds) {
            if let (ColumnKind::Timestamp, Some(text)) = (kind, &field) {
                let micros = text.parse().with_context(|| format!("{text}: no time"))?;
                *field = Some(UtcMicros(micros).rfc3339());
            }
        }
        self.out.write_all(line(fields).as_bytes())?;
        Ok(())
    }

    fn end(self: Box<Self>) -> anyhow::Result<File> {
        Ok(self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?)
    }
}

fn line(fields: Vec<Option<String>>) -> String {
    let quoted = |field: Option<String>| match field {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text,
    };
    let mut line = fields.into_iter().map(quoted).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_would_break_a_line_is_quoted_and_a_null_is_nothing() {
        let fields = ["a", "", "b,c", "say \"x\"", "two\nlines"];
        let mut fields: Vec<_> = fields.map(|text| Some(text.to_owned())).into();
        fields.push(None);
        assert_eq!(super::line(fields), "a,\"\",\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\n");
    }
}
