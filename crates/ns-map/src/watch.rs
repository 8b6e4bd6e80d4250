//! `--watch`: what changes, a line each, as it happens.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::Result;
use map::{Change, Filter, Looks, Namespace, changes, words};
use serde::Serialize;

use crate::reader::waited;

/// What is said of a change.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    /// Which namespaces.
    pub(crate) filter: &'a Filter,
    /// Whether as JSON.
    pub(crate) json: bool,
}

/// A line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    /// Seconds since the first look.
    after: f64,
    change: &'static str,
    #[serde(flatten)]
    namespace: &'a Namespace,
}

impl Watch<'_> {
    /// Looks whenever something may have changed, and writes what has, until nobody reads it any more.
    ///
    /// # Errors
    /// Those of a survey and of write(2).
    pub(crate) fn run(&self, mut looks: Looks, out: &mut impl Write) -> Result<()> {
        let mut before = looks.look()?;
        let began = Instant::now();
        if !self.json {
            writeln!(out, "{}; what changes follows", words::summary(&before, before.namespaces.len()))?;
            out.flush()?;
        }
        while waited(&mut looks)? {
            let after = looks.look()?;
            for change in changes(&before, &after) {
                if self.filter.takes(change.namespace) {
                    self.write(out, &change, began.elapsed().as_secs_f64())?;
                }
            }
            out.flush()?;
            before = after;
        }
        Ok(())
    }

    fn write(&self, out: &mut impl Write, change: &Change<'_>, after: f64) -> Result<()> {
        if self.json {
            let after = (after * 1000.0).round() / 1000.0;
            let line = Line { after, change: change.what.word(), namespace: change.namespace };
            serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
            return Ok(writeln!(out)?);
        }
        Ok(writeln!(out, "{after:9.3} s  {}", words::change(change))?)
    }
}
