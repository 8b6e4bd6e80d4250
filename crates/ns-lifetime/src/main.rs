//! When does a namespace die?
//!
//! When its last member ends or leaves, unless something else refers to it. A namespace without a process and a name
//! cannot be looked up, so the kernel counts: a user namespace has a limit of namespaces for each kind. Watch what the
//! kernel answers to one more: ENOSPC while the earlier ones exist, OK when one of them is gone.
//!
//! One namespace at the end exists although nothing in /proc leads to it: TCP still resends a packet in it.

mod handle;
mod immortal;
mod inode_reuse;
mod limit;
mod limited;
mod listed;
mod member;
mod scratch;
mod shell;
mod unlisted;

use anyhow::{Result, ensure};
use lesson::{Claim, Experiment, Picture, Requirement, Row, Step, first, hand, outside, right, wrong};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::waitpid;
use ns_core::{
    Child, Errno, Error, Fact, Kind, Named, Namespaces, NsFile, Outcome, Pid, Reporter, namespace, probe,
    process,
};

use limited::{NAMESPACE, Trial, clean_up_after, gone, one_more, one_more_of_each};
use member::{end, member as in_a_new};

const NS_LIFETIME: Experiment = Experiment {
    name: "ns-lifetime",
    question: "When does a namespace die?",
    setup: "The limit is one namespace: a second can be created once the first is gone.",
    arms: ["no reference", "reference"],
    in_short: "a namespace ends with its last member, unless something refers to it: a file, a mount, a child, a socket.",
    notes: "Linux namespaces",
    man: &["namespaces(7)", "user_namespaces(7)", "ioctl_ns(2)", "tcp(7)"],
    examples: &[
        ("ns-lifetime", "run the experiment"),
        ("ns-lifetime --sabotage", "without the factors: no claim holds"),
        ("ns-lifetime --format jsonl | jq .", "the events as JSON lines"),
        ("strace -f ns-lifetime", "the system calls, and the writes that report facts"),
    ],
    // NET for one end of a veth pair, UTS for the hostnames, MNT so that no mount reaches the host.
    sandbox: Namespaces::UTS.union(Namespaces::NET).union(Namespaces::MNT),
    requires: &[],
    steps: &[
        END,
        LEAVE,
        listed::HOLD_OPEN,
        listed::NEST,
        listed::UNSHARE,
        listed::MOUNT,
        unlisted::TAKE_OUT,
        unlisted::MOUNT_SYSFS,
        immortal::CLOSE_UNACKNOWLEDGED,
        inode_reuse::MAKE_IN_A_ROW,
        handle::OPEN_AGAIN,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&NS_LIFETIME)
}

const LAST_ENDS: Claim = Claim::holds(
    "last-ends",
    "A namespace of any kind is gone after its last member ends, if nothing else refers to it.",
)
.factor("exit(0)")
.notes(&[19])
.arms("member runs", "ended")
.core(&[Row::outside("kinds that are gone", GONE)])
.asks(
    "The only process of a namespace ends, and nothing else refers to the namespace. What happens to it?",
    &[
        right("the kernel removes it"),
        wrong(
            "it stays until somebody deletes it",
            "`ip netns delete` is needed after `ip netns add`, which keeps its namespace by a mount",
        ),
        wrong("it stays, empty, until the next boot", "a namespace is thought to have a name, like a file"),
        wrong("its creator becomes its member", "orphaned processes are adopted, so namespaces might be too"),
    ],
);

const END: Step = Step {
    title: "With a limit of one namespace, create one, and try to create another: while its only member runs, and \
            after it has ended. Repeat for each of the eight kinds.",
    calls: &["write(\"/proc/sys/user/max_uts_namespaces\", \"1\")", "clone3(CLONE_NEWUTS)", "exit(0)"],
    by_hand: &[
        hand("unshare --user --map-root-user  # a shell of your own").prints(""),
        hand("echo 1 > /proc/sys/user/max_uts_namespaces").prints(""),
        hand("unshare --uts sleep 60 & sleep 1; unshare --uts true").prints("ENOSPC"),
        hand("kill $!; wait; unshare --uts true && echo room").prints("room"),
    ],
    claims: &[LAST_ENDS],
    run: |lab| {
        let kinds = kinds_of_this_kernel();
        let trials = lab.arms(Member::Runs, Member::IsGone, |member| of_each(&kinds, member))?;
        clean_up_after([trials.control(), trials.treatment()])?;
        let answers = trials.try_map(|trial| answers(&kinds, trial))?;
        let rows = answers.control().iter().zip(answers.treatment());
        lab.picture(
            Picture::Heat(1),
            "Creating one more",
            &["kind", "while the member runs", "after it has ended"],
            rows.map(|((kind, running), (_, ended))| {
                vec![kind.link().into(), running.value.clone(), ended.value.clone()]
            })
            .collect(),
        )?;
        let with_room = answers.try_map(|answers| {
            let gone = answers.iter().filter(|(_, answer)| answer.value == "OK").count();
            let gone = Fact::outside(GONE, format!("{gone} of {}", answers.len()));
            Ok([kinds_with_room(answers)?, gone])
        })?;
        lab.judge(LAST_ENDS, with_room).shows(first().is(in_words(&kinds)))
    },
};

