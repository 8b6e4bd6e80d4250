//! The prose of a script: its comments, its help, and what it says.

use super::prose::{self, Block, Kind};

/// What begins a command whose quoted words a person reads.
const SAYS: &[&str] =
    &["say ", "skip ", "misuse ", "complain ", "part ", "printf ", "echo ", "finish ", "stage "];

/// A comment, each paragraph of a help, and each text of a line that says something.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        reader.take(line, number);
    }
    reader.flush();
    reader.blocks
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    current: Block,
    /// The line at which a here-document ends; whether a person reads it.
    document: Option<(String, bool)>,
    /// What a text began with that goes on in the next line.
    quote: Option<char>,
    kind: Kind,
}

impl Reader {
    fn take(&mut self, line: &str, number: usize) {
        if let Some((end, is_read)) = &self.document {
            if line.trim() == end {
                self.document = None;
                self.flush();
            } else if *is_read {
                if line.starts_with("  ") || line.trim().is_empty() {
                    self.flush();
                }
                // Of an example and what it is for, the second.
                let said = line.trim_start().rsplit_once("   ").map_or(line, |(_, said)| said);
                self.push(said, number);
            }
            return;
        }
        if self.quote.is_some() {
            self.quoted(line, number);
            return;
        }
        let bare = line.trim_start();
        if let Some(comment) = bare.strip_prefix('#') {
            if comment.trim().is_empty() {
                self.flush();
            } else if comment.starts_with("  ") {
                // An example, or a line of a table.
                self.flush();
            } else if !comment.starts_with('!') && !comment.starts_with(" shellcheck ") {
                self.kind = Kind::Comment;
                self.push(comment.trim(), number);
            }
            return;
        }
        self.flush();
        self.kind = Kind::Output;
        if let Some((_, end)) = line.split_once("<<'").or_else(|| line.split_once("<<-'")) {
            let end: String = end.chars().take_while(char::is_ascii_alphabetic).collect();
            let is_read = end == "HELP";
            self.document = Some((end, is_read));
            return;
        }
        if let Some(said) = SAYS.iter().find_map(|it| Some(&line[find_command(line, it)?..])) {
            self.quoted(said, number);
            if !said.starts_with("say ") {
                self.quote = None;
                self.current = Block::default();
            }
        }
    }

    /// Reads what stands between quotes, which may go on in the next line.
    fn quoted(&mut self, line: &str, number: usize) {
        let mut rest = line;
        loop {
            let Some(quote) = self.quote else {
                let Some(at) = rest.find(['\'', '"']) else { return };
                self.quote = rest[at..].chars().next();
                rest = &rest[at + 1..];
                continue;
            };
            let Some(at) = rest.find(quote) else {
                self.push(rest, number);
                return;
            };
            // An apostrophe: '\''.
            if let Some(after) = rest[at..].strip_prefix("'\\''").filter(|_| quote == '\'') {
                self.current.push_with_code(&format!("{}'", &rest[..at]), number);
                rest = after;
                continue;
            }
            self.push(&rest[..at], number);
            self.flush();
            self.quote = None;
            rest = &rest[at + 1..];
        }
    }

    fn push(&mut self, text: &str, number: usize) {
        self.current.push_with_code(text, number);
        self.current.push("\n", number);
    }

    fn flush(&mut self) {
        let mut block = std::mem::take(&mut self.current);
        block.kind = self.kind;
        if prose::is_prose(&block) {
            self.blocks.push(block);
        }
    }
}

/// Where a command begins in a line.
fn find_command(line: &str, command: &str) -> Option<usize> {
    let at = line.find(command)?;
    let before = line[..at].trim_end_matches(' ');
    (before.is_empty() || before.ends_with(['|', '&', '{', ';', ')']) || before.ends_with("then"))
        .then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_help_and_what_is_said_are_read() {
        let script = "#!/bin/sh\n# One comment\n# in two lines.\nusage() {\n    cat <<'HELP'\nname: the help of it\n\n\
                      Examples:\n  name it   what it is for\nHELP\n}\nx='not read at all'\n\
                      [[ -n $x ]] || misuse \"which one is it\"\nsay 'it'\\''s on\ntwo lines'\n";
        let found: Vec<_> =
            blocks(script).iter().map(|it| (it.line(0), it.text.trim().replace('\n', " "))).collect();
        let expected = [
            (2, "One comment in two lines."),
            (6, "name: the help of it"),
            (9, "what it is for"),
            (13, "which one is it"),
            (14, "it's on two lines"),
        ];
        assert_eq!(found, expected.map(|(line, text)| (line, text.to_string())));
    }
}
