//! Where on this machine we may make cgroups.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, unlinkat};

use super::missing::Refusal;
use super::{Cgroup, CgroupName, Layout, Version};
use crate::error::{AsErrno, Named, Result};
use crate::janitor;
use crate::probe::Missing;

/// What kind of cgroup is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want<'a> {
    /// A v2 cgroup, whatever its controllers.
    AnyV2,
    /// A v2 cgroup that has this controller, such as `pids`, in its `cgroup.controllers`.
    ControllerV2(&'a str),
    /// A cgroup with this controller: on v2 if the controller is there, else on v1.
    Controller(&'a str),
    /// A cgroup in the v1 hierarchy of this controller.
    V1(&'a str),
}

/// A cgroup in which we may make others. What is made there and its members are ours; the place itself is not, and
/// none of its files is ever written.
#[derive(Debug)]
pub struct Place {
    directory: PathBuf,
    fd: OwnedFd,
    version: Version,
}

impl Place {
    /// Finds the nearest place: our own cgroup, or else the first of its ancestors where it can be done.
    ///
    /// Each is tried by making a cgroup there and removing it again, never judged by user or capability. For a v2
    /// controller it must be one whose `cgroup.subtree_control` has the controller already: that file is never
    /// written, since the place is not ours. Moving a process is the kernel's question too, and asked: the mover
    /// must be able to write the common ancestor's `cgroup.procs` (cgroups(7), "Cgroups v2 delegation").
    ///
    /// # Errors
    /// Those of [`Layout::detect`] and of [`janitor::start`]. That there is no such place is not an error but a
    /// [`Missing`].
    pub fn find(want: Want<'_>) -> Result<Result<Place, Missing>> {
        Place::find_in(&Layout::detect()?, want)
    }

    /// As [`Place::find`], in a layout that is known already.
    ///
    /// # Errors
    /// As [`Place::find`].
    pub fn find_in(layout: &Layout, want: Want<'_>) -> Result<Result<Place, Missing>> {
        let listed = |controller: &str| layout.v2_controllers().iter().any(|own| own == controller);
        let v2 = |controller| {
            if listed(controller) {
                (layout.v2(), Some(controller))
            } else if controller == IMPLICIT && layout.v1(controller).is_none() {
                (layout.v2(), None)
            } else {
                (None, None)
            }
        };
        let (hierarchy, controller) = match want {
            Want::AnyV2 => (layout.v2(), None),
            Want::ControllerV2(controller) => v2(controller),
            Want::V1(controller) => (layout.v1(controller), None),
            Want::Controller(controller) => match v2(controller) {
                (None, _) => (layout.v1(controller), None),
                found => found,
            },
        };
        let Some(hierarchy) = hierarchy else { return Ok(Err(Missing::hierarchy(layout, want))) };
        let mut refusals = Vec::new();
        for directory in hierarchy.own_and_ancestors()? {
            match Place::probe(&directory, hierarchy.version(), controller)? {
                Ok(place) => return Ok(Ok(place)),
                Err(refusal) => refusals.push((directory, refusal)),
            }
        }
        Ok(Err(Missing::place(hierarchy, controller.unwrap_or_default(), &refusals)))
    }

    /// Tries one directory by making a cgroup in it.
    fn probe(directory: &Path, version: Version, controller: Option<&str>) -> Result<Result<Place, Refusal>> {
        let fd = match open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(error) => {
                let call = format!("cd {}", directory.display());
                return Ok(Err(Refusal::Call(call, error.as_errno())));
            }
        };
        let place = Place { directory: directory.into(), fd, version };
        let refusal = match place.make("probe")? {
            Err((path, errno)) => Some(Refusal::Call(format!("mkdir {}", shortened(&path)), errno)),
            Ok(name) => {
                let refusal = place.probe_made(&name, controller);
                let path = place.directory.join(&name);
                unlinkat(&place.fd, &name, AtFlags::REMOVEDIR)
                    .named(|| format!("rmdir(\"{}\")", path.display()))?;
                janitor::forget(&path);
                refusal
            }
        };
        Ok(refusal.map_or(Ok(place), Err))
    }

    /// Looks at the cgroup that was made for a probe.
    fn probe_made(&self, name: &str, controller: Option<&str>) -> Option<Refusal> {
        if self.version == Version::V1 {
            return None;
        }
        let read =
            |file: &str| std::fs::read_to_string(self.directory.join(name).join(file)).unwrap_or_default();
        // A kernel before 4.14 has no such file, and no threaded cgroups.
        if !matches!(read("cgroup.type").trim(), "domain" | "") {
            return Some(Refusal::Threaded);
        }
        if controller
            .is_some_and(|wanted| !read("cgroup.controllers").split_whitespace().any(|it| it == wanted))
        {
            return Some(Refusal::NotEnabled);
        }
        // To open it for writing is the question that the kernel asks for a move; nothing is written.
        let procs = self.directory.join("cgroup.procs");
        let opened = OpenOptions::new().write(true).open(&procs);
        opened.err().map(|error| Refusal::Call(format!("echo PID > {}", procs.display()), error.as_errno()))
    }

    /// Makes a cgroup for `purpose`, registered with the janitor, and returns its guard.
    ///
    /// It is called `inception-PID-STARTTIME-N-PURPOSE`; `purpose` follows the rule of [`CgroupName`]. Messages call
    /// it `…-PURPOSE`.
    ///
    /// A v1 cgroup of the cpuset controller starts without CPUs and memory and would refuse members (cpuset(7)), so
    /// it gets those of the place.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a bad purpose; those of mkdir(2) on cgroupfs: EACCES, EROFS, EAGAIN at the
    /// `cgroup.max.descendants` or `cgroup.max.depth` of an ancestor.
    pub fn create(&self, purpose: &str) -> Result<Cgroup> {
        let purpose = CgroupName::new(purpose)?;
        match self.make(purpose.as_str())? {
            Ok(name) => Cgroup::open_made(&self.directory, &self.fd, &name, format!("…-{purpose}")),
            Err((path, errno)) => Err(errno).named(|| format!("mkdir {}", shortened(&path))),
        }
    }

    /// Makes a cgroup of a name that no other has, registered first. Gives its name, or else the path and why not.
    fn make(&self, purpose: &str) -> Result<Result<String, (PathBuf, Errno)>> {
        let mut tries = 100;
        loop {
            let name = janitor::unique_name(purpose)?;
            let path = self.directory.join(&name);
            janitor::register_cgroup(&path)?;
            match mkdirat(&self.fd, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => return Ok(Ok(name)),
                Err(error) => {
                    janitor::forget(&path);
                    tries -= 1;
                    // One that exists is someone else's: never touch it, take another name.
                    if error != rustix::io::Errno::EXIST || tries == 0 {
                        return Ok(Err((path, error.as_errno())));
                    }
                }
            }
        }
    }

    /// The cgroup in which others are made.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Which version's files are made there.
    pub fn version(&self) -> Version {
        self.version
    }
}

/// The one controller that every v2 cgroup has and no `cgroup.controllers` lists (cgroup-v2.rst, "perf_event").
const IMPLICIT: &str = "perf_event";

/// A path that we were refused, with `…` for the unique part of our names.
fn shortened(path: &Path) -> String {
    let parent = path.parent().unwrap_or(Path::new("/"));
    format!("{}/{}…", parent.display(), janitor::PREFIX).replace("//", "/")
}
