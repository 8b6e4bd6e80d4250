//! Embeds the numbered list: what stands in demos/, docs/ and the table of README.md is all that the
//! driver knows of experiments. And the exercises, without their solutions.

#[path = "build/exercises.rs"]
mod exercises;
#[path = "build/numbered.rs"]
mod numbered;

use std::env;
use std::path::Path;

fn main() {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("../..");
    let (demos, docs) = (root.join("demos"), root.join("docs"));
    let readme = root.join("README.md");
    let exercises = root.join("exercises");
    for path in [&demos, &docs, &readme, &exercises] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build");
    let list = numbered::read(&demos, &docs, &readme).unwrap_or_else(|error| panic!("{error}"));
    let exercises = exercises::read(&exercises).unwrap_or_else(|error| panic!("{error}"));
    let handouts = exercises::handouts(&exercises, &root).unwrap_or_else(|error| panic!("{error}"));
    for (file, table) in [
        ("demos.rs", numbered::as_rust(&list)),
        ("exercises.rs", exercises::as_rust(&exercises)),
        ("handouts.rs", exercises::as_rust(&handouts)),
    ] {
        let path = Path::new(&variable("OUT_DIR")).join(file);
        std::fs::write(&path, table).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}
