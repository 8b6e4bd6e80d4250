//! `cargo xtask licences`: the notices that the licences of what is linked in ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lesson::Help;
use serde::Deserialize;

use crate::console::Console;
use crate::project::{self, Project};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask licences",
    about: "the licences of everything that is linked into the programs, each text once",
    examples: &[
        ("cargo xtask licences x86_64-unknown-linux-gnu", "what is linked into glibc's programs"),
        ("cargo xtask licences x86_64-unknown-linux-musl", "and musl's"),
    ],
    after: "scripts/deb puts it into the package.\n\
\n\
Exit status: 0 written; 2 misused, or cargo does not say where the sources\n\
are.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Licences {
    /// What the programs are built for
    target: String,
}

impl Licences {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        // For one platform: what is for others alone need not be there, and was not fetched by the build.
        let ask = |arguments: &[&str]| {
            let mut cargo = project.command("cargo");
            let (said, status) = project::text_of(cargo.args(arguments).arg("--locked"), "cargo")?;
            ensure!(status == 0, "cargo cannot tell what is linked in");
            anyhow::Ok(said)
        };
        let tree = ask(&[
            "tree",
            "--workspace",
            "--exclude",
            "xtask",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
            "--target",
            &self.target,
        ])?;
        let metadata = ask(&["metadata", "--format-version", "1", "--filter-platform", &self.target])?;
        let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
        if self.target.ends_with("musl") {
            console.show(MUSL)?;
        }
        console.show(STANDARD_LIBRARY)?;
        let mut told = BTreeMap::new();
        for (name, version) in linked(&tree) {
            let package = metadata.packages.iter().find(|it| it.name == name && it.version == version);
            let package = package.with_context(|| format!("cargo does not say where {name} {version} is"))?;
            console.show(&notice(package, &mut told)?)?;
        }
        Ok(0)
    }
}

const MUSL: &str = "\
musl, https://musl.libc.org: MIT
Copyright (C) 2005-2020 Rich Felker, et al.

LLVM libunwind, https://llvm.org: Apache-2.0 WITH LLVM-exception

";

const STANDARD_LIBRARY: &str = "\
The Rust Standard Library, https://www.rust-lang.org: MIT OR Apache-2.0
Copyright (c) The Rust Project Contributors
";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

/// The names and versions in what cargo tree says, less those of this workspace: they have a path behind them.
fn linked(tree: &str) -> BTreeSet<(&str, &str)> {
    tree.lines()
        .filter_map(|line| line.split_once(" v"))
        .filter(|(_, version)| !version.contains(' '))
        .collect()
}

/// What is to be shown of a package. `told` has the texts that were shown already, and of whom.
fn notice(package: &Package, told: &mut BTreeMap<String, String>) -> Result<String> {
    let Package { name, version, license, manifest_path, .. } = package;
    let licence = license.as_deref().unwrap_or("see its text");
    let mut notice =
        format!("\n{}\n{name} {version}, https://crates.io/crates/{name}: {licence}\n", "=".repeat(78));
    let directory = manifest_path.parent().context("a manifest is in a directory")?;
    for file in texts(directory).with_context(|| format!("the sources of {name} {version}"))? {
        let text = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
        match told.get(&text) {
            Some(other) => notice.push_str(&format!("\n(as {other})\n")),
            None => {
                notice.push_str(&format!("\n{text}"));
                told.insert(text, name.clone());
            }
        }
    }
    Ok(notice)
}

/// The texts of its licences. Of two to choose from the shorter: Apache's is on every Debian.
fn texts(directory: &Path) -> Result<Vec<PathBuf>> {
    const BEGINNINGS: [&str; 5] = ["LICENCE", "LICENSE", "COPYING", "COPYRIGHT", "NOTICE"];
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let rank = BEGINNINGS.iter().position(|beginning| name.starts_with(beginning));
        if let Some(rank) = rank.filter(|_| path.is_file() && !name.to_lowercase().contains("apache")) {
            found.push((rank, path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_not_told() {
        let tree = "lesson v0.1.0 (/p/crates/lesson)\nserde v1.0.229\nanyhow v1.0.104\nserde v1.0.229\n\n";
        assert_eq!(linked(tree), BTreeSet::from([("anyhow", "1.0.104"), ("serde", "1.0.229")]));
    }

    #[test]
    fn a_text_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE-MIT"), "do as you like\n").unwrap();
        fs::write(folder.path().join("LICENSE-APACHE"), "long\n").unwrap();
        let package = |name: &str| Package {
            name: name.into(),
            version: "1.0".into(),
            license: Some("MIT OR Apache-2.0".into()),
            manifest_path: folder.path().join("Cargo.toml"),
        };
        let mut told = BTreeMap::new();
        let first = notice(&package("a"), &mut told).unwrap();
        assert!(
            first.ends_with("\na 1.0, https://crates.io/crates/a: MIT OR Apache-2.0\n\ndo as you like\n"),
            "{first}"
        );
        assert!(notice(&package("b"), &mut told).unwrap().ends_with("MIT OR Apache-2.0\n\n(as a)\n"));
    }
}
