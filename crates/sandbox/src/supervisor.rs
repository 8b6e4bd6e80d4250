//! seccomp with a supervisor: another process answers.

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

const LISTENER: &str = "the listener's descriptor";
const GETPPID: &str = "getppid()";
const CHROOT: &str = "chroot(\"/proc\")";
const ROOT: &str = "readlink(\"/proc/self/root\")";
const OPENAT: &str = "openat(\"/sandbox/no/such/file\")";
const READ: &str = "what was read";
/// What a supervisor says in the place of a PID: no kernel gives one as high.
const SAID: i64 = 1 << 30;

const VALUE: Claim = Claim::holds(
    "supervisor-value",
    "A supervisor answers in the kernel's place: the call returns the value that it says.",
)
.factor("the supervisor's answer")
.more(&[132]);

const PRETENDED: Claim = Claim::holds(
    "supervisor-pretends",
    "A supervisor can let a call succeed that was never made: chroot() returns 0, and the root stays.",
)
.factor("the supervisor's answer")
.more(&[132])
.arms("the kernel", "a supervisor")
.core(&[Row::inside("chroot() is answered", CHROOT), Row::inside("its root afterwards", ROOT)])
.asks(
    "A supervisor answers a process's chroot(\"/proc\") with 0, in the kernel's place. What is its root directory then?",
    &[
        right("the old one"),
        wrong("/proc", "0 is success, and chroot(2) says what that means"),
        wrong("the supervisor's", "who answers a call is thought to make it"),
        wrong("none: its next open() fails", "kernel and process are thought to disagree from then on"),
    ],
);

const DESCRIPTOR: Claim = Claim::holds(
    "supervisor-descriptor",
    "A supervisor can hand in a descriptor: openat() of a path that is not there gives a file of the supervisor's.",
)
.factor("SECCOMP_IOCTL_NOTIF_ADDFD")
.more(&[132]);

const GONE: Claim = Claim::holds(
    "supervisor-gone",
    "When the supervisor is gone, the calls that it should answer give ENOSYS.",
)
.factor("a supervisor that is gone")
.more(&[132]);

pub(crate) const ANSWER: Step = Step {
    title: "Let a supervisor outside answer a call: it has the kernel make it, answers itself, or is gone.",
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
            .shows(inside(CHROOT).from("EPERM").to("OK") & inside(ROOT).is("/"))?;
        lab.compare(DESCRIPTOR, false, true, answer_openat)?
            .shows(inside(OPENAT).from("ENOENT").to("OK") & inside(READ).is("from outside"))?;
        lab.compare(GONE, false, true, answer_or_leave)?.shows(inside(GETPGID).from("OK").to("ENOSYS"))
    },
};

/// A user behind such a filter, who then makes `calls`; and the listener, which we have taken out.
fn supervised(
    filter: Filter,
    calls: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> ns_core::Result<(Child, Listener)> {
    let mut child = as_user("user", move |me| {
        no_new_privs(true)?;
        let listener = filter.install_with_listener()?;
        me.report(LISTENER, i64::from(listener.number()))?;
        me.checkpoint()?;
        // Or it would wait for itself when the supervisor is gone.
        drop(listener);
        calls(me)
    })?;
    let number = child.fact()?.value.as_i64().and_then(|number| number.try_into().ok());
    let number = number.ok_or_else(|| Error::Input(format!("{LISTENER}: no number")))?;
    let listener = Listener::from(child.take_descriptor(number)?);
    Ok((child, listener))
}

/// What the user reports of a call, to which the supervisor says what `answer` does.
fn answered(
    (mut child, listener): (Child, Listener),
    answer: impl FnOnce(&Listener, Notification) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    child.wake()?;
    let Some(asked) = listener.next()? else {
        let what = "a call that reaches the supervisor: another seccomp filter refuses it before";
        return Err(Error::Unmet(Unmet::new(what, "run on the host or in a virtual machine")).into());
    };
    let mut facts = vec![Fact::outside("who makes the call", asked.caller)];
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
        // It has no capability, so the kernel refuses.
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

fn answer_or_leave(leaves: bool) -> Result<Vec<Fact>> {
    let user = supervised(on_getpgid(Action::Ask)?, |me| me.report(GETPGID, getpgid()?))?;
    if !leaves {
        return answered(user, Listener::let_through);
    }
    let (mut child, listener) = user;
    drop(listener);
    child.wake()?;
    Ok(child.facts()?)
}
