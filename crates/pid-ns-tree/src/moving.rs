//! Who moves, and where to: unshare() and setns() send the caller's next children, down and never up.

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use nix::unistd::getpid;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Value, Witness, namespace, process};

use crate::trial::{self, in_a, number, tell_numbers_and_stay};

pub(crate) const CALLER_STAYS: Claim = Claim::holds(
    "caller-stays",
    "unshare(CLONE_NEWPID) moves the next children, the first of them to PID 1; the caller's getpid() is for life.",
)
.cause("unshare(CLONE_NEWPID)")
.notes(&[96])
.more(&[34])
.misconceptions(&[("getpid() changed = yes; its own namespace changed = yes", "unshare() moves its caller for most other kinds, so one expects getpid() to be 1 afterwards")]);
pub(crate) const CHILDREN_GO: Claim = Claim::holds(
    "children-go",
    "setns() into a PID namespace below moves the next children there, and leaves the caller where it is.",
)
.cause("setns(CLONE_NEWPID)")
.notes(&[96, 97]);
pub(crate) const FREELY: Claim =
    Claim::refuted("freely", "A process descends into a child PID namespace by setns().", "children-go")
        .cause("setns(CLONE_NEWPID)")
        .notes(&[97])
        .misconceptions(&[(
            "getpid() changed = no; its own namespace changed = yes",
            "setns() moves its caller for the other kinds, so one expects it to be inside afterwards",
        )]);
pub(crate) const CAPABLE: Claim =
    Claim::holds("capable", "Without CAP_SYS_ADMIN nobody sends children down: setns() gives EPERM.")
        .cause("dropped capabilities")
        .notes(&[97]);
pub(crate) const NO_ASCENT: Claim = Claim::holds(
    "no-ascent",
    "setns() takes one's own PID namespace and those below it; the parent's and a sibling give EINVAL.",
)
.cause("a target above or beside")
.notes(&[98]);
pub(crate) const UNDO: Claim = Claim::holds(
    "undo",
    "setns() into one's own PID namespace undoes unshare(CLONE_NEWPID): the next child stays with its parent.",
)
.cause("setns() into one's own")
.notes(&[98]);
pub(crate) const AGAIN: Claim = Claim::holds(
    "again",
    "unshare(CLONE_NEWPID) works any number of times if setns() into one's own comes between, else once: EINVAL.",
)
.cause("setns() into one's own")
.notes(&[98]);
pub(crate) const NO_THREAD: Claim = Claim::holds(
    "no-thread",
    "While its children go to another PID namespace, a process can make no thread.",
)
.cause("unshare(CLONE_NEWPID)")
.notes(&[96]);
pub(crate) const RECOVER: Claim = Claim::holds(
    "recover",
    "ENOMEM, once the init of the children's namespace is dead, is no lasting harm: setns() into one's own cures it.",
)
.cause("setns() into one's own")
.notes(&[98])
.more(&[37]);

