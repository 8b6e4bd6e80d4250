//! The commands of rows on this machine: where their programs are, and why one cannot be run.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{AccessFlags, access};

use super::rows::{Need, Row};
use crate::project::{self, Project};

/// A row that can be run.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) words: Vec<OsString>,
    /// Whether it is started where /sys/fs/cgroup is cgroup v2 alone.
    pub(super) in_cgroup_root: bool,
}

/// The places that commands name.
#[derive(Debug)]
pub(super) struct Places {
    target: PathBuf,
    release: PathBuf,
    linked: PathBuf,
    peers: PathBuf,
    scratch: PathBuf,
    cgroup: Option<PathBuf>,
    name: String,
}

impl Places {
    /// Of this checkout. What is left of a run is in `scratch`, and is called as it.
    pub(super) fn new(project: &Project, scratch: &Path) -> Places {
        let peers = project.target.join("bench");
        Places {
            target: project.target.clone(),
            release: project.target.join("release"),
            linked: peers.join("static"),
            peers,
            scratch: scratch.into(),
            cgroup: own_cgroup(),
            name: scratch
                .file_name()
                .map_or_else(|| "bench".into(), |name| name.to_string_lossy().into_owned()),
        }
    }

    /// The command of a row, or why there is none, and the remedy.
    ///
    /// # Errors
    /// The cause, in words.
    pub(super) fn command(&self, row: &Row) -> Result<Command, String> {
        for need in &row.needs {
            match need {
                Need::Tool(tool, package) if !project::has(tool) => {
                    return Err(format!("{tool} is not installed; apt install {package}"));
                }
                Need::Root if !project::is_root() => return Err("needs root; sudo scripts/bench".into()),
                Need::Cgroup if self.cgroup.is_none() => {
                    return Err("no cgroup v2 here that the caller may write to; see inception doctor".into());
                }
                _ => {}
            }
        }
        let words: Vec<OsString> = row.words.split(' ').map(|word| self.filled(word).into()).collect();
        // What is looked for in PATH was looked for above; these are built.
        let built = words.iter().map(Path::new).filter(|path| path.is_absolute());
        for path in built.filter(|path| !path.starts_with(&self.scratch)) {
            if path.starts_with(&self.peers) && !path.starts_with(&self.linked) && !path.exists() {
                return Err("not built; apt install gcc libc6-dev, and scripts/bench builds it".into());
            }
            if path.starts_with(&self.target) && !path.exists() {
                return Err("not built; scripts/bench builds it".into());
            }
        }
        Ok(Command { words, in_cgroup_root: row.needs.contains(&Need::CgroupRoot) })
    }

    fn filled(&self, word: &str) -> String {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let cgroup = self.cgroup.as_deref().unwrap_or(Path::new("")).to_string_lossy().into_owned();
        word.replace("{release}", &path(&self.release))
            .replace("{static}", &path(&self.linked))
            .replace("{peers}", &path(&self.peers))
            .replace("{scratch}", &path(&self.scratch))
            .replace("{cgroup}", &cgroup)
            .replace("{name}", &self.name)
    }

    /// What the peers' directory has under that name.
    pub(super) fn peer(&self, name: &str) -> PathBuf {
        self.peers.join(name)
    }
}

/// The cgroup v2 of this process, if it may create others in it.
fn own_cgroup() -> Option<PathBuf> {
    let mounts = project::read(Path::new("/proc/self/mounts")).ok()?;
    let mounted = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount =
        mounted.filter(|words| words.get(2) == Some(&"cgroup2")).find_map(|words| words.get(1).copied())?;
    let own = project::read(Path::new("/proc/self/cgroup")).ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let cgroup = PathBuf::from(format!("{mount}{path}"));
    (cgroup.join("cgroup.procs").exists() && access(&cgroup, AccessFlags::W_OK).is_ok()).then_some(cgroup)
}

/// A mount namespace in which /sys/fs/cgroup is cgroup v2 alone, and that from which it was made.
#[derive(Debug)]
pub(super) struct CgroupRoot {
    own: File,
    made: File,
}

/// Where cgroup v2 is beside version 1 ("hybrid"). crun gives up there, and runc makes a cgroup in each hierarchy.
const UNIFIED: &str = "/sys/fs/cgroup/unified";
const NAMESPACE: &str = "/proc/self/ns/mnt";

impl CgroupRoot {
    /// None where /sys/fs/cgroup is cgroup v2 already, or where the caller may not mount.
    ///
    /// # Errors
    /// When there is no way back into the namespace from which it was made.
    pub(super) fn new() -> Result<Option<CgroupRoot>> {
        if !Path::new(UNIFIED).is_dir() || !project::is_root() {
            return Ok(None);
        }
        let open = || File::open(NAMESPACE).with_context(|| format!("cannot open {NAMESPACE}"));
        let own = open()?;
        if unshare(CloneFlags::CLONE_NEWNS).is_err() {
            return Ok(None);
        }
        let none: Option<&str> = None;
        let private = mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
        let bound =
            private.and_then(|()| mount(Some(UNIFIED), "/sys/fs/cgroup", none, MsFlags::MS_BIND, none));
        let made = open()?;
        enter(&own)?;
        Ok(bound.is_ok().then_some(CgroupRoot { own, made }))
    }

    /// Does `work` in it.
    ///
    /// # Errors
    /// Those of setns(2), and of `work`.
    pub(super) fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        enter(&self.made)?;
        let done = work();
        enter(&self.own)?;
        done
    }
}

/// Enters a mount namespace. setns(2) changes the working directory to its root.
fn enter(namespace: &File) -> Result<()> {
    let directory = std::env::current_dir().context("getcwd()")?;
    setns(namespace, CloneFlags::CLONE_NEWNS).context("setns(CLONE_NEWNS)")?;
    std::env::set_current_dir(&directory).with_context(|| format!("chdir({})", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::rows::Times;

    fn row(words: &str, needs: Vec<Need>) -> Row {
        Row { name: "x".into(), words: words.into(), needs, times: Times::Whole, any_status: false }
    }

    #[test]
    fn what_is_missing_is_told_with_the_remedy() {
        let scratch = tempfile::tempdir().unwrap();
        let project = Project { root: scratch.path().into(), target: scratch.path().join("a b") };
        let places = Places::new(&project, &scratch.path().join("scratch"));
        let cause = |row: &Row| places.command(row).unwrap_err();
        let tool = row("no-such-tool", vec![Need::Tool("no-such-tool", "package")]);
        assert_eq!(cause(&tool), "no-such-tool is not installed; apt install package");
        let peer = "unshare -Ur {peers}/veth-pair";
        assert_eq!(
            cause(&row(peer, Vec::new())),
            "not built; apt install gcc libc6-dev, and scripts/bench builds it"
        );
        let ours = row("{release}/uts-demo --help", Vec::new());
        assert_eq!(cause(&ours), "not built; scripts/bench builds it");
        std::fs::create_dir_all(places.peer("")).unwrap();
        std::fs::write(places.peer("veth-pair"), "").unwrap();
        let command = places.command(&row(peer, Vec::new())).unwrap();
        // A blank in a path divides no word.
        assert_eq!(command.words.len(), 3);
        assert_eq!(command.words[2], places.peer("veth-pair"));
    }
}
