//! What unshare(), setns() and clone3() refuse, and with which errno.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use caps::CapSet;
use lesson::{Claim, Lab, Need, Picture, Step, cause};
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use ns_core::child::{self, Call};
use ns_core::probe::{self, Missing};
use ns_core::{
    Child, Errno, Error, Fact, Kind, Named, Namespaces, NsFile, Outcome, Spawn, Value, Witness, namespace,
};

use crate::calls;

pub(crate) const UNPRIVILEGED: Claim = Claim::holds(
    "unprivileged",
    "Without CAP_SYS_ADMIN unshare() makes a user namespace; the other seven kinds give EPERM.",
)
.cause("capset([])")
.more(&[1])
.needs(&[Need::Probe(unprivileged_user_namespaces)]);
pub(crate) const NO_FLAG: Claim =
    Claim::holds("no-flag", "unshare() refuses a bit that is no flag of its own: EINVAL.")
        .cause("the bit 0x1")
        .more(&[1]);
pub(crate) const SETNS_RULES: Claim = Claim::holds(
    "setns-rules",
    "setns() wants an open namespace or pidfd (EBADF, EINVAL, ESRCH), of that kind (EINVAL), and privilege (EPERM).",
)
.cause("one thing wrong")
.more(&[2, 4]);
pub(crate) const EXCLUDES: Claim = Claim::holds(
    "excludes",
    "clone3() refuses a new user or mount namespace with CLONE_FS, and a new IPC namespace with CLONE_SYSVSEM: EINVAL.",
)
.cause("the sharing flag")
.more(&[16]);
pub(crate) const NO_THREAD: Claim =
    Claim::holds("no-thread", "After unshare(CLONE_NEWPID) the caller can start no thread: EINVAL.")
        .cause("unshare(CLONE_NEWPID)")
        .more(&[16]);
pub(crate) const ONE_THREAD: Claim =
    Claim::holds("one-thread", "unshare(CLONE_NEWUSER) is refused while a second thread runs: EINVAL.")
        .cause("a second thread")
        .more(&[16]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[UNPRIVILEGED])? {
        lab.step(Step {
            goal: "Unshare each kind, once with all capabilities and once without any.",
            calls: &["capset([])", "unshare(CLONE_NEW…)"],
            by_hand: &["unshare -Ur setpriv --bounding-set=-all --inh-caps=-all unshare --uts hostname"],
        })?;
        let with_capabilities = unshare_each(false)?;
        let without_any = unshare_each(cause(true, false))?;
        lab.picture(
            Picture::Heat(1),
            "How unshare() answers",
            &["flag", "with CAP_SYS_ADMIN", "without"],
            Kind::ALL
                .into_iter()
                .zip(with_capabilities.iter().zip(&without_any))
                .map(|(kind, (with, without))| {
                    vec![kind.flag().into(), with.value.clone(), without.value.clone()]
                })
                .collect(),
        )?;
        lab.claim(UNPRIVILEGED).without(with_capabilities).with(without_any).shows(|answers| {
            answers
                .facts()
                .iter()
                .all(|fact| fact.value == if fact.what.ends_with("USER)") { "OK" } else { "EPERM" })
        })?;
    }

    lab.step(Step {
        goal: "Unshare a UTS namespace, and then the same with a bit that means nothing to unshare().",
        calls: &["unshare(CLONE_NEWUTS)", "unshare(CLONE_NEWUTS|0x1)"],
        by_hand: &[],
    })?;
    lab.claim(NO_FLAG)
        .without(unshare("unshare(CLONE_NEWUTS)", Namespaces::UTS)?)
        .with(unshare("unshare(CLONE_NEWUTS|0x1)", Namespaces::UTS | Namespaces::from_bits_retain(1))?)
        .shows(|answer| *answer == "EINVAL")?;

    lab.step(Step {
        goal: "Call setns() as it should be, and then with one thing wrong at a time.",
        calls: &["setns(ns, CLONE_NEWUTS)", "setns(pidfd, CLONE_NEWUTS)"],
        by_hand: &["nsenter --uts=/dev/null hostname; nsenter --uts=/proc/self/ns/net hostname"],
    })?;
    setns_rules(lab)?;

    lab.step(Step {
        goal: "Ask for a new namespace and for sharing what it would split, in one call.",
        calls: &[
            "clone3(CLONE_NEWUSER|CLONE_FS)",
            "clone3(CLONE_NEWNS|CLONE_FS)",
            "clone3(CLONE_NEWIPC|CLONE_SYSVSEM)",
        ],
        by_hand: &[],
    })?;
    lab.saw(Fact::outside("clone3(CLONE_FS)", clone3(CLONE_FS)?))?;
    lab.saw(Fact::outside("clone3(CLONE_SYSVSEM)", clone3(CLONE_SYSVSEM)?))?;
    lab.claim(EXCLUDES)
        .without(clone_each(false)?)
        .with(clone_each(true)?)
        .shows(|answers| answers.facts().iter().all(|fact| fact.value == *"EINVAL"))?;

    lab.step(Step {
        goal: "A thread is in the PID and user namespaces of its process. Try it otherwise, from both ends.",
        calls: &["unshare(CLONE_NEWPID)", "clone3(CLONE_THREAD|…)", "unshare(CLONE_NEWUSER)"],
        by_hand: &[],
    })?;
    lab.claim(NO_THREAD)
        .without(start_a_thread(Namespaces::NONE)?)
        .with(start_a_thread(Namespaces::PID)?)
        .shows(|thread| *thread == NO_THREAD_STARTS)?;
    lab.claim(ONE_THREAD)
        .without(unshare_beside_a_thread(false)?)
        .with(unshare_beside_a_thread(cause(true, false))?)
        .shows(|answer| *answer == "EINVAL")?;
    Ok(())
}

