//! An owner of cgroups and directories that may be killed, and what it leaves.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use ns_core::Pid;
use ns_core::cgroup::{self, Layout};
use ns_core::cleanup::TemporaryDirectory;

use crate::processes::{TOKEN, comm, ends, processes, role};

/// An owner of cgroups and directories in a process of its own, which the check may kill.
pub(crate) struct Owner {
    pub(crate) process: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) token: String,
    pub(crate) base: TemporaryDirectory,
}

impl Owner {
    pub(crate) fn start(by: &[&str], name: &str) -> Result<Owner, Box<dyn Error>> {
        let base = TemporaryDirectory::new("base")?;
        let token = format!("{}-{}", std::process::id(), base.path().display());
        let mut command = role(by, name);
        command.env(TOKEN, &token).env("TMPDIR", base.path()).process_group(0);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        Ok(Owner { process, stdout, token, base })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    pub(crate) fn worker(&self) -> Option<Pid> {
        processes(&self.token).into_iter().find(|pid| comm(*pid) == "cleanup")
    }

    /// Waits until all its processes are gone, and says what is left then.
    pub(crate) fn leftovers(&self) -> Result<Vec<String>, Box<dyn Error>> {
        while let Some(pid) = processes(&self.token).pop() {
            if !ends(pid)? {
                break;
            }
        }
        let mut left: Vec<String> = Vec::new();
        left.extend(processes(&self.token).iter().map(|pid| format!("process {pid} ({})", comm(*pid))));
        left.extend(cgroups_of(self.process.id())?.iter().map(|path| format!("cgroup {}", path.display())));
        for entry in fs::read_dir(self.base.path())? {
            left.push(format!("directory {}", entry?.path().display()));
        }
        Ok(left)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The cgroups that a process made, in every hierarchy.
pub(crate) fn cgroups_of(pid: u32) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for hierarchy in Layout::detect()?.hierarchies() {
        let tree = cgroup::walk(hierarchy.mount_point())?;
        let prefix = format!("inception-{pid}-");
        let ours =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
        found.extend(tree.into_iter().map(|node| node.path).filter(|path| ours(path)));
    }
    Ok(found)
}
