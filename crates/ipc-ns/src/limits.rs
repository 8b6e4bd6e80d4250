//! The limits in /proc/sys: which IPC namespace they belong to, their defaults, and where they apply.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, right, wrong};
use ns_core::probe::Unmet;
use ns_core::{Error, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, ipc, namespace, until, uts};

use crate::processes::{KEY, in_a_child, in_its_own};

/// A /proc/sys that can be written, which containers do not allow.
const WRITABLE: Requirement = Requirement::Probe(|| {
    let opened = std::fs::OpenOptions::new().write(true).open(MSGMAX);
    let missing = Unmet::new("a writable /proc/sys", "run outside of a container");
    Ok(opened.is_err().then_some(missing))
});

const MSGMAX: &str = "/proc/sys/kernel/msgmax";

/// Kernels that can restore processes have these files (CONFIG_CHECKPOINT_RESTORE).
const NEXT_IDS: Requirement = Requirement::Probe(|| {
    let file = Path::new("/proc/sys/kernel/msg_next_id");
    Ok((!file.exists()).then(|| Unmet::File(file.into())))
});

/// The limits of System V IPC, and values that are not their defaults.
const OF_SYSV: [(&str, &str); 8] = [
    ("kernel/msgmax", "4242"),
    ("kernel/msgmnb", "4242"),
    ("kernel/msgmni", "42"),
    ("kernel/sem", "42 42 42 42"),
    ("kernel/shmall", "4242"),
    ("kernel/shmmax", "4242"),
    ("kernel/shmmni", "42"),
    ("kernel/shm_rmid_forced", "1"),
];
/// The next identifier of each kind, or -1 for the kernel's choice. Programs that restore a namespace write them.
const OF_IDENTIFIERS: [(&str, &str); 3] =
    [("kernel/msg_next_id", "42"), ("kernel/sem_next_id", "42"), ("kernel/shm_next_id", "42")];
/// The limits of POSIX message queues.
const OF_MQUEUE: [(&str, &str); 5] = [
    ("fs/mqueue/msg_max", "20"),
    ("fs/mqueue/msgsize_max", "4242"),
    ("fs/mqueue/queues_max", "42"),
    ("fs/mqueue/msg_default", "5"),
    ("fs/mqueue/msgsize_default", "4242"),
];

const SYSV: Claim = Claim::holds(
    "sysv-limits",
    "Each IPC namespace has its own eight limits of System V IPC in /proc/sys/kernel.",
)
.factor("CLONE_NEWIPC")
.notes(&[64])
.requires(&[WRITABLE])
.core(&[
    Row::inside("8 limits, inside", "read inside afterwards"),
    Row::inside("changed outside", "of 8 files, changed outside"),
])
.asks(
    "In a new IPC namespace, 4242 is written to /proc/sys/kernel/msgmax. What does the file read outside?",
    &[
        right("the old value: each namespace has its own"),
        wrong("4242", "most of /proc/sys/kernel applies to the whole machine"),
        wrong(
            "the old value: the write gave EPERM",
            "only root on the host seems to be allowed to write to /proc/sys",
        ),
    ],
);
const IDENTIFIERS: Claim = Claim::holds(
    "next-ids",
    "Each IPC namespace has its own msg_next_id, sem_next_id and shm_next_id in /proc/sys/kernel.",
)
.factor("CLONE_NEWIPC")
.notes(&[64])
.requires(&[WRITABLE, NEXT_IDS]);
const MQUEUE: Claim = Claim::holds(
    "mqueue-limits",
    "Each IPC namespace has its own five limits of message queues in /proc/sys/fs/mqueue.",
)
.factor("CLONE_NEWIPC")
.notes(&[63])
.requires(&[WRITABLE]);

pub(crate) const WRITE_LIMITS: Step = Step {
    title: "Write each limit in a child in a new IPC namespace. Read it in the parent before and after.",
    calls: &[
        "write(\"/proc/sys/kernel/msgmax\", \"4242\")",
        "write(\"/proc/sys/fs/mqueue/msg_max\", \"20\")",
    ],
    by_hand: &[hand("unshare --ipc sh -c 'cd /proc/sys; echo 4242 > kernel/msgmax; echo 20 > fs/mqueue/msg_max; cat kernel/msgmax fs/mqueue/msg_max'").prints("4242\n20").in_the_same_shell(), hand("cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max").prints("8192\n10"), ],
    claims: &[SYSV, IDENTIFIERS, MQUEUE],
    run: |lab| {
        let claims = [(SYSV, &OF_SYSV[..]), (IDENTIFIERS, &OF_IDENTIFIERS[..]), (MQUEUE, &OF_MQUEUE[..])];
        for (claim, files) in claims {
            lab.compare(claim, Namespaces::NONE, Namespaces::IPC, |namespaces| {
                write_inside(files, namespaces)
            })?
            .in_both_arms(inside("read inside afterwards").is("as written"))
            .shows(inside(changed_outside(files)).is(0))?;
        }
        let mut rows = Vec::new();
        for (file, written) in OF_SYSV.into_iter().chain(OF_MQUEUE) {
            let seen = in_its_own(move |me| me.report(file, ipc::limit(file)?))?;
            let default = seen.first().map_or("".into(), |fact| fact.value.clone());
            rows.push(vec![format!("/proc/sys/{file}").into(), default, Value::from(written)]);
        }
        lab.table("The limits of an IPC namespace", &["file", "default", "written inside"], rows)
    },
};

