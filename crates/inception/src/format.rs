//! What a comparison is written as.

use clap::ValueEnum;

/// A list, or the whole of it as a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Jsonl,
    Markdown,
}
