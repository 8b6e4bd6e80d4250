//! A kept story, read again.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::model::{Record, SCHEMA, What};

/// The records of a file that `--format jsonl` wrote; `-` is standard input.
///
/// # Errors
/// When it cannot be read, or is no such file.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
    } else {
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let record: Record = serde_json::from_str(line)
            .with_context(|| format!("line {} is no record of ns-trace --format jsonl", at + 1))?;
        records.push(record);
    }
    let begun = records.iter().find_map(|record| match &record.what {
        What::Begin(begun) => Some(begun.schema),
        _ => None,
    });
    let schema = begun.context("no record says how it began: is it a file of ns-trace --format jsonl?")?;
    ensure!(schema == SCHEMA, "its form has the number {schema}, and this program reads {SCHEMA}");
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_story_is_named_by_its_line() {
        let begin = r#"{"t":0,"event":"begin","schema":1,"command":["true"],"pid":7,"filter":true,"no_new_privs":false}"#;
        assert_eq!(parse(begin).unwrap().len(), 1);
        for (text, named) in [
            (String::new(), "no record says how it began"),
            (format!("{begin}\nmoon"), "line 2 is no record"),
            (format!("{begin}\n{{\"t\":0,\"event\":\"moon\"}}"), "line 2 is no record"),
            (begin.replace("\"schema\":1", "\"schema\":9"), "its form has the number 9"),
        ] {
            let said = format!("{:#}", parse(&text).unwrap_err());
            assert!(said.contains(named), "{said}");
        }
    }
}
