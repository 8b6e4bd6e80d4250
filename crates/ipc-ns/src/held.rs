//! What stays after a process has left: memory, a descriptor, an open file, a semaphore's undo, and the namespace.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, right, wrong};
use ns_core::ipc::{self, MessageQueue, Segment, SysV};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, namespace};

use crate::processes::{KEY, in_its_own};

const NAME: &str = "/lab";
/// Whether memory is shared between two namespaces.
const STILL_SHARED: &str = "reads what is written later";

const ONLY_INSIDE: Claim = Claim::refuted(
    "only-inside",
    "The objects of an IPC namespace are visible only to processes inside it.",
    "attached",
)
.factor("unshare(CLONE_NEWIPC)")
.notes(&[62])
.core(&[Row::inside("memory is shared", STILL_SHARED)])
.asks(
    "A process attaches a shared memory segment, and then calls unshare(CLONE_NEWIPC). What does it read in the segment?",
    &[
        right("what the others write to it, as before"),
        wrong("a copy from the time of unshare()", "fork() copies memory, and unshare() looks similar"),
        wrong("nothing: SIGSEGV", "objects seem to be invisible outside, so the segment seems to be detached"),
    ],
);
const ATTACHED: Claim = Claim::holds(
    "attached",
    "A segment that is attached before unshare() stays attached: the two namespaces share its memory.",
)
.factor("shmat() before unshare()")
.notes(&[62])
.more(&[50])
.arms("late shmat()", "early shmat()")
.core(&[
    Row::inside("memory is shared", STILL_SHARED),
    Row::inside("shmat(ID) outside", "shmat(id), outside"),
])
.asks(
    "A process has left an IPC namespace, and calls shmat() with the ID of a segment in it. What happens?",
    &[
        right("EINVAL"),
        wrong("it is attached again", "an attached segment stays attached, so the ID seems to be valid"),
        wrong("EACCES", "isolation seems to deny access"),
    ],
);

pub(crate) const ATTACH: Step = Step {
    title: "Attach a segment in a child, which then calls unshare(CLONE_NEWIPC). Write to it inside, and read it outside.",
    calls: &["shmat(ID)", "unshare(CLONE_NEWIPC)"],
    by_hand: &[],
    claims: &[ONLY_INSIDE, ATTACHED],
    run: |lab| {
        lab.compare(ONLY_INSIDE, Namespaces::NONE, Namespaces::IPC, |namespaces| {
            read_from_outside(true, namespaces)
        })?
        .shows(inside(STILL_SHARED).is("no"))?;
        lab.compare(ATTACHED, false, true, |before| read_from_outside(before, Namespaces::IPC))?
            .in_both_arms(inside("shmat(id), outside").is("EINVAL"))
            .shows(inside(STILL_SHARED).is("yes"))
    },
};

const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "A message queue that is opened before unshare() accepts messages from outside, where its name gives ENOENT.",
)
.factor("mq_open() before unshare()")
.arms("no mq_open()", "early mq_open()")
.notes(&[62])
.more(&[50]);
const OPENED: Claim = Claim::holds(
    "opened",
    "An open /proc/sysvipc/msg lists the IPC namespace in which it was opened, even after unshare().",
)
.factor("open() before unshare()")
.arms("late open()", "early open()")
.notes(&[65])
.more(&[50]);

pub(crate) const OPEN: Step = Step {
    title: "Open a message queue and /proc/sysvipc/msg before unshare(CLONE_NEWIPC), and use both afterwards.",
    calls: &["mq_open(\"/lab\", O_RDWR)", "unshare(CLONE_NEWIPC)", "mq_send(fd, \"from outside\")"],
    by_hand: &[hand(
        "exec 8< /proc/sysvipc/msg; unshare --ipc sh -c 'wc -l < /proc/sysvipc/msg; wc -l <&8'; exec 8<&-",
    )
    .prints("1\n2")
    .in_the_same_shell()],
    claims: &[DESCRIPTOR, OPENED],
    run: |lab| {
        lab.compare(DESCRIPTOR, false, true, send_from_outside)?
            .in_both_arms(inside("mq_open(\"/lab\"), outside").is("ENOENT"))
            .shows(inside("mq_receive(…), inside").from("EAGAIN").to("from outside"))?;
        lab.compare(OPENED, false, true, list_after_leaving)?
            .in_both_arms(inside("queues, opened again").is(0))
            .shows(inside("queues in the open file").is(1))
    },
};

const UNDONE: Claim = Claim::holds(
    "undone",
    "unshare(CLONE_NEWIPC) undoes a semop() with SEM_UNDO: the semaphore is unlocked, although its holder runs.",
)
.factor("unshare(CLONE_NEWIPC)")
.arms("no unshare()", "unshare()")
.notes(&[60]);

pub(crate) const LOCK: Step = Step {
    title: "Lock a semaphore with SEM_UNDO, and leave the namespace. Read its value while the holder runs.",
    calls: &["semop(ID, {0, -1, SEM_UNDO})", "unshare(CLONE_NEWIPC)", "semctl(ID, 0, GETVAL)"],
    by_hand: &[],
    claims: &[UNDONE],
    run: |lab| {
        lab.compare(UNDONE, Namespaces::NONE, Namespaces::IPC, lock_and_leave)?
            .in_both_arms(inside("holder runs").is("yes"))
            .shows(inside("semctl(id, 0, GETVAL), inside").is(1))
    },
};

