//! Who sees this message queue?
//!
//! System V objects and POSIX message queues have names: a key, an identifier, or a path without a file. A name is valid
//! in one IPC namespace. Watch what needs no name: attached memory, and an open descriptor. Both still work after the
//! process has left the namespace.
//!
//! Every arm runs in its own IPC namespace, so that it starts empty and leaves nothing. It also has its own mount
//! namespace, so that its mounts end with it. The commands by hand are one session, in the shell of the first step.

mod held;
mod limits;
mod posix;
mod processes;
mod shell;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, every, first, hand, inside, right, wrong};
use ns_core::ipc::{self, SysV};
use ns_core::{Fact, Namespaces, Outcome, Value, namespace};

use processes::{KEY, in_a_child, in_its_own};

const IPC_NS: Experiment = Experiment {
    name: "ipc-ns",
    question: "Who sees this message queue?",
    setup: "A parent creates IPC objects, and its child looks for them.",
    arms: ["plain child", "CLONE_NEWIPC"],
    in_short: "keys, IDs and queue names belong to one IPC namespace. Memory that is already attached stays shared.",
    notes: "IPC Namespace",
    man: &["ipc_namespaces(7)", "sysvipc(7)", "mq_overview(7)"],
    examples: &[
        ("ipc-ns", "run the experiment"),
        ("ipc-ns --sabotage", "run the negative control: without the factors, no claim holds"),
        ("ipc-ns --format jsonl | jq .", "show the run as data"),
        ("strace -f ipc-ns", "show the calls, and the facts that children report by pipes"),
    ],
    // The control creates objects and sets limits in this IPC namespace, instead of the host's. The mounts are those of
    // mqueue. The control also sets the hostname.
    sandbox: Namespaces::IPC.union(Namespaces::MNT).union(Namespaces::UTS),
    requires: &[],
    steps: &[
        LOOK_FOR_OBJECTS,
        USE_ONE_KEY,
        held::ATTACH,
        held::OPEN,
        held::LOCK,
        held::ENTER_LATER,
        posix::OPEN_BY_NAME,
        posix::LOOK_FOR_SHARED_MEMORY,
        posix::MOUNT_MQUEUE,
        posix::END_THE_LAST_MEMBER,
        limits::WRITE_LIMITS,
        limits::READ_DEFAULTS,
        limits::READ_AN_OPEN_LIMIT,
        limits::SET_THE_HOSTNAME,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&IPC_NS)
}

const BY_KEY: Claim = Claim::holds(
    "by-key",
    "A System V object cannot be found by its key from a new IPC namespace: msgget() fails with ENOENT.",
)
.factor("CLONE_NEWIPC")
.notes(&[60])
.more(&[46])
.core(&[
    Row::inside("msgget(key)", "msgget(0x1ab, 0)"),
    Row::inside("shmget(key)", "shmget(0x1ab, 0)"),
])
.asks(
    "A process creates a queue with the key 0x1ab. Its child in a new IPC namespace calls msgget(0x1ab, 0). What happens?",
    &[
        right("ENOENT"),
        wrong("it gets the queue's ID", "a child inherits descriptors and attached memory"),
        wrong("EACCES", "isolation seems to deny access"),
        wrong("a new queue is created", "with IPC_CREAT, msgget() creates one"),
    ],
);
const BY_ID: Claim = Claim::holds(
    "by-id",
    "The identifier of a System V object is invalid in a new, empty IPC namespace: msgctl() fails with EINVAL.",
)
.factor("CLONE_NEWIPC")
.notes(&[60]);
const LISTED: Claim = Claim::holds(
    "listed",
    "/proc/sysvipc lists the objects of the IPC namespace of the process that opens the file.",
)
.factor("CLONE_NEWIPC")
.notes(&[62, 65])
.core(&[Row::inside("/proc/sysvipc/msg", "objects in /proc/sysvipc/msg")])
.asks(
    "In a new IPC namespace a child opens /proc/sysvipc/msg, in its parent's mount of /proc. What is listed?",
    &[
        right("no queue"),
        wrong("its parent's queue", "which processes /proc shows depends on the mount"),
        wrong(
            "its parent's queue, with an owner of 65534",
            "another user namespace shows an unmapped owner as 65534",
        ),
    ],
);

const LOOK_FOR_OBJECTS: Step = Step {
    title: "Create a queue, a semaphore and a shared memory segment. Look for them from a child in a new IPC namespace.",
    calls: &[
        "clone3(CLONE_NEWIPC)",
        "msgget(0x1ab, IPC_CREAT|IPC_EXCL)",
        "msgget(0x1ab, 0)",
        "msgctl(ID, IPC_STAT)",
    ],
    by_hand: &[hand("unshare --user --map-root-user --ipc --mount --uts bash  # the session's shell").prints(""), hand("ipcmk --queue; ipcmk --semaphore 1; ipcmk --shmem 4096; ipcs | grep -c 0x").prints("Message queue id: 0\nSemaphore id: 0\nShared memory id: 0\n3"), hand("unshare --ipc ipcs | grep -c 0x; unshare --ipc ipcs --queues --id 0; ipcs --queues --id 0 | grep Queue").prints("0\nipcs: id 0 not found\nMessage Queue msqid=0"), ],
    claims: &[BY_KEY, BY_ID, LISTED],
    run: |lab| {
        lab.compare(BY_KEY, Namespaces::NONE, Namespaces::IPC, |namespaces| look(namespaces, by_key))?
            .shows(every().is("ENOENT"))?;
        lab.compare(BY_ID, Namespaces::NONE, Namespaces::IPC, |namespaces| look(namespaces, by_id))?
            .shows(every().is("EINVAL"))?;
        lab.compare(LISTED, Namespaces::NONE, Namespaces::IPC, |namespaces| look(namespaces, in_proc))?
            .shows(every().is(0))
    },
};