const CLONE_FS: u64 = CloneFlags::CLONE_FS.bits() as u64;
const CLONE_SYSVSEM: u64 = CloneFlags::CLONE_SYSVSEM.bits() as u64;

/// A new namespace, and the sharing that it excludes.
const EXCLUDING: [(Namespaces, u64, &str); 3] = [
    (Namespaces::USER, CLONE_FS, "CLONE_FS"),
    (Namespaces::MNT, CLONE_FS, "CLONE_FS"),
    (Namespaces::IPC, CLONE_SYSVSEM, "CLONE_SYSVSEM"),
];

fn clone3(flags: u64) -> Result<Outcome> {
    Ok(Outcome::of(child::born_by(Call::Clone3, flags))?)
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

pub(crate) fn give_up_capabilities() -> ns_core::Result<()> {
    // A capability that is effective must be permitted, so it goes first.
    [CapSet::Effective, CapSet::Permitted]
        .into_iter()
        .try_for_each(|set| caps::clear(None, set))
        .map_err(|error| Error::Input(error.to_string()))
}

fn unshare_each(unprivileged: bool) -> Result<Vec<Fact>> {
    let mut answers = Vec::new();
    for kind in Kind::ALL {
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            if unprivileged {
                give_up_capabilities()?;
            }
            me.saw(format!("unshare({})", kind.flag()), Outcome::of(namespace::unshare(kind.only()))?)
        })?;
        answers.push(child.hear()?);
    }
    Ok(answers)
}

fn unshare(typed: &str, namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        me.saw(typed, Outcome::of(namespace::unshare(namespaces))?)
    })?;
    Ok(child.hear()?)
}

/// A call of setns().
#[derive(Clone, Copy)]
struct Attempt<'a> {
    says: &'static str,
    file: BorrowedFd<'a>,
    kinds: Namespaces,
    privileged: bool,
}

impl Attempt<'_> {
    /// In a child of its own, which alone is moved.
    fn answer(self) -> Result<Fact> {
        let mut child = Child::spawn("visitor", Namespaces::NONE, move |me| {
            if !self.privileged {
                give_up_capabilities()?;
            }
            me.saw(self.says, Outcome::of(namespace::enter_all_of(self.file, self.kinds))?)
        })?;
        Ok(child.hear()?)
    }
}

