//! Embeds which number each lesson has: the names in docs/ are all that says so.

use std::path::Path;
use std::{env, fs};

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let docs = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../../docs");
    println!("cargo::rerun-if-changed={}", docs.display());
    let entries = fs::read_dir(&docs).unwrap_or_else(|error| panic!("{}: {error}", docs.display()));
    let mut rows: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let file = entry.ok()?.file_name().into_string().ok()?;
            let (number, name) = file.strip_suffix(".md")?.split_once('-')?;
            let is_number = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| (name.to_string(), number.to_string()))
        })
        .collect();
    rows.sort();
    let path = Path::new(&variable("OUT_DIR")).join("lessons.rs");
    let table = format!("&{rows:?}");
    fs::write(&path, table).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
