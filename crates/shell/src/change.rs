//! One change to where a program is: done here, and as one would type it.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use ns_core::mount::Propagation;
use ns_core::net::{LinkName, Netlink};
use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{
    Capability, Errno, Error, Kind, Named, Namespaces, NsFile, Result, capabilities, clock, mount, namespace,
    root, uts,
};

use crate::quoting::quoted;
use crate::target::Target;

/// Where a small root is built: an empty directory of every Linux system.
const SMALL_ROOT: &str = "/mnt";
/// What a small root has, as far as the machine has it.
const IN_A_SMALL_ROOT: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib64", "etc"];

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Another hostname.
    Hostname(String),
    /// The loopback device is up.
    LoopbackUp,
    /// A time namespace whose clocks are shifted by so many seconds.
    Offsets {
        /// CLOCK_BOOTTIME
        boottime: i64,
        /// CLOCK_MONOTONIC
        monotonic: i64,
    },
    /// All mounts are shared, between this mount namespace and those that are copied from it.
    SharedMounts,
    /// A mount namespace for the program alone, whose mounts are this to those that they are copies of.
    OwnMounts(Propagation),
    /// A cgroup namespace for the program alone, whose root is the program's cgroup.
    OwnCgroupRoot,
    /// A tmpfs at /mnt, with the programs of the machine in it.
    SmallRoot,
    /// Another root directory; `None` is the small root.
    Root(Option<PathBuf>),
    /// execve(2) gives no privilege any more.
    NoNewPrivs,
    /// These capabilities cannot be had any more.
    Without(Vec<Capability>),
    /// These calls fail with EPERM, by a seccomp filter: name and number of each.
    Refuse(Vec<(String, i64)>),
    /// A veth pair: b0 here and a0 with another process, with addresses of the network 10.0.0.0/24. Where a0 is taken, it is
    /// a1 with b1 and the network 10.0.1.0/24, and so on.
    Veth(Target),
}

/// How a change is typed.
pub(crate) enum Typed {
    /// By a line of a script.
    Lines(Vec<String>),
    /// By words before the command.
    Before(String),
    /// By options of unshare(1).
    Options(String),
}

impl Change {
    /// Whether it is made by the process that becomes the program, and not by its attendant.
    pub(crate) fn is_last(&self) -> bool {
        use Change::{NoNewPrivs, OwnCgroupRoot, OwnMounts, Refuse, Root, Without};
        matches!(self, OwnMounts(_) | OwnCgroupRoot | Root(_) | NoNewPrivs | Without(_) | Refuse(_))
    }

    /// Whether it needs a capability of whoever makes it in no new namespace.
    pub(crate) fn needs_privilege(&self) -> bool {
        matches!(self, Change::Without(_) | Change::OwnMounts(_) | Change::OwnCgroupRoot | Change::Root(_))
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of the call that it is.
    pub(crate) fn make(&self) -> Result<()> {
        match self {
            Change::Hostname(name) => uts::set_hostname(name),
            Change::LoopbackUp => {
                let links = Netlink::open()?;
                links.set_up(links.index(&LinkName::new("lo")?)?)
            }
            Change::Offsets { boottime, monotonic } => {
                namespace::unshare(Namespaces::TIME)?;
                clock::write_offsets(&format!("monotonic {monotonic} 0\nboottime {boottime} 0\n"))
            }
            Change::SharedMounts => mount::set_all(Propagation::Shared),
            Change::OwnMounts(propagation) => {
                namespace::unshare(Namespaces::MNT)?;
                mount::set_all(*propagation)
            }
            Change::OwnCgroupRoot => namespace::unshare(Namespaces::CGROUP),
            Change::SmallRoot => build_small_root(),
            Change::Root(path) => {
                let directory = path.as_deref().unwrap_or(Path::new(SMALL_ROOT));
                root::chroot(directory)?;
                nix::unistd::chdir("/").named(|| "chdir(\"/\")".into())
            }
            Change::NoNewPrivs => {
                nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())
            }
            Change::Without(lost) => lost.iter().try_for_each(|lost| capabilities::lose(*lost)),
            Change::Refuse(calls) => {
                nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())?;
                let rules: Vec<Rule> = calls.iter().map(|(_, number)| Rule::call(*number)).collect();
                Filter::new(&rules, Action::Refuse(Errno::EPERM))?.install()
            }
            Change::Veth(peer) => connect(peer),
        }
    }

    /// The same as one would type it.
    pub(crate) fn typed(&self) -> Typed {
        let line = |line: String| Typed::Lines(vec![line]);
        match self {
            Change::Hostname(name) => line(format!("hostname {}", quoted(name))),
            Change::LoopbackUp => line("ip link set lo up".into()),
            Change::Offsets { boottime, monotonic } => {
                Typed::Options(format!("--fork --boottime {boottime} --monotonic {monotonic}"))
            }
            Change::SharedMounts => line("mount --make-rshared /".into()),
            Change::OwnMounts(propagation) => {
                Typed::Before(format!("unshare --mount --propagation {}", propagation.word()))
            }
            Change::OwnCgroupRoot => Typed::Before("unshare --cgroup".into()),
            Change::SmallRoot => Typed::Lines(type_small_root()),
            Change::Root(path) => {
                let path = path.as_deref().unwrap_or(Path::new(SMALL_ROOT));
                Typed::Before(format!("chroot {}", quoted(&path.to_string_lossy())))
            }
            Change::NoNewPrivs => Typed::Before("setpriv --no-new-privs".into()),
            Change::Without(lost) => {
                let names: Vec<String> = lost
                    .iter()
                    .map(|it| format!("-{}", it.to_string().trim_start_matches("CAP_").to_lowercase()))
                    .collect();
                let names = names.join(",");
                Typed::Before(format!("setpriv --inh-caps {names} --bounding-set {names}"))
            }
            Change::Refuse(calls) => {
                let mut names: Vec<&str> = calls.iter().map(|(name, _)| name.as_str()).collect();
                names.dedup(); // a call may have several numbers
                line(format!("# no command sets a seccomp filter: {} would not fail here", names.join(", ")))
            }
            Change::Veth(peer) => {
                let (pid, number) = (peer.pid(), 0);
                Typed::Lines(vec![
                    "ip link set lo up".into(),
                    format!("ip link add b{number} type veth peer name a{number} netns {pid}"),
                    format!("ip address add 10.0.{number}.2/24 dev b{number}"),
                    format!("ip link set b{number} up"),
                    format!("nsenter --target {pid} --net ip address add 10.0.{number}.1/24 dev a{number}"),
                    format!("nsenter --target {pid} --net ip link set a{number} up"),
                ])
            }
        }
    }
}

