//! What unshare(), setns() and clone3() refuse, and with which errno.

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
    "Without CAP_SYS_ADMIN unshare() makes a user namespace; the other seven kinds give EPERM.",
)
.factor("capset([])")
.more(&[1])
.requires(&[Requirement::Namespace(Kind::User), Requirement::Probe(unprivileged_user_namespaces)]);

pub(crate) const UNSHARE_WITHOUT_PRIVILEGE: Step = Step {
    title: "Unshare each kind, once with all capabilities and once without any.",
    calls: &["capset([])", "unshare(CLONE_NEW…)"],
    by_hand: &[hand("unshare -Ur setpriv --bounding-set=-all --inh-caps=-all unshare --uts hostname")
        .prints("EPERM")],
    claims: &[UNPRIVILEGED],
    run: |lab| {
        let answers = lab.arms(false, true, unshare_each)?;
        show_answers(lab, &answers)?;
        lab.judge(UNPRIVILEGED, answers).shows(refuses_all_but_user())
    },
};

const NO_FLAG: Claim = Claim::holds("no-flag", "unshare() refuses a bit that is no flag of its own: EINVAL.")
    .factor("the bit 0x1")
    .more(&[1]);

pub(crate) const UNSHARE_AN_ODD_BIT: Step = Step {
    title: "Unshare a UTS namespace, and then the same with a bit that means nothing to unshare().",
    calls: &["unshare(CLONE_NEWUTS)", "unshare(CLONE_NEWUTS|0x1)"],
    by_hand: &[],
    claims: &[NO_FLAG],
    run: |lab| lab.compare(NO_FLAG, Namespaces::NONE, ODD_BIT, unshare_uts_and)?.shows(first().is("EINVAL")),
};

const SETNS_RULES: Claim = Claim::holds(
    "setns-rules",
    "setns() wants an open namespace or pidfd (EBADF, EINVAL, ESRCH), of that kind (EINVAL), and privilege (EPERM).",
)
.factor("one thing wrong")
.more(&[2, 4]);

pub(crate) const ENTER_WITH_ONE_THING_WRONG: Step = Step {
    title: "Call setns() as it should be, and then with one thing wrong at a time.",
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
            says: "a namespace, CLONE_NEWUTS",
            file: namespace.as_fd(),
            kinds: Namespaces::UTS,
            privileged: true,
        };
        let by_path = Attempt { says: "opened with O_PATH", file: only_a_path.as_fd(), ..right };
        let of_a_file = Attempt { says: "a regular file", file: regular.as_fd(), ..right };
        let net = Attempt { says: "CLONE_NEWNET", kinds: Namespaces::NET, ..right };
        let unprivileged = Attempt { says: "no CAP_SYS_ADMIN", privileged: false, ..right };
        let by_pidfd = Attempt { says: "a pidfd, CLONE_NEWUTS", file: pidfd.as_fd(), ..right };
        let no_kind = Attempt { says: "a pidfd, 0", kinds: Namespaces::NONE, ..by_pidfd };
        let odd = Attempt { says: "a pidfd, CLONE_NEWUTS|0x1", kinds: by_pidfd.kinds | ODD_BIT, ..by_pidfd };
        let gone = Attempt { says: "the pidfd of an ended process", file: of_ended.as_fd(), ..by_pidfd };
        let rules = [
            Rule { about: "setns(), how it is opened", right, wrong: by_path, errno: Errno::EBADF },
            Rule { about: "setns(), what is opened", right, wrong: of_a_file, errno: Errno::EINVAL },
            Rule { about: "setns(), the kind", right, wrong: net, errno: Errno::EINVAL },
            Rule {
                about: "setns(), the caller's capabilities",
                right,
                wrong: unprivileged,
                errno: Errno::EPERM,
            },
            Rule {
                about: "setns(), how many kinds, by a pidfd",
                right: by_pidfd,
                wrong: no_kind,
                errno: Errno::EINVAL,
            },
            Rule {
                about: "setns(), which bits, by a pidfd",
                right: by_pidfd,
                wrong: odd,
                errno: Errno::EINVAL,
            },
            Rule { about: "setns(), whose pidfd", right: by_pidfd, wrong: gone, errno: Errno::ESRCH },
        ];
        let answers = lab.arms(false, true, |wrong| rules.iter().map(|rule| rule.answer(wrong)).collect())?;
        show_rules(lab, &rules, &answers)?;
        let each = rules.iter().map(|rule| inside(rule.about).is(Outcome::Failed(rule.errno)));
        lab.judge(SETNS_RULES, answers).shows(each.reduce(|all, one| all & one).context("no rule")?)
    },
};

