//! seccomp with a supervisor: another process decides on a call.

use std::io::Write;
use std::os::fd::AsFd;

use anyhow::Result;
use lesson::user::as_user;
use lesson::{Claim, Row, Step, inside, right, wrong};
use nix::unistd::chroot;
use ns_core::probe::Unmet;
use ns_core::seccomp::{Action, Filter, Listener, Notification, Rule};
use ns_core::{Child, Error, Fact, Named, Outcome, Reporter};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::calls::{GETPGID, getpgid};
use crate::filters::on_getpgid;
use crate::user::no_new_privs;

const LISTENER: &str = "descriptor of the listener";
const GETPPID: &str = "getppid()";
const CHROOT: &str = "chroot(\"/proc\")";
const ROOT: &str = "readlink(\"/proc/self/root\")";
const OPENAT: &str = "openat(\"/sandbox/no/such/file\")";
const READ: &str = "text read";
/// The supervisor's value instead of a PID. It is above all PIDs that the kernel gives.
const SAID: i64 = 1 << 30;

const VALUE: Claim = Claim::holds(
    "supervisor-value",
    "A supervisor can answer getppid() instead of the kernel: the call returns the supervisor's value.",
)
.factor("the supervisor's answer")
.more(&[132]);

const PRETENDED: Claim = Claim::holds(
    "supervisor-pretends",
    "A supervisor can report success for a call that it skips: chroot() returns 0, and the root directory stays.",
)
.factor("the supervisor's answer")
.more(&[132])
.arms("the kernel", "a supervisor")
.core(&[Row::inside("chroot(\"/proc\")", CHROOT), Row::inside("root directory then", ROOT)])
.asks(
    "A supervisor answers chroot(\"/proc\") of a process with 0, instead of the kernel. Which root directory does it have then?",
    &[
        right("the old one"),
        wrong("/proc", "0 means success, and chroot(2) describes what success is"),
        wrong("the supervisor's", "a process that answers a call seems to make it"),
        wrong("none: its next open() fails", "kernel and process seem to disagree from then on"),
    ],
);

const DESCRIPTOR: Claim = Claim::holds(
    "supervisor-descriptor",
    "A supervisor can add a file descriptor: openat() of a missing path returns a file of the supervisor.",
)
.factor("SECCOMP_IOCTL_NOTIF_ADDFD")
.more(&[132]);

const GONE: Claim = Claim::holds(
    "supervisor-gone",
    "After the supervisor closes its listener, a call that it should answer fails with ENOSYS.",
)
.factor("a closed listener")
.more(&[132]);

pub(crate) const ANSWER: Step = Step {
    title: "Let a process outside supervise a call: it lets the kernel run the call, answers itself, or has closed its listener.",
    calls: &[
        "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)",
        "pidfd_getfd()",
        "ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV)",
        "ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD)",
        "ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND)",
    ],
    by_hand: &[],
    claims: &[VALUE, PRETENDED, DESCRIPTOR, GONE],
    run: |lab| {
        lab.compare(VALUE, false, true, answer_getppid)?.shows(inside(GETPPID).is(SAID))?;
        lab.compare(PRETENDED, false, true, answer_chroot)?
            .in_both_arms(inside(ROOT).is("/"))
            .shows(inside(CHROOT).from("EPERM").to("OK"))?;
        lab.compare(DESCRIPTOR, false, true, answer_openat)?
            .shows(inside(OPENAT).from("ENOENT").to("OK") & inside(READ).is("from outside"))?;
        lab.compare(GONE, false, true, answer_or_close)?.shows(inside(GETPGID).from("OK").to("ENOSYS"))
    },
};

/// A child under such a filter, which then makes `calls`; and its listener, which this process has taken.
fn supervised(
    filter: Filter,
    calls: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<(Child, Listener)> {
    let mut child = as_user("user", move |me| {
        no_new_privs(true)?;
        let listener = filter.install_with_listener()?;
        me.report(LISTENER, i64::from(listener.number()))?;
        me.checkpoint()?;
        // If the child kept the listener, its call would wait for the child itself.
        drop(listener);
        calls(me)
    })?;
    let number = child.fact()?.value.as_i64().and_then(|number| number.try_into().ok());
    let number = number.ok_or_else(|| Error::Input(format!("{LISTENER}: no number")))?;
    let listener = Listener::from(child.take_descriptor(number)?);
    Ok((child, listener))
}

/// The child's report of a call. The supervisor answers the call by `answer`.
fn answered(
    (mut child, listener): (Child, Listener),
    answer: impl FnOnce(&Listener, Notification) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    child.wake()?;
    let Some(asked) = listener.next()? else {
        let what = "a call that reaches the supervisor: another seccomp filter refuses it first";
        return Err(Error::Unmet(Unmet::new(what, "run on the host or in a virtual machine")).into());
    };
    let mut facts = vec![Fact::outside("caller", asked.caller)];
    answer(&listener, asked)?;
    facts.extend(child.facts()?);
    Ok(facts)
}

fn answer_getppid(answers: bool) -> Result<Vec<Fact>> {
    let filter = Filter::new(&[Rule::call(libc::SYS_getppid)], Action::Ask)?;
    let user = supervised(filter, |me| me.report(GETPPID, nix::unistd::getppid()))?;
    answered(
        user,
        |listener, asked| {
            if answers { listener.give(asked, SAID) } else { listener.let_through(asked) }
        },
    )
}

fn answer_chroot(answers: bool) -> Result<Vec<Fact>> {
    let filter = Filter::new(&[Rule::call(libc::SYS_chroot)], Action::Ask)?;
    let user = supervised(filter, |me| {
        // The child has no capability, so the kernel refuses.
        me.report(CHROOT, Outcome::of(chroot("/proc").named(|| CHROOT.into()))?)?;
        let root = std::fs::read_link("/proc/self/root").named(|| ROOT.into())?;
        me.report(ROOT, root.display().to_string())
    })?;
    answered(
        user,
        |listener, asked| {
            if answers { listener.give(asked, 0) } else { listener.let_through(asked) }
        },
    )
}

fn answer_openat(answers: bool) -> Result<Vec<Fact>> {
    let filter = Filter::new(&[Rule::call(libc::SYS_openat)], Action::Ask)?;
    let user = supervised(filter, |me| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = openat(CWD, "/sandbox/no/such/file", flags, Mode::empty()).named(|| OPENAT.into());
        let mut text = [0; 32];
        let length = match &opened {
            Ok(file) => nix::unistd::read(file, &mut text).named(|| "read()".into())?,
            Err(_) => 0,
        };
        me.report(OPENAT, Outcome::of(opened)?)?;
        me.report(READ, String::from_utf8_lossy(&text[..length]).into_owned())
    })?;
    let (given, mut write) = std::os::unix::net::UnixStream::pair().named(|| "socketpair()".into())?;
    write.write_all(b"from outside").named(|| "write()".into())?;
    answered(user, |listener, asked| {
        if answers { listener.give_descriptor(asked, given.as_fd()) } else { listener.let_through(asked) }
    })
}

fn answer_or_close(closes: bool) -> Result<Vec<Fact>> {
    let user = supervised(on_getpgid(Action::Ask)?, |me| me.report(GETPGID, getpgid()?))?;
    if !closes {
        return answered(user, Listener::let_through);
    }
    let (mut child, listener) = user;
    drop(listener);
    child.wake()?;
    Ok(child.facts()?)
}
