//! What the class has before it: the text of the run so far, set anew when the terminal's width changes.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use anyhow::{Context, Result};
use lesson::render::{Layout, Renderer, Text};
use transcript::Event;

use super::options::Options;

/// Shows events, and those of a step again.
pub(super) struct Page<'a> {
    options: &'a Options,
    width: usize,
    text: Text<Sheet>,
    sheet: Sheet,
    events: Vec<Event>,
    recording: Option<Box<dyn Renderer>>,
}

/// What was set and is not shown yet.
#[derive(Debug, Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl<'a> Page<'a> {
    pub(super) fn new(options: &'a Options) -> Result<Page<'a>> {
        let (width, sheet) = (options.screen.columns(), Sheet::default());
        let text = text(options, sheet.clone());
        let recording = match &options.record {
            Some(path) => {
                let cast = lesson::cast(path, width, options.stable, options.verbose)?;
                Some(Box::new(cast) as Box<dyn Renderer>)
            }
            None => None,
        };
        Ok(Page { options, width, text, sheet, events: Vec::new(), recording })
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &Event) -> Result<()> {
        self.fit()?;
        self.text.show(event).context("cannot set the text")?;
        self.events.push(event.clone());
        if let Some(recording) = &mut self.recording {
            recording.show(event).context("cannot write the recording")?;
        }
        let set = self.sheet.0.take();
        self.say(&String::from_utf8_lossy(&set))
    }

    /// Shows styled text.
    pub(super) fn say(&self, text: &str) -> Result<()> {
        let mut out = self.options.screen.stdout()?;
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the output")
    }

    /// Shows a remark: lines of ours between the experiment's.
    pub(super) fn remark(&self, text: &str) -> Result<()> {
        self.say(&self.layout().wrap(text, "   ", "   "))
    }

    pub(super) fn columns(&self) -> usize {
        self.options.screen.columns()
    }

    pub(super) fn layout(&self) -> Layout {
        self.options.screen.layout()
    }

    /// Shows a step again, in the width that there is now.
    pub(super) fn again(&mut self, step: usize) -> Result<()> {
        self.fit()?;
        // From the beginning, since a text may refer to what stands before it.
        let sheet = Sheet::default();
        let mut text = text(self.options, sheet.clone());
        let (mut at, mut wanted) = (0, Vec::new());
        for event in &self.events {
            if let Event::Step { number, .. } = event {
                at = *number;
            }
            text.show(event).context("cannot set the text")?;
            let set = sheet.0.take();
            if at == step {
                wanted.extend(set);
            }
        }
        self.say(&String::from_utf8_lossy(&wanted))
    }

    /// Sets what follows in the width that the terminal has now.
    fn fit(&mut self) -> Result<()> {
        if self.options.screen.columns() == self.width {
            return Ok(());
        }
        self.width = self.options.screen.columns();
        self.text = text(self.options, self.sheet.clone());
        for event in &self.events {
            self.text.show(event).context("cannot set the text")?;
        }
        self.sheet.0.take();
        Ok(())
    }
}

/// What sets text on a sheet.
fn text(options: &Options, sheet: Sheet) -> Text<Sheet> {
    let Layout { width, plain } = options.screen.layout();
    Text::new(sheet, width, options.stable, options.verbose).plain(plain)
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
