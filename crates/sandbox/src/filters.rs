//! seccomp: which system calls are allowed.

use std::ffi::CString;

use anyhow::Result;
use lesson::user::{as_user, by_a_user, in_z};
use lesson::{Claim, Need, Row, Step, hand, inside, right, wrong};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use ns_core::seccomp::{self, Action, Filter, Rule};
use ns_core::{
    Capability, Errno, ExitStatus, Fact, Named, Namespaces, Outcome, Signal, namespace, process, uts,
};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::calls::{GETPGID, getpgid};
use crate::inherited;
use crate::user::{CAN_GAIN, no_new_privs};

/// An errno that the calls here never return by themselves.
const REFUSE_WITH_EDOM: Action = Action::Refuse(Errno::EDOM);
const SETHOSTNAME: &str = "sethostname(\"lab\")";
const INSTALL: &str = "seccomp(SECCOMP_SET_MODE_FILTER)";
const SOCKET: &str = "socket()";
const OPENAT: &str = "openat(\"/proc/version\")";

const STRICT: Claim = Claim::holds(
    "strict",
    "In strict mode, exit() ends a process as usual, and getpgid() kills it by SIGKILL.",
)
.factor("getpgid()")
.more(&[130]);

const REFUSED: Claim = Claim::holds(
    "filter",
    "A seccomp filter refuses sethostname() with EDOM, even to root with CAP_SYS_ADMIN.",
)
.factor("a filter on sethostname()")
.more(&[130])
.arms("no filter", "seccomp")
.core(&[Row::inside("sethostname()", SETHOSTNAME), Row::inside("CAP_SYS_ADMIN", "CAP_SYS_ADMIN")])
.asks(
    "A seccomp filter refuses sethostname(). Root, which has CAP_SYS_ADMIN, calls it. What happens?",
    &[
        right("it fails, with an errno that the filter chooses"),
        wrong("it succeeds", "root with the capability seems to pass every check"),
        wrong("it fails with EPERM, as every refusal does", "Docker's filter does refuse with EPERM"),
        wrong("the process is killed", "strict mode does that, and a filter can"),
    ],
);

const ANY_ERRNO: Claim = Claim::holds(
    "any-errno",
    "A seccomp filter chooses the errno: it can refuse getpgid() with ENOSYS, as if the kernel lacked it.",
)
.factor("SECCOMP_RET_ERRNO with ENOSYS")
.more(&[130]);

const KILLS: Claim =
    Claim::holds("kill", "With SECCOMP_RET_KILL_PROCESS, a filtered call kills the process by SIGSYS.")
        .factor("SECCOMP_RET_KILL_PROCESS")
        .more(&[130]);

pub(crate) const REFUSE: Step = Step {
    title: "Make a call in strict mode. Then make calls under a filter that refuses them by an errno, or kills the process.",
    calls: &[
        "seccomp(SECCOMP_SET_MODE_STRICT)",
        "prctl(PR_SET_NO_NEW_PRIVS, 1)",
        INSTALL,
        SETHOSTNAME,
        GETPGID,
    ],
    by_hand: &[
        // prctl(2) by its number on x86-64, PR_SET_SECCOMP, SECCOMP_MODE_STRICT.
        hand("perl -e 'syscall(157, 22, 1); getppid(); print \"never\\n\"'; echo $?")
            .prints("137")
            .needs(&[Need::X86]),
        hand("cat /proc/sys/kernel/seccomp/actions_avail").prints("kill_process … errno …"),
    ],
    claims: &[STRICT, REFUSED, ANY_ERRNO, KILLS],
    run: |lab| {
        lab.compare(STRICT, false, true, in_strict_mode)?
            .shows(inside("end").from(ExitStatus::Exited(0)).to(ExitStatus::Killed(Signal::SIGKILL)))?;
        lab.compare(REFUSED, false, true, set_the_hostname)?
            .in_both_arms(inside("CAP_SYS_ADMIN").is("yes"))
            .shows(inside(SETHOSTNAME).from("OK").to("EDOM"))?;
        lab.compare(ANY_ERRNO, REFUSE_WITH_EDOM, Action::Refuse(Errno::ENOSYS), call_under)?
            .shows(inside(GETPGID).from("EDOM").to("ENOSYS"))?;
        lab.compare(KILLS, REFUSE_WITH_EDOM, Action::Kill, call_under)?
            .shows(inside(GETPGID).from("EDOM").to(ExitStatus::Killed(Signal::SIGSYS)))
    },
};

