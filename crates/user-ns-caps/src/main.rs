//! What is that root worth?
//!
//! Whoever makes a user namespace has every capability in it. Watch for the question that the kernel asks each time, which
//! is never "are you root?" but "have you this capability *in the user namespace that owns this thing*?"
//!
//! All is done by an ordinary user, mostly inside Z: a user namespace around both arms, whose root stands in for the
//! machine's. A is made in Z, and B in A. What the machine's own root may do is asked only where we are that.

mod exec;
mod filesystems;
mod keyring;
mod machine;
mod nesting;
mod person;
mod roots;
mod rules;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Step};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Witness, capabilities, child, namespace};
use person::{as_user, tell_all_of};

const THREE_WAYS: Claim = Claim::holds(
    "three-ways",
    "A process that comes into a new user namespace by clone(), unshare() or setns() has all capabilities there.",
)
.cause("CLONE_NEWUSER")
.notes(&[111, 122]);

const USER_NS_CAPS: Experiment = Experiment {
    name: "user-ns-caps",
    question: "What is that root worth?",
    notes: "User Namespace",
    man: &["user_namespaces(7)", "capabilities(7)", "namespaces(7)"],
    examples: &[
        ("user-ns-caps", "run the experiment, as any user"),
        ("sudo user-ns-caps", "and compare with the machine's own root"),
        ("user-ns-caps --sabotage", "without the namespaces: no claim holds"),
        ("strace -f -e trace=%creds,unshare,setns user-ns-caps", "who gets what, and when"),
    ],
    // Each trial makes a Z of its own, so that an ordinary user begins each.
    stage: Namespaces::NONE,
    needs: &[Need::Probe(person::ordinary_user)],
    claims: &[
        THREE_WAYS,
        rules::RULES,
        rules::NOT_ABOVE,
        rules::MAKER,
        rules::NEW_ONE,
        nesting::OTHERS,
        nesting::USER_FIRST,
        nesting::DEEPEST,
        nesting::UNMAPPED,
        nesting::ONE_FOR_ALL,
        exec::KEEPS,
        exec::AMBIENT,
        exec::BOUNDING,
        exec::CLEAN,
        machine::UNOWNED,
        machine::WHITEOUT,
        machine::NO_DEVICE,
        machine::REAL_ROOT,
        filesystems::PROC,
        filesystems::COVERED,
        filesystems::MOUNTABLE,
        roots::ROOT_DIRECTORY,
        roots::MAY_CHROOT,
        roots::CHROOTED,
        roots::NOBODY_ELSE,
        keyring::KEYS,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    child::after_exec(exec::AFTER_EXECVE, exec::say_after);
    lesson::main(&USER_NS_CAPS)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Let an ordinary user's process come into a new user namespace in three ways, and read its capabilities.",
        calls: &["clone3(CLONE_NEWUSER)", "unshare(CLONE_NEWUSER)", "setns(user, CLONE_NEWUSER)"],
        by_hand: &[
            "grep CapEff /proc/self/status; unshare --user --keep-caps grep CapEff /proc/self/status",
            "unshare -Ur sleep 9 & sleep 1; nsenter --target $! --user --preserve-credentials grep CapEff /proc/self/status",
        ],
    })?;
    lab.claim(THREE_WAYS)
        .without(come_in(Namespaces::NONE)?)
        .with(come_in(Namespaces::USER)?)
        .shows(|seen| seen.facts().iter().all(|fact| fact.value == "all"))?;

    rules::run(lab)?;
    nesting::run(lab)?;
    exec::run(lab)?;
    machine::run(lab)?;
    filesystems::run(lab)?;
    roots::run(lab)?;
    keyring::run(lab)
}

fn come_in(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let say = |what| move |me: &mut Witness| me.saw(what, person::set(capabilities::own()?.effective)?);
    let mut user = as_user("user", move |me| {
        tell_all_of(Child::spawn("by clone3()", namespaces, say("CapEff after clone3()"))?, me)?;
        let unshares = Child::spawn("by unshare()", Namespaces::NONE, move |me| {
            namespace::unshare(namespaces)?;
            say("CapEff after unshare()")(me)
        })?;
        tell_all_of(unshares, me)?;
        let member = Child::spawn("member", namespaces, Witness::stay)?;
        let file = NsFile::of(Some(member.pid()), Kind::User)?;
        let enters = Child::spawn("by setns()", Namespaces::NONE, move |me| {
            // One's own may not be entered (EINVAL).
            if namespaces.contains(Namespaces::USER) {
                file.enter(Some(Kind::User))?;
            }
            say("CapEff after setns()")(me)
        })?;
        tell_all_of(enters, me)
    })?;
    Ok(user.hear_all()?)
}
