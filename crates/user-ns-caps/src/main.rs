//! What can root in a user namespace do?
//!
//! Whoever makes a user namespace has every capability in it. Watch for the question that the kernel asks each time, which
//! is never "are you root?" but "have you this capability *in the user namespace that owns this thing*?"
//!
//! All is done by an ordinary user, mostly inside Z: a user namespace around both arms, whose root stands in for the
//! machine's. A is made in Z, and B in A. What the machine's own root may do is asked only where we are that.

mod exec;
mod filesystems;
mod formats;
mod keyring;
mod keys;
mod machine;
mod nesting;
mod roots;
mod rules;
mod unowned;
mod user;

use anyhow::Result;
use lesson::user::as_user;
use lesson::{Claim, Experiment, Requirement, Row, Step, every, hand, right, wrong};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter, capabilities, child, namespace};

const USER_NS_CAPS: Experiment = Experiment {
    name: "user-ns-caps",
    question: "What can root in a user namespace do?",
    setup: "An ordinary user's child, as it is and in a new user namespace.",
    arms: ["plain child", "CLONE_NEWUSER"],
    in_short: "all capabilities, but only over what its user namespace owns.",
    notes: "User Namespace",
    man: &["user_namespaces(7)", "capabilities(7)", "namespaces(7)"],
    examples: &[
        ("user-ns-caps", "run the experiment, as any user"),
        ("sudo user-ns-caps", "and compare with the machine's own root"),
        ("user-ns-caps --sabotage", "without the namespaces: no claim holds"),
        ("strace -f -e trace=%creds,unshare,setns user-ns-caps", "who gets what, and when"),
    ],
    // Each trial makes a Z of its own, so that an ordinary user begins each.
    sandbox: Namespaces::NONE,
    requires: &[Requirement::Probe(user::ordinary_user), Requirement::Probe(nesting::room_for_all)],
    steps: &[
        COME_IN,
        rules::ASK_THE_RULES,
        rules::MOUNT_SOMETHING_NEW,
        nesting::MAKE_EACH_KIND,
        nesting::MAKE_TWO,
        nesting::NEST,
        nesting::MAKE_BESIDE_A_THREAD,
        exec::EXECUTE,
        exec::EXECUTE_WITH_AMBIENT,
        exec::DROP_FROM_BOUNDING,
        exec::FILL_AMBIENT,
        machine::CHANGE_THE_MACHINE,
        machine::MAKE_DEVICES,
        machine::CHANGE_IT_AS_ROOT,
        filesystems::MOUNT_PROC,
        filesystems::COVER_PROC,
        filesystems::MOUNT_OTHERS,
        roots::CHANGE_ROOT,
        roots::MAKE_IN_A_CHROOT,
        roots::BECOME_ANOTHER,
        keyring::LOOK_FOR_A_KEY,
        formats::REGISTER_A_FORMAT,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    child::after_exec(exec::AFTER_EXECVE, exec::report_after);
    lesson::main(&USER_NS_CAPS)
}

const THREE_WAYS: Claim = Claim::holds(
    "three-ways",
    "A process that comes into a new user namespace by clone(), unshare() or setns() has all capabilities there.",
)
.factor("CLONE_NEWUSER")
.notes(&[111, 122])
.core(&[
    Row::inside("CapEff, by clone3()", "CapEff after clone3()"),
    Row::inside("CapEff, by setns()", "CapEff after setns()"),
])
.asks(
    "An ordinary user's process enters a new user namespace. Which capabilities has it there?",
    &[
        right("all"),
        wrong("none: it is an ordinary user's", "a process is thought to keep the credentials that it had"),
        wrong(
            "Docker's fourteen",
            "that is what a container has: its engine drops the others, not the kernel",
        ),
        wrong(
            "none, until it is mapped to user 0",
            "unshare --map-root-user does both at once, and capabilities are thought to come from user 0",
        ),
    ],
);

const COME_IN: Step = Step {
    title: "Let an ordinary user's process come into a new user namespace in three ways, and read its capabilities.",
    calls: &["clone3(CLONE_NEWUSER)", "unshare(CLONE_NEWUSER)", "setns(user, CLONE_NEWUSER)"],
    by_hand: &[hand("grep CapEff /proc/self/status; unshare --user --keep-caps grep CapEff /proc/self/status").prints("CapEff: 0000000000000000\nCapEff: …ffffffff"), hand("unshare -Ur sleep 60 & sleep 1; nsenter --target $! --user --preserve-credentials grep CapEff /proc/self/status; kill $!").prints("CapEff: …ffffffff"), ],
    claims: &[THREE_WAYS],
    run: |lab| lab.compare(THREE_WAYS, Namespaces::NONE, Namespaces::USER, come_in)?.shows(every().is("all")),
};

fn come_in(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let report = |what| move |me: &mut Reporter| me.report(what, user::set(capabilities::own()?.effective)?);
    let mut user = as_user("user", move |me| {
        Child::spawn("by clone3()", namespaces, report("CapEff after clone3()"))?.pass_on(me)?;
        let mut unshares = Child::spawn("by unshare()", Namespaces::NONE, move |me| {
            namespace::unshare(namespaces)?;
            report("CapEff after unshare()")(me)
        })?;
        unshares.pass_on(me)?;
        let member = Child::spawn("member", namespaces, Reporter::stay)?;
        let file = NsFile::of(Some(member.pid()), Kind::User)?;
        let mut enters = Child::spawn("by setns()", Namespaces::NONE, move |me| {
            // One's own may not be entered (EINVAL).
            if namespaces.contains(Namespaces::USER) {
                file.enter(Some(Kind::User))?;
            }
            report("CapEff after setns()")(me)
        })?;
        enters.pass_on(me)
    })?;
    Ok(user.facts()?)
}
