//! Landlock: a process gives up access to files and ports.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::Result;
use lesson::user::{by_a_user, in_z};
use lesson::{Claim, Need, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::landlock::{self, FileAccess, Ruleset};
use ns_core::probe::Unmet;
use ns_core::{Errno, Fact, Named, Namespaces, Outcome, Value, mount};
use rustix::fs::{Mode, OFlags, open};

use crate::calls::OPEN_DEV_NULL;
use crate::inherited;
use crate::user::{can_gain, dev_null, no_new_privs};

const VERSION: &str = "/proc/version";
const PASSWD: &str = "/etc/passwd";
const RESTRICT: &str = "landlock_restrict_self()";
const MOUNT: &str = "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")";
/// The port that a rule allows.
const ALLOWED: u16 = 8080;
/// A port without a rule.
const OTHER: u16 = 8081;
/// The version of Landlock that added ports.
const ABI_OF_PORTS: i64 = 4;

const LANDLOCK: &[Requirement] = &[Requirement::Probe(has_landlock)];

const BENEATH: Claim = Claim::holds(
    "landlock",
    "With a Landlock ruleset, a process without capabilities limits its reading to one directory; other files give EACCES.",
)
.factor("a Landlock ruleset")
.more(&[133])
.requires(LANDLOCK)
.arms("no ruleset", "Landlock")
.core(&[
    Row::inside("open(/proc/version)", "open(\"/proc/version\")"),
    Row::inside("open(/etc/passwd)", "open(\"/etc/passwd\")"),
])
.asks(
    "A program of an ordinary user needs to read only /proc. How can it give up reading other files, without privilege?",
    &[
        right("by a Landlock ruleset"),
        wrong("by chroot(\"/proc\")", "it changes what paths mean, but it requires CAP_SYS_CHROOT"),
        wrong("not at all: only root can set that up", "only root sets up SELinux and AppArmor"),
        wrong("by a seccomp filter on openat()", "it sees every openat(), but not the path"),
    ],
);

const UNPRIVILEGED: Claim = Claim::holds(
    "landlock-no-new-privs",
    "Without capabilities, landlock_restrict_self() succeeds only with no_new_privs; else it fails with EPERM.",
)
.factor("PR_SET_NO_NEW_PRIVS")
.more(&[133])
.requires(&[Requirement::Probe(can_gain), Requirement::Probe(has_landlock)]);

pub(crate) const GIVE_UP_FILES: Step = Step {
    title: "Create a ruleset that allows reading beneath /proc only. Apply it to a process, and open two files.",
    calls: &[
        "landlock_create_ruleset(LANDLOCK_ACCESS_FS_READ_FILE)",
        "landlock_add_rule(\"/proc\")",
        "prctl(PR_SET_NO_NEW_PRIVS, 1)",
        RESTRICT,
        "open(\"/proc/version\")",
        "open(\"/etc/passwd\")",
    ],
    by_hand: &[
        // prctl(2) by its number on x86-64; those of Landlock are the same everywhere.
        hand("perl -e '$a = pack(\"Q\", 4); $r = syscall(444, $a, 8, 0); syscall(157, 38, 1, 0, 0, 0); syscall(446, $r, 0); open F, \"/etc/passwd\" or print \"$!\\n\"'").prints("EACCES").needs(&[Need::X86, Need::Kernel(5, 13)]), ],
    claims: &[BENEATH, UNPRIVILEGED],
    run: |lab| {
        lab.saw(Fact::outside("version of the Landlock interface", Value::Count(landlock::abi()?)))?;
        lab.compare(BENEATH, false, true, read_two)?
            .in_both_arms(inside(opening(VERSION)).is("OK"))
            .shows(inside(opening(PASSWD)).from("OK").to("EACCES"))?;
        lab.compare(UNPRIVILEGED, false, true, restrict)?.shows(inside(RESTRICT).from("EPERM").to("OK"))
    },
};

const INHERITED: Claim =
    Claim::holds("landlock-inherited", "Children inherit a Landlock ruleset, and execve() keeps it.")
        .factor("a Landlock ruleset")
        .more(&[133])
        .requires(&[Requirement::Probe(has_landlock), Requirement::Probe(dev_null)]);

const ADD_UP: Claim = Claim::holds(
    "landlock-adds-up",
    "A file that an earlier ruleset refuses stays refused, even if a later ruleset allows all files.",
)
.factor("an earlier ruleset")
.more(&[133])
.requires(LANDLOCK);

pub(crate) const PASS_ON: Step = Step {
    title: "Give up writing to files. Open a file in a child, then after execve(). Add a ruleset that allows all files.",
    calls: &[
        "landlock_create_ruleset(LANDLOCK_ACCESS_FS_WRITE_FILE)",
        RESTRICT,
        "clone3()",
        "execve()",
        OPEN_DEV_NULL,
    ],
    by_hand: &[],
    claims: &[INHERITED, ADD_UP],
    run: |lab| {
        let [child, after] = inherited::WHERE.map(|at| format!("{OPEN_DEV_NULL} {at}"));
        let passed = lab.arms(false, true, pass_on)?.only(&[&child, &after]);
        lab.judge(INHERITED, passed)
            .shows(inside(child).from("OK").to("EACCES") & inside(after).from("OK").to("EACCES"))?;
        lab.compare(ADD_UP, false, true, allow_everything)?
            .shows(inside(opening(PASSWD)).from("OK").to("EACCES"))
    },
};

