//! POSIX message queues: names that are no files, until a file system shows them.

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
    "A POSIX message queue is opened by its name in its own IPC namespace; in another it is ENOENT.",
)
.factor("CLONE_NEWIPC")
.notes(&[61])
.core(&[Row::first("mq_open(\"/lab\")")])
.asks(
    "A POSIX message queue /lab exists. In a new IPC namespace a child calls mq_open(\"/lab\", O_RDWR). What happens?",
    &[
        right("ENOENT"),
        wrong("it opens the queue", "/lab looks like a path, and both have the same mounts"),
        wrong("it opens a new, empty queue", "each namespace is thought to have one of each name"),
    ],
);
const SAME_NAME: Claim = Claim::holds(
    "same-name",
    "Two IPC namespaces can each have a message queue of one name: O_EXCL finds none there before.",
)
.factor("CLONE_NEWIPC")
.more(&[49]);

pub(crate) const OPEN_BY_NAME: Step = Step {
    title: "Make a POSIX message queue. Open it, and make another of its name, from a child in a new IPC namespace.",
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
    "POSIX shared memory is not the IPC namespace's: its file in /dev/shm can be opened from another one.",
)
.factor("POSIX shared memory instead of a queue")
.notes(&[61])
.requires(&[A_SHM])
.arms("queue", "shared memory")
.core(&[Row::first("POSIX, by name")])
.asks(
    "POSIX shared memory /lab exists, by shm_open(). In a new IPC namespace a child opens it. What happens?",
    &[
        right("it opens the same memory"),
        wrong("ENOENT", "POSIX message queues do go with the IPC namespace, and this is called POSIX too"),
        wrong("it opens empty memory of its own", "/dev/shm is thought to be mounted anew in the namespace"),
    ],
);

pub(crate) const LOOK_FOR_SHARED_MEMORY: Step = Step {
    title: "Look from a new IPC namespace for a message queue, and for POSIX shared memory.",
    calls: &["shm_open(\"/lab\", O_CREAT)", "open(\"/dev/shm/lab\")"],
    by_hand: &[hand("mount -t tmpfs none /dev/shm; touch /dev/shm/lab; unshare --ipc ls /dev/shm")
        .prints("lab")
        .in_the_same_shell()],
    claims: &[SHARED_MEMORY],
    run: |lab| lab.compare(SHARED_MEMORY, false, true, open_across)?.shows(first().from("ENOENT").to("OK")),
};

const MOUNT: Claim = Claim::holds(
    "mount",
    "A mount of mqueue shows the queues of the IPC namespace in which it was mounted, to members of any.",
)
.factor("a mount from another IPC namespace")
.notes(&[62])
.more(&[48]);

pub(crate) const MOUNT_MQUEUE: Step = Step {
    title: "Mount mqueue outside, and look at it from a new IPC namespace; then mount it there.",
    calls: &["mount(\"mqueue\", \"/tmp/outside\", \"mqueue\")", "readdir(\"/tmp/outside\")"],
    by_hand: &[hand("unshare --ipc ls /mnt/a").prints("lab").in_the_same_shell()],
    claims: &[MOUNT],
    run: |lab| {
        lab.compare(MOUNT, false, true, look_at_a_mount)?.shows(
            inside("the queue is seen in the mount").is("yes")
                & inside("mq_open(\"/lab\", O_RDWR)").is("ENOENT"),
        )
    },
};

const OUTLIVES: Claim = Claim::holds(
    "outlives",
    "In a mount of mqueue the queues are still to be seen when their IPC namespace has lost its last member.",
)
.factor("a mount from inside")
.more(&[48]);
const DEAD: Claim = Claim::holds(
    "dead",
    "A mount of mqueue keeps the files, not the IPC namespace: after the last member creat() gives EACCES.",
)
.factor("the end of the last member")
.more(&[48]);

pub(crate) const END_THE_LAST_MEMBER: Step = Step {
    title: "Let the last member mount mqueue where we see it, make a queue, and end. What can be done there now?",
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
            .shows(inside("the queue is seen in the mount").is("yes"))?;
        lab.compare(DEAD, false, true, |ends| leave_behind(true, ends))?
            .shows(inside("creat(\"new\") there").is("EACCES"))
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

/// Opens, from another IPC namespace, POSIX shared memory or a message queue.
fn open_across(shared_memory: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        // Ours, so that nothing is put into the host's.
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
            me.report("open() of the other namespace's", answer)
        })
    })
}

/// Where a tmpfs of ours is mounted, on a directory that every machine has.
const PLACE: &str = "/tmp";
/// In it, what is mounted from outside the child's IPC namespace.
const OUTSIDE: &str = "/tmp/outside";
/// And from inside.
const INSIDE: &str = "/tmp/inside";

fn look_at_a_mount(from_outside: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        make_mount_points()?;
        let _queue = MessageQueue::make(NAME)?;
        mount::mount("mqueue", Path::new(OUTSIDE))?;
        in_a_child(me, Namespaces::IPC, move |me| {
            mount::mount("mqueue", Path::new(INSIDE))?;
            let shown = Path::new(if from_outside { OUTSIDE } else { INSIDE });
            me.report("the queue is seen in the mount", shown.join("lab").exists())?;
            me.report("mq_open(\"/lab\", O_RDWR)", Outcome::of(MessageQueue::open(NAME))?)
        })
    })
}

/// The only member of an IPC namespace mounts mqueue or not, makes a queue, and ends or not.
fn leave_behind(mounts: bool, ends: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        make_mount_points()?;
        let mut member = Child::spawn("member", Namespaces::IPC, move |me| {
            if mounts {
                mount::mount("mqueue", Path::new(INSIDE))?;
            }
            let _queue = MessageQueue::make(NAME)?;
            me.report("made", true)?;
            me.stay()
        })?;
        member.fact()?;
        if ends {
            member.wake()?;
            member.wait()?;
        }
        let mounted = Path::new(INSIDE);
        me.report("the queue is seen in the mount", mounted.join("lab").exists())?;
        let made = File::create(mounted.join("new")).named(|| "creat(…)".into());
        me.report("creat(\"new\") there", Outcome::of(made)?)
    })
}

fn make_mount_points() -> ns_core::Result<()> {
    mount::mount("tmpfs", Path::new(PLACE))?;
    [OUTSIDE, INSIDE]
        .into_iter()
        .try_for_each(|point| fs::create_dir(point).named(|| format!("mkdir(\"{point}\")")))
}
