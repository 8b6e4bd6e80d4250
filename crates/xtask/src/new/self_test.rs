//! A new experiment in a copy of the project: nothing is missing of it, and it keeps its promises.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::write::write;
use crate::check;
use crate::console::Console;
use crate::project::Project;

const NAME: &str = "new-experiment";

pub(super) fn run(project: &Project, console: &mut Console<'_>) -> Result<u8> {
    let copy = tempfile::tempdir()?;
    for file in ["Cargo.toml", "Cargo.lock", "README.md", "rustfmt.toml", "crates", "demos", "docs"] {
        copy_all(&project.root.join(file), &copy.path().join(file))?;
    }
    // What it depends on is built here, mostly, and the copy is thrown away.
    let copied = Project { root: copy.path().into(), target: project.target.clone() };
    write(&copied, NAME, "Who sees a file in /dev/shm?")?;
    let missing = check::missing(&copied, NAME)?;
    for line in &missing {
        console.say(line)?;
    }
    if !missing.is_empty() {
        console.complain(format!("missing of a new experiment: {}", missing.len()));
        return Ok(1);
    }
    console.say("ok: nothing is missing of a new experiment")?;
    for (arguments, shows) in [
        (["fmt", "--check", "-p", NAME], "it is formatted"),
        (["test", "--quiet", "-p", NAME], "it keeps its promises"),
    ] {
        let mut cargo = copied.command("cargo");
        cargo.args(arguments).env("CARGO_TARGET_DIR", &copied.target);
        let status = cargo.status().context("cannot run cargo")?;
        if !status.success() {
            console.complain(format!("cargo {}: {status}", arguments.join(" ")));
            return Ok(1);
        }
        console.say(format!("ok: {shows}"))?;
    }
    for left in [copied.program(NAME), copied.program(&format!("{NAME}.d"))] {
        let _ = fs::remove_file(left);
    }
    Ok(0)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    ensure!(from.exists(), "there is no {}", from.display());
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
