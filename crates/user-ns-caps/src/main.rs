//! What can root in a user namespace do?
//!
//! The creator of a user namespace has every capability in it. Watch for the kernel's check: does the caller have this
//! capability *in the user namespace that owns the resource*?
//!
//! An ordinary user does all of this, mostly in Z. Z is a user namespace around both arms, and its root takes the place
//! of the host's root. A is created in Z, and B in A. A step about the host's own root needs to be run by that root.

mod exec;
mod filesystems;
mod formats;
mod keyring;
mod keys;
mod machine;
mod nesting;
mod roots;
mod rules;
mod shell;
mod unowned;
mod user;

use anyhow::Result;
use lesson::user::as_user;
use lesson::{Claim, Experiment, Requirement, Row, Step, every, hand, right, wrong};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter, capabilities, child, namespace};

const USER_NS_CAPS: Experiment = Experiment {
    name: "user-ns-caps",
    question: "What can root in a user namespace do?",
    setup: "A child of an ordinary user: as it is, and in a new user namespace.",
    arms: ["plain child", "CLONE_NEWUSER"],
    in_short: "it has all capabilities, but only over what its user namespace owns.",
    notes: "User Namespace",
    man: &["user_namespaces(7)", "capabilities(7)", "namespaces(7)"],
    examples: &[
        ("user-ns-caps", "run the experiment, as any user"),
        ("sudo user-ns-caps", "also compare with root of the host"),
        ("user-ns-caps --sabotage", "the negative control: no claim holds"),
        ("strace -f -e trace=%creds,unshare,setns user-ns-caps", "the calls that change capabilities"),
    ],
    // Each arm creates its own Z, so that each starts as an ordinary user.
    sandbox: Namespaces::NONE,
    requires: &[Requirement::Probe(user::ordinary_user), Requirement::Probe(nesting::room_for_all)],
    steps: &[
        ENTER,
        rules::ASK_THE_RULES,
        rules::MOUNT_A_FILESYSTEM,
        nesting::CREATE_EACH_KIND,
        nesting::CREATE_TWO,
        nesting::NEST,
        nesting::CREATE_BESIDE_A_THREAD,
        exec::EXECUTE,
        exec::EXECUTE_WITH_AMBIENT,
        exec::DROP_FROM_BOUNDING,
        exec::FILL_AMBIENT,
        machine::CHANGE_THE_MACHINE,
        machine::CREATE_DEVICES,
        machine::CHANGE_IT_AS_ROOT,
        filesystems::MOUNT_PROC,
        filesystems::COVER_PROC,
        filesystems::MOUNT_OTHERS,
        roots::CHANGE_ROOT,
        roots::CREATE_IN_A_CHROOT,
        roots::BECOME_ANOTHER,
        keyring::LOOK_FOR_A_KEY,
        formats::REGISTER_A_FORMAT,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    child::after_exec(exec::AFTER_EXECVE, exec::report_after);
    lesson::main(&USER_NS_CAPS)
}

const THREE_WAYS: Claim = Claim::holds(
    "three-ways",
    "A process that enters a new user namespace by clone3(), unshare() or setns() has all capabilities in it.",
)
.factor("CLONE_NEWUSER")
.notes(&[111, 122])
.core(&[
    Row::inside("CapEff, by clone3()", "CapEff after clone3()"),
    Row::inside("CapEff, by setns()", "CapEff after setns()"),
])
.asks(
    "A process of an ordinary user enters a new user namespace. Which capabilities does it have there?",
    &[
        right("all"),
        wrong("none: its user is an ordinary one", "a process usually keeps its credentials"),
        wrong(
            "Docker's fourteen",
            "a container has them: its engine, and not the kernel, drops the others",
        ),
        wrong(
            "none, until it is mapped to user 0",
            "`unshare --map-root-user` does both at once, and capabilities seem to come from user 0",
        ),
    ],
);

const ENTER: Step = Step {
    title: "Let a process of an ordinary user enter a new user namespace in three ways, and read its capabilities.",
    calls: &["clone3(CLONE_NEWUSER)", "unshare(CLONE_NEWUSER)", "setns(user, CLONE_NEWUSER)"],
    by_hand: &[hand("grep CapEff /proc/self/status; unshare --user --keep-caps grep CapEff /proc/self/status").prints("CapEff: 0000000000000000\nCapEff: …ffffffff"), hand("unshare -Ur sleep 60 & sleep 1; nsenter --target $! --user --preserve-credentials grep CapEff /proc/self/status; kill $!").prints("CapEff: …ffffffff"), ],
    claims: &[THREE_WAYS],
    run: |lab| lab.compare(THREE_WAYS, Namespaces::NONE, Namespaces::USER, enter_in_three_ways)?.shows(every().is("all")),
};

fn enter_in_three_ways(namespaces: Namespaces) -> Result<Vec<Fact>> {
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
            // setns() into the own user namespace fails with EINVAL.
            if namespaces.contains(Namespaces::USER) {
                file.enter(Some(Kind::User))?;
            }
            report("CapEff after setns()")(me)
        })?;
        enters.pass_on(me)
    })?;
    Ok(user.facts()?)
}