const UNPRIVILEGED: Claim = Claim::holds(
    "filter-no-new-privs",
    "A process without capabilities can install a filter only with no_new_privs; else seccomp() fails with EACCES.",
)
.factor("PR_SET_NO_NEW_PRIVS")
.more(&[131])
.requires(CAN_GAIN);

const OWN_ROOT: Claim = Claim::holds(
    "filter-own-root",
    "A process with all capabilities in its user namespace can install a filter without no_new_privs.",
)
.factor("CLONE_NEWUSER")
.more(&[131])
.requires(CAN_GAIN);

pub(crate) const INSTALL_FILTER: Step = Step {
    title: "Install a filter: without privilege, with no_new_privs, and with the capabilities of a new user namespace.",
    calls: &["prctl(PR_SET_NO_NEW_PRIVS, 1)", "unshare(CLONE_NEWUSER)", INSTALL],
    by_hand: &[
        // On x86-64, as an ordinary user: a filter of four instructions that refuses call 121, getpgid(2), with EPERM.
        hand("perl -e '$f = pack(\"(SCCL)*\", 0x20,0,0,0, 0x15,0,1,121, 6,0,0,0x50001, 6,0,0,0x7fff0000); $p = pack(\"Sx6P\", 4, $f); print syscall(317, 1, 0, $p), \" $!\\n\"; syscall(157, 38, 1, 0, 0, 0); print syscall(317, 1, 0, $p), \"\\n\", syscall(121, 0), \" $!\\n\"'").prints("-1 EACCES\n0\n-1 EPERM").needs(&[Need::X86]), ],
    claims: &[UNPRIVILEGED, OWN_ROOT],
    run: |lab| {
        lab.compare(UNPRIVILEGED, false, true, install)?.shows(inside(INSTALL).from("EACCES").to("OK"))?;
        lab.compare(OWN_ROOT, Namespaces::NONE, Namespaces::USER, install_in)?
            .in_both_arms(inside("NoNewPrivs").is(0))
            .shows(inside(INSTALL).from("EACCES").to("OK"))
    },
};

const INHERITED: Claim =
    Claim::holds("filter-inherited", "Children inherit a filter, and execve() keeps it.")
        .factor("a filter on getpgid()")
        .more(&[131]);

const ADD_UP: Claim = Claim::holds(
    "filters-add-up",
    "A call that an earlier filter refuses stays refused, even if a later filter allows all calls.",
)
.factor("an earlier filter")
.more(&[131]);

pub(crate) const PASS_ON: Step = Step {
    title: "Install a filter. Make the call in a child, then after execve(). Install a second filter that allows all calls.",
    calls: &[INSTALL, "clone3()", "execve()", GETPGID],
    by_hand: &[],
    claims: &[INHERITED, ADD_UP],
    run: |lab| {
        let [child, after] = inherited::WHERE.map(|at| format!("{GETPGID} {at}"));
        let seccomp = "Seccomp after execve()";
        let passed = lab.arms(false, true, pass_on)?.only(&[&child, &after, seccomp]);
        // A machine may have a filter of its own: then Seccomp is 2 in both arms.
        lab.judge(INHERITED, passed)
            .shows(inside(child).from("OK").to("EDOM") & inside(after).from("OK").to("EDOM"))?;
        lab.compare(ADD_UP, false, true, allow_everything)?.shows(inside(GETPGID).from("OK").to("EDOM"))
    },
};

const ARGUMENT: Claim = Claim::holds(
    "argument",
    "A filter can check arguments: one on socket() refuses AF_INET, and allows AF_UNIX.",
)
.factor("AF_INET")
.more(&[130]);

const POINTER: Claim = Claim::holds(
    "pointer",
    "A filter sees the address of a path, and not its text: openat() succeeds from another address.",
)
.factor("another address")
.more(&[130])
.arms("same address", "another one")
.core(&[Row::inside("openat(), same path", OPENAT)])
.asks(
    "A filter refuses openat() by its second argument, the path. A copy of the path is at another address. Can it be opened?",
    &[
        right("yes: a filter sees only the address"),
        wrong("no: it is the same path", "a filter seems to compare names"),
        wrong("no: the kernel copies the path first", "it does so, but only after it has run the filter"),
        wrong("yes, but only by root", "a filter seems to be a permission, which root bypasses"),
    ],
);

