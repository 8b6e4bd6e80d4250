//! What every renderer can do, and those that show no more than others do.

use std::io;

use transcript::Event;

/// Shows events, one after another.
pub trait Renderer {
    /// Shows the next event.
    ///
    /// # Errors
    /// Those of the writer beneath.
    fn show(&mut self, event: &Event) -> io::Result<()>;

    /// Shows that there is nothing more to come: after the last event of the last experiment.
    ///
    /// # Errors
    /// Those of the writer beneath.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows what happens, and records it.
pub struct Recorded {
    /// For those who watch.
    pub shown: Box<dyn Renderer>,
    /// For those who will.
    pub recording: Box<dyn Renderer>,
}

impl Recorded {
    /// The recording is whole even when nobody watches any more.
    fn or_go_on(&mut self, shown: io::Result<()>) -> io::Result<()> {
        match shown {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.shown = Box::new(Nobody);
                Ok(())
            }
            other => other,
        }
    }
}

impl Renderer for Recorded {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        self.recording.show(event)?;
        let shown = self.shown.show(event);
        self.or_go_on(shown)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.recording.finish()?;
        let shown = self.shown.finish();
        self.or_go_on(shown)
    }
}

/// Shows nothing: for when the reader has gone.
pub(crate) struct Nobody;

impl Renderer for Nobody {
    fn show(&mut self, _: &Event) -> io::Result<()> {
        Ok(())
    }
}
