//! The documents, for tests that look at each.

use std::fs;
use std::path::{Path, PathBuf};

/// README.md, and every page in docs/ and the folders below it, relative to the checkout and in their order.
///
/// # Panics
/// When a folder cannot be listed.
pub(crate) fn pages(checkout: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    list(checkout, Path::new("docs"), &mut pages);
    pages.sort();
    pages.insert(0, "README.md".into());
    pages
}

fn list(checkout: &Path, folder: &Path, pages: &mut Vec<PathBuf>) {
    let listed = fs::read_dir(checkout.join(folder)).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in listed.flatten() {
        let path = folder.join(entry.file_name());
        if checkout.join(&path).is_dir() {
            list(checkout, &path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}
