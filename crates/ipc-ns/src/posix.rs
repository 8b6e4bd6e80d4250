//! POSIX message queues: names that are no files, until a file system shows them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::ipc::MessageQueue;
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, mount};

use crate::{in_its_own, other};

/// Where the C library has the files of shm_open(3).
const SHM: &str = "/dev/shm";
const A_SHM: Need = Need::Probe(|| {
    let missing = Missing::new("the directory /dev/shm", "mkdir /dev/shm; mount -t tmpfs tmpfs /dev/shm");
    Ok((!Path::new(SHM).is_dir()).then_some(missing))
});

pub(crate) const BY_NAME: Claim = Claim::holds(
    "by-name",
    "A POSIX message queue is opened by its name in its own IPC namespace; in another it is ENOENT.",
)
.cause("CLONE_NEWIPC")
.notes(&[61]);
pub(crate) const SAME_NAME: Claim = Claim::holds(
    "same-name",
    "Two IPC namespaces can each have a message queue of one name: O_EXCL finds none there before.",
)
.cause("CLONE_NEWIPC")
.more(&[49]);
pub(crate) const SHARED_MEMORY: Claim = Claim::holds(
    "shared-memory",
    "POSIX shared memory is not the IPC namespace's: it is a file in /dev/shm, and mounts are to keep it apart.",
)
.cause("POSIX shared memory instead of a queue")
.notes(&[61])
.needs(&[A_SHM])
.misconceptions(&[(lesson::NO, "POSIX message queues do go with the IPC namespace, and this is called POSIX too")]);
pub(crate) const MOUNT: Claim = Claim::holds(
    "mount",
    "A mount of mqueue shows the queues of the IPC namespace in which it was mounted, to members of any.",
)
.cause("a mount from another IPC namespace")
.notes(&[62])
.more(&[48]);
pub(crate) const OUTLIVES: Claim = Claim::holds(
    "outlives",
    "In a mount of mqueue the queues are still to be seen when their IPC namespace has lost its last member.",
)
.cause("a mount from inside")
.more(&[48]);
pub(crate) const DEAD: Claim = Claim::holds(
    "dead",
    "A mount of mqueue keeps the files, not the IPC namespace: after the last member creat() gives EACCES.",
)
.cause("the end of the last member")
.more(&[48]);

const NAME: &str = "/lab";
/// A tmpfs of ours in the stage's mount namespace, on a directory that every machine has.
const BENCH: &str = "/tmp";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Make a POSIX message queue. Open it, and make another of its name, from a child in a new IPC namespace.",
        calls: &["mq_open(\"/lab\", O_CREAT|O_EXCL)", "clone3(CLONE_NEWIPC)", "mq_open(\"/lab\", O_RDWR)"],
        by_hand: &[
            "mount -t tmpfs none /mnt; mkdir /mnt/a /mnt/b; mount -t mqueue none /mnt/a; touch /mnt/a/lab; cat /mnt/a/lab",
            "unshare --ipc sh -c 'mount -t mqueue none /mnt/b; ls /mnt/b; touch /mnt/b/lab'",
        ],
    })?;
    let open = |namespaces| {
        in_its_own(move |me| {
            let _queue = MessageQueue::make(NAME)?;
            other(me, namespaces, |me| {
                me.saw("mq_open(\"/lab\", O_RDWR)", Outcome::of(MessageQueue::open(NAME))?)
            })
        })
    };
    lab.claim(BY_NAME)
        .without(open(Namespaces::NONE)?)
        .with(open(Namespaces::IPC)?)
        .shows(|answer| *answer == "ENOENT")?;
    let make = |namespaces| {
        in_its_own(move |me| {
            let _queue = MessageQueue::make(NAME)?;
            other(me, namespaces, |me| {
                me.saw("mq_open(\"/lab\", O_CREAT|O_EXCL)", Outcome::of(MessageQueue::make(NAME))?)
            })
        })
    };
    lab.claim(SAME_NAME)
        .without(make(Namespaces::NONE)?)
        .with(make(Namespaces::IPC)?)
        .shows(|answer| *answer == "OK")?;
    if lab.can_ask(&[SHARED_MEMORY])? {
        lab.step(Step {
            goal: "Look from a new IPC namespace for a message queue, and for POSIX shared memory.",
            calls: &["shm_open(\"/lab\", O_CREAT)", "open(\"/dev/shm/lab\")"],
            by_hand: &["mount -t tmpfs none /dev/shm; touch /dev/shm/lab; unshare --ipc ls /dev/shm"],
        })?;
        // Ours, so that nothing is put into the host's.
        mount::mount("tmpfs", Path::new(SHM))?;
        let look = |for_memory: bool| {
            in_its_own(move |me| {
                let _queue = MessageQueue::make(NAME)?;
                let file = format!("{SHM}{NAME}");
                fs::write(&file, "").named(|| format!("creat(\"{file}\")"))?;
                other(me, Namespaces::IPC, move |me| {
                    let answer = if for_memory {
                        Outcome::of(fs::File::open(&file).named(|| "shm_open()".into()))?
                    } else {
                        Outcome::of(MessageQueue::open(NAME))?
                    };
                    me.saw("open() of the other namespace's", answer)
                })
            })
        };
        lab.claim(SHARED_MEMORY)
            .without(look(false)?)
            .with(look(cause(true, false))?)
            .shows(|answer| *answer == "OK")?;
    }
    mounts(lab)
}

