//! Who sees this message queue?
//!
//! System V objects and POSIX message queues have names that belong to nobody: a key, an identifier, a path without a
//! file. An IPC namespace is where such a name counts. Watch for what is no name: memory that is attached, a descriptor
//! that is open. That is still there when the namespace has been left.
//!
//! Every arm runs in an IPC namespace of its own, so that it starts empty and leaves nothing to the next. What is shown by
//! hand is one session, in the shell of the first step.

mod held;
mod limits;
mod posix;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Observation, Step};
use ns_core::ipc::{self, SysV};
use ns_core::{Child, Namespaces, Outcome, Spawn, Value, Witness, namespace};

const BY_KEY: Claim = Claim::holds(
    "by-key",
    "A System V object is found by its key in the IPC namespace where it was made, and in no other.",
)
.cause("CLONE_NEWIPC")
.notes(&[60])
.more(&[46]);
const BY_ID: Claim = Claim::holds(
    "by-id",
    "An object's identifier, which stands for it without a key, is EINVAL in another IPC namespace.",
)
.cause("CLONE_NEWIPC")
.notes(&[60]);
const LISTED: Claim =
    Claim::holds("listed", "/proc/sysvipc lists the objects of the IPC namespace of whoever opens the file.")
        .cause("CLONE_NEWIPC")
        .notes(&[62, 65]);
const SAME_KEY: Claim = Claim::holds(
    "same-key",
    "Two IPC namespaces can use one key: each has a queue of its own, with messages of its own.",
)
.cause("CLONE_NEWIPC")
.more(&[46, 47]);
const FIRST_ID: Claim = Claim::holds(
    "first-id",
    "Identifiers are counted anew: the first queue of every IPC namespace has the identifier 0.",
)
.cause("CLONE_NEWIPC")
.notes(&[60]);
const UNSHARED: Claim =
    Claim::holds("unshared", "A process that moves itself by unshare() finds its own objects no more.")
        .cause("unshare(CLONE_NEWIPC)")
        .notes(&[60])
        .more(&[46]);

const IPC_NS: Experiment = Experiment {
    name: "ipc-ns",
    question: "Who sees this message queue?",
    notes: "IPC Namespace",
    man: &["ipc_namespaces(7)", "sysvipc(7)", "mq_overview(7)"],
    examples: &[
        ("ipc-ns", "run the experiment"),
        ("ipc-ns --sabotage", "without the namespace: no claim holds"),
        ("ipc-ns --format jsonl | jq .", "the same as data"),
        ("strace -f ipc-ns", "the system calls, facts on their pipes included"),
    ],
    // What the control makes and limits is in this IPC namespace, in the host's place. The mounts are those of mqueue,
    // the hostname is one that the control writes.
    stage: Namespaces::IPC.union(Namespaces::MNT).union(Namespaces::UTS),
    needs: &[],
    claims: &[
        BY_KEY,
        BY_ID,
        LISTED,
        SAME_KEY,
        FIRST_ID,
        UNSHARED,
        held::ONLY_INSIDE,
        held::ATTACHED,
        held::DESCRIPTOR,
        held::OPENED,
        held::UNDONE,
        held::KEPT,
        posix::BY_NAME,
        posix::SAME_NAME,
        posix::SHARED_MEMORY,
        posix::MOUNT,
        posix::OUTLIVES,
        posix::DEAD,
        limits::SYSV,
        limits::MQUEUE,
        limits::DEFAULTS,
        limits::FULL,
        limits::OPENED,
        limits::NOT_ALL,
    ],
    run,
};

/// The key of all objects here.
pub(crate) const KEY: i32 = 0x1ab;

