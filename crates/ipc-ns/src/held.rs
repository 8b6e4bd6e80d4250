//! What is held from before: memory, a descriptor, an open file, a semaphore's undo, and the namespace itself.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, right, wrong};
use ns_core::ipc::{self, MessageQueue, Segment, SysV};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, namespace};

use crate::processes::{KEY, in_its_own};

const NAME: &str = "/lab";
/// Whether memory is shared across the border.
const STILL_SHARED: &str = "it reads what was written after it left";

const ONLY_INSIDE: Claim = Claim::refuted(
    "only-inside",
    "Only processes inside an IPC namespace see its objects; to all others they are invisible.",
    "attached",
)
.factor("unshare(CLONE_NEWIPC)")
.notes(&[62])
.core(&[Row::inside("memory is shared", STILL_SHARED)])
.asks(
    "A process has attached a shared memory segment, and leaves by unshare(CLONE_NEWIPC). What does it read in it?",
    &[
        right("what the others write to it, as before"),
        wrong("a copy, as it was when it left", "fork() copies memory, and unshare() looks like a fork()"),
        wrong("nothing: SIGSEGV", "objects are said to be invisible to those outside, so it must be detached"),
    ],
);
const ATTACHED: Claim = Claim::holds(
    "attached",
    "A segment that was attached before stays so outside: memory shared across the namespaces' border.",
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
    "Having left an IPC namespace, a process calls shmat() with the ID of a segment there. What happens?",
    &[
        right("EINVAL"),
        wrong(
            "it is attached again",
            "what was attached before stays attached, so the ID seems to be good for it",
        ),
        wrong("EACCES", "what is isolated is thought to be there, and forbidden"),
    ],
);

pub(crate) const ATTACH: Step = Step {
    title: "Attach a segment in a child, which then leaves the namespace by unshare(). Write to it inside, read outside.",
    calls: &["shmat(ID)", "unshare(CLONE_NEWIPC)"],
    by_hand: &[],
    claims: &[ONLY_INSIDE, ATTACHED],
    run: |lab| {
        lab.compare(ONLY_INSIDE, Namespaces::NONE, Namespaces::IPC, |namespaces| {
            read_from_outside(true, namespaces)
        })?
        .shows(inside(STILL_SHARED).is("no"))?;
        lab.compare(ATTACHED, false, true, |before| read_from_outside(before, Namespaces::IPC))?
            .shows(inside(STILL_SHARED).is("yes") & inside("shmat(id), outside").is("EINVAL"))
    },
};

const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "A message queue that was opened before takes messages from outside, though its name is ENOENT there.",
)
.factor("mq_open() before unshare()")
.notes(&[62])
.more(&[50]);
const OPENED: Claim = Claim::holds(
    "opened",
    "/proc/sysvipc goes by who opened the file: opened before, it lists the namespace that was left.",
)
.factor("open() before unshare()")
.notes(&[65])
.more(&[50]);

pub(crate) const OPEN: Step = Step {
    title: "Do the same with the descriptor of a message queue, and with /proc/sysvipc/msg.",
    calls: &["mq_open(\"/lab\", O_RDWR)", "unshare(CLONE_NEWIPC)", "mq_send(fd, \"from outside\")"],
    by_hand: &[hand(
        "exec 8< /proc/sysvipc/msg; unshare --ipc sh -c 'wc -l < /proc/sysvipc/msg; wc -l <&8'; exec 8<&-",
    )
    .prints("1\n2")
    .in_the_same_shell()],
    claims: &[DESCRIPTOR, OPENED],
    run: |lab| {
        lab.compare(DESCRIPTOR, false, true, send_from_outside)?.shows(
            inside("mq_receive(…), inside").from("EAGAIN").to("from outside")
                & inside("mq_open(\"/lab\"), outside").is("ENOENT"),
        )?;
        lab.compare(OPENED, false, true, list_after_leaving)?
            .shows(inside("queues listed in the open file").is(1) & inside("when opened anew").is(0))
    },
};

const UNDONE: Claim = Claim::holds(
    "undone",
    "Leaving an IPC namespace gives back what was taken with SEM_UNDO: the lock is open, its holder lives.",
)
.factor("unshare(CLONE_NEWIPC)")
.notes(&[60]);

