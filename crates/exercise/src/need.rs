//! What an exercise needs of the machine.

use std::path::PathBuf;
use std::{fmt, fs};

use nix::unistd::{User, getuid};
use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Error, Kind, Namespaces, cleanup, uts};

/// What a machine must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Root types the solution.
    Root,
    /// User namespaces can be made.
    UserNamespaces,
    /// Time namespaces can be made.
    TimeNamespaces,
    /// A cgroup of version 2 in which the learner may make others.
    CgroupV2,
    /// A hierarchy of version 1.
    CgroupV1,
    /// A controller in a cgroup in which the learner may make others, in either version.
    Controller(String),
    /// A program on PATH.
    Program(String),
    /// newuidmap(1), and a range in /etc/subuid.
    SubordinateIds,
    /// A kernel that is not older.
    Kernel(u32, u32),
    /// A machine that is thrown away after.
    ThrowAway,
}

impl fmt::Display for Need {
    /// As a file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Root => f.write_str("root"),
            Need::UserNamespaces => f.write_str("user-namespaces"),
            Need::TimeNamespaces => f.write_str("time-namespaces"),
            Need::CgroupV2 => f.write_str("cgroup-v2"),
            Need::CgroupV1 => f.write_str("cgroup-v1"),
            Need::Controller(name) => write!(f, "controller {name}"),
            Need::Program(name) => write!(f, "program {name}"),
            Need::SubordinateIds => f.write_str("subordinate-ids"),
            Need::Kernel(major, minor) => write!(f, "kernel {major}.{minor}"),
            Need::ThrowAway => f.write_str("throw-away"),
        }
    }
}

const KNOWN: &str = "root, user-namespaces, time-namespaces, cgroup-v2, cgroup-v1, controller NAME, program NAME, \
                     subordinate-ids, kernel N.N, throw-away";

impl Need {
    /// Reads one entry of `needs`.
    ///
    /// # Errors
    /// The entry, and what there is.
    pub(crate) fn parse(words: &str) -> Result<Need, String> {
        let need = match words.split_once(' ').unwrap_or((words, "")) {
            ("root", "") => Some(Need::Root),
            ("user-namespaces", "") => Some(Need::UserNamespaces),
            ("time-namespaces", "") => Some(Need::TimeNamespaces),
            ("cgroup-v2", "") => Some(Need::CgroupV2),
            ("cgroup-v1", "") => Some(Need::CgroupV1),
            ("controller", name) if !name.is_empty() => Some(Need::Controller(name.into())),
            ("program", name) if !name.is_empty() => Some(Need::Program(name.into())),
            ("subordinate-ids", "") => Some(Need::SubordinateIds),
            ("kernel", version) => {
                uts::parse_version(version).map(|(major, minor)| Need::Kernel(major, minor))
            }
            ("throw-away", "") => Some(Need::ThrowAway),
            _ => None,
        };
        need.ok_or_else(|| format!("needs has '{words}'; choose from {KNOWN}"))
    }

