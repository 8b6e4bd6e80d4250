//! What is held from before: memory, a descriptor, an open file, a semaphore's undo, and the namespace itself.

use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::ipc::{self, MessageQueue, Segment, SysV};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Witness, namespace};

use crate::{KEY, in_its_own};

pub(crate) const ONLY_INSIDE: Claim = Claim::refuted(
    "only-inside",
    "Only processes inside an IPC namespace see its objects; to all others they are invisible.",
    "attached",
)
.cause("unshare(CLONE_NEWIPC)")
.notes(&[62]);
pub(crate) const ATTACHED: Claim = Claim::holds(
    "attached",
    "A segment that was attached before stays so outside: memory shared across the namespaces' border.",
)
.cause("shmat() before unshare()")
.notes(&[62])
.more(&[50]);
pub(crate) const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "A message queue that was opened before takes messages from outside, though its name is ENOENT there.",
)
.cause("mq_open() before unshare()")
.notes(&[62])
.more(&[50]);
pub(crate) const OPENED: Claim = Claim::holds(
    "opened",
    "/proc/sysvipc goes by who opened the file: opened before, it lists the namespace that was left.",
)
.cause("open() before unshare()")
.notes(&[65])
.more(&[50]);
pub(crate) const UNDONE: Claim = Claim::holds(
    "undone",
    "Leaving gives back what was taken with SEM_UNDO, as dying does: the lock is open, its holder lives.",
)
.cause("unshare(CLONE_NEWIPC)")
.notes(&[60]);
pub(crate) const KEPT: Claim = Claim::holds(
    "kept",
    "An open /proc/PID/ns/ipc keeps a namespace without members, with its objects, for whoever enters by it.",
)
.cause("an open ns file")
.more(&[22]);

const NAME: &str = "/lab";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Attach a segment in a child, which then leaves the namespace by unshare(). Write to it inside, read outside.",
        calls: &["shmat(ID)", "unshare(CLONE_NEWIPC)"],
        by_hand: &[],
    })?;
    let stays = read_from_outside(true, Namespaces::NONE)?;
    let leaves = read_from_outside(true, Namespaces::IPC)?;
    lab.claim(ONLY_INSIDE)
        .without(stays)
        .with(leaves.clone())
        .shows(|it| it.inside("it reads what was written after it left").is_some_and(|it| *it != "yes"))?;
    lab.claim(ATTACHED)
        .without(read_from_outside(false, Namespaces::IPC)?)
        .with(if cause(true, false) { leaves } else { read_from_outside(false, Namespaces::IPC)? })
        .shows(|it| *it == "yes" && it.inside("shmat(id), outside").is_some_and(|it| *it == "EINVAL"))?;

    lab.step(Step {
        goal: "Do the same with the descriptor of a message queue, and with /proc/sysvipc/msg.",
        calls: &["mq_open(\"/lab\", O_RDWR)", "unshare(CLONE_NEWIPC)", "mq_send(fd, \"from outside\")"],
        by_hand: &[
            "exec 8< /proc/sysvipc/msg; unshare --ipc sh -c 'wc -l < /proc/sysvipc/msg; wc -l <&8'; exec 8<&-",
        ],
    })?;
    lab.claim(DESCRIPTOR)
        .without(send_from_outside(false)?)
        .with(send_from_outside(cause(true, false))?)
        .shows(|it| {
            *it == "from outside" && it.inside("mq_open(\"/lab\"), outside").is_some_and(|it| *it == "ENOENT")
        })?;
    let list = |before: bool| {
        in_its_own(move |me| {
            ipc::make_queue(KEY)?;
            let open = || File::open("/proc/sysvipc/msg").named(|| "open(\"/proc/sysvipc/msg\")".into());
            let early = open()?;
            namespace::unshare(Namespaces::IPC)?;
            let late = open()?;
            me.saw("queues listed in the open file", queues_in(if before { early } else { late }))?;
            me.saw("when opened anew", queues_in(open()?))
        })
    };
    lab.claim(OPENED)
        .without(list(false)?)
        .with(list(cause(true, false))?)
        .shows(|it| *it == 1 && it.inside("when opened anew").is_some_and(|it| *it == 0))?;

    lab.step(Step {
        goal: "Lock a semaphore with SEM_UNDO, leave the namespace, and live on. Is it locked?",
        calls: &["semop(ID, {0, -1, SEM_UNDO})", "unshare(CLONE_NEWIPC)", "semctl(ID, 0, GETVAL)"],
        by_hand: &[],
    })?;
    lab.claim(UNDONE)
        .without(lock_and_leave(Namespaces::NONE)?)
        .with(lock_and_leave(Namespaces::IPC)?)
        .shows(|value| *value == 1)?;

    lab.step(Step {
        goal: "Open the namespace of a process before it ends, or look for it afterwards. Enter, and find the queue.",
        calls: &["open(\"/proc/PID/ns/ipc\")", "setns(fd, CLONE_NEWIPC)", "msgget(0x1ab, 0)"],
        by_hand: &[
            "unshare --ipc sh -c 'ipcmk --queue; sleep 2' & sleep 1; exec 9< /proc/$!/ns/ipc; wait",
            "nsenter --ipc=/proc/self/fd/9 ipcs --queues; exec 9<&-",
        ],
    })?;
    lab.claim(KEPT)
        .without(enter_afterwards(false)?)
        .with(enter_afterwards(cause(true, false))?)
        .shows(|it| it.inside("its queue is found then").is_some_and(|it| *it == "yes"))?;
    Ok(())
}

