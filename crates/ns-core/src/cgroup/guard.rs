//! A cgroup that we made, and what is done with it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, getpid};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, unlinkat};

use super::directory::Directory;
use super::{CgroupName, Layout, Version, kill, wait};
use crate::cleanup::{self, Owner};
use crate::error::{Error, Named, Result};

/// A cgroup that we made. Dropping it kills its members, waits for their end and removes it with all below it.
///
/// When we are killed, the [`cleanup`] does the same. A forked child has a copy of this guard: it can use it, and
/// dropping it there does nothing.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    pub(super) directory: Directory,
    parent: OwnedFd,
    owner: Owner,
    /// False once it is removed.
    stands: bool,
}

impl Cgroup {
    /// The guard of a cgroup that was made this moment.
    pub(super) fn open_made(parent: &Path, fd: &OwnedFd, name: &str, label: String) -> Result<Cgroup> {
        let path = parent.join(name);
        let opened = fd.try_clone().named(|| "dup()".into()).and_then(|fd| {
            let directory = Directory::open(&fd, OsStr::new(name), label)?;
            Ok((fd, directory))
        });
        let (parent, directory) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // It has no guard yet, and no member.
                let _ = unlinkat(fd, name, AtFlags::REMOVEDIR);
                return Err(error);
            }
        };
        cleanup::lock(&directory);
        let cgroup = Cgroup { path, directory, parent, owner: Owner::this_process(), stands: true };
        cgroup.inherit_cpus()?;
        Ok(cgroup)
    }

    /// cpuset(7): a new cpuset of v1 has no CPUs and no memory nodes, and then takes no member (ENOSPC).
    fn inherit_cpus(&self) -> Result<()> {
        if self.version() == Version::V2 || self.directory.open_file("cpuset.cpus", OFlags::PATH).is_err() {
            return Ok(());
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let above = self.path.parent().unwrap_or(Path::new("/")).join(file);
            let of_parent = std::fs::read_to_string(&above).named(|| format!("cat {}", above.display()))?;
            self.write(file, of_parent.trim_end())?;
        }
        Ok(())
    }

    /// Makes a cgroup below this one. Messages call it by its path below the place: `…-PURPOSE/NAME`.
    ///
    /// # Errors
    /// EEXIST when there is one of that name; EAGAIN at a `cgroup.max.depth` or `cgroup.max.descendants`.
    pub fn child(&self, name: &CgroupName) -> Result<Cgroup> {
        // The cleanup worker removes a registered cgroup with all below it, so this one needs no order of its own.
        let label = self.directory.label_of(OsStr::new(name.as_str()));
        mkdirat(&self.directory, name.as_str(), Mode::from_raw_mode(0o755))
            .named(|| format!("mkdir {label}"))?;
        let fd = self.directory.as_fd().try_clone_to_owned().named(|| "dup()".into())?;
        Cgroup::open_made(&self.path, &fd, name.as_str(), label)
    }

    /// Its directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How messages call it, in which `…` stands for the path of the place and the unique part of the name.
    pub fn label(&self) -> &str {
        self.directory.label()
    }

    /// Its directory, open: what clone3(2) takes for CLONE_INTO_CGROUP.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Which version's files it has.
    pub fn version(&self) -> Version {
        self.directory.version()
    }

    /// The text of one of its files, such as `pids.current`, without its last newline.
    ///
    /// # Errors
    /// The call is named as one would type it: `cat …/pids.current`. ENOENT when the controller is not enabled.
    pub fn read(&self, file: &str) -> Result<String> {
        self.directory.read(file)
    }

    /// A file of lines `KEY NUMBER` (cgroup-v2.rst, "flat keyed"), such as `pids.events` or `cpu.stat`.
    ///
    /// # Errors
    /// Those of [`Cgroup::read`]; [`Error::Unreadable`] when the lines are of another form.
    pub fn flat_keyed(&self, file: &str) -> Result<BTreeMap<String, u64>> {
        self.directory.flat_keyed(file)
    }

    /// Writes `text` to one of its files, in one write(2), with a newline at the end as echo(1) has it.
    ///
    /// # Errors
    /// The call is named as one would type it: `echo 5 > …/pids.max`.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        self.directory.write(file, text)
    }

    /// Writes a limit, or another value that is no text.
    ///
    /// # Errors
    /// As [`Cgroup::write`].
    pub fn limit(&self, file: &str, value: impl fmt::Display) -> Result<()> {
        self.write(file, &value.to_string())
    }

    /// The members of this cgroup alone, sorted, in our PID namespace (0 for one outside of it). Zombies are not
    /// among them.
    ///
    /// # Errors
    /// EOPNOTSUPP in a threaded cgroup.
    pub fn procs(&self) -> Result<Vec<Pid>> {
        self.directory.pids()
    }

    /// Moves a process here, with all its threads.
    ///
    /// The process that made this cgroup is not let in: it is to outlive the cgroup, whose members are killed.
    ///
    /// # Errors
    /// ESRCH when there is no such process; EACCES without write permission to `cgroup.procs` here or in the common
    /// ancestor. EBUSY for the "no internal processes" rule; EOPNOTSUPP in a threaded cgroup (cgroups(7)).
    pub fn join(&self, process: Pid) -> Result<()> {
        self.move_here("cgroup.procs", process)
    }

    /// Moves one thread here: within a threaded domain of v2 by `cgroup.threads`, on v1 by `tasks`.
    ///
    /// # Errors
    /// As [`Cgroup::join`]; EOPNOTSUPP where the cgroup is not threaded.
    pub fn join_thread(&self, thread: Pid) -> Result<()> {
        let file = match self.version() {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        };
        self.move_here(file, thread)
    }

    fn move_here(&self, file: &str, who: Pid) -> Result<()> {
        // The kernel takes 0 for the writer itself.
        if self.owner.is_this_process() && (who == getpid() || who.as_raw() == 0) {
            let what = format!("echo {who} > {}/{file}", self.label());
            let why = "this process made the cgroup and has to outlive it; let a child join";
            return Err(Error::Input(format!("{what}: refused: {why}")));
        }
        self.limit(file, who)
    }

    /// The controllers that it has: `cgroup.controllers` on v2, those of its hierarchy on v1.
    ///
    /// # Errors
    /// Those of [`Cgroup::read`] and, on v1, of [`Layout::detect`].
    pub fn controllers(&self) -> Result<Vec<String>> {
        match self.version() {
            Version::V2 => self.words("cgroup.controllers"),
            Version::V1 => {
                let layout = Layout::detect()?;
                let mut hierarchies = layout.hierarchies().iter().filter(|it| it.version() == Version::V1);
                let ours = hierarchies.find(|it| self.path.starts_with(it.mount_point()));
                Ok(ours.map_or_else(Vec::new, |it| it.controllers().to_vec()))
            }
        }
    }

    /// The controllers that its children have: `cgroup.subtree_control`.
    ///
    /// # Errors
    /// ENOENT on v1, which has no such file.
    pub fn subtree_control(&self) -> Result<Vec<String>> {
        self.words("cgroup.subtree_control")
    }

    fn words(&self, file: &str) -> Result<Vec<String>> {
        Ok(self.read(file)?.split_whitespace().map(String::from).collect())
    }

    /// Gives its children a controller: writes `+CONTROLLER` to `cgroup.subtree_control`.
    ///
    /// # Errors
    /// ENOENT when it lacks the controller itself. EBUSY when it has members and the controller counts domains
    /// (cgroups(7), "the no internal processes rule"). EINVAL for a name that is no controller. ENOENT on v1.
    pub fn enable(&self, controller: &str) -> Result<()> {
        self.write("cgroup.subtree_control", &format!("+{controller}"))
    }

    /// `cgroup.events`: `populated` says whether it or a cgroup below it has a member, `frozen` whether it is frozen.
    ///
    /// # Errors
    /// ENOENT on v1, which has no such file.
    pub fn events(&self) -> Result<BTreeMap<String, u64>> {
        self.flat_keyed("cgroup.events")
    }

    /// Waits until it or a cgroup below it has a member (`true`), or until none has (`false`).
    ///
    /// On v2 the kernel says so by `cgroup.events`. v1 has no such event: there the members' own ends are waited for,
    /// and for a first member a write to `cgroup.procs` or `tasks`.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 10 s.
    pub fn wait_populated(&self, populated: bool) -> Result<()> {
        wait::wait_populated(&self.directory, populated)
    }

    /// Kills its members and those of all cgroups below it with SIGKILL.
    ///
    /// By `cgroup.kill` where it exists (v2 since Linux 5.14), which returns before they have ended; else each by its
    /// pidfd until none is left, frozen meanwhile where the hierarchy can.
    ///
    /// # Errors
    /// [`Error::Input`] when the caller is a member. EOPNOTSUPP in a threaded cgroup. [`Error::Deadline`] if one that
    /// had to be killed by itself has not ended within 10 s.
    pub fn kill(&self) -> Result<()> {
        kill::kill(&self.directory)
    }

    /// Kills its members, waits for their end, and removes it with all below it.
    ///
    /// # Errors
    /// Those of [`Cgroup::kill`] and [`Cgroup::wait_populated`]; EBUSY if it does not become empty. It then stays
    /// registered with the cleanup worker.
    pub fn remove(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if !self.stands || !self.owner.is_this_process() {
            return Ok(());
        }
        // Once only: what fails now is not tried again by drop, but by the cleanup worker.
        self.stands = false;
        let name = self.path.file_name().unwrap_or_default();
        kill::end(&self.directory, self.parent.as_fd(), name)?;
        cleanup::forget(&self.path);
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Drop has no one to tell. What is left is the cleanup worker's.
        let _ = self.end();
    }
}