/// What of the machine is in a small root: a directory of it, or a symbolic link with its target.
fn parts() -> impl Iterator<Item = (&'static str, Option<PathBuf>)> {
    let there = |name: &'static str| {
        let path = Path::new("/").join(name);
        let link = std::fs::read_link(&path).ok();
        (link.is_some() || path.is_dir()).then_some((name, link))
    };
    IN_A_SMALL_ROOT.into_iter().filter_map(there)
}

fn build_small_root() -> Result<()> {
    let top = Path::new(SMALL_ROOT);
    mount::mount_with("tmpfs", "mode=755", top)?;
    for (name, link) in parts() {
        let (from, to) = (Path::new("/").join(name), top.join(name));
        let call = || format!("mkdir {}", to.display());
        match link {
            Some(target) => std::os::unix::fs::symlink(target, &to).named(call)?,
            None => {
                std::fs::create_dir(&to).named(call)?;
                mount::bind_recursive(&from, &to)?;
            }
        }
    }
    std::fs::create_dir(top.join("proc")).named(|| "mkdir proc".into())?;
    // A shell's job in the background reads from it.
    std::fs::create_dir(top.join("dev")).named(|| "mkdir dev".into())?;
    let null = top.join("dev/null");
    std::fs::File::create(&null).named(|| "open(dev/null)".into())?;
    mount::bind(Path::new("/dev/null"), &null)
}

fn type_small_root() -> Vec<String> {
    let mut lines = vec![format!("mount -t tmpfs -o nosuid,nodev,noexec,mode=755 tmpfs {SMALL_ROOT}")];
    for (name, link) in parts() {
        lines.push(match link {
            Some(target) => format!("ln -s {} {SMALL_ROOT}/{name}", target.display()),
            None => format!("mkdir {SMALL_ROOT}/{name}; mount --rbind /{name} {SMALL_ROOT}/{name}"),
        });
    }
    lines.push(format!("mkdir {SMALL_ROOT}/proc"));
    lines.push(format!("mkdir {SMALL_ROOT}/dev; touch {SMALL_ROOT}/dev/null"));
    lines.push(format!("mount --bind /dev/null {SMALL_ROOT}/dev/null"));
    lines
}

/// Creates the pair from this end. The other end goes with whichever network namespace ends first.
fn connect(peer: &Target) -> Result<()> {
    let namespace = NsFile::of(Some(peer.pid()), Kind::Net)?;
    let (here, there) = (Netlink::open()?, Netlink::open_in(&namespace)?);
    let taken = |number: &u8| Ok::<_, Error>(there.link(&LinkName::new(&format!("a{number}"))?)?.is_some());
    let mut number = 0;
    while taken(&number)? {
        number = u8::checked_add(number, 1)
            .ok_or_else(|| Error::Input(format!("{peer} has 256 veth ends; end some of its peers")))?;
    }
    let (near, far) = (LinkName::new(&format!("b{number}"))?, LinkName::new(&format!("a{number}"))?);
    let address = |last: u8| IpAddr::from([10, 0, number, last]);
    here.set_up(here.index(&LinkName::new("lo")?)?)?;
    let end = here.create_veth(&near, &far, Some(namespace.as_fd()))?;
    here.add_address(end, address(2), 24)?;
    here.set_up(end)?;
    let end = there.index(&far)?;
    there.add_address(end, address(1), 24)?;
    there.set_up(end)?;
    // A packet that is sent before is lost.
    there.wait_until_running(end).map(drop)
}