const DEFAULTS: Claim = Claim::holds(
    "defaults",
    "A new IPC namespace inherits none of its creator's 13 limits: msgmax is the default, 8192.",
)
.factor("CLONE_NEWIPC")
.notes(&[63, 64])
.requires(&[WRITABLE]);
const FULL: Claim =
    Claim::holds("full", "Past msgmni, msgget() fails with ENOSPC, but it succeeds in a new IPC namespace.")
        .factor("CLONE_NEWIPC")
        .notes(&[64])
        .requires(&[WRITABLE]);

pub(crate) const READ_DEFAULTS: Step = Step {
    title: "Change all limits, and read them in a new namespace. Reach msgmni, and create a queue in a new namespace.",
    calls: &["read(\"/proc/sys/kernel/msgmax\")", "write(\"/proc/sys/kernel/msgmni\", \"1\")"],
    by_hand: &[
        hand("echo 4242 > /proc/sys/kernel/msgmax; unshare --ipc cat /proc/sys/kernel/msgmax")
            .prints("8192")
            .in_the_same_shell(),
        hand("echo 1 > /proc/sys/kernel/msgmni; ipcmk --queue; unshare --ipc ipcmk --queue")
            .prints("ENOSPC\nMessage queue id: 0"),
    ],
    claims: &[DEFAULTS, FULL],
    run: |lab| {
        lab.compare(DEFAULTS, Namespaces::NONE, Namespaces::IPC, read_inside)?.shows(
            inside("limits of the creator").is(0) & inside("cat /proc/sys/kernel/msgmax").is("8192"),
        )?;
        lab.compare(FULL, Namespaces::NONE, Namespaces::IPC, make_when_full)?
            .shows(first().from("ENOSPC").to("OK"))
    },
};

const OPENED: Claim = Claim::holds(
    "limit-opened",
    "An open /proc/sys/kernel/msgmax shows the IPC namespace in which it was opened, even after the reader left it.",
)
.factor("open() before unshare()")
.arms("late open()", "early open()")
.notes(&[64])
.more(&[50])
.requires(&[WRITABLE]);
const GONE: Claim = Claim::holds(
    "limit-gone",
    "An open /proc/sys/kernel/msgmax does not keep its IPC namespace: after its end, read() fails with ENOENT.",
)
.factor("the end of the IPC namespace")
.arms("namespace kept", "namespace ended")
.notes(&[64])
.requires(&[WRITABLE]);

pub(crate) const READ_AN_OPEN_LIMIT: Step = Step {
    title: "Write 4242 to msgmax and open it. Leave the namespace, and read the open file. Repeat it with nothing that keeps the \
            namespace.",
    calls: &["open(\"/proc/sys/kernel/msgmax\")", "unshare(CLONE_NEWIPC)", "read(fd)"],
    by_hand: &[
        hand("echo 4242 > /proc/sys/kernel/msgmax; exec 8< /proc/sys/kernel/msgmax")
            .prints("")
            .in_the_same_shell(),
        hand("unshare --ipc sh -c 'cat <&8; cat /proc/sys/kernel/msgmax'; exec 8<&-").prints("4242\n8192"),
    ],
    claims: &[OPENED, GONE],
    run: |lab| {
        lab.compare(OPENED, false, true, read_after_leaving)?
            .in_both_arms(inside("opened again").is("8192"))
            .shows(inside("read from the open file").is("4242"))?;
        lab.compare(GONE, true, false, read_when_gone)?.shows(first().from("OK").to("ENOENT"))
    },
};

const NOT_ALL: Claim = Claim::holds(
    "not-all",
    "Not all of /proc/sys/kernel belongs to the IPC namespace: sethostname() inside takes effect outside.",
)
.factor("a limit of IPC")
.arms("sethostname()", "msgmax")
.notes(&[64])
.requires(&[WRITABLE]);

