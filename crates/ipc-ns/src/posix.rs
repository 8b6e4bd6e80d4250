//! POSIX message queues: their names are not paths of files, but a mount of mqueue shows them as files.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, right, wrong};
use ns_core::ipc::MessageQueue;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, mount};

use crate::processes::{in_a_child, in_its_own};

const NAME: &str = "/lab";

const BY_NAME: Claim = Claim::holds(
    "by-name",
    "The name of a POSIX message queue is unknown in a new IPC namespace: mq_open() fails with ENOENT.",
)
.factor("CLONE_NEWIPC")
.notes(&[61])
.core(&[Row::first("mq_open(\"/lab\")")])
.asks(
    "A POSIX message queue /lab exists. In a new IPC namespace a child calls mq_open(\"/lab\", O_RDWR). What happens?",
    &[
        right("ENOENT"),
        wrong("it opens the queue", "/lab looks like a path, and both have the same mounts"),
        wrong("it opens a new, empty queue", "each namespace seems to have a queue of each name"),
    ],
);
const SAME_NAME: Claim = Claim::holds(
    "same-name",
    "Two IPC namespaces can each have a message queue of the same name: mq_open(O_CREAT|O_EXCL) succeeds in both.",
)
.factor("CLONE_NEWIPC")
.more(&[49]);

pub(crate) const OPEN_BY_NAME: Step = Step {
    title: "Create a POSIX message queue. From a child in a new IPC namespace, open it, and create another of its name.",
    calls: &["mq_open(\"/lab\", O_CREAT|O_EXCL)", "clone3(CLONE_NEWIPC)", "mq_open(\"/lab\", O_RDWR)"],
    by_hand: &[hand("mount -t tmpfs none /mnt; mkdir /mnt/a /mnt/b; mount -t mqueue none /mnt/a; touch /mnt/a/lab; cat /mnt/a/lab").prints("QSIZE:0 …").in_the_same_shell(), hand("unshare --ipc sh -c 'mount -t mqueue none /mnt/b; ls /mnt/b; touch /mnt/b/lab && echo OK'").prints("OK"), ],
    claims: &[BY_NAME, SAME_NAME],
    run: |lab| {
        lab.compare(BY_NAME, Namespaces::NONE, Namespaces::IPC, open)?.shows(first().is("ENOENT"))?;
        lab.compare(SAME_NAME, Namespaces::NONE, Namespaces::IPC, make)?
            .shows(first().from("EEXIST").to("OK"))
    },
};

/// Where the C library has the files of shm_open(3).
const SHM: &str = "/dev/shm";
const A_SHM: Requirement = Requirement::Probe(|| {
    let missing = Unmet::new("the directory /dev/shm", "mkdir /dev/shm; mount -t tmpfs tmpfs /dev/shm");
    Ok((!Path::new(SHM).is_dir()).then_some(missing))
});

const SHARED_MEMORY: Claim = Claim::holds(
    "shared-memory",
    "POSIX shared memory does not belong to an IPC namespace: its file in /dev/shm can be opened from another one.",
)
.factor("POSIX shared memory instead of a queue")
.notes(&[61])
.requires(&[A_SHM])
.arms("queue", "shared memory")
.core(&[Row::first("POSIX, by name")])
.asks(
    "A process creates POSIX shared memory /lab by shm_open(). Its child in a new IPC namespace opens it. What happens?",
    &[
        right("it opens the same memory"),
        wrong("ENOENT", "POSIX message queues belong to the IPC namespace, and this is called POSIX too"),
        wrong("it opens empty memory of its own", "the namespace seems to have its own /dev/shm"),
    ],
);

pub(crate) const LOOK_FOR_SHARED_MEMORY: Step = Step {
    title: "From a new IPC namespace, open a message queue, and then POSIX shared memory.",
    calls: &["shm_open(\"/lab\", O_CREAT)", "open(\"/dev/shm/lab\")"],
    by_hand: &[hand("mount -t tmpfs none /dev/shm; touch /dev/shm/lab; unshare --ipc ls /dev/shm")
        .prints("lab")
        .in_the_same_shell()],
    claims: &[SHARED_MEMORY],
    run: |lab| lab.compare(SHARED_MEMORY, false, true, open_across)?.shows(first().from("ENOENT").to("OK")),
};

const MOUNT: Claim = Claim::holds(
    "mount",
    "A mount of mqueue shows the queues of its creator's IPC namespace, even to a process in another one.",
)
.factor("a mount from another IPC namespace")
.arms("mount inside", "mount outside")
.notes(&[62])
.more(&[48]);

pub(crate) const MOUNT_MQUEUE: Step = Step {
    title: "Mount mqueue outside, and mount it in a new IPC namespace. List each mount from inside.",
    calls: &["mount(\"mqueue\", \"/tmp/outside\", \"mqueue\")", "readdir(\"/tmp/outside\")"],
    by_hand: &[hand("unshare --ipc ls /mnt/a").prints("lab").in_the_same_shell()],
    claims: &[MOUNT],
    run: |lab| {
        lab.compare(MOUNT, false, true, look_at_a_mount)?
            .in_both_arms(inside("mq_open(\"/lab\", O_RDWR)").is("ENOENT"))
            .shows(inside("mount shows the queue").is("yes"))
    },
};

