//! Calls of unshare(), setns() and clone3() that fail, and their errnos.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};
use lesson::{Arms, Claim, Effect, Lab, Picture, Requirement, Step, every, first, hand, inside};
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use ns_core::child::{self, Call};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Errno, Fact, Kind, Named, Namespaces, NsFile, Outcome, namespace, process};

use crate::container::{pidfd_for_children, start_container};
use crate::eight::of_this_kernel;

const UNPRIVILEGED: Claim = Claim::holds(
    "unprivileged",
    "Without CAP_SYS_ADMIN, unshare() creates a user namespace; for the other seven kinds it fails with EPERM.",
)
.factor("capset([])")
.more(&[1])
.requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(unprivileged_user_namespaces)]);

pub(crate) const UNSHARE_WITHOUT_PRIVILEGE: Step = Step {
    title: "Call unshare() for each kind, with all capabilities and with none.",
    calls: &["capset([])", "unshare(CLONE_NEW…)"],
    by_hand: &[hand("unshare -Ur setpriv --bounding-set=-all --inh-caps=-all unshare --uts hostname")
        .prints("EPERM")],
    claims: &[UNPRIVILEGED],
    run: |lab| {
        let answers = lab.arms(false, true, unshare_each)?;
        show_answers(lab, &answers)?;
        lab.judge(UNPRIVILEGED, answers)
            .in_both_arms(inside(unsharing(Kind::User)).from("EPERM").to("OK"))
            .shows(refuses_all_but_user())
    },
};

const NO_FLAG: Claim =
    Claim::holds("no-flag", "unshare() fails with EINVAL for 0x1, a bit that is none of its flags.")
        .factor("the bit 0x1")
        .more(&[1]);

pub(crate) const UNSHARE_AN_UNKNOWN_BIT: Step = Step {
    title: "Call unshare() for a UTS namespace, then again with a bit that is none of its flags.",
    calls: &["unshare(CLONE_NEWUTS)", "unshare(CLONE_NEWUTS|0x1)"],
    by_hand: &[],
    claims: &[NO_FLAG],
    run: |lab| {
        lab.compare(NO_FLAG, Namespaces::NONE, UNKNOWN_BIT, unshare_uts_and)?.shows(first().is("EINVAL"))
    },
};

const SETNS_RULES: Claim = Claim::holds(
    "setns-rules",
    "setns() needs an open namespace or pidfd (EBADF, EINVAL, ESRCH), matching flags (EINVAL) and CAP_SYS_ADMIN (EPERM).",
)
.factor("one thing wrong")
.more(&[2, 4]);

pub(crate) const ENTER_WITH_ONE_THING_WRONG: Step = Step {
    title: "Call setns() correctly, then with one argument or condition wrong at a time.",
    calls: &["setns(ns, CLONE_NEWUTS)", "setns(pidfd, CLONE_NEWUTS)"],
    by_hand: &[hand("nsenter --uts=/dev/null hostname; nsenter --uts=/proc/self/ns/net hostname")
        .prints("EINVAL\nEINVAL")],
    claims: &[SETNS_RULES],
    run: |lab| {
        let container = start_container(Namespaces::UTS)?;
        let mut ended = Child::spawn("ended", Namespaces::UTS, |_| Ok(()))?;
        ended.wait()?;
        let namespace = NsFile::of(Some(container.pid()), Kind::Uts)?;
        let (pidfd, of_ended) = (pidfd_for_children(&container)?, pidfd_for_children(&ended)?);
        let only_a_path = open_as(OFlag::O_PATH, "/proc/self/ns/uts")?;
        let regular = open_as(OFlag::O_RDONLY, "/proc/self/status")?;

        let right = Attempt {
            text: "a namespace, CLONE_NEWUTS",
            file: namespace.as_fd(),
            kinds: Namespaces::UTS,
            privileged: true,
        };
        let by_path = Attempt { text: "opened with O_PATH", file: only_a_path.as_fd(), ..right };
        let of_a_file = Attempt { text: "a regular file", file: regular.as_fd(), ..right };
        let net = Attempt { text: "CLONE_NEWNET", kinds: Namespaces::NET, ..right };
        let unprivileged = Attempt { text: "no CAP_SYS_ADMIN", privileged: false, ..right };
        let by_pidfd = Attempt { text: "a pidfd, CLONE_NEWUTS", file: pidfd.as_fd(), ..right };
        let no_kind = Attempt { text: "a pidfd, 0", kinds: Namespaces::NONE, ..by_pidfd };
        let unknown_bit =
            Attempt { text: "a pidfd, CLONE_NEWUTS|0x1", kinds: by_pidfd.kinds | UNKNOWN_BIT, ..by_pidfd };
        let gone = Attempt { text: "the pidfd of an ended process", file: of_ended.as_fd(), ..by_pidfd };
        let rules = [
            Rule { about: "setns(), the open flags", right, wrong: by_path, errno: Errno::EBADF },
            Rule { about: "setns(), the open file", right, wrong: of_a_file, errno: Errno::EINVAL },
            Rule { about: "setns(), the kind", right, wrong: net, errno: Errno::EINVAL },
            Rule {
                about: "setns(), the caller's capabilities",
                right,
                wrong: unprivileged,
                errno: Errno::EPERM,
            },
            Rule {
                about: "setns(pidfd), the number of kinds",
                right: by_pidfd,
                wrong: no_kind,
                errno: Errno::EINVAL,
            },
            Rule {
                about: "setns(pidfd), the bits",
                right: by_pidfd,
                wrong: unknown_bit,
                errno: Errno::EINVAL,
            },
            Rule { about: "setns(pidfd), the process", right: by_pidfd, wrong: gone, errno: Errno::ESRCH },
        ];
        let answers = lab.arms(false, true, |wrong| rules.iter().map(|rule| rule.answer(wrong)).collect())?;
        show_rules(lab, &rules, &answers)?;
        let each = rules.iter().map(|rule| inside(rule.about).is(Outcome::Failed(rule.errno)));
        lab.judge(SETNS_RULES, answers).shows(each.reduce(|all, one| all & one).context("no rule")?)
    },
};

