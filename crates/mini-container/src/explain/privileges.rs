//! Privileges: capabilities, no_new_privs, seccomp.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use nix::sched::CloneFlags;
use ns_core::probe::Unmet;
use ns_core::{Capability, Child, ExitStatus, Fact, Named, Namespaces, Outcome, process, uts};

use super::container::in_a_container;
use crate::run::{capabilities, seccomp};

const CAPABILITIES: Claim = Claim::holds(
    "capabilities",
    "Root with Docker's 14 capabilities, which lack CAP_SYS_ADMIN, cannot set its own hostname: EPERM.",
)
.factor("dropped capabilities")
.notes(&[2, 114])
.arms("all", "Docker's 14")
.core(&[Row::inside("set its own hostname", "sethostname(\"lab\")")])
.asks(
    "Root in a container has a UTS namespace of its own, and the capabilities that Docker leaves. It sets the hostname. What happens?",
    &[
        right("EPERM: CAP_SYS_ADMIN is not among them"),
        wrong("it succeeds", "the UTS namespace is the container's, so its root is thought to control it"),
        wrong("the host's hostname changes", "root in a container is taken for the host's root"),
        wrong("it succeeds, until the container ends", "changes in a container are lost when it ends"),
    ],
);

pub(crate) const DROP_CAPABILITIES: Step = Step {
    title: "Drop all capabilities except Docker's fourteen, and set the container's own hostname.",
    calls: &["prctl(PR_CAPBSET_DROP)", "capset()", "sethostname(\"lab\")"],
    by_hand: &[hand("unshare -Ur --uts setpriv --bounding-set -sys_admin hostname lab")
        .prints("hostname: you must be root to change the host name")],
    claims: &[CAPABILITIES],
    run: |lab| {
        lab.compare(CAPABILITIES, false, true, set_the_hostname)?
            .shows(inside("sethostname(\"lab\")").from("OK").to("EPERM"))
    },
};

const NO_NEW_PRIVILEGES: Claim = Claim::holds(
    "no-new-privs",
    "execve() gives root dropped capabilities back, up to the bounding set; with no_new_privs it does not.",
)
.factor("PR_SET_NO_NEW_PRIVS")
.notes(&[2])
.more(&[71])
.requires(&[Requirement::Probe(new_privileges)]);

pub(crate) const EXECUTE: Step = Step {
    title: "Drop all capabilities, execute a program, and let it report whether it has CAP_SYS_ADMIN.",
    calls: &["capset(0)", "prctl(PR_SET_NO_NEW_PRIVS, 1)", "execve()"],
    by_hand: &[],
    claims: &[NO_NEW_PRIVILEGES],
    run: |lab| {
        lab.compare(NO_NEW_PRIVILEGES, false, true, execute)?
            .shows(inside("CAP_SYS_ADMIN after execve()").is("no"))
    },
};

const SECCOMP: Claim = Claim::holds(
    "seccomp",
    "A nested user namespace gives dropped capabilities back; a seccomp filter makes unshare(CLONE_NEWUSER) fail with EPERM.",
)
.factor("a seccomp filter")
.notes(&[2, 111])
.more(&[78])
.arms("no filter", "seccomp")
.core(&[
    Row::inside("new user namespace", "unshare(CLONE_NEWUSER)"),
    Row::inside("then CAP_SYS_ADMIN", "CAP_SYS_ADMIN afterwards"),
])
.asks(
    "A process dropped CAP_SYS_ADMIN, set no_new_privs, and has no seccomp filter. Can it gain CAP_SYS_ADMIN again?",
    &[
        right("yes: in a user namespace that it creates"),
        wrong("no: it is not in the bounding set", "execve() gives only capabilities of that set"),
        wrong("no: no_new_privs prevents it", "its name says that no privileges are gained"),
        wrong("yes: by executing a set-user-ID program", "sudo does this, if no_new_privs is not set"),
    ],
)
.requires(&[Requirement::Unchrooted]);