fn setns_rules(lab: &mut Lab) -> Result<()> {
    let container = Spawn::new("container").namespaces_always(Namespaces::UTS).run(Witness::stay)?;
    let mut ended = Spawn::new("ended").namespaces_always(Namespaces::UTS).run(|_| Ok(()))?;
    ended.wait()?;
    let namespace = NsFile::of(Some(container.pid()), Kind::Uts)?;
    let (pidfd, of_ended) = (calls::pidfd_for_children(&container)?, calls::pidfd_for_children(&ended)?);
    let only_a_path = open_as(OFlag::O_PATH, "/proc/self/ns/uts")?;
    let regular = open_as(OFlag::O_RDONLY, "/proc/self/status")?;

    let right = Attempt {
        says: "a namespace, CLONE_NEWUTS",
        file: namespace.as_fd(),
        kinds: Namespaces::UTS,
        privileged: true,
    };
    let by_pid = Attempt { says: "a pidfd, CLONE_NEWUTS", file: pidfd.as_fd(), ..right };
    let odd = Namespaces::UTS | Namespaces::from_bits_retain(1);
    let rules = [
        (right, Attempt { says: "opened with O_PATH", file: only_a_path.as_fd(), ..right }, Errno::EBADF),
        (right, Attempt { says: "a regular file", file: regular.as_fd(), ..right }, Errno::EINVAL),
        (right, Attempt { says: "CLONE_NEWNET", kinds: Namespaces::NET, ..right }, Errno::EINVAL),
        (right, Attempt { says: "no CAP_SYS_ADMIN", privileged: false, ..right }, Errno::EPERM),
        (by_pid, Attempt { says: "a pidfd, 0", kinds: Namespaces::NONE, ..by_pid }, Errno::EINVAL),
        (by_pid, Attempt { says: "a pidfd, CLONE_NEWUTS|0x1", kinds: odd, ..by_pid }, Errno::EINVAL),
        (
            by_pid,
            Attempt { says: "the pidfd of an ended process", file: of_ended.as_fd(), ..by_pid },
            Errno::ESRCH,
        ),
    ];
    let (mut without, mut with, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (right, wrong, _) in &rules {
        let (good, bad) = (right.answer()?, cause(wrong, right).answer()?);
        rows.push(vec![right.says.into(), good.value.clone(), wrong.says.into(), bad.value.clone()]);
        without.push(good);
        with.push(Fact { what: wrong.says.into(), ..bad });
    }
    without.dedup();
    lab.table("How setns() answers", &["as it should be", "is", "one thing wrong", "is"], rows)?;
    lab.claim(SETNS_RULES).without(without).with(with).shows(|answers| {
        let as_ruled = |(fact, (_, _, errno)): (&Fact, &(Attempt<'_>, Attempt<'_>, Errno))| {
            fact.value == Value::Outcome(Outcome::Failed(*errno))
        };
        answers.facts().iter().zip(&rules).all(as_ruled)
    })?;
    Ok(())
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
        me.saw("pthread_create()", Outcome::of(thread.map(thread::JoinHandle::join))?)
    })?;
    Ok(caller.hear()?)
}

fn unshare_beside_a_thread(beside: bool) -> Result<Fact> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        // The thread runs until there is nobody left to send it anything.
        let (end, ended) = mpsc::channel::<()>();
        let other = beside.then(|| thread::spawn(move || ended.recv()));
        me.saw("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)?;
        drop(end);
        drop(other.map(thread::JoinHandle::join));
        Ok(())
    })?;
    Ok(caller.hear()?)
}

/// Whether this machine lets a process without capabilities make a user namespace.
fn unprivileged_user_namespaces() -> ns_core::Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        give_up_capabilities()?;
        me.saw("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
    })?;
    let answer = child.hear()?;
    Ok(match answer.value.as_outcome() {
        Some(Outcome::Failed(errno)) => Some(probe::why_refused(&answer.what, errno, Namespaces::USER)),
        _ => None,
    })
}
