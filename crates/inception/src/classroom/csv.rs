//! All that is kept of predictions and votes, as a table that other programs read (RFC 4180).

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat};

use super::score::{Asked, Kept, Score, Votes};

const HEAD: [&str; 13] = [
    "time",
    "student",
    "user",
    "host",
    "kernel",
    "experiment",
    "claim",
    "question",
    "round",
    "letter",
    "answer",
    "right",
    "count",
];

/// What is kept about `experiments`: a row a prediction, whose `round` is empty and whose `count` is 1, and a row for each
/// answer of a vote.
///
/// # Errors
/// When a time in it is none.
pub(crate) fn csv(score: &Score, experiments: &[&str]) -> Result<String> {
    let mut text = row(&HEAD.map(String::from));
    for kept in score.kept() {
        let (asked, rows) = match kept {
            Kept::Prediction(it) => {
                let letter = it.letter.map(String::from).unwrap_or_default();
                (
                    &it.asked,
                    vec![[String::new(), letter, it.answer.clone(), it.right.to_string(), "1".into()]],
                )
            }
            Kept::Round(it) => {
                let row = |votes: &Votes| {
                    let (right, count) = (votes.right.to_string(), votes.count.to_string());
                    [it.round.to_string(), votes.letter.into(), votes.answer.clone(), right, count]
                };
                (&it.asked, it.votes.iter().map(row).collect())
            }
        };
        if experiments.contains(&asked.experiment.as_str()) {
            let about = about(asked)?;
            text.extend(rows.iter().map(|cells| row(&[&about[..], cells].concat())));
        }
    }
    Ok(text)
}

/// What is the same in all rows about a question.
fn about(asked: &Asked) -> Result<[String; 8]> {
    let Asked { experiment, claim, question, origin, kernel, at } = asked;
    let time = i64::try_from(*at).ok().and_then(|at| DateTime::from_timestamp(at, 0));
    let time = time.with_context(|| format!("the score has no time for {experiment}/{claim}: {at}"))?;
    let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let cells = [&time, &origin.student, &origin.user, &origin.host, kernel, experiment, claim, question];
    Ok(cells.map(Clone::clone))
}

fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|it| cell(it)).collect();
    format!("{}\r\n", cells.join(","))
}

fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_with_a_comma_or_a_quotation_mark_is_quoted() {
        let cells = ["chroot(\"/etc\"), then ls", "EPERM", ""].map(String::from);
        assert_eq!(row(&cells), "\"chroot(\"\"/etc\"\"), then ls\",EPERM,\r\n");
    }
}
