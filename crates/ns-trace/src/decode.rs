//! From the arguments of a call to what it asks for. Pointers are followed while the caller stands still.

use nix::errno::Errno;
use nix::unistd::Pid;
use ns_core::tracing::Memory;

use crate::facts;
use crate::flags;
use crate::model::Act;

/// As much of a path, of a text and of an argument list is read.
const PATH: usize = 4096;
const TEXT: usize = 1024;
const ARGUMENTS: usize = 64;

/// What a call asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// To be told, however it ends.
    Act(Act),
    /// A file is opened to be written.
    Open { path: String },
    /// A socket of netlink.
    Netlink { protocol: u64 },
    /// Another name of the thread.
    Name,
}

/// A call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) thread: Pid,
    pub(crate) arguments: [u64; 6],
}

/// What the call `name` asks for; none if it is of no interest.
pub(crate) fn asked(name: &str, caller: Caller) -> Option<Asked> {
    let [first, second, ..] = caller.arguments;
    Some(match name {
        "open" | "openat" | "openat2" | "creat" => return caller.open(name),
        "mkdir" | "mkdirat" | "rmdir" | "unlinkat" => return caller.directory(name),
        "socket" if first as i32 == libc::AF_NETLINK => {
            let [_, _, protocol, ..] = caller.arguments;
            Asked::Netlink { protocol }
        }
        "clone" if first & flags::all_namespaces() != 0 => Asked::Act(clone(first)),
        "clone3" => match caller.memory().words(first, 1) {
            Ok(words) if words[0] & flags::all_namespaces() != 0 => Asked::Act(clone(words[0])),
            _ => return None,
        },
        "prctl" if first as i32 == libc::PR_SET_NAME => Asked::Name,
        "prctl" => Asked::Act(caller.prctl()?),
        "setuid" | "setreuid" | "setresuid" => Asked::Act(caller.ids(name, false)),
        "setgid" | "setregid" | "setresgid" => Asked::Act(caller.ids(name, true)),
        "sethostname" => Asked::Act(Act::Hostname { hostname: caller.sized_text(first, second) }),
        "setdomainname" => Asked::Act(Act::DomainName { domain: caller.sized_text(first, second) }),
        "unshare" => {
            Asked::Act(Act::Unshare { namespaces: flags::kinds(first), flags: flags::of_clone(first) })
        }
        "chroot" => Asked::Act(Act::Chroot { path: caller.path(first) }),
        "pivot_root" => Asked::Act(caller.pivot_root()),
        "setns" => Asked::Act(caller.setns()),
        "capset" => Asked::Act(caller.capset()),
        "seccomp" => Asked::Act(caller.seccomp()?),
        "setgroups" => Asked::Act(caller.groups()),
        "execve" | "execveat" => Asked::Act(caller.execute(name)),
        _ => Asked::Act(caller.mounting(name)?),
    })
}

fn clone(word: u64) -> Act {
    // The lowest byte is the signal that the parent gets.
    Act::Clone { namespaces: flags::kinds(word), flags: flags::of_clone(word & !0xff) }
}

impl Caller {
    pub(crate) fn memory(self) -> Memory {
        Memory::of(self.thread)
    }

    /// A text at an address; what cannot be read is said to be so.
    fn text(self, address: u64, limit: usize) -> String {
        match address {
            0 => String::new(),
            _ => self.memory().text(address, limit).unwrap_or_else(|errno| unreadable(address, errno)),
        }
    }

    /// Several texts, by as few calls as they need.
    fn texts(self, wanted: &[(u64, usize)]) -> Vec<String> {
        let known: Vec<_> = wanted.iter().copied().filter(|(address, _)| *address != 0).collect();
        let mut read = self.memory().texts(&known).into_iter();
        let mut next = |address| {
            read.next().map_or_else(String::new, |it| it.unwrap_or_else(|errno| unreadable(address, errno)))
        };
        wanted.iter().map(|(address, _)| if *address == 0 { String::new() } else { next(*address) }).collect()
    }

