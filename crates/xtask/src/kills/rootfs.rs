//! A root filesystem with a few programs of this machine, for a container to be killed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Makes it in the empty directory `rootfs`.
///
/// # Errors
/// When ldd(1) or cp(1) cannot be run, or a file cannot be written.
pub(super) fn make(rootfs: &Path) -> Result<()> {
    for directory in ["dev", "etc", "proc", "root", "sys", "tmp"] {
        fs::create_dir(rootfs.join(directory)).context("mkdir()")?;
    }
    for program in ["/bin/sh", "/bin/sleep"] {
        copy(rootfs, program)?;
        let needed = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
        let said = String::from_utf8_lossy(&needed.stdout).into_owned();
        for library in said.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(rootfs, library)?;
        }
    }
    Ok(())
}

fn copy(rootfs: &Path, file: &str) -> Result<()> {
    let to = rootfs.join(file.trim_start_matches('/'));
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).context("mkdir()")?;
    }
    let copied = Command::new("cp").arg("-L").arg(file).arg(&to).status().context("cannot run cp")?;
    ensure!(copied.success(), "cp {file}: {copied}");
    Ok(())
}