const KEPT: Claim = Claim::holds(
    "kept",
    "An open /proc/PID/ns/ipc keeps a namespace without members: setns() enters it, and its queue is there.",
)
.factor("an open ns file")
.arms("late open()", "early open()")
.more(&[22]);

pub(crate) const ENTER_LATER: Step = Step {
    title: "Open the namespace of a process before or after the process ends. Enter it, and look for the queue.",
    calls: &["open(\"/proc/PID/ns/ipc\")", "setns(fd, CLONE_NEWIPC)", "msgget(0x1ab, 0)"],
    by_hand: &[
        hand("unshare --ipc sh -c 'ipcmk --queue; sleep 2' & sleep 1; exec 9< /proc/$!/ns/ipc; wait")
            .prints("Message queue id: 0")
            .in_the_same_shell(),
        hand("nsenter --ipc=/proc/self/fd/9 ipcs --queues | grep -c 0x; exec 9<&-").prints("1"),
    ],
    claims: &[KEPT],
    run: |lab| {
        lab.compare(KEPT, false, true, enter_afterwards)?
            .shows(inside("open() and setns()").from("ENOENT").to("OK") & inside("queue is found").is("yes"))
    },
};

/// A child reads a segment. It attaches the segment `before` it moves into new namespaces, or afterwards.
fn read_from_outside(before: bool, namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let id = SysV::Segment.make(KEY)?;
        let own = Segment::attach(id)?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            let early = if before { Some(Segment::attach(id)?) } else { None };
            namespace::unshare(namespaces)?;
            me.report("moved", true)?;
            me.checkpoint()?;
            let late = Segment::attach(id);
            let segment = early.as_ref().or(late.as_ref().ok());
            me.report(STILL_SHARED, segment.is_some_and(|it| it.read() == 42))?;
            me.report("shmat(id), outside", Outcome::of(late)?)
        })?;
        child.fact()?;
        own.write(42);
        child.wake()?;
        child.pass_on(me)
    })
}

/// A child sends by a descriptor that it opened `before` it moved. It tries to open the queue afterwards.
fn send_from_outside(before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let queue = MessageQueue::make(NAME)?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            let early = if before { Some(MessageQueue::open(NAME)?) } else { None };
            namespace::unshare(Namespaces::IPC)?;
            if let Some(queue) = early {
                queue.send("from outside")?;
            }
            me.report("mq_open(\"/lab\"), outside", Outcome::of(MessageQueue::open(NAME))?)
        })?;
        let reported = child.facts()?;
        let received = match queue.receive() {
            Ok(text) => Value::from(text),
            refused => Outcome::of(refused)?.into(),
        };
        me.report("mq_receive(…), inside", received)?;
        reported.into_iter().try_for_each(|fact| me.send(fact))
    })
}

/// Counts the queues in a /proc/sysvipc/msg that is opened before or after the process leaves its namespace.
fn list_after_leaving(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::make_queue(KEY)?;
        let open = || File::open("/proc/sysvipc/msg").named(|| "open(\"/proc/sysvipc/msg\")".into());
        let early = open()?;
        namespace::unshare(Namespaces::IPC)?;
        let late = open()?;
        me.report("queues in the open file", queues_in(if opens_before { early } else { late }))?;
        me.report("queues, opened again", queues_in(open()?))
    })
}

fn lock_and_leave(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let set = SysV::Semaphore.make(KEY)?;
        ipc::add_to_semaphore(set, 1, false)?;
        let mut holder = Child::spawn("holder", Namespaces::NONE, move |me| {
            ipc::add_to_semaphore(set, -1, true)?;
            namespace::unshare(namespaces)?;
            me.report("holder runs", true)?;
            me.stay()
        })?;
        let runs = holder.fact()?;
        me.report("semctl(id, 0, GETVAL), inside", ipc::semaphore_value(set)?)?;
        me.send(runs)
    })
}

fn enter_afterwards(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let mut only_member = Child::spawn("member", Namespaces::IPC, |me| {
            ipc::make_queue(KEY)?;
            me.report("created", true)?;
            me.stay()
        })?;
        only_member.fact()?;
        let open = |pid| NsFile::of(Some(pid), Kind::Ipc);
        let early = if opens_before { Some(open(only_member.pid())?) } else { None };
        only_member.wake()?;
        only_member.wait()?;
        let file = match early {
            Some(file) => Ok(file),
            None => open(only_member.pid()),
        };
        let entered = Outcome::of(file.and_then(|file| file.enter(Some(Kind::Ipc))))?;
        me.report("open() and setns()", entered)?;
        let found = entered == Outcome::Done && ipc::find_queue(KEY)?.is_some();
        me.report("queue is found", found)
    })
}

fn queues_in(list: File) -> usize {
    BufReader::new(list).lines().count().saturating_sub(1)
}