    fn sized_text(self, address: u64, length: u64) -> String {
        let bytes = self.memory().bytes(address, (length as usize).min(TEXT));
        bytes.map_or_else(
            |errno| unreadable(address, errno),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    fn path(self, address: u64) -> String {
        self.path_at(libc::AT_FDCWD, address)
    }

    /// A path relative to a directory; 0 stands for no path.
    fn path_at(self, directory: i32, address: u64) -> String {
        facts::named(self.thread, directory, &self.text(address, PATH))
    }

    fn open(self, name: &str) -> Option<Asked> {
        let [first, second, third, ..] = self.arguments;
        let (directory, address, access) = match name {
            "open" => (libc::AT_FDCWD, first, second),
            "creat" => (libc::AT_FDCWD, first, libc::O_WRONLY as u64),
            "openat2" => (first as i32, second, self.memory().words(third, 1).ok()?[0]),
            _ => (first as i32, second, third),
        };
        let is_written = access as i32 & libc::O_ACCMODE != libc::O_RDONLY;
        if !is_written || access as i32 & libc::O_PATH != 0 {
            return None;
        }
        // Where it is an ordinary file, its end need not be waited for.
        let path = self.text(address, PATH);
        facts::may_be_of_kernel(self.thread, directory, &path)
            .then(|| Asked::Open { path: facts::named(self.thread, directory, &path) })
    }

    fn directory(self, name: &str) -> Option<Asked> {
        let [first, second, third, ..] = self.arguments;
        let (directory, address) = match name {
            "mkdir" | "rmdir" => (libc::AT_FDCWD, first),
            _ => (first as i32, second),
        };
        let removed = matches!(name, "rmdir" | "unlinkat");
        if name == "unlinkat" && third as i32 & libc::AT_REMOVEDIR == 0 {
            return None;
        }
        // An ordinary directory is no news.
        if !facts::is_in_cgroup(self.thread, directory, &self.text(address, PATH)) {
            return None;
        }
        let path = self.path_at(directory, address);
        Some(Asked::Act(if removed { Act::CgroupRemove { path } } else { Act::CgroupMake { path } }))
    }

    fn pivot_root(self) -> Act {
        let [first, second, ..] = self.arguments;
        let texts = self.texts(&[(first, PATH), (second, PATH)]);
        let mut paths = texts.iter().map(|path| facts::named(self.thread, libc::AT_FDCWD, path));
        let mut next = || paths.next().unwrap_or_default();
        Act::PivotRoot { new_root: next(), put_old: next() }
    }

    fn setns(self) -> Act {
        let [fd, flags, ..] = self.arguments;
        let mut namespaces = flags::kinds(flags);
        if let Some(kind) = facts::kind_of(self.thread, fd as i32).filter(|_| flags == 0) {
            namespaces.push(kind.link().into());
        }
        Act::Setns { namespaces, of: facts::of_descriptor(self.thread, fd as i32) }
    }

    fn mounting(self, name: &str) -> Option<Act> {
        let [first, second, third, fourth, fifth, _] = self.arguments;
        Some(match name {
            "mount" => {
                let data = if is_text(fifth, third) { fifth } else { 0 };
                let mut texts =
                    self.texts(&[(first, PATH), (second, PATH), (third, TEXT), (data, TEXT)]).into_iter();
                let mut next = || texts.next().unwrap_or_default();
                Act::Mount {
                    source: facts::named(self.thread, libc::AT_FDCWD, &next()),
                    target: facts::named(self.thread, libc::AT_FDCWD, &next()),
                    fs: next(),
                    flags: flags::names(without_magic(fourth), &flags::MOUNT),
                    data: next(),
                }
            }
            "umount2" => {
                Act::Umount { target: self.path(first), flags: flags::names(second, &flags::UMOUNT) }
            }
            "fsopen" => Act::Fsopen { fs: self.text(first, TEXT) },
            "fspick" => Act::Fspick { path: self.path_at(first as i32, second) },
            "fsconfig" => self.fsconfig(),
            "fsmount" => Act::Fsmount { flags: flags::names(third, &flags::ATTRIBUTES) },
            "open_tree" => Act::OpenTree {
                path: self.path_at(first as i32, second),
                flags: flags::names(third & !(libc::O_CLOEXEC as u64), &flags::OPEN_TREE),
            },
            "move_mount" => Act::MoveMount {
                from: self.path_at(first as i32, second),
                to: self.path_at(third as i32, fourth),
            },
            "mount_setattr" => return self.mount_setattr(),
            _ => return None,
        })
    }

    fn fsconfig(self) -> Act {
        // Numbers of linux/mount.h: what follows depends on the command.
        const STRING: u64 = 1;
        const CREATE: u64 = 6;
        const CREATE_EXCLUSIVE: u64 = 8;
        let [_, command, key, value, ..] = self.arguments;
        Act::Fsconfig {
            key: self.text(key, TEXT),
            value: if command == STRING { self.text(value, TEXT) } else { String::new() },
            create: matches!(command, CREATE | CREATE_EXCLUSIVE),
        }
    }

    fn mount_setattr(self) -> Option<Act> {
        let [directory, path, how, attributes, ..] = self.arguments;
        let words = self.memory().words(attributes, 3).ok()?;
        Some(Act::MountSetattr {
            path: self.path_at(directory as i32, path),
            set: flags::names(words[0], &flags::ATTRIBUTES),
            clear: flags::names(words[1], &flags::ATTRIBUTES),
            propagation: flags::names(words[2], &flags::MOUNT),
            recursive: how as i32 & libc::AT_RECURSIVE != 0,
        })
    }

    fn prctl(self) -> Option<Act> {
        let [operation, second, third, ..] = self.arguments;
        let capability = |number: u64| {
            let known = ns_core::capabilities::named(number as u32);
            known.map_or_else(|| format!("capability {number}"), |it| it.to_string())
        };
        match operation as i32 {
            libc::PR_CAPBSET_DROP => Some(Act::CapabilityLost { capability: capability(second) }),
            libc::PR_CAP_AMBIENT => {
                // What it adds is reported at execve(2), where it counts: a runtime adds one after the other.
                (second as i32 == libc::PR_CAP_AMBIENT_CLEAR_ALL).then_some(Act::AmbientCleared)
            }
            libc::PR_SET_NO_NEW_PRIVS => Some(Act::NoNewPrivs),
            libc::PR_SET_SECUREBITS => {
                Some(Act::SecureBits { bits: flags::names(second, &flags::SECURE_BITS) })
            }
            // As below.
            libc::PR_SET_SECCOMP if second == 2 => (third != 0).then(|| self.filter(third, 0)),
            libc::PR_SET_SECCOMP => Some(strict()),
            _ => None,
        }
    }

    fn seccomp(self) -> Option<Act> {
        let [operation, flags, program, ..] = self.arguments;
        match operation as u32 {
            libc::SECCOMP_SET_MODE_STRICT if flags == 0 => Some(strict()),
            libc::SECCOMP_SET_MODE_FILTER if program != 0 => Some(self.filter(program, flags)),
            // To ask changes nothing, and what cannot succeed is a question: what does this kernel know?
            _ => None,
        }
    }

    /// Its first field is the number of instructions: struct sock_fprog.
    fn filter(self, program: u64, flags: u64) -> Act {
        let length = self.memory().bytes(program, 2).map_or(0, |it| u16::from_ne_bytes([it[0], it[1]]));
        let flags = flags::names(flags, &flags::SECCOMP);
        Act::Seccomp { mode: "filter".into(), instructions: length, flags }
    }

    fn capset(self) -> Act {
        let [header, data, ..] = self.arguments;
        let of = self.memory().halves(header, 2).map_or(0, |it| it[1] as i32);
        // Version 3 has each set in two halves: capget(2).
        let halves = self.memory().halves(data, 6).unwrap_or_else(|_| vec![0; 6]);
        let set = |at: usize| u64::from(halves[at]) | u64::from(halves[at + 3]) << 32;
        Act::Capset { of, effective: set(0), permitted: set(1), inheritable: set(2) }
    }

    fn ids(self, name: &str, group: bool) -> Act {
        let count = if name.contains("res") { 3 } else { 1 + usize::from(name.contains("re")) };
        let ids = self.arguments[..count].iter();
        // -1 is the one that changes nothing.
        Act::Ids {
            group,
            ids: ids.map(|id| if *id as u32 == u32::MAX { -1 } else { i64::from(*id as u32) }).collect(),
        }
    }

    fn groups(self) -> Act {
        let [count, list, ..] = self.arguments;
        let groups = self.memory().halves(list, (count as usize).min(ARGUMENTS)).unwrap_or_default();
        Act::Groups { count, groups }
    }

    fn execute(self, name: &str) -> Act {
        let [first, second, third, ..] = self.arguments;
        let (path, list) = if name == "execve" { (first, second) } else { (second, third) };
        let list = self.memory().list(list, ARGUMENTS).into_iter().map(|text| (text, TEXT));
        let wanted: Vec<_> = [(path, PATH)].into_iter().chain(list).collect();
        let mut texts = self.texts(&wanted);
        let mut path = texts.remove(0);
        if name != "execve" {
            path = facts::named(self.thread, first as i32, &path);
        }
        Act::Execute { path, arguments: texts, ambient: 0 }
    }
}

fn strict() -> Act {
    Act::Seccomp { mode: "strict".into(), instructions: 0, flags: Vec::new() }
}

fn unreadable(address: u64, errno: Errno) -> String {
    format!("[{address:#x}: {errno:?}]")
}

/// Whether the last argument of mount(2) is a text, and not a structure of the filesystem's own.
fn is_text(data: u64, fs: u64) -> bool {
    data != 0 && fs != 0
}

/// Old programs mark the flags of mount(2) by a number in the upper half: MS_MGC_VAL.
fn without_magic(flags: u64) -> u64 {
    if flags & 0xffff_0000 == 0xc0ed_0000 { flags & 0xffff } else { flags }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us(arguments: [u64; 6]) -> Caller {
        Caller { thread: nix::unistd::getpid(), arguments }
    }

    #[test]
    fn what_cannot_be_read_is_told_as_such() {
        let asked = asked("chroot", us([16, 0, 0, 0, 0, 0]));
        assert_eq!(asked, Some(Asked::Act(Act::Chroot { path: "[0x10: EFAULT]".into() })));
    }

    #[test]
    fn only_files_that_are_opened_to_be_written_are_looked_at() {
        let path = c"/proc/self/uid_map".as_ptr() as u64;
        let at = libc::AT_FDCWD as u64;
        assert_eq!(asked("openat", us([at, path, libc::O_RDONLY as u64, 0, 0, 0])), None);
        let written = asked("openat", us([at, path, (libc::O_WRONLY | libc::O_CLOEXEC) as u64, 0, 0, 0]));
        assert_eq!(written, Some(Asked::Open { path: "/proc/self/uid_map".into() }));
    }

    #[test]
    fn ids_that_stay_are_minus_one() {
        let none = u64::from(u32::MAX);
        let asked = asked("setresuid", us([none, 1000, u64::MAX, 0, 0, 0]));
        assert_eq!(asked, Some(Asked::Act(Act::Ids { group: false, ids: vec![-1, 1000, -1] })));
    }

    #[test]
    fn clone_without_namespaces_is_no_news() {
        assert_eq!(asked("clone", us([(libc::CLONE_VM | libc::SIGCHLD) as u64, 0, 0, 0, 0, 0])), None);
        let word = (libc::CLONE_NEWUSER | libc::SIGCHLD) as u64;
        let expected = Act::Clone { namespaces: vec!["user".into()], flags: vec!["CLONE_NEWUSER".into()] };
        assert_eq!(asked("clone", us([word, 0, 0, 0, 0, 0])), Some(Asked::Act(expected)));
    }
}
