//! Embeds the numbered list: what stands in demos/, docs/ and the table of README.md is all that the
//! driver knows of experiments.

#[path = "build/numbered.rs"]
mod numbered;

use std::env;
use std::path::Path;

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let (demos, docs) = (root.join("demos"), root.join("docs"));
    let readme = root.join("README.md");
    for path in [&demos, &docs, &readme] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build");
    let list = numbered::read(&demos, &docs, &readme).unwrap_or_else(|error| panic!("{error}"));
    let table = Path::new(&variable("OUT_DIR")).join("demos.rs");
    std::fs::write(&table, numbered::as_rust(&list))
        .unwrap_or_else(|error| panic!("{}: {error}", table.display()));
}
