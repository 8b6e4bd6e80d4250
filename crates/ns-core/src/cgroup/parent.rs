//! Where on this machine we may make cgroups.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use observation::Refused;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, unlinkat};

use super::unmet::{Refusal, no_hierarchy, no_parent};
use super::{Cgroup, CgroupName, CgroupRequest, Layout, REMOVAL, Version};
use crate::cleanup;
use crate::error::{AsErrno, Error, Named, Result};
use crate::unmet::Unmet;

/// A cgroup in which we may make others. What is made there and its members are ours; the place itself is not, and
/// none of its files is ever written.
#[derive(Debug)]
pub struct CgroupParent {
    directory: PathBuf,
    fd: OwnedFd,
    version: Version,
}

impl CgroupParent {
    /// Finds the nearest place: our own cgroup, or else the first of its ancestors where it can be done.
    ///
    /// Each is tried by making a cgroup there and removing it again, never judged by user or capability. For a v2
    /// controller it must be one whose `cgroup.subtree_control` has the controller already: that file is never
    /// written, since the place is not ours. Moving a process is the kernel's question too, and asked: the mover
    /// must be able to write the common ancestor's `cgroup.procs` (cgroups(7), "Cgroups v2 delegation").
    ///
    /// # Errors
    /// Those of [`Layout::detect`] and of [`cleanup::start`]. That there is no such place is not an error but a
    /// [`Unmet`].
    pub fn find(want: CgroupRequest<'_>) -> Result<Result<CgroupParent, Unmet>> {
        CgroupParent::find_in(&Layout::detect()?, want)
    }

    /// As [`CgroupParent::find`], for who has found out before that there is one.
    ///
    /// # Errors
    /// As there; [`Error::Unmet`] where there is none any more.
    pub fn require(want: CgroupRequest<'_>) -> Result<CgroupParent> {
        CgroupParent::find(want)?.map_err(Error::Unmet)
    }

    /// As [`CgroupParent::find`], in a layout that is known already.
    ///
    /// # Errors
    /// As [`CgroupParent::find`].
    pub fn find_in(layout: &Layout, want: CgroupRequest<'_>) -> Result<Result<CgroupParent, Unmet>> {
        let found = CgroupParent::try_each(layout, want, "probe")?;
        let Ok((place, name)) = found else { return Ok(found.map(|(place, _)| place)) };
        place.remove(&name)?;
        Ok(Ok(place))
    }

    /// As [`CgroupParent::find_in`], and makes a cgroup for `purpose` there, as [`CgroupParent::create`] does: the one by
    /// which the place is tried.
    ///
    /// # Errors
    /// As [`CgroupParent::find`] and [`CgroupParent::create`].
    pub fn find_and_create(
        layout: &Layout,
        want: CgroupRequest<'_>,
        purpose: &CgroupName,
    ) -> Result<Result<(CgroupParent, Cgroup), Unmet>> {
        Ok(match CgroupParent::try_each(layout, want, purpose.as_str())? {
            Ok((place, name)) => {
                let cgroup = Cgroup::open_made(&place.directory, &place.fd, &name, format!("…-{purpose}"))?;
                Ok((place, cgroup))
            }
            Err(missing) => Err(missing),
        })
    }

    /// Makes a cgroup called after `purpose` in the nearest place where it can be done. Gives the place and its name.
    fn try_each(
        layout: &Layout,
        want: CgroupRequest<'_>,
        purpose: &str,
    ) -> Result<Result<(CgroupParent, String), Unmet>> {
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
            CgroupRequest::AnyV2 => (layout.v2(), None),
            CgroupRequest::ControllerV2(controller) => v2(controller),
            CgroupRequest::V1(controller) => (layout.v1(controller), None),
            CgroupRequest::Controller(controller) => match v2(controller) {
                (None, _) => (layout.v1(controller), None),
                found => found,
            },
        };
        let Some(hierarchy) = hierarchy else { return Ok(Err(no_hierarchy(layout, want))) };
        let mut refusals = Vec::new();
        for directory in hierarchy.own_and_ancestors()? {
            match CgroupParent::probe(&directory, hierarchy.version(), controller, purpose)? {
                Ok(made) => return Ok(Ok(made)),
                Err(refusal) => refusals.push((directory, refusal)),
            }
        }
        Ok(Err(no_parent(hierarchy, controller.unwrap_or_default(), &refusals)))
    }

    /// Tries one directory by making a cgroup in it, which is removed if the place will not do.
    fn probe(
        directory: &Path,
        version: Version,
        controller: Option<&str>,
        purpose: &str,
    ) -> Result<Result<(CgroupParent, String), Refusal>> {
        let fd = match open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(error) => {
                let call = format!("cd {}", directory.display());
                return Ok(Err(Refusal::Call(Refused { call, errno: error.as_errno() })));
            }
        };
        let place = CgroupParent { directory: directory.into(), fd, version };
        let name = match place.make(purpose)? {
            Err((path, errno)) => {
                let call = format!("mkdir {}", shortened(&path));
                return Ok(Err(Refusal::Call(Refused { call, errno })));
            }
            Ok(name) => name,
        };
        let Some(refusal) = place.probe_made(&name, controller) else { return Ok(Ok((place, name))) };
        place.remove(&name)?;
        Ok(Err(refusal))
    }

    /// Removes a cgroup that was made to try the place.
    fn remove(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR).named(|| format!("rmdir(\"{}\")", path.display()))?;
        cleanup::forget(&path);
        Ok(())
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
        opened.err().map(|error| {
            Refusal::Call(Refused {
                call: format!("echo PID > {}", procs.display()),
                errno: error.as_errno(),
            })
        })
    }

    /// Makes a cgroup for `purpose`, registered with the cleanup worker, and returns its guard.
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
            let name = cleanup::unique_name(purpose)?;
            let path = self.directory.join(&name);
            cleanup::register(REMOVAL, &path)?;
            match mkdirat(&self.fd, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => return Ok(Ok(name)),
                Err(error) => {
                    cleanup::forget(&path);
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
    format!("{}/{}…", parent.display(), cleanup::PREFIX).replace("//", "/")
}