const EXCLUDES: Claim = Claim::holds(
    "excludes",
    "clone3() refuses a new user or mount namespace with CLONE_FS, and a new IPC namespace with CLONE_SYSVSEM: EINVAL.",
)
.factor("the sharing flag")
.more(&[16])
.requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const CLONE_AND_SHARE: Step = Step {
    title: "Ask for a new namespace and for sharing what it would split, in one call.",
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
    Claim::holds("no-thread", "After unshare(CLONE_NEWPID) the caller can start no thread: EINVAL.")
        .factor("unshare(CLONE_NEWPID)")
        .notes(&[16])
        .requires(&[Requirement::Namespace(Kind::Pid)]);
const ONE_THREAD: Claim =
    Claim::holds("one-thread", "unshare(CLONE_NEWUSER) is refused while a second thread runs: EINVAL.")
        .factor("a second thread")
        .notes(&[118])
        .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const BESIDE_A_THREAD: Step = Step {
    title: "A thread is in the PID and user namespaces of its process. Try it otherwise, from both ends.",
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

/// A new namespace, and the sharing that it excludes.
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
    let row = |(kind, (with, without)): (Kind, (&Fact, &Fact))| {
        vec![kind.flag().into(), with.value.clone(), without.value.clone()]
    };
    lab.picture(
        Picture::Heat(1),
        "How unshare() answers",
        &["flag", "with CAP_SYS_ADMIN", "without"],
        of_this_kernel().kinds().zip(pairs).map(row).collect(),
    )
}

fn refuses_all_but_user() -> Effect {
    let answer = |kind: Kind| inside(format!("unshare({})", kind.flag()));
    let others = of_this_kernel().kinds().filter(|kind| *kind != Kind::User);
    others.fold(answer(Kind::User).from("EPERM").to("OK"), |effect, kind| effect & answer(kind).is("EPERM"))
}

/// A bit that means nothing to unshare() and setns().
const ODD_BIT: Namespaces = Namespaces::from_bits_retain(1);

fn unshare_uts_and(odd: Namespaces) -> Result<Fact> {
    let typed = if odd.is_empty() { "unshare(CLONE_NEWUTS)" } else { "unshare(CLONE_NEWUTS|0x1)" };
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        me.report(typed, Outcome::of(namespace::unshare(Namespaces::UTS | odd))?)
    })?;
    Ok(child.fact()?)
}

/// A call of setns().
#[derive(Clone, Copy)]
struct Attempt<'a> {
    says: &'static str,
    file: BorrowedFd<'a>,
    kinds: Namespaces,
    privileged: bool,
}

/// A call as it should be, one in which one thing is wrong, and the answer to that.
struct Rule<'a> {
    /// What is wrong in one, and not in the other.
    about: &'static str,
    right: Attempt<'a>,
    wrong: Attempt<'a>,
    errno: Errno,
}

impl Rule<'_> {
    /// In a child of its own, which alone is moved.
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
        vec![rule.right.says.into(), good.value.clone(), rule.wrong.says.into(), bad.value.clone()]
    };
    let rows = rules.iter().zip(pairs).map(row).collect();
    lab.table("How setns() answers", &["as it should be", "is", "one thing wrong", "is"], rows)
}

fn open_as(flag: OFlag, path: &str) -> Result<OwnedFd> {
    Ok(open(path, flag | OFlag::O_CLOEXEC, Mode::empty()).named(|| format!("open(\"{path}\")"))?)
}

/// What becomes of the kernel's EINVAL in pthread_create(): musl makes EAGAIN of every errno.
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
        // The thread runs until there is nobody left to send it anything.
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

/// Whether this machine lets a process without capabilities make a user namespace.
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
