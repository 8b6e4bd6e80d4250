//! One JSON object an event and line: docs/events.md.

use std::io::{self, Write};

use super::Renderer;
use crate::event::Event;

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
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.0.write_all(&line)?;
        self.0.flush()
    }
}
