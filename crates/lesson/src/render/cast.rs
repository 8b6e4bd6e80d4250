//! A recording for a terminal player: asciicast, version 2. Text for people, at the pace at which people read.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use ns_core::printable;

use super::renderer::Renderer;
use super::text::Text;
use transcript::Event;

/// What a reader takes for a word, in seconds: 240 words a minute.
const WORD: f64 = 0.25;
/// A player's window.
const ROWS: usize = 30;

/// Writes a recording. The experiment takes a part of a second; its steps follow each other as a reader gets through them.
#[derive(Debug)]
pub struct Cast<W> {
    out: W,
    text: Text<Page>,
    page: Page,
    columns: usize,
    seconds: f64,
    begun: bool,
}

/// What the text renderer wrote and was not recorded yet.
#[derive(Debug, Clone, Default)]
struct Page(Rc<RefCell<Vec<u8>>>);

impl<W: Write> Cast<W> {
    /// Writes to `out` what text of this width is; `stable` and `verbose` as in [`Text::new`].
    pub fn new(out: W, columns: usize, stable: bool, verbose: bool) -> Cast<W> {
        let page = Page::default();
        let text = Text::new(page.clone(), columns, stable, verbose);
        Cast { out, text, page, columns, seconds: 0.0, begun: false }
    }

    fn record(&mut self, text: &str) -> io::Result<()> {
        // The player's terminal wants to be told to return, too.
        self.entry("o", &text.replace('\n', "\r\n"))?;
        self.seconds += (text.split_whitespace().count() as f64 * WORD).max(WORD);
        Ok(())
    }

    /// A place to which a player can go.
    fn mark(&mut self, label: &str) -> io::Result<()> {
        self.entry("m", label)
    }

    fn entry(&mut self, kind: &str, data: &str) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            let head = serde_json::json!({ "version": 2, "width": self.columns, "height": ROWS });
            writeln!(self.out, "{head}")?;
        }
        let at = (self.seconds * 1000.0).round() / 1000.0;
        writeln!(self.out, "{}", serde_json::json!([at, kind, data]))
    }
}

impl<W: Write> Renderer for Cast<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Begin { experiment, .. } = event {
            self.record(&format!("$ {}\n", printable(experiment)))?;
        }
        if let Event::Step { number, title, .. } = event {
            self.mark(&printable(&format!("{number}. {title}")))?;
        }
        self.text.show(event)?;
        let text = self.page.0.take();
        if !text.is_empty() {
            self.record(&String::from_utf8_lossy(&text))?;
        }
        self.out.flush()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