const LAST_LEAVES: Claim = Claim::holds(
    "last-leaves",
    "A UTS namespace is gone after its last member enters another by setns(), if nothing else refers to it.",
)
.factor("setns()")
.notes(&[19])
.arms("member stays", "left")
.core(&[Row::outside("UTS, left by setns()", NAMESPACE)])
.asks(
    "The only member of a UTS namespace enters another one by setns(), and runs on. What happens to the first?",
    &[
        right("it is gone, as if the process had ended"),
        wrong(
            "it exists until the process ends",
            "a process is thought to own the namespace that it was created in",
        ),
        wrong(
            "it exists, so that the process can go back",
            "`cd -` goes back; setns() needs a descriptor for that",
        ),
    ],
);
const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "A zombie keeps no namespaces but its PID and user namespaces; the others are gone before waitpid().",
)
.factor("exit(0)")
.notes(&[19]);
const ZOMBIE_KEEPS: Claim = Claim::holds(
    "zombie-keeps",
    "A zombie keeps its PID and user namespaces, and their links in /proc/PID/ns, until its parent waits for it.",
)
.factor("a parent that does not wait")
.notes(&[19])
.requires(&[Requirement::Namespace(Kind::Pid), Requirement::Namespace(Kind::User)]);

const LEAVE: Step = Step {
    title: "Move the last member to another namespace by setns(). Then end a last member, and do not wait for it.",
    calls: &["setns()", "exit(0)", "readlink(\"/proc/PID/ns/…\")", "waitpid(PID)", "clone3(CLONE_NEW…)"],
    by_hand: &[hand("unshare --user --map-root-user  # a shell of your own, for this step").prints(""), hand("echo 1 > /proc/sys/user/max_user_namespaces; sh -c 'unshare --user true & exec sleep 4' & sleep 1").prints(""), hand("ps -o stat=,comm= --ppid $!; unshare --user true").prints("Z true…\nENOSPC"), hand("wait; sleep 1; unshare --user true && echo room").prints("room"), ],
    claims: &[LAST_LEAVES, ZOMBIE, ZOMBIE_KEEPS],
    run: |lab| {
        let kinds = kinds_of_this_kernel();
        let left: Vec<Kind> = kinds.iter().copied().filter(|kind| !KEPT_BY_A_ZOMBIE.contains(kind)).collect();
        let leaves = lab.begin(LAST_LEAVES, false, true, leave);
        let zombie = lab.begin(ZOMBIE, Member::Runs, Member::IsAZombie, |member| of_each(&kinds, member));
        let keeps = lab.begin(ZOMBIE_KEEPS, Member::IsGone, Member::IsAZombie, |member| {
            Ok((of_each(&KEPT_BY_A_ZOMBIE, member)?, member))
        });
        let of_a_zombie = zombie.so_far().chain(keeps.so_far().map(|(trial, _)| trial));
        clean_up_after(leaves.so_far().chain(of_a_zombie))?;
        lab.end(leaves, Trial::ask)?.shows(gone(Kind::Uts))?;
        lab.end(zombie, |trial| kinds_with_room(answers(&kinds, trial)?))?.shows(first().is(in_words(&left)))?;
        lab.end(keeps, |(trial, member)| {
            let mut facts = vec![kinds_with_room(answers(&KEPT_BY_A_ZOMBIE, trial)?)?];
            facts.extend(links_of_a_zombie(member == Member::IsGone)?);
            Ok(facts)
        })?
        .shows(
            outside(WITH_ROOM).is("none")
                & outside("state of the process").is("Z")
                & outside("its links that can be read").is(in_words(&KEPT_BY_A_ZOMBIE)),
        )
    },
};

/// The kinds that a process is in until its parent has waited for it: a zombie still has PIDs and credentials.
const KEPT_BY_A_ZOMBIE: [Kind; 2] = [Kind::Pid, Kind::User];