pub(crate) const LOOK_AT_ARGUMENTS: Step = Step {
    title: "Install a filter on the first argument of socket(), then one on the second argument of openat(), which is an address.",
    calls: &[INSTALL, "socket(AF_UNIX)", "socket(AF_INET)", "openat(AT_FDCWD, \"/proc/version\", O_RDONLY)"],
    by_hand: &[],
    claims: &[ARGUMENT, POINTER],
    run: |lab| {
        lab.compare(ARGUMENT, AddressFamily::Unix, AddressFamily::Inet, make_a_socket)?
            .shows(inside(SOCKET).from("OK").to("EDOM"))?;
        lab.compare(POINTER, false, true, open_by_address)?.shows(inside(OPENAT).from("EDOM").to("OK"))
    },
};

/// A filter on getpgid(2).
pub(crate) fn on_getpgid(action: Action) -> ns_core::Result<Filter> {
    Filter::new(&[Rule::call(libc::SYS_getpgid)], action)
}

fn in_strict_mode(calls: bool) -> Result<Fact> {
    let mut child = as_user("user", move |_| {
        seccomp::restrict_to_strict_mode()?;
        if calls {
            let _ = nix::unistd::getpgid(None);
        }
        seccomp::exit_thread(0)
    })?;
    Ok(child.next("end")?)
}

fn set_the_hostname(filters: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::UTS, move |me| {
        if filters {
            Filter::new(&[Rule::call(libc::SYS_sethostname)], REFUSE_WITH_EDOM)?.install()?;
        }
        me.report(SETHOSTNAME, Outcome::of(uts::set_hostname("lab"))?)?;
        me.report("CAP_SYS_ADMIN", process::is_capable(Capability::CAP_SYS_ADMIN))
    })
}

/// The result of getpgid(2) under such a filter.
fn call_under(action: Action) -> Result<Fact> {
    let mut child = as_user("user", move |me| {
        no_new_privs(true)?;
        // Without this, the kernel could write a core file.
        nix::sys::prctl::set_dumpable(false).named(|| "prctl(PR_SET_DUMPABLE, 0)".into())?;
        on_getpgid(action)?.install()?;
        me.report(GETPGID, getpgid()?)
    })?;
    Ok(child.next(GETPGID)?)
}

fn install(sets: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(sets)?;
        me.report(INSTALL, Outcome::of(on_getpgid(Action::Allow)?.install())?)
    })
}

fn install_in(namespaces: Namespaces) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        namespace::unshare(namespaces)?;
        me.report("NoNewPrivs", process::status(None)?.nonewprivs.unwrap_or(0) as i64)?;
        me.report(INSTALL, Outcome::of(on_getpgid(Action::Allow)?.install())?)
    })
}

fn pass_on(filters: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        if filters {
            on_getpgid(REFUSE_WITH_EDOM)?.install()?;
        }
        inherited::report_in_both(me)
    })
}

fn allow_everything(refused_before: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        if refused_before {
            on_getpgid(REFUSE_WITH_EDOM)?.install()?;
        }
        on_getpgid(Action::Allow)?.install()?;
        me.report(GETPGID, getpgid()?)
    })
}

fn make_a_socket(family: AddressFamily) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        let on_inet = Rule::call(libc::SYS_socket).with(0, libc::AF_INET as u32);
        Filter::new(&[on_inet], REFUSE_WITH_EDOM)?.install()?;
        let made = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).named(|| SOCKET.into());
        me.report("domain", format!("AF_{family:?}").to_uppercase())?;
        me.report(SOCKET, Outcome::of(made)?)
    })
}

fn open_by_address(another: bool) -> Result<Vec<Fact>> {
    by_a_user(move |me| {
        no_new_privs(true)?;
        let path = || CString::new("/proc/version").unwrap_or_default();
        let (known, copy) = (path(), path());
        let address = known.as_ptr() as usize as u32; // its lower half, in which the two differ
        let there = Rule::call(libc::SYS_openat).with(1, address);
        Filter::new(&[there], REFUSE_WITH_EDOM)?.install()?;
        let path = if another { &copy } else { &known };
        let opened = openat(CWD, path.as_c_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        me.report(OPENAT, Outcome::of(opened.named(|| OPENAT.into()))?)
    })
}