const CHANGED: &str = "getpid() changed";
const MOVED: &str = "its own namespace changed";
const CHILD: &str = "NSpid of its next child";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "In A, a PID namespace made for the trial, call unshare(CLONE_NEWPID). Compare the caller before and after; make a child.",
        calls: &["getpid()", "unshare(CLONE_NEWPID)", "getpid()", "fork()"],
        by_hand: &["unshare -Ur --pid bash -c 'echo $$; bash -c \"echo \\$\\$\"; echo $$'"],
    })?;
    let length = |seen: &Observation| match seen.inside(CHILD) {
        Some(Value::List(numbers)) => numbers.len(),
        _ => 0,
    };
    let stays = |seen: &Observation| {
        seen.inside(CHANGED).is_some_and(|it| *it == false)
            && seen.inside(MOVED).is_some_and(|it| *it == false)
    };
    lab.claim(CALLER_STAYS)
        .without(unshare_and_look(Namespaces::NONE)?)
        .with(unshare_and_look(Namespaces::PID)?)
        // Here, in A, in the new one: three numbers.
        .shows(|seen| stays(seen) && length(seen) == 3)?;

    lab.step(Step {
        goal: "In A, call setns() with the file of a PID namespace below. Compare the caller before and after; make a child.",
        calls: &["open(\"/proc/PID/ns/pid\")", "setns(file, CLONE_NEWPID)", "getpid()", "fork()"],
        by_hand: &[
            "unshare -Urpf --kill-child sleep 600 & sleep 1; init=$(pgrep --parent $!)",
            "nsenter -t $init -U --preserve-credentials -p --no-fork bash -c 'echo $$; bash -c \"echo \\$\\$\"; echo $$'",
        ],
    })?;
    let stayed = enter_and_look(false)?;
    let entered = enter_and_look(true)?;
    lab.claim(CHILDREN_GO)
        .without(stayed.clone())
        .with(entered.clone())
        .shows(|seen| stays(seen) && length(seen) == 3)?;
    lab.claim(FREELY)
        .without(stayed)
        .with(entered)
        .shows(|seen| seen.inside(MOVED).is_some_and(|it| *it == true))?;

    lab.step(Step {
        goal: "Try that setns() without any capability.",
        calls: &["capset(0)", "setns(file, CLONE_NEWPID)"],
        by_hand: &[
            "test $(id -u) = 0 && drop='setpriv --bounding-set=-all'; $drop nsenter -t $init --pid true",
            "kill -KILL $init",
        ],
    })?;
    lab.claim(CAPABLE)
        .without(enter(Target::Below, true)?)
        .with(enter(Target::Below, cause(false, true))?)
        .shows(|answer| *answer == "EPERM")?;

    lab.step(Step {
        goal: "From B, a PID namespace in A, offer setns() every direction: B itself, one below, the parent, a sibling.",
        calls: &["setns(file, CLONE_NEWPID)"],
        by_hand: &[
            "unshare -Urpf --mount-proc sh -c 'sleep 9 & unshare -pf nsenter --pid=/proc/$!/ns/pid true'",
        ],
    })?;
    let mut answers = Vec::new();
    for target in [Target::Own, Target::Below, Target::Parent, Target::Sibling] {
        answers.push(enter(target, true)?);
    }
    let (upwards, downwards) = (answers.split_off(2), answers);
    lab.claim(NO_ASCENT)
        .without(downwards.concat())
        .with(upwards.concat())
        .shows(|seen| seen.facts().iter().all(|answer| answer.value == "EINVAL"))?;

    lab.step(Step {
        goal: "In A, call unshare(CLONE_NEWPID), change one's mind by setns() into A, make a child, and unshare once more.",
        calls: &[
            "unshare(CLONE_NEWPID)",
            "setns(open(\"/proc/self/ns/pid\"), CLONE_NEWPID)",
            "fork()",
            "unshare(CLONE_NEWPID)",
        ],
        by_hand: &[
            "readlink /proc/self/ns/pid; sudo unshare --pid bash -c 'readlink /proc/self/ns/pid; true'",
            "sudo unshare --pid nsenter --pid=/proc/self/ns/pid --no-fork bash -c 'readlink /proc/self/ns/pid; true'",
            "sudo unshare --pid unshare --pid true",
            "sudo unshare --pid nsenter --pid=/proc/self/ns/pid --no-fork unshare --pid true; echo $?",
        ],
    })?;
    let went = change_ones_mind(false)?;
    let came_back = change_ones_mind(true)?;
    lab.claim(UNDO).without(went.child).with(came_back.child).shows(|seen| length(seen) == 2)?;
    lab.claim(AGAIN).without(went.again).with(came_back.again).shows(|answer| *answer == "OK")?;

    lab.step(Step {
        goal: "Call unshare(CLONE_NEWPID), and start a thread.",
        calls: &["unshare(CLONE_NEWPID)", "clone(CLONE_THREAD|CLONE_VM|…)"],
        by_hand: &[
            "sudo unshare --pid /usr/bin/python3 -c 'import threading; threading.Thread(target=print).start()'",
        ],
    })?;
    lab.claim(NO_THREAD)
        .without(start_a_thread(Namespaces::NONE)?)
        .with(start_a_thread(Namespaces::PID)?)
        .shows(|made| *made == false)?;

    lab.step(Step {
        goal: "Let the first child after unshare(CLONE_NEWPID) end, so that its namespace takes nobody any more. Come back by setns().",
        calls: &["unshare(CLONE_NEWPID)", "fork()", "waitpid()", "setns(own, CLONE_NEWPID)", "fork()"],
        by_hand: &[
            "sudo unshare --pid sh -c '/bin/true; /bin/true'",
            "sudo unshare --pid sh -c '/bin/true; exec nsenter --pid=/proc/self/ns/pid echo back'",
        ],
    })?;
    lab.claim(RECOVER)
        .without(fork_after_init(false)?)
        .with(fork_after_init(true)?)
        .shows(|seen| seen.inside("fork() once more").is_some_and(|it| *it == "OK"))?;
    Ok(())
}

