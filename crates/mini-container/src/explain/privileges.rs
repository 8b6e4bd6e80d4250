//! What may be done: capabilities, no_new_privs, seccomp.

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::sched::CloneFlags;
use ns_core::{Capability, Child, End, Fact, Named, Namespaces, Outcome, process, uts};

use super::root::in_a_box;
use crate::run::{capabilities, seccomp};

pub(crate) const CAPABILITIES: Claim = Claim::holds(
    "capabilities",
    "Root is what its capabilities let it be: without CAP_SYS_ADMIN it cannot even name its own host.",
)
.cause("dropped capabilities")
.notes(&[2, 114]);
pub(crate) const NO_NEW_PRIVILEGES: Claim = Claim::holds(
    "no-new-privs",
    "execve() gives root back what it dropped, up to the bounding set; with no_new_privs it does not.",
)
.cause("PR_SET_NO_NEW_PRIVS")
.notes(&[2])
.more(&[71]);
pub(crate) const SECCOMP: Claim = Claim::holds(
    "seccomp",
    "A nested user namespace gives every capability back, the dropped ones too; a seccomp filter refuses to make one.",
)
.cause("a seccomp filter")
.notes(&[2, 111])
.more(&[78]);

/// What a child calls itself that has become this program again.
const AFTER_EXECVE: &std::ffi::CStr = c"capabilities-after-execve";
/// How it ends if it has CAP_SYS_ADMIN, and if it has not. It cannot tell by a pipe: the execve(2) that gives
/// capabilities also makes the kernel forget PR_SET_PDEATHSIG, so it had better be short.
const HAS: i32 = 10;
const HAS_NOT: i32 = 11;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Drop all capabilities but Docker's fourteen, and set the container's own hostname.",
        calls: &["prctl(PR_CAPBSET_DROP)", "capset()", "sethostname(\"lab\")"],
        by_hand: &["unshare -Ur --uts setpriv --bounding-set -sys_admin hostname lab"],
    })?;
    let name = |drops: bool| {
        in_a_box(move |me| {
            if drops {
                capabilities::keep_few()?;
            }
            me.saw("sethostname(\"lab\")", Outcome::of(uts::set_hostname("lab"))?)?;
            me.saw("CAP_SYS_ADMIN", process::is_capable(Capability::CAP_SYS_ADMIN))
        })
    };
    lab.claim(CAPABILITIES)
        .without(name(false)?)
        .with(name(cause(true, false))?)
        .shows(|answer| *answer == "EPERM")?;

    lab.step(Step {
        goal: "Drop all capabilities, execute a program, and ask it what it may.",
        calls: &["capset(0)", "prctl(PR_SET_NO_NEW_PRIVS, 1)", "execve()"],
        by_hand: &[],
    })?;
    let execute = |no_new: bool| -> Result<_> {
        let mut child = Child::spawn("container", Namespaces::NONE, move |_| {
            process::drop_all_capabilities()?;
            if no_new {
                nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())?;
            }
            let exec = nix::unistd::execv(c"/proc/self/exe", &[AFTER_EXECVE]);
            exec.map(|never| match never {}).named(|| "execve(\"/proc/self/exe\")".into())
        })?;
        let has = match child.wait()? {
            End::Exited(HAS) => true,
            End::Exited(HAS_NOT) => false,
            other => anyhow::bail!("the program after execve() {other}"),
        };
        Ok(Fact::inside("container", "CAP_SYS_ADMIN after execve()", has))
    };
    lab.claim(NO_NEW_PRIVILEGES)
        .without(execute(false)?)
        .with(execute(cause(true, false))?)
        .shows(|held| *held == "no")?;

    lab.step(Step {
        goal: "Drop capabilities, then make a user namespace, behind a filter and not.",
        calls: &["seccomp(SECCOMP_SET_MODE_FILTER)", "unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "unshare -Ur setpriv --bounding-set -sys_admin sh -c 'grep CapBnd /proc/self/status; unshare -U grep CapBnd /proc/self/status'",
        ],
    })?;
    let nest = |filters: bool| {
        in_a_box(move |me| {
            capabilities::keep_few()?;
            nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)".into())?;
            if filters {
                seccomp::filter()?;
            }
            me.saw("unshare(CLONE_NEWUSER)", Outcome::of(nested())?)?;
            me.saw("CAP_SYS_ADMIN afterwards", process::is_capable(Capability::CAP_SYS_ADMIN))
        })
    };
    lab.claim(SECCOMP)
        .without(nest(false)?)
        .with(nest(cause(true, false))?)
        .shows(|of| *of == "EPERM" && of.inside("CAP_SYS_ADMIN afterwards").is_some_and(|it| *it == "no"))?;
    Ok(())
}

/// To be called first in `main`: how the child ends that has become this program again.
pub(crate) fn after_execve() {
    if std::env::args_os().next().is_some_and(|name| name.as_encoded_bytes() == AFTER_EXECVE.to_bytes()) {
        std::process::exit(if process::is_capable(Capability::CAP_SYS_ADMIN) { HAS } else { HAS_NOT });
    }
}

/// A user namespace in the one that we are in.
pub(super) fn nested() -> ns_core::Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).named(|| "unshare(CLONE_NEWUSER)".into())
}
