//! One JSON object an event and line: docs/events.md.

use std::fmt::Write as _;
use std::io::{self, Write};

use ns_core::is_deceptive;

use super::renderer::Renderer;
use transcript::Event;

/// Writes events as JSON lines.
#[derive(Debug)]
pub struct Jsonl<W>(W);

impl<W: Write> Jsonl<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Jsonl<W> {
        Jsonl(out)
    }
}

impl<W: Write> Renderer for Jsonl<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        let mut line = escaped(serde_json::to_string(event)?);
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        self.0.flush()
    }
}

/// The same JSON, in which what a terminal would obey is an escape: it may be who reads. Such characters stand in
/// strings alone, and there `\u202e` means the same as the character (RFC 8259, section 7).
fn escaped(json: String) -> String {
    if !json.chars().any(is_deceptive) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_deceptive(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ns_core::{Fact, Value};

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_means_the_same() {
        let text = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{e0041}\n호";
        let event = Event::Saw(Fact::outside("name", Value::Name(text.into())));
        let mut bytes = Vec::new();
        Jsonl::new(&mut bytes).show(&event).unwrap();
        let line = String::from_utf8(bytes).unwrap();
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!line.chars().any(is_deceptive), "{line:?}");
        assert!(line.contains(r"\u202e\udb40\udc41\n호"), "{line}");
        assert_eq!(serde_json::from_str::<Event>(line).unwrap(), event);
    }
}
