//! The tests of this project by their names, as its source has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The names of all functions in the Rust source below `directory`: a test is one of them, whoever runs it.
///
/// # Errors
/// When a directory cannot be listed or a file cannot be read.
pub(crate) fn functions(directory: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let cannot = || format!("cannot list {}", directory.display());
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                found.append(&mut functions(&path)?);
            }
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.extend(names(&crate::project::read(&path)?));
        }
    }
    Ok(found)
}

/// The names behind `fn` in a source text.
fn names(source: &str) -> impl Iterator<Item = String> + '_ {
    source.lines().filter_map(|line| {
        let line = line.trim_start();
        let line =
            line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or("", |(_, rest)| rest));
        let name = line.strip_prefix("fn ")?;
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        Some(name[..end].to_string())
    })
}

/// The tests that a document names in its tables: `words_with_underscores`, between backticks. A test is a sentence, so
/// what has fewer than three words is none.
pub(crate) fn named(document: &str) -> BTreeSet<&str> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_test = |word: &&str| {
        word.matches('_').count() > 1
            && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
    };
    words.filter(is_test).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_their_names() {
        let source = "fn main() {}\n    pub(crate) fn it_is_so(a: u8) {\n// fn no() {}\npub fn more<T>() {}\nlet fn_x = 1;\n";
        assert_eq!(names(source).collect::<Vec<_>>(), ["main", "it_is_so", "more"]);
    }

    #[test]
    fn this_test_is_among_the_functions_of_its_crate() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert!(functions(&here).unwrap().contains("this_test_is_among_the_functions_of_its_crate"));
    }

    #[test]
    fn what_a_table_names_in_backticks_is_a_test() {
        let document = "`not_in_a_table`\n| tried | `it_is_refused`, `RLIMIT_CORE`, `cgroup_mk` |\n| `a_second_one_too` | x |\n";
        assert_eq!(named(document), BTreeSet::from(["it_is_refused", "a_second_one_too"]));
    }
}