pub(crate) const LOCK: Step = Step {
    title: "Lock a semaphore with SEM_UNDO, leave the namespace, and live on. Is it locked?",
    calls: &["semop(ID, {0, -1, SEM_UNDO})", "unshare(CLONE_NEWIPC)", "semctl(ID, 0, GETVAL)"],
    by_hand: &[],
    claims: &[UNDONE],
    run: |lab| {
        lab.compare(UNDONE, Namespaces::NONE, Namespaces::IPC, lock_and_leave)?
            .shows(inside("semctl(id, 0, GETVAL), inside").is(1) & inside("its holder lives").is("yes"))
    },
};

const KEPT: Claim = Claim::holds(
    "kept",
    "An open /proc/PID/ns/ipc keeps a namespace without members, with its objects, for whoever enters by it.",
)
.factor("an open ns file")
.more(&[22]);

pub(crate) const ENTER_LATER: Step = Step {
    title: "Open the namespace of a process before it ends, or look for it afterwards. Enter, and find the queue.",
    calls: &["open(\"/proc/PID/ns/ipc\")", "setns(fd, CLONE_NEWIPC)", "msgget(0x1ab, 0)"],
    by_hand: &[
        hand("unshare --ipc sh -c 'ipcmk --queue; sleep 2' & sleep 1; exec 9< /proc/$!/ns/ipc; wait")
            .prints("Message queue id: 0")
            .in_the_same_shell(),
        hand("nsenter --ipc=/proc/self/fd/9 ipcs --queues | grep -c 0x; exec 9<&-").prints("1"),
    ],
    claims: &[KEPT],
    run: |lab| {
        lab.compare(KEPT, false, true, enter_afterwards)?.shows(
            inside("open() and setns()").from("ENOENT").to("OK")
                & inside("its queue is found then").is("yes"),
        )
    },
};

/// A child reads a segment that it attached `before` it moved into new namespaces, or tries to attach afterwards.
fn read_from_outside(before: bool, namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let id = SysV::Segment.make(KEY)?;
        let ours = Segment::attach(id)?;
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
        ours.write(42);
        child.wake()?;
        child.pass_on(me)
    })
}

/// A child sends by a descriptor from before it moved, or tries to open the queue afterwards.
fn send_from_outside(before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let ours = MessageQueue::make(NAME)?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            let early = if before { Some(MessageQueue::open(NAME)?) } else { None };
            namespace::unshare(Namespaces::IPC)?;
            if let Some(queue) = early {
                queue.send("from outside")?;
            }
            me.report("mq_open(\"/lab\"), outside", Outcome::of(MessageQueue::open(NAME))?)
        })?;
        let reported = child.facts()?;
        let received = match ours.receive() {
            Ok(text) => Value::from(text),
            refused => Outcome::of(refused)?.into(),
        };
        me.report("mq_receive(…), inside", received)?;
        reported.into_iter().try_for_each(|fact| me.send(fact))
    })
}

/// Counts the queues in the list of /proc/sysvipc/msg that is opened before its namespace is left, or after.
fn list_after_leaving(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::make_queue(KEY)?;
        let open = || File::open("/proc/sysvipc/msg").named(|| "open(\"/proc/sysvipc/msg\")".into());
        let early = open()?;
        namespace::unshare(Namespaces::IPC)?;
        let late = open()?;
        me.report("queues listed in the open file", queues_in(if opens_before { early } else { late }))?;
        me.report("when opened anew", queues_in(open()?))
    })
}

fn lock_and_leave(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let set = SysV::Semaphore.make(KEY)?;
        ipc::add_to_semaphore(set, 1, false)?;
        let mut holder = Child::spawn("holder", Namespaces::NONE, move |me| {
            ipc::add_to_semaphore(set, -1, true)?;
            namespace::unshare(namespaces)?;
            me.report("its holder lives", true)?;
            me.stay()
        })?;
        let lives = holder.fact()?;
        me.report("semctl(id, 0, GETVAL), inside", ipc::semaphore_value(set)?)?;
        me.send(lives)
    })
}

fn enter_afterwards(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let mut only_member = Child::spawn("member", Namespaces::IPC, |me| {
            ipc::make_queue(KEY)?;
            me.report("made", true)?;
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
        me.report("its queue is found then", found)
    })
}

fn queues_in(list: File) -> usize {
    BufReader::new(list).lines().count().saturating_sub(1)
}