const EXCLUDES: Claim = Claim::holds(
    "excludes",
    "clone3() fails with EINVAL for a new user or mount namespace with CLONE_FS, or IPC namespace with CLONE_SYSVSEM.",
)
.factor("the sharing flag")
.more(&[16])
.requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const CLONE_AND_SHARE: Step = Step {
    title: "Request a new namespace, and sharing of what it would separate, in one clone3().",
    calls: &[
        "clone3(CLONE_NEWUSER|CLONE_FS)",
        "clone3(CLONE_NEWNS|CLONE_FS)",
        "clone3(CLONE_NEWIPC|CLONE_SYSVSEM)",
    ],
    by_hand: &[],
    claims: &[EXCLUDES],
    run: |lab| {
        lab.saw(Fact::outside("clone3(CLONE_FS)", clone3(CLONE_FS)?))?;
        lab.saw(Fact::outside("clone3(CLONE_SYSVSEM)", clone3(CLONE_SYSVSEM)?))?;
        lab.compare(EXCLUDES, false, true, clone_each)?.shows(every().is("EINVAL"))
    },
};

const NO_THREAD: Claim =
    Claim::holds("no-thread", "After unshare(CLONE_NEWPID), the caller cannot create a thread: EINVAL.")
        .factor("unshare(CLONE_NEWPID)")
        .notes(&[16])
        .requires(&[Requirement::Namespace(Kind::Pid)]);
const ONE_THREAD: Claim =
    Claim::holds("one-thread", "unshare(CLONE_NEWUSER) fails with EINVAL while a second thread runs.")
        .factor("a second thread")
        .notes(&[118])
        .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const BESIDE_A_THREAD: Step = Step {
    title: "Create a thread after unshare(CLONE_NEWPID). Then call unshare(CLONE_NEWUSER) while a second thread runs.",
    calls: &["unshare(CLONE_NEWPID)", "clone3(CLONE_THREAD|…)", "unshare(CLONE_NEWUSER)"],
    by_hand: &[],
    claims: &[NO_THREAD, ONE_THREAD],
    run: |lab| {
        lab.compare(NO_THREAD, Namespaces::NONE, Namespaces::PID, start_a_thread)?
            .shows(first().is(NO_THREAD_STARTS))?;
        lab.compare(ONE_THREAD, false, true, unshare_beside_a_thread)?.shows(first().is("EINVAL"))
    },
};

const CLONE_FS: u64 = CloneFlags::CLONE_FS.bits() as u64;
const CLONE_SYSVSEM: u64 = CloneFlags::CLONE_SYSVSEM.bits() as u64;

/// A new namespace, and the flag for sharing that it excludes.
const EXCLUDING: [(Namespaces, u64, &str); 3] = [
    (Namespaces::USER, CLONE_FS, "CLONE_FS"),
    (Namespaces::MNT, CLONE_FS, "CLONE_FS"),
    (Namespaces::IPC, CLONE_SYSVSEM, "CLONE_SYSVSEM"),
];

fn clone3(flags: u64) -> Result<Outcome> {
    Ok(Outcome::of(child::clone_with_flags(Call::Clone3, flags))?)
}

fn clone_each(shares: bool) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for (new, shared, name) in EXCLUDING {
        let (flags, typed) = match shares {
            true => (new.bits() | shared, format!("clone3({}|{name})", new.as_typed())),
            false => (new.bits(), format!("clone3({})", new.as_typed())),
        };
        answers.push(Fact::outside(typed, clone3(flags)?));
    }
    Ok(answers)
}

fn unshare_each(unprivileged: bool) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for kind in of_this_kernel().kinds() {
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            if unprivileged {
                process::drop_all_capabilities()?;
            }
            me.report(
                format!("unshare({})", kind.flag()),
                Outcome::of(namespace::unshare(Namespaces::only(kind)))?,
            )
        })?;
        answers.push(child.fact()?);
    }
    Ok(answers)
}