pub(crate) const SET_THE_HOSTNAME: Step = Step {
    title: "In a new IPC namespace, call sethostname(), and write to msgmax. Read both in /proc/sys/kernel outside.",
    calls: &["sethostname(\"inside\")", "write(\"/proc/sys/kernel/msgmax\", \"4242\")"],
    by_hand: &[hand("unshare --ipc hostname inside; cat /proc/sys/kernel/hostname")
        .prints("inside")
        .in_the_same_shell()],
    claims: &[NOT_ALL],
    run: |lab| {
        lab.compare(NOT_ALL, "kernel/hostname", "kernel/msgmax", change_inside)?.shows(first().is("no"))
    },
};

/// The name of the fact that counts which of `files` changed outside.
fn changed_outside(files: &[(&str, &str)]) -> String {
    format!("of {} files, changed outside", files.len())
}

/// Writes all `files` in a child, and reports how many of them changed for its parent.
fn write_inside(files: &'static [(&str, &str)], namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let read_all = || files.iter().map(|(file, _)| ipc::limit(file)).collect::<ns_core::Result<Vec<_>>>();
        let before = read_all()?;
        in_a_child(me, namespaces, move |me| {
            let mut as_written = true;
            for (file, value) in files {
                ipc::set_limit(file, value)?;
                as_written &= ipc::limit(file)? == *value;
            }
            me.report("read inside afterwards", if as_written { "as written" } else { "otherwise" })
        })?;
        let changed = read_all()?.iter().zip(&before).filter(|(after, before)| after != before).count();
        me.report(changed_outside(files), changed)
    })
}

fn read_inside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let all = || OF_SYSV.into_iter().chain(OF_MQUEUE);
        all().try_for_each(|(file, value)| ipc::set_limit(file, value))?;
        in_a_child(me, namespaces, move |me| {
            let mut inherited = 0;
            for (file, value) in all() {
                inherited += usize::from(ipc::limit(file)? == value);
            }
            me.report("limits of the creator", inherited)?;
            me.report("cat /proc/sys/kernel/msgmax", ipc::limit("kernel/msgmax")?)
        })
    })
}

fn make_when_full(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::set_limit("kernel/msgmni", "1")?;
        ipc::make_queue(KEY)?;
        in_a_child(me, namespaces, |me| {
            me.report("msgget(0x1ac, IPC_CREAT|IPC_EXCL)", Outcome::of(ipc::make_queue(KEY + 1))?)
        })
    })
}

/// Reads a limit from a file that is opened before or after the process leaves its namespace.
fn read_after_leaving(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::set_limit("kernel/msgmax", "4242")?;
        let open = || File::open(MSGMAX).named(|| format!("open(\"{MSGMAX}\")"));
        let early = open()?;
        // The open file does not keep the namespace.
        let _left = NsFile::of(None, Kind::Ipc)?;
        namespace::unshare(Namespaces::IPC)?;
        let file = if opens_before { early } else { open()? };
        let text = std::io::read_to_string(file).named(|| format!("read(\"{MSGMAX}\")"))?;
        me.report("read from the open file", text.trim_end())?;
        me.report("opened again", ipc::limit("kernel/msgmax")?)
    })
}

/// Reads an open limit of a namespace that the process has left. The namespace is `kept`, or has ended.
fn read_when_gone(kept: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let file = File::open(MSGMAX).named(|| format!("open(\"{MSGMAX}\")"))?;
        let left = NsFile::of(None, Kind::Ipc)?;
        let left = kept.then_some(left);
        namespace::unshare(Namespaces::IPC)?;
        let read = || file.read_at(&mut [0; 16], 0).map(drop).named(|| format!("read(\"{MSGMAX}\")"));
        let mut answer = Outcome::of(read())?;
        if left.is_none() {
            // A worker of the kernel removes it some time later.
            let changed = until("the end of the IPC namespace", || match Outcome::of(read())? {
                Outcome::Done => Ok(None),
                other => Ok(Some(other)),
            });
            answer = match changed {
                Err(Error::Deadline { .. }) => Outcome::Done,
                other => other?,
            };
        }
        me.report("read(fd)", answer)
    })
}

/// Changes what a file of /proc/sys shows in another IPC namespace, and reports whether it has changed here.
fn change_inside(file: &'static str) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        // This is the hostname of the sandbox, in both arms.
        uts::set_hostname("outside")?;
        let before = ipc::limit(file)?;
        in_a_child(me, Namespaces::IPC, move |_| match file {
            "kernel/hostname" => uts::set_hostname("inside"),
            limit => ipc::set_limit(limit, "4242"),
        })?;
        me.report(format!("{file} has changed outside"), ipc::limit(file)? != before)
    })
}