fn mounts(lab: &mut Lab) -> Result<()> {
    mount::mount("tmpfs", Path::new(BENCH))?;
    lab.step(Step {
        goal: "Mount mqueue outside, and look at it from a new IPC namespace; then mount it there.",
        calls: &["mount(\"mqueue\", \"/tmp/1\", \"mqueue\")", "readdir(\"/tmp/1\")"],
        by_hand: &["unshare --ipc ls /mnt/a"],
    })?;
    let look_at = |of_outside: bool| -> Result<Vec<Fact>> {
        let (outside, inside) = (point()?, point()?);
        in_its_own(move |me| {
            let _queue = MessageQueue::make(NAME)?;
            mount::mount("mqueue", &outside)?;
            let shown = if of_outside { outside.clone() } else { inside.clone() };
            other(me, Namespaces::IPC, move |me| {
                mount::mount("mqueue", &inside)?;
                me.saw("the queue is seen in the mount", shown.join("lab").exists())?;
                me.saw("mq_open(\"/lab\", O_RDWR)", Outcome::of(MessageQueue::open(NAME))?)
            })
        })
    };
    lab.claim(MOUNT).without(look_at(false)?).with(look_at(cause(true, false))?).shows(|it| {
        *it == "yes" && it.inside("mq_open(\"/lab\", O_RDWR)").is_some_and(|it| *it == "ENOENT")
    })?;

    lab.step(Step {
        goal: "Let the last member mount mqueue where we see it, make a queue, and end. What can be done there now?",
        calls: &["_exit(0)", "readdir(\"/tmp/2\")", "creat(\"/tmp/2/new\")"],
        by_hand: &[
            "mkdir /mnt/c; unshare --ipc sh -c 'mount -t mqueue none /mnt/c; touch /mnt/c/lab'",
            "ls /mnt/c; touch /mnt/c/new",
        ],
    })?;
    let leave_behind = |mounts: bool, ends: bool| -> Result<Vec<Fact>> {
        let point = point()?;
        in_its_own(move |me| {
            let inside = point.clone();
            let mut member = Child::spawn("member", Namespaces::IPC, move |me| {
                if mounts {
                    mount::mount("mqueue", &inside)?;
                }
                let _queue = MessageQueue::make(NAME)?;
                me.saw("made", true)?;
                me.stay()
            })?;
            member.hear()?;
            if ends {
                member.release()?;
                member.wait()?;
            }
            me.saw("the queue is seen in the mount", point.join("lab").exists())?;
            let made = fs::File::create(point.join("new")).named(|| "creat(…)".into());
            me.saw("creat(\"new\") there", Outcome::of(made)?)
        })
    };
    let after = if cause(true, false) { leave_behind(true, true)? } else { leave_behind(false, true)? };
    lab.claim(OUTLIVES).without(leave_behind(false, true)?).with(after).shows(|seen| *seen == "yes")?;
    lab.claim(DEAD)
        .without(leave_behind(true, false)?)
        .with(leave_behind(true, cause(true, false))?)
        .shows(|it| it.inside("creat(\"new\") there").is_some_and(|it| *it == "EACCES"))?;
    Ok(())
}

/// A new directory to mount on.
fn point() -> Result<PathBuf> {
    let number = fs::read_dir(BENCH).context("ls /tmp")?.count() + 1;
    let point = Path::new(BENCH).join(number.to_string());
    fs::create_dir(&point).with_context(|| format!("mkdir {}", point.display()))?;
    Ok(point)
}