fn main() -> std::process::ExitCode {
    lesson::main(&IPC_NS)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Make a queue, a semaphore and a shared memory segment. Look for them from a child in a new IPC namespace.",
        calls: &[
            "clone3(CLONE_NEWIPC)",
            "msgget(0x1ab, IPC_CREAT|IPC_EXCL)",
            "msgget(0x1ab, 0)",
            "msgctl(ID, IPC_STAT)",
        ],
        by_hand: &[
            "unshare --user --map-root-user --ipc --mount --uts bash  # the session's shell",
            "ipcmk --queue; ipcmk --semaphore 1; ipcmk --shmem 4096; ipcs",
            "unshare --ipc ipcs; unshare --ipc ipcs --queues --id 0; ipcs --queues --id 0",
        ],
    })?;
    let look = |namespaces: Namespaces, how: fn(SysV, i32) -> ns_core::Result<(String, Value)>| {
        in_its_own(move |me| {
            let ids = SysV::ALL.map(|what| what.make(KEY));
            other(me, namespaces, move |me| {
                for (what, id) in SysV::ALL.into_iter().zip(ids) {
                    let (asked, answer) = how(what, id?)?;
                    me.saw(asked, answer)?;
                }
                Ok(())
            })
        })
    };
    let by_key = |what: SysV, _| {
        let found = if what.find(KEY)?.is_some() { "found" } else { "ENOENT" };
        Ok((format!("{}get({KEY:#x}, 0)", what.prefix()), found.into()))
    };
    lab.claim(BY_KEY)
        .without(look(Namespaces::NONE, by_key)?)
        .with(look(Namespaces::IPC, by_key)?)
        .shows(|seen| all(seen, "ENOENT"))?;
    let by_id = |what: SysV, id| {
        Ok((format!("{}ctl(id, IPC_STAT)", what.prefix()), Outcome::of(what.stat(id))?.into()))
    };
    lab.claim(BY_ID)
        .without(look(Namespaces::NONE, by_id)?)
        .with(look(Namespaces::IPC, by_id)?)
        .shows(|seen| all(seen, "EINVAL"))?;
    let listed =
        |what: SysV, _| Ok((format!("objects in /proc/sysvipc/{}", what.prefix()), what.listed()?.into()));
    lab.claim(LISTED)
        .without(look(Namespaces::NONE, listed)?)
        .with(look(Namespaces::IPC, listed)?)
        .shows(|seen| seen.facts().iter().all(|fact| fact.value == 0))?;

    lab.step(Step {
        goal: "Send a message. Let a child in a new IPC namespace make a queue of the same key, send another, and receive.",
        calls: &["msgget(0x1ab, IPC_CREAT|IPC_EXCL)", "msgsnd(…, \"from the child\")", "msgrcv(…)"],
        by_hand: &["unshare --ipc sh -c 'ipcmk --queue; ipcs --queues'; ipcs --queues"],
    })?;
    lab.claim(SAME_KEY)
        .without(same_key(Namespaces::NONE)?)
        .with(same_key(Namespaces::IPC)?)
        .shows(|it| *it == "OK" && it.inside("msgrcv(…)").is_some_and(|it| *it == "from the child"))?;
    let next = |namespaces| {
        in_its_own(move |me| {
            ipc::make_queue(KEY)?;
            other(me, namespaces, |me| me.saw("msgget(0x1ac, IPC_CREAT|IPC_EXCL)", ipc::make_queue(KEY + 1)?))
        })
    };
    lab.claim(FIRST_ID).without(next(Namespaces::NONE)?).with(next(Namespaces::IPC)?).shows(|id| *id == 0)?;
    let move_away = |namespaces| {
        in_its_own(move |me| {
            ipc::make_queue(KEY)?;
            namespace::unshare(namespaces)?;
            me.saw("its queue is found afterwards", ipc::find_queue(KEY)?.is_some())
        })
    };
    lab.claim(UNSHARED)
        .without(move_away(Namespaces::NONE)?)
        .with(move_away(Namespaces::IPC)?)
        .shows(|found| *found == "no")?;

    held::run(lab)?;
    posix::run(lab)?;
    limits::run(lab)
}

fn same_key(namespaces: Namespaces) -> Result<Vec<ns_core::Fact>> {
    in_its_own(move |me| {
        ipc::send(ipc::make_queue(KEY)?, "from the parent")?;
        other(me, namespaces, |me| {
            me.saw(format!("msgget({KEY:#x}, IPC_CREAT|IPC_EXCL)"), Outcome::of(ipc::make_queue(KEY))?)?;
            if let Some(queue) = ipc::find_queue(KEY)? {
                ipc::send(queue, "from the child")?;
                me.saw("msgrcv(…)", ipc::receive(queue)?)?;
            }
            Ok(())
        })
    })
}

/// What a child tells that has an IPC namespace to itself, in both arms and under sabotage.
pub(crate) fn in_its_own(
    body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> Result<Vec<ns_core::Fact>> {
    Ok(Spawn::new("parent").namespaces_always(Namespaces::IPC).run(body)?.hear_all()?)
}

/// Tells all that a child of this one tells, which is born into new `namespaces`.
pub(crate) fn other(
    me: &mut Witness,
    namespaces: Namespaces,
    body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
) -> ns_core::Result<()> {
    let mut child = Child::spawn("child", namespaces, body)?;
    child.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
}

fn all(seen: &Observation, answer: &str) -> bool {
    seen.facts().iter().all(|fact| fact.value == *answer)
}
