//! A table as it is drawn.

use ns_core::Value;

/// Facts in rows and columns, under a title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) title: &'a str,
    pub(crate) columns: &'a [String],
    pub(crate) rows: &'a [Vec<Value>],
}