    /// What sort of cgroup these needs ask for, if any.
    pub(crate) fn cgroup(needs: &[Need]) -> Option<CgroupRequest<'_>> {
        let controller = needs.iter().find_map(|need| match need {
            Need::Controller(name) => Some(name.as_str()),
            _ => None,
        });
        match (controller, needs.contains(&Need::CgroupV1), needs.contains(&Need::CgroupV2)) {
            (Some(name), true, _) => Some(CgroupRequest::V1(name)),
            (Some(name), _, true) => Some(CgroupRequest::ControllerV2(name)),
            (Some(name), _, _) => Some(CgroupRequest::Controller(name)),
            (None, true, _) => Some(CgroupRequest::V1("pids")),
            (None, _, true) => Some(CgroupRequest::AnyV2),
            (None, false, false) => None,
        }
    }

    /// The directory of a cgroup in which the learner may make others as these needs ask for; `None` if they do not.
    ///
    /// # Errors
    /// What is lacking; what is no answer, such as a failing pipe.
    pub(crate) fn place(needs: &[Need]) -> ns_core::Result<Option<PathBuf>> {
        let Some(request) = Need::cgroup(needs) else { return Ok(None) };
        let place = CgroupParent::require(request).map(|parent| parent.directory().to_path_buf());
        cleanup::finish_if_idle()?;
        place.map(Some)
    }

    /// What the machine lacks of these, one by one and together; `None` if nothing.
    ///
    /// # Errors
    /// As [`Need::unmet`].
    pub fn lacking(needs: &[Need]) -> ns_core::Result<Option<Unmet>> {
        for need in needs {
            if let Some(lacking) = need.unmet()? {
                return Ok(Some(lacking));
            }
        }
        match Need::place(needs) {
            Err(Error::Unmet(lacking)) => Ok(Some(lacking)),
            found => found.map(|_| None),
        }
    }

    /// What the machine lacks of it; `None` if nothing. It is tried, and what was made for that is gone afterwards.
    ///
    /// # Errors
    /// What is no answer, such as a failing pipe.
    pub fn unmet(&self) -> ns_core::Result<Option<Unmet>> {
        let found = match self {
            Need::Root => Ok(probe::capability(Capability::CAP_SYS_ADMIN)),
            Need::UserNamespaces => probe::sandbox(Namespaces::USER),
            Need::TimeNamespaces => match probe::kind(Kind::Time) {
                None => probe::sandbox(Namespaces::USER | Namespaces::TIME),
                lacking => Ok(lacking),
            },
            Need::CgroupV2 => place(CgroupRequest::AnyV2),
            Need::CgroupV1 => place(CgroupRequest::V1("pids")),
            Need::Controller(name) => place(CgroupRequest::Controller(name)),
            Need::Program(name) => Ok(probe::program(name)),
            Need::SubordinateIds => subordinate_ids(),
            Need::Kernel(major, minor) => {
                let is_older = uts::kernel_version() < (*major, *minor);
                Ok(is_older.then(|| {
                    Unmet::new(format!("this kernel is older than {major}.{minor}"), "boot a newer one")
                }))
            }
            Need::ThrowAway => probe::throw_away(),
        };
        // It was started to try where cgroups can be made, and would be taken for a process of the learner's.
        cleanup::finish_if_idle()?;
        found
    }
}

fn place(request: CgroupRequest<'_>) -> ns_core::Result<Option<Unmet>> {
    Ok(CgroupParent::find(request)?.err())
}

/// subuid(5): a line is `user:first:count`, and the user is a name or an ID.
fn subordinate_ids() -> ns_core::Result<Option<Unmet>> {
    if let Some(lacking) = probe::program("newuidmap") {
        return Ok(Some(Unmet::new(lacking.to_string(), "apt-get install uidmap")));
    }
    let uid = getuid();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let text = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let is_ours = |line: &str| line.split(':').next().is_some_and(|of| of == name || of == uid.to_string());
    Ok((!text.lines().any(is_ours)).then(|| {
        let remedy = format!("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}");
        Unmet::new(format!("/etc/subuid has no range for {name}"), remedy)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_is_known_or_refused() {
        assert_eq!(Need::parse("controller pids"), Ok(Need::Controller("pids".into())));
        assert_eq!(Need::parse("kernel 6.12"), Ok(Need::Kernel(6, 12)));
        for other in ["", "roots", "root 1", "controller", "program ", "kernel six", "kernel 6"] {
            assert!(Need::parse(other).unwrap_err().contains("choose from root, "), "{other}");
        }
    }

    #[test]
    fn what_is_there_is_no_lack() {
        let lacks = |need: Need| need.unmet().unwrap().map(|lacking| lacking.to_string());
        assert_eq!(lacks(Need::Program("sh".into())), None);
        assert_eq!(lacks(Need::Program("no-such".into())), Some("the program no-such".into()));
        assert_eq!(lacks(Need::Kernel(4, 0)), None);
        assert_eq!(lacks(Need::Kernel(99, 0)), Some("this kernel is older than 99.0".into()));
    }
}
