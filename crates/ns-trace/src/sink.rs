//! What takes records, and does with them what it was made for.

use std::io;

use crate::model::Record;

/// What takes records.
pub(crate) trait Sink {
    /// Takes one.
    ///
    /// # Errors
    /// When it cannot be written.
    fn take(&mut self, record: &Record) -> io::Result<()>;

    /// There are no more.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(&mut self) -> io::Result<()>;
}

/// Several, each of which gets all.
pub(crate) struct All(pub(crate) Vec<Box<dyn Sink>>);

impl Sink for All {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.take(record))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.finish())
    }
}