const SAME_KEY: Claim = Claim::holds(
    "same-key",
    "Two IPC namespaces can use the same key: each has its own queue, with its own messages.",
)
.factor("CLONE_NEWIPC")
.more(&[46, 47]);
const FIRST_ID: Claim = Claim::holds(
    "first-id",
    "Identifiers start again at 0: the first queue of a new IPC namespace has the identifier 0.",
)
.factor("CLONE_NEWIPC")
.notes(&[60]);
const UNSHARED: Claim = Claim::holds(
    "unshared",
    "After unshare(CLONE_NEWIPC), a process no longer finds its own queue by its key.",
)
.factor("unshare(CLONE_NEWIPC)")
.arms("no unshare()", "unshare()")
.notes(&[60])
.more(&[46]);

const USE_ONE_KEY: Step = Step {
    title: "Send a message. In a child in a new IPC namespace, create a queue with the same key, send another, and receive.",
    calls: &["msgget(0x1ab, IPC_CREAT|IPC_EXCL)", "msgsnd(…, \"from the child\")", "msgrcv(…)"],
    by_hand: &[hand("unshare --ipc sh -c 'ipcmk --queue; ipcs --queues | grep 0x'; ipcs --queues | grep 0x")
        .prints("Message queue id: 0\n0x<key A> 0 root …\n0x<key B> 0 root …")
        .in_the_same_shell()],
    claims: &[SAME_KEY, FIRST_ID, UNSHARED],
    run: |lab| {
        lab.compare(SAME_KEY, Namespaces::NONE, Namespaces::IPC, same_key)?.shows(
            inside("msgget(0x1ab, IPC_CREAT|IPC_EXCL)").from("EEXIST").to("OK")
                & inside("msgrcv(…)").is("from the child"),
        )?;
        lab.compare(FIRST_ID, Namespaces::NONE, Namespaces::IPC, next_id)?.shows(first().is(0))?;
        lab.compare(UNSHARED, Namespaces::NONE, Namespaces::IPC, find_after_unshare)?.shows(first().is("no"))
    },
};

/// What a child in new `namespaces` finds of the three objects of its parent. `how` gets the kind and the identifier of
/// each.
fn look(namespaces: Namespaces, how: fn(SysV, i32) -> ns_core::Result<(String, Value)>) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let mut objects = Vec::new();
        for what in SysV::ALL {
            objects.push((what, what.make(KEY)?));
        }
        in_a_child(me, namespaces, move |me| {
            for (what, id) in objects {
                let (asked, answer) = how(what, id)?;
                me.report(asked, answer)?;
            }
            Ok(())
        })
    })
}

fn by_key(what: SysV, _: i32) -> ns_core::Result<(String, Value)> {
    let found = if what.find(KEY)?.is_some() { "found" } else { "ENOENT" };
    Ok((format!("{}get({KEY:#x}, 0)", what.prefix()), found.into()))
}

fn by_id(what: SysV, id: i32) -> ns_core::Result<(String, Value)> {
    Ok((format!("{}ctl(id, IPC_STAT)", what.prefix()), Outcome::of(what.stat(id))?.into()))
}

fn in_proc(what: SysV, _: i32) -> ns_core::Result<(String, Value)> {
    Ok((format!("objects in /proc/sysvipc/{}", what.prefix()), what.listed()?.into()))
}

fn same_key(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::send(ipc::make_queue(KEY)?, "from the parent")?;
        in_a_child(me, namespaces, |me| {
            me.report(format!("msgget({KEY:#x}, IPC_CREAT|IPC_EXCL)"), Outcome::of(ipc::make_queue(KEY))?)?;
            if let Some(queue) = ipc::find_queue(KEY)? {
                ipc::send(queue, "from the child")?;
                me.report("msgrcv(…)", ipc::receive(queue)?)?;
            }
            Ok(())
        })
    })
}

fn next_id(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::make_queue(KEY)?;
        in_a_child(me, namespaces, |me| {
            me.report("msgget(0x1ac, IPC_CREAT|IPC_EXCL)", ipc::make_queue(KEY + 1)?)
        })
    })
}

fn find_after_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::make_queue(KEY)?;
        namespace::unshare(namespaces)?;
        me.report("own queue is found", ipc::find_queue(KEY)?.is_some())
    })
}
