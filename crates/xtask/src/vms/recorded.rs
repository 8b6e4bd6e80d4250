//! The transcripts that virtual machines left.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use transcript::Runs;

/// The runs in `directory/file`, and what is wrong with it: a line each, which begins with the file's name.
///
/// # Errors
/// When there is no such file, or it cannot be read.
pub(super) fn recorded(directory: &Path, file: &str) -> Result<(Runs, Vec<String>)> {
    let path = directory.join(file);
    let cannot = || format!("cannot read {}", path.display());
    let (runs, faults) = Runs::recover(File::open(&path).with_context(cannot)?).with_context(cannot)?;
    Ok((runs, faults.into_iter().map(|fault| format!("{file}: {fault}")).collect()))
}
