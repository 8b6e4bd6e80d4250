//! Answers from a file, one a line: a letter or the answer's words. Empty lines, and those that begin with #, are none.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use ns_core::printable;

use super::question::Question;

/// Answers that were written down before.
pub(super) struct Answers {
    name: String,
    from: Box<dyn Read>,
    line: usize,
    taken: usize,
}

impl Answers {
    /// Those in a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Answers> {
        let (name, from): (_, Box<dyn Read>) = if path.as_os_str() == "-" {
            ("the answers".into(), Box::new(unbuffered_stdin()?))
        } else {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| format!("cannot read the answers in {name}"))?;
            (printable(&name), Box::new(io::BufReader::new(file)))
        };
        Ok(Answers { name, from, line: 0, taken: 0 })
    }

    /// The place of the next answer among those that the question about `claim` has.
    ///
    /// # Errors
    /// In one line, when there is none, or none such.
    pub(super) fn next(&mut self, question: &Question, claim: &str) -> Result<usize> {
        loop {
            let Some(line) = self.line()? else {
                bail!("{}: none is left for the question about '{claim}', after {}", self.name, self.taken);
            };
            let given = line.trim();
            if given.is_empty() || given.starts_with('#') {
                continue;
            }
            self.taken += 1;
            let Some(place) = question.place(given) else {
                let choices: Vec<String> = question
                    .answers
                    .iter()
                    .enumerate()
                    .map(|(at, it)| format!("{} ({})", Question::letter(at), it.text))
                    .collect();
                bail!(
                    "{}, line {}: '{}' is no answer to the question about '{claim}'; choose from {}",
                    self.name,
                    self.line,
                    printable(given),
                    choices.join(", ")
                );
            };
            return Ok(place);
        }
    }

    /// Byte by byte: what stands behind the line is for the next experiment, if it shares our standard input.
    fn line(&mut self) -> Result<Option<String>> {
        const LONGEST: usize = 4096;
        let mut bytes = Vec::new();
        let mut byte = [0];
        while bytes.len() < LONGEST {
            match self.from.read(&mut byte) {
                Ok(0) if bytes.is_empty() => return Ok(None),
                Ok(0) => break,
                Ok(_) if byte == *b"\n" => break,
                Ok(_) => bytes.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.name)),
            }
        }
        self.line += 1;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Standard input without std's buffer, which would take more than we use.
fn unbuffered_stdin() -> Result<File> {
    use std::os::fd::AsFd;
    Ok(io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?.into())
}

#[cfg(test)]
mod tests {
    use ns_core::is_deceptive;
    use proptest::prelude::*;

    use super::super::question::tests::question;
    use super::*;

    proptest! {
        #[test]
        fn any_file_of_answers_has_an_end(
            bytes: Vec<u8>,
            text in "([a-eA-E]\n|[1-5]\n|812\n|no answer\n|#[^\n]{0,9}\n|\n|[^\n]{0,9}\n){0,9}",
        ) {
            let question = question();
            for bytes in [bytes, text.into_bytes()] {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                let from = Box::new(io::Cursor::new(bytes));
                let mut answers = Answers { name: "file".into(), from, line: 0, taken: 0 };
                let mut end = None;
                for _ in 0..=lines {
                    match answers.next(&question, "claim") {
                        Ok(place) => prop_assert!(place < question.answers.len()),
                        Err(error) => {
                            let line = format!("{error:#}");
                            prop_assert!(line.starts_with("file") && !line.chars().any(is_deceptive), "{:?}", line);
                            end = line.contains("none is left").then_some(line);
                        }
                    }
                }
                prop_assert!(end.is_some());
            }
        }
    }
}