const OUTLIVES: Claim = Claim::holds(
    "outlives",
    "A mount of mqueue still shows a queue after the last member of its IPC namespace has ended.",
)
.factor("a mount from inside")
.arms("no mount", "mount inside")
.more(&[48]);
const DEAD: Claim = Claim::holds(
    "dead",
    "In a mount of mqueue, creat() fails with EACCES after the last member of its IPC namespace has ended.",
)
.factor("the end of the last member")
.arms("member runs", "member ended")
.more(&[48]);

pub(crate) const END_THE_LAST_MEMBER: Step = Step {
    title: "Let the only member mount mqueue, create a queue, and end. Then list the mount, and create a file in it.",
    calls: &["_exit(0)", "readdir(\"/tmp/inside\")", "creat(\"/tmp/inside/new\")"],
    by_hand: &[
        hand("mkdir /mnt/c; unshare --ipc sh -c 'mount -t mqueue none /mnt/c; touch /mnt/c/lab'")
            .prints("")
            .in_the_same_shell(),
        hand("ls /mnt/c; touch /mnt/c/new").prints("lab\nEACCES"),
    ],
    claims: &[OUTLIVES, DEAD],
    run: |lab| {
        lab.compare(OUTLIVES, false, true, |mounts| leave_behind(mounts, true))?
            .shows(inside("mount shows the queue").is("yes"))?;
        lab.compare(DEAD, false, true, |ends| leave_behind(true, ends))?
            .shows(inside("creat(\"new\") in the mount").is("EACCES"))
    },
};

fn open(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let _queue = MessageQueue::make(NAME)?;
        in_a_child(me, namespaces, |me| {
            me.report("mq_open(\"/lab\", O_RDWR)", Outcome::of(MessageQueue::open(NAME))?)
        })
    })
}

fn make(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let _queue = MessageQueue::make(NAME)?;
        in_a_child(me, namespaces, |me| {
            me.report("mq_open(\"/lab\", O_CREAT|O_EXCL)", Outcome::of(MessageQueue::make(NAME))?)
        })
    })
}

/// Opens POSIX shared memory or a message queue from another IPC namespace.
fn open_across(shared_memory: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        // A new tmpfs, so that nothing is written to the host's.
        mount::mount("tmpfs", Path::new(SHM))?;
        let _queue = MessageQueue::make(NAME)?;
        let file = format!("{SHM}{NAME}");
        fs::write(&file, "").named(|| format!("creat(\"{file}\")"))?;
        in_a_child(me, Namespaces::IPC, move |me| {
            let answer = if shared_memory {
                Outcome::of(File::open(&file).named(|| "shm_open()".into()))?
            } else {
                Outcome::of(MessageQueue::open(NAME))?
            };
            me.report("open by name", answer)
        })
    })
}

/// The mount point of a new tmpfs: a directory that every machine has.
const PLACE: &str = "/tmp";
/// In it, the mount from outside the child's IPC namespace.
const OUTSIDE: &str = "/tmp/outside";
/// In it, the mount from inside.
const INSIDE: &str = "/tmp/inside";

fn look_at_a_mount(from_outside: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        make_mount_points()?;
        let _queue = MessageQueue::make(NAME)?;
        mount::mount("mqueue", Path::new(OUTSIDE))?;
        in_a_child(me, Namespaces::IPC, move |me| {
            mount::mount("mqueue", Path::new(INSIDE))?;
            let shown = Path::new(if from_outside { OUTSIDE } else { INSIDE });
            me.report("mount shows the queue", shown.join("lab").exists())?;
            me.report("mq_open(\"/lab\", O_RDWR)", Outcome::of(MessageQueue::open(NAME))?)
        })
    })
}

/// The only member of an IPC namespace creates a queue. It mounts mqueue first if `mounts`, and ends if `ends`.
fn leave_behind(mounts: bool, ends: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        make_mount_points()?;
        let mut member = Child::spawn("member", Namespaces::IPC, move |me| {
            if mounts {
                mount::mount("mqueue", Path::new(INSIDE))?;
            }
            let _queue = MessageQueue::make(NAME)?;
            me.report("created", true)?;
            me.stay()
        })?;
        member.fact()?;
        if ends {
            member.wake()?;
            member.wait()?;
        }
        let mounted = Path::new(INSIDE);
        me.report("mount shows the queue", mounted.join("lab").exists())?;
        let made = File::create(mounted.join("new")).named(|| "creat(…)".into());
        me.report("creat(\"new\") in the mount", Outcome::of(made)?)
    })
}

fn make_mount_points() -> ns_core::Result<()> {
    mount::mount("tmpfs", Path::new(PLACE))?;
    [OUTSIDE, INSIDE]
        .into_iter()
        .try_for_each(|point| fs::create_dir(point).named(|| format!("mkdir(\"{point}\")")))
}
