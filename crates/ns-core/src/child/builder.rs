//! What a child will be, and how it is made.

use std::os::fd::BorrowedFd;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use observation::{Kind, Outcome};

use super::life::{Body, Start, begin};
use super::{Child, Reporter};
use crate::error::{Named, Result};
use crate::host;
use crate::idmap::IdMaps;
use crate::namespace::Namespaces;
use crate::sys::{self, Forked};
use crate::tether::ParentOnlyFd;

/// What a child will be, before it is created.
#[derive(Debug)]
pub struct Spawn<'a> {
    label: String,
    namespaces: Namespaces,
    maps: Option<IdMaps>,
    cgroup: Option<BorrowedFd<'a>>,
    outlives: bool,
    watches: bool,
    numbers: Vec<i32>,
}

impl<'a> Spawn<'a> {
    /// An ordinary child called `label`.
    pub fn new(label: impl Into<String>) -> Spawn<'a> {
        let none = Namespaces::NONE;
        Spawn {
            label: label.into(),
            namespaces: none,
            maps: None,
            cgroup: None,
            outlives: false,
            watches: false,
            numbers: Vec::new(),
        }
    }

    /// Created in new namespaces.
    #[must_use]
    pub fn namespaces(mut self, namespaces: Namespaces) -> Spawn<'a> {
        self.namespaces = namespaces;
        self
    }

    /// With its user and group IDs mapped by us, the parent, before its body begins. For children that are created in a
    /// new user namespace.
    #[must_use]
    pub fn maps(mut self, maps: IdMaps) -> Spawn<'a> {
        self.maps = Some(maps);
        self
    }

    /// Created in the cgroup v2 whose directory `cgroup` is (CLONE_INTO_CGROUP, since Linux 5.7): fifty times cheaper
    /// than to be moved there afterwards.
    #[must_use]
    pub fn into_cgroup(mut self, cgroup: BorrowedFd<'a>) -> Spawn<'a> {
        self.cgroup = Some(cgroup);
        self
    }

    /// It does not die with its parent, so that it can become an orphan. Refused in the PID namespace that we were
    /// started in: elsewhere it ends, at the latest, with the namespace.
    #[must_use]
    pub fn outlives_parent(mut self) -> Spawn<'a> {
        self.outlives = true;
        self
    }

    /// It outlives its parent for as long as it takes to end what that leaves: for a child that watches
    /// [`Reporter::parent`], and ends when that hangs up.
    #[must_use]
    pub fn watches_parent(mut self) -> Spawn<'a> {
        self.watches = true;
        self
    }

    /// With PIDs of our choice, from its own PID namespace upwards (set_tid of clone3(2), since Linux 5.5). Needs
    /// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the user namespaces that own those; refused in the PID namespace that
    /// we were started in. A number that is taken gives EEXIST, and the first of a namespace must be 1.
    #[must_use]
    pub fn set_tid(mut self, numbers: &[i32]) -> Spawn<'a> {
        self.numbers = numbers.to_vec();
        self
    }

    /// Makes the child, which runs `body` and then exits with status 0.
    ///
    /// When this returns, the child dies if we do. A value that `body` captures lives on in both processes, each with
    /// its own copy; the child never runs our destructors.
    ///
    /// # Errors
    /// Those of clone3(2): EPERM without the capability that a namespace needs, ENOSPC at a limit of /proc/sys/user,
    /// ENOMEM when the PID namespace that children go to has lost its init. Refused while other threads run.
    pub fn run(self, body: impl FnOnce(&mut Reporter) -> Result<()>) -> Result<Child> {
        self.run_boxed(Box::new(body), Box::new(|_| ()))
    }

    /// As [`Spawn::run`]. `meanwhile` is what the parent does while the child begins, without waiting for it: for what the
    /// child needs at its first checkpoint. If it is killed before this returns, the child ends at that checkpoint.
    ///
    /// # Errors
    /// As [`Spawn::run`].
    pub fn run_with<T>(
        self,
        body: impl FnOnce(&mut Reporter) -> Result<()>,
        meanwhile: impl FnOnce(&Child) -> T,
    ) -> Result<(Child, T)> {
        let mut done = None;
        let child = self.run_boxed(Box::new(body), Box::new(|child| done = Some(meanwhile(child))))?;
        Ok((child, done.expect("the parent has done it")))
    }

    /// There is a body for each of a thousand children in the lessons, and one of this for all.
    fn run_boxed(self, body: Body<'_>, meanwhile: Box<dyn FnOnce(&Child) + '_>) -> Result<Child> {
        let Spawn { label, namespaces, maps, cgroup, outlives, watches, numbers } = self;
        if outlives {
            host::require_left(Kind::Pid, || format!("spawn({label}) to outlive its parent"))?;
        }
        if !numbers.is_empty() {
            host::require_left(Kind::Pid, || format!("clone3(set_tid = {numbers:?})"))?;
        }
        let (reports, report_end) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
        let (checkpoint, open) = pipe2(OFlag::O_CLOEXEC).named(|| "pipe()".into())?;
        let (reports, open) = (ParentOnlyFd::new(reports), ParentOnlyFd::new(open));
        match sys::clone3(namespaces.bits(), cgroup, &numbers, || as_typed(namespaces, cgroup))? {
            Forked::Child => {
                let armed = !outlives && !watches;
                begin(
                    label,
                    report_end,
                    checkpoint,
                    Start { armed, mapped: maps.is_some(), namespaces },
                    body,
                )
            }
            Forked::Parent { pid, pidfd } => {
                // Dropped at once: while we held the child's end, its death would be no end-of-file to us.
                drop((report_end, checkpoint));
                let pidfd = ParentOnlyFd::new(pidfd);
                let mut child = Child::new(label, pid, pidfd, reports, open);
                let mapped =
                    maps.map_or(Ok(()), |maps| maps.write_for(Some(pid)).and_then(|()| child.wake()));
                meanwhile(&child);
                // If it gave up, that is why it has no maps.
                child.wait_until_armed()?;
                mapped.map(|()| child)
            }
        }
    }
}

fn as_typed(namespaces: Namespaces, cgroup: Option<BorrowedFd<'_>>) -> String {
    match (namespaces.is_empty(), cgroup.is_some()) {
        (false, false) => format!("clone3({})", namespaces.as_typed()),
        (true, false) => "clone3()".into(),
        (true, true) => "clone3(CLONE_INTO_CGROUP)".into(),
        (false, true) => format!("clone3({}|CLONE_INTO_CGROUP)", namespaces.as_typed()),
    }
}

impl Child {
    /// Makes a child called `label` in new `namespaces`, as [`Spawn::run`] does.
    ///
    /// # Errors
    /// As [`Spawn::run`].
    pub fn spawn(
        label: impl Into<String>,
        namespaces: Namespaces,
        body: impl FnOnce(&mut Reporter) -> Result<()>,
    ) -> Result<Child> {
        Spawn::new(label).namespaces(namespaces).run(body)
    }
}

/// Makes children that stay, until there are `wanted` of them or the kernel refuses one: fork()'s last answer.
///
/// # Errors
/// What is not the kernel's answer.
pub fn have_children(children: &mut Vec<Child>, wanted: usize) -> Result<Outcome> {
    while children.len() < wanted {
        match Child::spawn("child", Namespaces::NONE, Reporter::stay) {
            Ok(child) => children.push(child),
            refused => return Outcome::of(refused),
        }
    }
    Ok(Outcome::Done)
}