pub(crate) const NEST: Step = Step {
    title: "Drop capabilities, then create a user namespace: without a seccomp filter, and with one.",
    calls: &["seccomp(SECCOMP_SET_MODE_FILTER)", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("unshare -Ur setpriv --bounding-set -sys_admin sh -c 'grep CapBnd /proc/self/status; unshare -U grep CapBnd /proc/self/status'").prints("CapBnd: …ffdfffff\nCapBnd: …ffffffff"), ],
    claims: &[SECCOMP],
    run: |lab| {
        lab.compare(SECCOMP, false, true, drop_and_nest)?.shows(
            inside("unshare(CLONE_NEWUSER)").from("OK").to("EPERM")
                & inside("CAP_SYS_ADMIN afterwards").is("no"),
        )
    },
};

/// The `argv[0]` of a child that has executed this program again.
const AFTER_EXECVE: &std::ffi::CStr = c"capabilities-after-execve";
/// Its exit status with CAP_SYS_ADMIN, and without. It does not report by a pipe: an execve(2) that gives capabilities
/// clears PR_SET_PDEATHSIG, so the child must end soon.
const HAS: i32 = 10;
const HAS_NOT: i32 = 11;

/// To be called first in `main`. It ends a child that has executed this program again.
pub(crate) fn after_execve() {
    if std::env::args_os().next().is_some_and(|name| name.as_encoded_bytes() == AFTER_EXECVE.to_bytes()) {
        std::process::exit(if process::is_capable(Capability::CAP_SYS_ADMIN) { HAS } else { HAS_NOT });
    }
}

fn set_the_hostname(drops: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        if drops {
            capabilities::keep_few()?;
        }
        me.report("sethostname(\"lab\")", Outcome::of(uts::set_hostname("lab"))?)?;
        me.report("CAP_SYS_ADMIN", process::is_capable(Capability::CAP_SYS_ADMIN))
    })
}

fn execute(no_new: bool) -> Result<Fact> {
    let mut child = Child::spawn("container", Namespaces::NONE, move |_| {
        process::drop_all_capabilities()?;
        if no_new {
            set_no_new_privs()?;
        }
        let exec = nix::unistd::execv(c"/proc/self/exe", &[AFTER_EXECVE]);
        exec.map(|never| match never {}).named(|| "execve(\"/proc/self/exe\")".into())
    })?;
    let has = match child.wait()? {
        ExitStatus::Exited(HAS) => true,
        ExitStatus::Exited(HAS_NOT) => false,
        other => {
            // It failed before execve(2). Its error says why.
            child.fact()?;
            anyhow::bail!("the program after execve() {other}");
        }
    };
    Ok(Fact::inside("container", "CAP_SYS_ADMIN after execve()", has))
}

fn drop_and_nest(filters: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        capabilities::keep_few()?;
        set_no_new_privs()?;
        if filters {
            seccomp::filter()?.install()?;
        }
        me.report("unshare(CLONE_NEWUSER)", Outcome::of(nest())?)?;
        me.report("CAP_SYS_ADMIN afterwards", process::is_capable(Capability::CAP_SYS_ADMIN))
    })
}

/// Unmet if no_new_privs is set already, since it cannot be cleared and execve(2) then gives no capability.
fn new_privileges() -> ns_core::Result<Option<Unmet>> {
    let set = nix::sys::prctl::get_no_new_privs().named(|| "prctl(PR_GET_NO_NEW_PRIVS)".into())?;
    let remedy = "run it from a terminal without no_new_privs; those of editors and snaps may set it";
    Ok(set.then(|| Unmet::new("a process without no_new_privs", remedy)))
}

pub(super) fn set_no_new_privs() -> ns_core::Result<()> {
    nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())
}

/// Creates a nested user namespace, and enters it.
pub(super) fn nest() -> ns_core::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).named(|| "unshare(CLONE_NEWUSER)".into())
}
