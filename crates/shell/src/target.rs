//! A process whose namespaces are entered.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{chroot, fchdir, geteuid};
use ns_core::cgroup::{Layout, Membership};
use ns_core::{
    Capability, Child, Errno, Error, Kind, Named, Namespaces, NsId, Outcome, Pid, Result, Unmet, namespace,
    pids, process,
};

use crate::mark::opened;

/// Container engines, whose clients say which process a container's first is.
const ENGINES: [&str; 2] = ["docker", "podman"];

/// A process whose namespaces are entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pid: Pid,
    called: String,
    /// Those of its namespaces that are not ours, and that are wanted.
    namespaces: Namespaces,
    /// Whether its root and working directory are entered too.
    directories: bool,
    /// Whether its cgroups are.
    cgroups: bool,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (PID {})", self.called, self.pid)
    }
}

impl Target {
    /// Finds a process by its PID, by the name of a shell that was opened, or by the name of a container.
    ///
    /// # Errors
    /// [`Error::Input`] for a name that nothing or more than one thing has; [`Error::Unmet`] where its namespaces may not
    /// be looked at.
    pub fn find(text: &str) -> Result<Target> {
        let (pid, called) = match text.parse::<i32>() {
            Ok(number) => {
                let pid = Pid::from_raw(number);
                let name = if number > 0 { process::name(Some(pid)).ok() } else { None };
                let gone = || Error::Input(format!("no process has PID {number}; ps ax lists all"));
                (pid, name.ok_or_else(gone)?)
            }
            Err(_) => (by_name(text)?, text.to_string()),
        };
        let theirs = namespace::of(Some(pid)).map_err(|error| match error.errno() {
            Some(Errno::EACCES | Errno::EPERM) => Error::Unmet(Unmet::new(
                format!("permission to look at the namespaces of {called}, PID {pid}: {error}"),
                "run as root: sudo …",
            )),
            _ => error,
        })?;
        let namespaces = not_ours(&theirs)?;
        Ok(Target { pid, called, namespaces, directories: true, cgroups: false })
    }

    /// Its namespaces of these kinds alone, and its user namespace where that is needed to enter them.
    #[must_use]
    pub fn only(mut self, kinds: Namespaces) -> Target {
        // Without privilege, it takes the user namespace that owns the others.
        let is_privileged = process::is_capable(Capability::CAP_SYS_ADMIN);
        let owner = if is_privileged { Namespaces::NONE } else { Namespaces::USER };
        self.namespaces &= kinds | owner;
        self.directories = kinds.contains(Namespaces::MNT);
        self
    }

    /// Its cgroups too.
    #[must_use]
    pub fn with_cgroups(mut self) -> Target {
        self.cgroups = true;
        self
    }

    /// Its PID.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Those of its namespaces that are entered: none that is the caller's own.
    pub fn namespaces(&self) -> Namespaces {
        self.namespaces
    }

    /// Moves the caller there, and its next children.
    ///
    /// # Errors
    /// Those of setns(2), chroot(2) and fchdir(2).
    pub(crate) fn enter(&self) -> Result<()> {
        let pidfd = pids::open(self.pid)?;
        let directories = if self.directories { Some([self.open("root")?, self.open("cwd")?]) } else { None };
        if !self.namespaces.is_empty() {
            namespace::enter_all_of(pidfd.as_fd(), self.namespaces)?;
        }
        if self.namespaces.contains(Namespaces::USER) && !geteuid().is_root() {
            match process::become_root() {
                // Nobody is root there.
                Err(Error::Call { errno: Errno::EINVAL, .. }) => {}
                become_root => become_root?,
            }
        }
        if let Some([root, cwd]) = directories {
            // A mount namespace's root need not be the root of its members.
            if self.namespaces.contains(Namespaces::MNT) || self.is_chrooted() {
                fchdir(&root).named(|| format!("chdir(\"/proc/{}/root\")", self.pid))?;
                chroot(".").named(|| format!("chroot(\"/proc/{}/root\")", self.pid))?;
                fchdir(&cwd).named(|| format!("chdir(\"/proc/{}/cwd\")", self.pid))?;
            }
        }
        Ok(())
    }

    fn is_chrooted(&self) -> bool {
        ns_core::root::of(Some(self.pid)).ok() != ns_core::root::of(None).ok()
    }

    fn open(&self, link: &str) -> Result<OwnedFd> {
        let path = format!("/proc/{}/{link}", self.pid);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(path.as_str(), flags, Mode::empty()).named(|| format!("open(\"{path}\", O_PATH)"))
    }

