//! Stories side by side: the same questions, and where the answers differ.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use anyhow::{Result, ensure};
use lesson::render::Layout;
use nix::sys::signal::SigSet;
use ns_core::printable;
use serde_json::{Map, Value, json};

use crate::model::Record;
use crate::program;
use crate::questions::Answers;
use crate::replay;
use crate::sink::Sink;
use crate::teller::{self, Start};

/// Keeps what it takes.
#[derive(Default)]
struct Kept(Vec<Record>);

impl Sink for Kept {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        self.0.push(record.clone());
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The records of what a text names: a kept file, or else a command line, which is run. `mask` are the signals that are
/// blocked in it.
///
/// # Errors
/// Where it is neither, or cannot be executed or traced.
pub(crate) fn records(named: &str, mask: SigSet) -> Result<Vec<Record>> {
    if Path::new(named).is_file() {
        return replay::read(Path::new(named));
    }
    let words = shlex::split(named).unwrap_or_default();
    let command: Vec<OsString> =
        words.into_iter().map(|word| OsString::from_vec(word.into_bytes())).collect();
    ensure!(
        command.first().is_some_and(|name| program::find(name).is_ok()),
        "'{named}' is neither a kept file nor a command that can be executed"
    );
    let mut kept = Kept::default();
    teller::run(Start { command: &command, mask, every_call: false, wait: true }, &mut kept)?;
    ensure!(!kept.0.is_empty(), "there is no story of '{named}'");
    Ok(kept.0)
}

/// The names of stories and their answers, at least one, as a table. A mark stands between neighbours that differ.
pub(crate) fn table(stories: &[(String, Answers)], layout: Layout) -> String {
    let differ = |is: bool| if is { layout.words("≠") } else { String::new() };
    let mut heads = vec!["question".to_string()];
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut count = 0;
    for (at, (question, first)) in stories[0].1.iter().enumerate() {
        let mut row = vec![(*question).into(), printable(first)];
        for pair in stories.windows(2) {
            let [one, other] = [&pair[0].1[at].1, &pair[1].1[at].1];
            row.extend([differ(one != other), printable(other)]);
        }
        count += usize::from(stories.iter().any(|(_, answers)| answers[at].1 != *first));
        rows.push(row);
    }
    for (at, (name, _)) in stories.iter().enumerate() {
        heads.extend((at > 0).then(String::new).into_iter().chain([printable(name)]));
    }
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let last = format!("{count} of {} answers differ", rows.len());
    layout.table(&heads, &rows) + &layout.wrap(&last, "", "  ")
}

/// The same as data: an object a line, each of one story.
pub(crate) fn lines(stories: &[(String, Answers)]) -> String {
    let line = |(name, answers): &(String, Answers)| {
        let answers: Map<String, Value> =
            answers.iter().map(|(question, answer)| ((*question).into(), answer.as_str().into())).collect();
        format!("{}\n", json!({ "story": name, "answers": answers }))
    };
    stories.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Begin, Ended, What};
    use crate::questions::answers;

    #[test]
    fn a_difference_is_marked() {
        let story = |status| {
            let begun = Begin { schema: 1, command: Vec::new(), pid: 7, filter: true, no_new_privs: false };
            let ended = What::End(Ended { pid: 7, status: Some(status), signal: None });
            [Record { t: 0, what: What::Begin(begun) }, Record { t: 1, what: ended }]
        };
        let layout = Layout { width: 80, plain: false };
        let of = |name: &str, status| (name.to_string(), answers(&story(status)));
        let text = table(&[of("a", 0), of("b", 1), of("c", 1)], layout);
        let marked: Vec<&str> = text.lines().filter(|line| line.contains('≠')).collect();
        assert!(marked.len() == 1 && marked[0].starts_with("│ end "), "{text}");
        assert_eq!(marked[0].matches('≠').count(), 1, "b and c agree: {text}");
        assert!(text.ends_with("1 of 24 answers differ\n"), "{text}");
        let lines = lines(&[of("a", 0), of("b", 1)]);
        assert!(lines.contains(r#""end":"status 1""#) && lines.lines().count() == 2, "{lines}");
    }
}
