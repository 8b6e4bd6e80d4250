//! What the class has before it: the text of the run so far, step by step, set anew when the terminal's width changes.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use anyhow::{Context, Result};
use ns_core::Value;

use crate::cli::Settings;
use crate::event::Event;
use crate::render::{self, Renderer, Text};

/// Shows events, and knows them by step.
pub(super) struct Page<'a> {
    settings: &'a Settings,
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
    pub(super) fn new(settings: &'a Settings) -> Result<Page<'a>> {
        let (width, sheet) = (settings.columns(), Sheet::default());
        let text = Text::new(sheet.clone(), width, settings.stable, settings.verbose);
        let recording = match &settings.record {
            Some(path) => {
                let cast = render::cast(path, width, settings.stable, settings.verbose)?;
                Some(Box::new(cast) as Box<dyn Renderer>)
            }
            None => None,
        };
        Ok(Page { settings, width, text, sheet, events: Vec::new(), recording })
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
        let mut out = self.settings.stdout()?;
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write the output")
    }

    /// Shows a remark: lines of ours between the experiment's.
    pub(super) fn remark(&self, text: &str) -> Result<()> {
        self.say(&render::wrap(text, self.columns(), "   ", "   "))
    }

    pub(super) fn columns(&self) -> usize {
        self.settings.columns()
    }

    /// A value as it stands in the text.
    pub(super) fn value(&mut self, value: &Value) -> String {
        self.text.value(value)
    }

    /// The number of the last step that was shown.
    pub(super) fn step(&self) -> usize {
        let number =
            |event: &Event| if let Event::Step { number, .. } = event { Some(*number) } else { None };
        self.events.iter().rev().find_map(number).unwrap_or_default()
    }

    /// The events of a step, from its announcement on.
    pub(super) fn events_of(&self, step: usize) -> impl Iterator<Item = &Event> {
        let mut at = 0;
        self.events.iter().filter(move |event| {
            if let Event::Step { number, .. } = event {
                at = *number;
            }
            at == step
        })
    }

    /// All that happened.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Shows a step again, in the width that there is now.
    pub(super) fn again(&mut self, step: usize) -> Result<()> {
        self.fit()?;
        // From the beginning, since a text may refer to what stands before it.
        let sheet = Sheet::default();
        let mut text = Text::new(sheet.clone(), self.width, self.settings.stable, self.settings.verbose);
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
        if self.settings.columns() == self.width {
            return Ok(());
        }
        self.width = self.settings.columns();
        self.text = Text::new(self.sheet.clone(), self.width, self.settings.stable, self.settings.verbose);
        for event in &self.events {
            self.text.show(event).context("cannot set the text")?;
        }
        self.sheet.0.take();
        Ok(())
    }
}

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