    /// The files by which a process joins those of its cgroups that are not the caller's.
    ///
    /// # Errors
    /// EACCES where the caller may not move a process there.
    pub(crate) fn cgroups(&self) -> Result<Vec<(PathBuf, File)>> {
        if !self.cgroups {
            return Ok(Vec::new());
        }
        let (theirs, ours) = (Membership::all_of(Some(self.pid))?, Membership::all_of(None)?);
        let layout = Layout::detect()?;
        let directory = |it: &Membership| {
            let hierarchy = match it.controllers.split(',').next()? {
                "" => layout.v2(),
                controller => layout.v1(controller),
            };
            hierarchy?.directory(&it.path)
        };
        let others = theirs.iter().filter(|it| !ours.contains(it)).filter_map(directory);
        let mut files = Vec::new();
        for path in others.map(|directory| directory.join("cgroup.procs")) {
            let file = OpenOptions::new().write(true).open(&path);
            files.push((path.clone(), file.named(|| format!("echo $$ > {}", path.display()))?));
        }
        Ok(files)
    }

    /// The options of nsenter(1) that lead there.
    pub(crate) fn typed(&self) -> String {
        let mut words = format!("nsenter --target {}", self.pid);
        for kind in self.namespaces.kinds() {
            words += match kind {
                Kind::Cgroup => " --cgroup",
                Kind::Ipc => " --ipc",
                Kind::Net => " --net",
                Kind::Mnt => " --mount",
                Kind::Pid => " --pid",
                Kind::Time => " --time",
                Kind::User if geteuid().is_root() => " --user",
                Kind::User => " --user --preserve-credentials",
                Kind::Uts => " --uts",
            };
        }
        if self.directories && (self.namespaces.contains(Namespaces::MNT) || self.is_chrooted()) {
            words += " --root --wd";
        }
        words
    }
}

/// Moves the caller into cgroups, by files that were opened before.
pub(crate) fn join(cgroups: &[(PathBuf, File)]) -> Result<()> {
    for (path, file) in cgroups {
        let mut file = file;
        file.write_all(b"0").named(|| format!("echo $$ > {}", path.display()))?;
    }
    Ok(())
}

fn not_ours(theirs: &[NsId]) -> Result<Namespaces> {
    let ours = namespace::of(None)?;
    let others = theirs.iter().filter(|id| !ours.contains(id));
    Ok(others.fold(Namespaces::NONE, |all, id| all | Namespaces::only(id.kind)))
}

fn by_name(name: &str) -> Result<Pid> {
    let shells = opened();
    let found: Vec<Pid> = shells.iter().filter(|it| it.name == name).map(|it| it.pid).collect();
    match found.as_slice() {
        [] => {}
        [pid] => return Ok(*pid),
        several => {
            let pids: Vec<_> = several.iter().map(ToString::to_string).collect();
            return Err(Error::Input(format!(
                "several shells are called {name}; give one of the PIDs {}",
                pids.join(", ")
            )));
        }
    }
    if let Some(pid) = ENGINES.into_iter().find_map(|engine| first_of_container(engine, name)) {
        return Ok(pid);
    }
    let mut names: Vec<String> = shells.into_iter().map(|it| it.name).collect();
    names.dedup();
    let open =
        if names.is_empty() { "no shell is open".into() } else { format!("open are {}", names.join(", ")) };
    let shown: String = name.chars().take(40).collect();
    Err(Error::Input(format!("no shell and no running container is called {shown:?}; {open}; or give a PID")))
}

/// The PID of a running container's first process.
fn first_of_container(engine: &str, name: &str) -> Option<Pid> {
    // What begins like an option is none that an engine would take for a name.
    if ns_core::probe::program(engine).is_some() || name.starts_with('-') {
        return None;
    }
    let ran =
        Command::new(engine).args(["inspect", "--format", "{{.State.Pid}}", "--", name]).output().ok()?;
    let pid: i32 = String::from_utf8_lossy(&ran.stdout).trim().parse().ok()?;
    (pid > 0).then(|| Pid::from_raw(pid))
}

/// Which of its namespaces cannot be entered, and why, in one line: a child tries each.
pub fn why_not_entered(target: &Target) -> String {
    let mut refused = Vec::new();
    for kind in target.namespaces.kinds() {
        let answer = try_one(target, kind);
        if answer != Outcome::Done {
            refused.push(format!("{kind}: {answer}"));
        }
    }
    let which = if refused.is_empty() { "all at once".into() } else { refused.join(", ") };
    format!(
        "the namespaces of {target} cannot be entered ({which}): that takes CAP_SYS_ADMIN in the user namespaces that own \
         them, and for mnt CAP_SYS_CHROOT"
    )
}

fn try_one(target: &Target, kind: Kind) -> Outcome {
    let user = target.namespaces & Namespaces::USER;
    let child = Child::spawn("probe", Namespaces::NONE, |me| {
        let pidfd = pids::open(target.pid)?;
        me.report(
            "setns",
            Outcome::of(namespace::enter_all_of(pidfd.as_fd(), Namespaces::only(kind) | user))?,
        )
    });
    let answer = child.and_then(|mut child| child.fact()).map(|fact| fact.value.as_outcome());
    answer.ok().flatten().unwrap_or(Outcome::Failed(Errno::EPERM))
}