/// A child reads a segment that it attached `before` it moved into new namespaces, or tries to attach afterwards.
fn read_from_outside(before: bool, namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let id = SysV::Segment.make(KEY)?;
        let ours = Segment::attach(id)?;
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            let early = if before { Some(Segment::attach(id)?) } else { None };
            namespace::unshare(namespaces)?;
            me.saw("moved", true)?;
            me.pause()?;
            let late = Segment::attach(id);
            let segment = early.as_ref().or(late.as_ref().ok());
            me.saw("it reads what was written after it left", segment.is_some_and(|it| it.read() == 42))?;
            me.saw("shmat(id), outside", Outcome::of(late)?)
        })?;
        child.hear()?;
        ours.write(42);
        child.release()?;
        child.hear_all()?.into_iter().try_for_each(|fact| me.tell(fact))
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
            me.saw("mq_open(\"/lab\"), outside", Outcome::of(MessageQueue::open(NAME))?)
        })?;
        let told = child.hear_all()?;
        let received = match ours.receive() {
            Ok(text) => text,
            refused => Outcome::of(refused)?.to_string(),
        };
        me.saw("mq_receive(…), inside", received)?;
        told.into_iter().try_for_each(|fact| me.tell(fact))
    })
}

fn lock_and_leave(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let set = SysV::Semaphore.make(KEY)?;
        ipc::add_to_semaphore(set, 1, false)?;
        let mut holder = Child::spawn("holder", Namespaces::NONE, move |me| {
            ipc::add_to_semaphore(set, -1, true)?;
            namespace::unshare(namespaces)?;
            me.saw("its holder lives", true)?;
            me.stay()
        })?;
        let lives = holder.hear()?;
        me.saw("semctl(id, 0, GETVAL), inside", ipc::semaphore_value(set)?)?;
        me.tell(lives)
    })
}

fn enter_afterwards(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let mut only_member = Child::spawn("member", Namespaces::IPC, |me: &mut Witness| {
            ipc::make_queue(KEY)?;
            me.saw("made", true)?;
            me.stay()
        })?;
        only_member.hear()?;
        let open = |pid| NsFile::of(Some(pid), Kind::Ipc);
        let early = if opens_before { Some(open(only_member.pid())?) } else { None };
        only_member.release()?;
        only_member.wait()?;
        let file = match early {
            Some(file) => Ok(file),
            None => open(only_member.pid()),
        };
        let entered = Outcome::of(file.and_then(|file| file.enter(Some(Kind::Ipc))))?;
        me.saw("open() and setns()", entered)?;
        let found = entered == Outcome::Done && ipc::find_queue(KEY)?.is_some();
        me.saw("its queue is found then", found)
    })
}

fn queues_in(list: File) -> usize {
    BufReader::new(list).lines().count().saturating_sub(1)
}