const NO_MOUNT: Claim = Claim::holds(
    "landlock-mount",
    "With a Landlock ruleset for files, a tmpfs mount() fails with EPERM, even for root that owns the mount namespace.",
)
.factor("a Landlock ruleset")
.more(&[133])
.requires(LANDLOCK);

const PORT: Claim = Claim::holds(
    "landlock-port",
    "A Landlock ruleset can refuse TCP ports: bind() to a port without a rule fails with EACCES.",
)
.factor("a Landlock ruleset")
.more(&[134])
.requires(&[Requirement::Probe(has_ports)]);

pub(crate) const GIVE_UP_MORE: Step = Step {
    title: "As root of Z, apply a ruleset for files, and mount a tmpfs. Apply one for TCP ports, and bind two ports.",
    calls: &[
        RESTRICT,
        MOUNT,
        "landlock_create_ruleset(LANDLOCK_ACCESS_NET_BIND_TCP)",
        "landlock_add_rule(8080)",
        "bind(8080)",
        "bind(8081)",
    ],
    by_hand: &[],
    claims: &[NO_MOUNT, PORT],
    run: |lab| {
        lab.compare(NO_MOUNT, false, true, mount_something)?.shows(inside(MOUNT).from("OK").to("EPERM"))?;
        lab.compare(PORT, false, true, bind_two)?
            .in_both_arms(inside(binding(ALLOWED)).is("OK"))
            .shows(inside(binding(OTHER)).from("OK").to("EACCES"))
    },
};

fn opening(path: &str) -> String {
    format!("open(\"{path}\")")
}

fn binding(port: u16) -> String {
    format!("bind({port})")
}

fn read(path: &str) -> ns_core::Result<Outcome> {
    let opened = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    Outcome::of(opened.named(|| opening(path)))
}

/// A ruleset that allows reading beneath `directory` only.
fn reading_beneath(directory: &str) -> ns_core::Result<Ruleset> {
    let ruleset = Ruleset::of_files(FileAccess::READ)?;
    ruleset.allow(Path::new(directory), FileAccess::READ)?;
    Ok(ruleset)
}

fn read_two(restricts: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        if restricts {
            reading_beneath("/proc")?.restrict_self()?;
        }
        me.report(opening(VERSION), read(VERSION)?)?;
        me.report(opening(PASSWD), read(PASSWD)?)
    })
}

fn restrict(sets: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(sets)?;
        me.report(RESTRICT, Outcome::of(reading_beneath("/proc")?.restrict_self())?)
    })
}

fn pass_on(restricts: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        if restricts {
            Ruleset::of_files(FileAccess::WRITE)?.restrict_self()?;
        }
        inherited::report_in_both(me)
    })
}

fn allow_everything(refused_before: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        let everything = reading_beneath("/")?;
        if refused_before {
            reading_beneath("/proc")?.restrict_self()?;
        }
        everything.restrict_self()?;
        me.report(opening(PASSWD), read(PASSWD)?)
    })
}

fn mount_something(restricts: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        if restricts {
            reading_beneath("/")?.restrict_self()?;
        }
        me.report(MOUNT, Outcome::of(mount::mount("tmpfs", Path::new("/mnt")))?)
    })
}

fn bind_two(restricts: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NET, move |me| {
        if restricts {
            let ruleset = Ruleset::of_tcp_ports()?;
            ruleset.allow_port(ALLOWED)?;
            ruleset.restrict_self()?;
        }
        for port in [ALLOWED, OTHER] {
            // No other process notices: the network namespace belongs to Z, and its loopback device is down.
            let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).named(|| binding(port));
            me.report(binding(port), Outcome::of(bound)?)?;
        }
        Ok(())
    })
}

/// Whether the kernel has Landlock, and was booted with it.
fn has_landlock() -> ns_core::Result<Option<Unmet>> {
    has(1)
}

/// Whether Landlock of this kernel can refuse TCP ports.
fn has_ports() -> ns_core::Result<Option<Unmet>> {
    has(ABI_OF_PORTS)
}

fn has(wanted: i64) -> ns_core::Result<Option<Unmet>> {
    let abi = match landlock::abi() {
        Ok(abi) => abi,
        Err(error) => {
            let remedy = match error.errno() {
                Some(Errno::EOPNOTSUPP) => "boot with landlock in lsm=… on the kernel command line",
                Some(Errno::ENOSYS) => "run a kernel that was built with CONFIG_SECURITY_LANDLOCK",
                _ => "run on the host or in a virtual machine",
            };
            return Ok(Some(Unmet::new(format!("Landlock: {error}"), remedy)));
        }
    };
    Ok((abi < wanted).then(|| {
        Unmet::new(format!("version {wanted} of Landlock: this kernel has {abi}"), "run Linux 6.7 or newer")
    }))
}