/// Does `change` to where the next children go, and tells what became of the caller and of its next child.
fn look_before_and_after(
    me: &mut Witness,
    change: impl FnOnce() -> ns_core::Result<()>,
) -> ns_core::Result<()> {
    let (pid, home) = (getpid(), namespace::of_kind(None, Kind::Pid)?);
    change()?;
    me.saw(CHANGED, getpid() != pid)?;
    me.saw(MOVED, namespace::of_kind(None, Kind::Pid)? != home)?;
    let mut child = Child::spawn("its next child", Namespaces::NONE, tell_numbers_and_stay)?;
    me.saw(CHILD, child.hear()?.value)
}

fn unshare_and_look(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| look_before_and_after(me, || namespace::unshare(namespaces)))
}

fn enter_and_look(enters: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut below = Child::spawn("below", Namespaces::PID, tell_numbers_and_stay)?;
        let file = NsFile::of(Some(number(&below.hear()?, 0)?), Kind::Pid)?;
        look_before_and_after(me, || if enters { file.enter(Some(Kind::Pid)) } else { Ok(()) })
    })
}

#[derive(Clone, Copy)]
enum Target {
    Own,
    Below,
    Parent,
    Sibling,
}

/// From B, a namespace in A, tries to send its children to the target.
fn enter(target: Target, capable: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut sibling = Child::spawn("sibling", Namespaces::PID, tell_numbers_and_stay)?;
        let sibling = file_of(&mut sibling)?;
        let parent = NsFile::of(None, Kind::Pid)?;
        let mover = Child::spawn("mover", Namespaces::PID, move |me| {
            let mut below = Child::spawn("below", Namespaces::PID, tell_numbers_and_stay)?;
            let (what, file) = match target {
                Target::Own => ("setns(its own)", NsFile::of(None, Kind::Pid)?),
                Target::Below => ("setns(one below)", file_of(&mut below)?),
                Target::Parent => ("setns(its parent)", parent),
                Target::Sibling => ("setns(a sibling)", sibling),
            };
            if !capable {
                process::drop_all_capabilities()?;
            }
            me.saw(what, Outcome::of(file.enter(Some(Kind::Pid)))?)
        })?;
        trial::tell_all_of(mover, me)
    })
}

fn file_of(child: &mut Child) -> ns_core::Result<NsFile> {
    NsFile::of(Some(number(&child.hear()?, 0)?), Kind::Pid)
}

struct Mind {
    child: Fact,
    again: Fact,
}

fn change_ones_mind(comes_back: bool) -> Result<Mind> {
    let facts = in_a(move |me| {
        let own = NsFile::of(None, Kind::Pid)?;
        let come_back = || if comes_back { own.enter(Some(Kind::Pid)) } else { Ok(()) };
        namespace::unshare(Namespaces::PID)?;
        come_back()?;
        let mut child = Child::spawn("its next child", Namespaces::NONE, tell_numbers_and_stay)?;
        me.saw(CHILD, child.hear()?.value)?;
        me.saw("unshare(CLONE_NEWPID) again", Outcome::of(namespace::unshare(Namespaces::PID))?)
    })?;
    match <[Fact; 2]>::try_from(facts) {
        Ok([child, again]) => Ok(Mind { child, again }),
        Err(facts) => anyhow::bail!("two facts were to be told, not {}", facts.len()),
    }
}

fn start_a_thread(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        namespace::unshare(namespaces)?;
        // The kernel says EINVAL; a C library may make EAGAIN of that, as musl does. So yes or no is what is asked.
        let started = std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().is_ok());
        me.saw("a thread was made", started.is_ok())
    })
}

fn fork_after_init(comes_back: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let own = NsFile::of(None, Kind::Pid)?;
        let fork = || Outcome::of(Child::spawn("child", Namespaces::NONE, |_| Ok(())));
        namespace::unshare(Namespaces::PID)?;
        Child::spawn("init", Namespaces::NONE, |_| Ok(()))?.wait()?;
        me.saw("fork() after its init ended", fork()?)?;
        if comes_back {
            own.enter(Some(Kind::Pid))?;
        }
        me.saw("fork() once more", fork()?)
    })
}