fn show_answers(lab: &mut Lab, answers: &Arms<Vec<Fact>>) -> Result<()> {
    let pairs = answers.control().iter().zip(answers.treatment());
    let row = |(kind, (privileged, unprivileged)): (Kind, (&Fact, &Fact))| {
        vec![kind.flag().into(), privileged.value.clone(), unprivileged.value.clone()]
    };
    lab.picture(
        Picture::Heat(1),
        "Outcome of unshare()",
        &["flag", "CAP_SYS_ADMIN", "no capabilities"],
        of_this_kernel().kinds().zip(pairs).map(row).collect(),
    )
}

fn unsharing(kind: Kind) -> String {
    format!("unshare({})", kind.flag())
}

fn refuses_all_but_user() -> Effect {
    let refused = |kind| inside(unsharing(kind)).is("EPERM");
    let others = of_this_kernel().kinds().filter(|kind| !matches!(kind, Kind::User | Kind::Uts));
    others.fold(refused(Kind::Uts), |all, kind| all & refused(kind))
}

/// A bit that is no flag of unshare() or setns().
const UNKNOWN_BIT: Namespaces = Namespaces::from_bits_retain(1);

fn unshare_uts_and(bit: Namespaces) -> Result<Fact> {
    let typed = if bit.is_empty() { "unshare(CLONE_NEWUTS)" } else { "unshare(CLONE_NEWUTS|0x1)" };
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        me.report(typed, Outcome::of(namespace::unshare(Namespaces::UTS | bit))?)
    })?;
    Ok(child.fact()?)
}

/// A call of setns().
#[derive(Clone, Copy)]
struct Attempt<'a> {
    text: &'static str,
    file: BorrowedFd<'a>,
    kinds: Namespaces,
    privileged: bool,
}

/// A correct call, one with one thing wrong, and the errno of the wrong one.
struct Rule<'a> {
    /// What differs between the two.
    about: &'static str,
    right: Attempt<'a>,
    wrong: Attempt<'a>,
    errno: Errno,
}

impl Rule<'_> {
    /// Makes the call in a new child, so that only the child is moved.
    fn answer(&self, wrong: bool) -> Result<Fact> {
        let Attempt { file, kinds, privileged, .. } = if wrong { self.wrong } else { self.right };
        let mut child = Child::spawn("visitor", Namespaces::NONE, move |me| {
            if !privileged {
                process::drop_all_capabilities()?;
            }
            me.report(self.about, Outcome::of(namespace::enter_all_of(file, kinds))?)
        })?;
        Ok(child.fact()?)
    }
}

fn show_rules(lab: &mut Lab, rules: &[Rule<'_>], answers: &Arms<Vec<Fact>>) -> Result<()> {
    let pairs = answers.control().iter().zip(answers.treatment());
    let row = |(rule, (good, bad)): (&Rule<'_>, (&Fact, &Fact))| {
        vec![rule.right.text.into(), good.value.clone(), rule.wrong.text.into(), bad.value.clone()]
    };
    let rows = rules.iter().zip(pairs).map(row).collect();
    lab.table("Outcome of setns()", &["correct", "outcome", "one thing wrong", "outcome"], rows)
}

fn open_as(flag: OFlag, path: &str) -> Result<OwnedFd> {
    Ok(open(path, flag | OFlag::O_CLOEXEC, Mode::empty()).named(|| format!("open(\"{path}\")"))?)
}

/// The kernel's EINVAL as pthread_create() returns it: musl turns every errno into EAGAIN.
const NO_THREAD_STARTS: &str = if cfg!(target_env = "musl") { "EAGAIN" } else { "EINVAL" };

fn start_a_thread(namespaces: Namespaces) -> Result<Fact> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        namespace::unshare(namespaces)?;
        let thread = thread::Builder::new().spawn(|| {}).named(|| "pthread_create()".into());
        me.report("pthread_create()", Outcome::of(thread.map(thread::JoinHandle::join))?)
    })?;
    Ok(caller.fact()?)
}

fn unshare_beside_a_thread(beside: bool) -> Result<Fact> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        // The thread runs until the sender is dropped.
        let (end, ended) = mpsc::channel::<()>();
        let start = || thread::Builder::new().spawn(move || ended.recv()).named(|| "pthread_create()".into());
        let other = beside.then(start).transpose()?;
        me.report("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)?;
        drop(end);
        drop(other.map(thread::JoinHandle::join));
        Ok(())
    })?;
    Ok(caller.fact()?)
}

/// The reason, if there is one, why a process without capabilities cannot create a user namespace on this machine.
fn unprivileged_user_namespaces() -> ns_core::Result<Option<Unmet>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        process::drop_all_capabilities()?;
        me.report("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
    })?;
    let answer = child.fact()?;
    Ok(match answer.value.as_outcome() {
        Some(Outcome::Failed(errno)) => {
            Some(probe::why_refused(ns_core::Refused { call: answer.what, errno }, Namespaces::USER))
        }
        _ => None,
    })
}
