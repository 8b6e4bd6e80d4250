//! What each kernel said to each claim, as docs/kernels.md has it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lesson::ClaimHead;

use crate::diff::marked_up;

/// The tables of docs/kernels.md.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// What the kernels are called.
    pub(crate) columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    experiment: String,
    id: String,
    /// As Markdown.
    text: String,
    words: Vec<String>,
}

impl Verdicts {
    /// Reads a document as `inception diff --format markdown` writes it.
    ///
    /// # Errors
    /// One line that names the file, when it cannot be read or is of another form.
    pub(crate) fn read(file: &Path) -> Result<Verdicts> {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        Verdicts::parse(&text).with_context(|| format!("{name} is not as inception diff writes it"))
    }

    fn parse(text: &str) -> Result<Verdicts> {
        let mut verdicts = Verdicts::default();
        let mut experiment = None;
        for (at, line) in text.lines().enumerate() {
            if let Some(heading) = line.strip_prefix("## ") {
                let name = heading.trim_start_matches('[').split([']', ':']).next().unwrap_or_default();
                experiment = Some(name.to_string());
            }
            let Some(cells) = cells(line) else { continue };
            match (&experiment, cells.as_slice()) {
                (None, [claims, columns @ ..]) if *claims == "claims" => verdicts.columns = columns.to_vec(),
                (Some(experiment), [id, text, words @ ..]) if *id != "claim" && *id != "---" => {
                    ensure!(words.len() == verdicts.columns.len(), "line {}: of another length", at + 1);
                    let (experiment, words) = (experiment.clone(), words.to_vec());
                    verdicts.rows.push(Row { experiment, id: id.clone(), text: text.clone(), words });
                }
                _ => {}
            }
        }
        ensure!(!verdicts.columns.is_empty(), "it has no column");
        Ok(verdicts)
    }

    /// What the kernels said to a claim, a word a column. Where nobody has asked them for this very sentence, nothing.
    pub(crate) fn of(&self, experiment: &str, head: &ClaimHead) -> Vec<String> {
        let text = marked_up(&head.text);
        let is_it = |row: &&Row| row.experiment == experiment && row.id == head.id && row.text == text;
        let row = self.rows.iter().find(is_it);
        row.map_or_else(|| vec![String::new(); self.columns.len()], |row| row.words.clone())
    }
}

/// The cells of a line of a table, with their escapes.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for c in inner.chars() {
        match cells.last_mut() {
            Some(cell) if c != '|' || escaped => cell.push(c),
            _ => cells.push(String::new()),
        }
        escaped = c == '\\' && !escaped;
    }
    Some(cells.into_iter().map(|cell| cell.trim().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Every claim

| claims | 6.1 root | 6.18 root |
| --- | --- | --- |
| holds | 1 | 2 |

## Differences

None.

## [uts-demo](16-uts-demo.md): Who?

| claim | sentence | 6.1 root | 6.18 root |
| --- | --- | --- | --- |
| stays | It \\| stays. | holds | refuted (!) |
";

    #[test]
    fn a_verdict_is_found_by_experiment_claim_and_sentence() {
        let verdicts = Verdicts::parse(TEXT).unwrap();
        let head = |text: &str| ClaimHead {
            id: "stays".into(),
            text: text.into(),
            cause: String::new(),
            expect: String::new(),
            correction: None,
            notes: Vec::new(),
            more: Vec::new(),
            misconceptions: Vec::new(),
        };
        assert_eq!(verdicts.columns, ["6.1 root", "6.18 root"]);
        assert_eq!(verdicts.of("uts-demo", &head("It | stays.")), ["holds", "refuted (!)"]);
        assert_eq!(verdicts.of("uts-demo", &head("It goes.")), ["", ""]);
        assert_eq!(verdicts.of("time-ns", &head("It | stays.")), ["", ""]);
    }

    #[test]
    fn another_document_is_refused() {
        assert_eq!(Verdicts::parse("# Style\n").unwrap_err().to_string(), "it has no column");
        let short = TEXT.replace(" | refuted (!)", "");
        assert_eq!(Verdicts::parse(&short).unwrap_err().to_string(), "line 15: of another length");
    }
}