/// The state of the only member of a namespace.
#[derive(Clone, Copy, PartialEq)]
enum Member {
    Runs,
    /// It has ended, and its parent has not waited for it.
    IsAZombie,
    /// It has ended, and was waited for.
    IsGone,
}

fn kinds_of_this_kernel() -> Vec<Kind> {
    Kind::ALL.into_iter().filter(|kind| probe::kind(*kind).is_none()).collect()
}

fn in_words(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "none".into();
    }
    kinds.iter().map(|kind| kind.link()).collect::<Vec<_>>().join(" ")
}

/// Creates a namespace of each of these kinds, whose only member is as `member` says.
fn of_each(kinds: &[Kind], member: Member) -> Result<Trial> {
    let live = |_: &mut Reporter| {
        kinds.iter().map(|kind| in_a_new(*kind, |_| Ok(()))).collect::<ns_core::Result<Vec<_>>>()
    };
    match member {
        Member::Runs => one_more_of_each(kinds, 1, live),
        Member::IsAZombie => one_more_of_each(kinds, 1, |_| {
            kinds.iter().map(|kind| zombie(*kind)).collect::<ns_core::Result<Vec<_>>>()
        }),
        // This also closes their pidfds, which would keep a PID namespace.
        Member::IsGone => one_more_of_each(kinds, 1, |me| live(me)?.iter_mut().try_for_each(end)),
    }
}

/// The outcomes of creating one more namespace of each of these kinds.
fn answers(kinds: &[Kind], trial: Trial) -> Result<Vec<(Kind, Fact)>> {
    let facts = trial.ask()?;
    ensure!(facts.len() == kinds.len(), "an answer for each kind");
    Ok(kinds.iter().copied().zip(facts).collect())
}

const WITH_ROOM: &str = "kinds with room for one more";
const GONE: &str = "kinds that are gone";

/// The kinds of which the kernel created one more. For the others it returned ENOSPC. Any other errno is an error.
fn kinds_with_room(answers: Vec<(Kind, Fact)>) -> Result<Fact> {
    let mut kinds = Vec::new();
    for (kind, Fact { what, value, .. }) in answers {
        match value.as_outcome() {
            Some(Outcome::Done) => kinds.push(kind),
            Some(Outcome::Failed(errno)) if errno != Errno::ENOSPC => {
                return Err(Error::Call { call: what, errno }.into());
            }
            _ => {}
        }
    }
    Ok(Fact::outside(WITH_ROOM, in_words(&kinds)))
}

fn leave(leaves: bool) -> Result<Trial> {
    one_more(Kind::Uts, 2, move |_| {
        let other_member = in_a_new(Kind::Uts, |_| Ok(()))?;
        let other = NsFile::of(Some(other_member.pid()), Kind::Uts)?;
        let member = in_a_new(Kind::Uts, |_| if leaves { other.enter(Some(Kind::Uts)) } else { Ok(()) })?;
        Ok((other_member, member))
    })
}

/// The only member of a new namespace of `kind`, as a zombie child of the caller. The caller never had its pidfd, since
/// that alone would keep its PID namespace. The creator of the member had one, and has ended.
fn zombie(kind: Kind) -> ns_core::Result<Pid> {
    set_child_subreaper(true).named(|| "prctl(PR_SET_CHILD_SUBREAPER)".into())?;
    let mut creator = Child::spawn("creator of a member", Namespaces::NONE, move |me| {
        let member = in_a_new(kind, |_| Ok(()))?;
        me.report("PID", member.pid())?;
        member.abandon();
        me.stay()
    })?;
    let pid = creator.fact()?.value.as_i64().and_then(|pid| i32::try_from(pid).ok());
    let pid = Pid::from_raw(pid.unwrap_or(i32::MAX));
    end(&mut creator)?;
    process::wait_for_state(pid, &['Z'])?;
    Ok(pid)
}

/// The state of a zombie and those of its links that can be read. If `waits`, after waitpid().
fn links_of_a_zombie(waits: bool) -> Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        let pid = zombie(Kind::Uts)?;
        if waits {
            waitpid(pid, None).named(|| "waitpid(PID)".into())?;
        }
        let state = process::state(pid).map_or("gone".into(), String::from);
        let links = namespace::of(Some(pid)).unwrap_or_default();
        me.send(Fact::outside("state of the process", state))?;
        let kinds: Vec<Kind> = links.into_iter().map(|id| id.kind).collect();
        me.send(Fact::outside("its links that can be read", in_words(&kinds)))
    })?;
    Ok(parent.facts()?)
}
