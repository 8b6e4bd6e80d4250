//! The hand-ins of a directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};

use crate::handin::{HandIn, SCHEMA};

/// A hand-in is some kilobytes; what is larger than this many bytes is none.
const LARGEST: u64 = 16 << 20;
/// How many directories may stand in one another: learning platforms make one a student.
const DEEPEST: usize = 4;

/// A hand-in, and the file that it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Handed {
    pub(super) path: PathBuf,
    pub(super) it: HandIn,
}

/// What stands in a directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) handed: Vec<Handed>,
    /// A line for each file that is no hand-in.
    pub(super) others: Vec<anyhow::Error>,
}

/// Reads every file below `directory`, in the order of their names. Hidden files and symbolic links are passed over.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn read(directory: &Path) -> Result<Found> {
    let mut files = BTreeSet::new();
    list(directory, DEEPEST, &mut files)?;
    let mut found = Found::default();
    for path in files {
        match hand_in(&path) {
            Ok(it) => found.handed.push(Handed { path, it }),
            Err(why) => found.others.push(why.context(format!("{} is left out", path.display()))),
        }
    }
    Ok(found)
}

fn list(directory: &Path, deepest: usize, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let what = || format!("cannot read {}: name the directory of the hand-ins", directory.display());
    for entry in fs::read_dir(directory).with_context(what)? {
        let entry = entry.with_context(what)?;
        let kind = entry.file_type().with_context(what)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() && deepest > 1 {
            list(&entry.path(), deepest - 1, files)?;
        } else if !kind.is_symlink() {
            files.insert(entry.path());
        }
    }
    Ok(())
}

fn hand_in(path: &Path) -> Result<HandIn> {
    let about = fs::symlink_metadata(path)?;
    ensure!(about.is_file(), "it is no regular file");
    ensure!(about.len() <= LARGEST, "it has more than {} MiB", LARGEST >> 20);
    let text = fs::read(path)?;
    // First what it is, since all else is missing in what is something else.
    let value: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| anyhow!("it is no JSON: line {}; ask for a new export", error.line()))?;
    let schema = value.get("schema").and_then(serde_json::Value::as_str).unwrap_or_default();
    ensure!(schema == SCHEMA, "it is no hand-in: its schema is {schema:?}, not {SCHEMA:?}");
    let it: HandIn = serde_json::from_value(value).map_err(|error| anyhow!("a broken hand-in: {error}"))?;
    ensure!(!it.student.trim().is_empty(), "a broken hand-in: it names no student");
    Ok(it)
}
