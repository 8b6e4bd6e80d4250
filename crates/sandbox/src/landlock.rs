//! Landlock: what a process gives up of the files and ports that it may use.

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
/// What else is bound.
const OTHER: u16 = 8081;
/// The version that knows ports.
const ABI_OF_PORTS: i64 = 4;

const LANDLOCK: &[Requirement] = &[Requirement::Probe(has_landlock)];

const BENEATH: Claim = Claim::holds(
    "landlock",
    "A process without capabilities can give up reading files that are not beneath a directory: EACCES.",
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
    "An ordinary user's program is to read nothing but /proc. By what can it give up the rest, without any privilege?",
    &[
        right("a Landlock ruleset"),
        wrong("chroot(\"/proc\")", "it changes what paths mean, but it takes CAP_SYS_CHROOT"),
        wrong("nothing: that is for root to set up", "SELinux and AppArmor are set up by root alone"),
        wrong("a seccomp filter on openat()", "it sees every openat(), but not the path in it"),
    ],
);

const UNPRIVILEGED: Claim = Claim::holds(
    "landlock-no-new-privs",
    "A process without capabilities may restrict itself once it has no_new_privs, else EPERM.",
)
.factor("PR_SET_NO_NEW_PRIVS")
.more(&[133])
.requires(&[Requirement::Probe(can_gain), Requirement::Probe(has_landlock)]);

pub(crate) const GIVE_UP_FILES: Step = Step {
    title: "Make a ruleset that refuses reading but beneath /proc. Restrict a process to it, and open two files.",
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
        lab.saw(Fact::outside("the version of Landlock's interface", Value::Count(landlock::abi()?)))?;
        lab.compare(BENEATH, false, true, read_two)?
            .shows(inside(opening(VERSION)).is("OK") & inside(opening(PASSWD)).from("OK").to("EACCES"))?;
        lab.compare(UNPRIVILEGED, false, true, restrict)?.shows(inside(RESTRICT).from("EPERM").to("OK"))
    },
};

const INHERITED: Claim = Claim::holds(
    "landlock-inherited",
    "A Landlock ruleset is inherited by children, and kept over execve().",
)
.factor("a Landlock ruleset")
.more(&[133])
.requires(&[Requirement::Probe(has_landlock), Requirement::Probe(dev_null)]);

const ADD_UP: Claim = Claim::holds(
    "landlock-adds-up",
    "A ruleset that allows every file does not lift an earlier one: what that refuses is still refused.",
)
.factor("an earlier ruleset")
.more(&[133])
.requires(LANDLOCK);

pub(crate) const PASS_ON: Step = Step {
    title: "Give up writing to files. Ask a child, ask again after execve(), and add a ruleset that allows everything.",
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
    "Under a ruleset of files, root that owns its mount namespace cannot mount a tmpfs: EPERM.",
)
.factor("a Landlock ruleset")
.more(&[133])
.requires(LANDLOCK);

const PORT: Claim = Claim::holds(
    "landlock-port",
    "A ruleset can refuse TCP ports: bind() of one that no rule allows gives EACCES.",
)
.factor("a Landlock ruleset")
.more(&[134])
.requires(&[Requirement::Probe(has_ports)]);

pub(crate) const GIVE_UP_MORE: Step = Step {
    title: "As root of Z, give up files, and mount; give up TCP ports, and bind two of them.",
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
            .shows(inside(binding(ALLOWED)).is("OK") & inside(binding(OTHER)).from("OK").to("EACCES"))
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

/// Reading is refused, but beneath `directory`.
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
            // Nobody can connect: the network is Z's, and its loopback device is down.
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

/// Whether its Landlock knows TCP ports.
fn has_ports() -> ns_core::Result<Option<Unmet>> {
    has(ABI_OF_PORTS)
}

fn has(wanted: i64) -> ns_core::Result<Option<Unmet>> {
    let abi = match landlock::abi() {
        Ok(abi) => abi,
        Err(error) => {
            let remedy = match error.errno() {
                Some(Errno::EOPNOTSUPP) => {
                    "boot with landlock among those of lsm=… on the kernel's command line"
                }
                Some(Errno::ENOSYS) => "run a kernel that was built with CONFIG_SECURITY_LANDLOCK",
                _ => "run on the host or in a virtual machine",
            };
            return Ok(Some(Unmet::new(format!("Landlock: {error}"), remedy)));
        }
    };
    Ok((abi < wanted).then(|| {
        Unmet::new(format!("version {wanted} of Landlock: this is {abi}"), "run Linux 6.7 or newer")
    }))
}
