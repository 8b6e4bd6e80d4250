//! The limits below /proc/sys: whose they are, with what they begin, and whom they bind.

use std::fs::File;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::probe::Missing;
use ns_core::{Fact, Named, Namespaces, Outcome, Value, ipc, namespace, uts};

use crate::{KEY, in_its_own, other};

/// Where /proc/sys may be written at all, which containers forbid.
const WRITABLE: Need = Need::Probe(|| {
    let opened = std::fs::OpenOptions::new().write(true).open(MSGMAX);
    let missing = Missing::new("a /proc/sys that may be written", "run outside of a container");
    Ok(opened.is_err().then_some(missing))
});

const MSGMAX: &str = "/proc/sys/kernel/msgmax";

/// The limits of System V IPC, and numbers that none of them has by default.
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
/// Those of POSIX message queues.
const OF_MQUEUE: [(&str, &str); 5] = [
    ("fs/mqueue/msg_max", "20"),
    ("fs/mqueue/msgsize_max", "4242"),
    ("fs/mqueue/queues_max", "42"),
    ("fs/mqueue/msg_default", "5"),
    ("fs/mqueue/msgsize_default", "4242"),
];

pub(crate) const SYSV: Claim = Claim::holds(
    "sysv-limits",
    "Eight files of /proc/sys/kernel are the namespace's: the limits of System V IPC.",
)
.cause("CLONE_NEWIPC")
.notes(&[64])
.needs(&[WRITABLE]);
pub(crate) const MQUEUE: Claim = Claim::holds(
    "mqueue-limits",
    "The limits of message queues in /proc/sys/fs/mqueue are the namespace's as well.",
)
.cause("CLONE_NEWIPC")
.notes(&[63])
.needs(&[WRITABLE]);
pub(crate) const DEFAULTS: Claim = Claim::holds(
    "defaults",
    "A new IPC namespace begins with the kernel's default limits, not with a copy of its maker's.",
)
.cause("CLONE_NEWIPC")
.notes(&[63, 64])
.needs(&[WRITABLE]);
pub(crate) const FULL: Claim = Claim::holds(
    "full",
    "A namespace that is full takes nothing from another: past msgmni msgget() is ENOSPC in it alone.",
)
.cause("CLONE_NEWIPC")
.notes(&[64])
.needs(&[WRITABLE]);
pub(crate) const OPENED: Claim = Claim::holds(
    "limit-opened",
    "An open /proc/sys/kernel/msgmax stays with the IPC namespace in which it was opened, whoever reads it.",
)
.cause("open() before unshare()")
.notes(&[64])
.more(&[50])
.needs(&[WRITABLE]);
pub(crate) const NOT_ALL: Claim = Claim::holds(
    "not-all",
    "The rest of /proc/sys/kernel is not the IPC namespace's: a hostname that is set inside changes outside.",
)
.cause("a limit of IPC")
.notes(&[64])
.needs(&[WRITABLE]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[SYSV, MQUEUE, DEFAULTS, FULL, OPENED, NOT_ALL])? {
        return Ok(());
    }
    lab.step(Step {
        goal: "Write each limit in a child in a new IPC namespace, and read it in its parent before and after.",
        calls: &["write(\"/proc/sys/kernel/msgmax\", \"4242\")", "write(\"/proc/sys/fs/mqueue/msg_max\", \"20\")"],
        by_hand: &[
            "unshare --ipc sh -c 'cd /proc/sys; echo 4242 > kernel/msgmax; echo 20 > fs/mqueue/msg_max; head kernel/msgmax fs/mqueue/msg_max'",
            "head /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max",
        ],
    })?;
    for (claim, files) in [(SYSV, &OF_SYSV[..]), (MQUEUE, &OF_MQUEUE[..])] {
        lab.claim(claim)
            .without(write_inside(files, Namespaces::NONE)?)
            .with(write_inside(files, Namespaces::IPC)?)
            .shows(|it| {
                it.inside("read inside afterwards").is_some_and(|it| *it == "as written")
                    && it.inside(&changed_outside(files)).is_some_and(|it| *it == 0)
            })?;
    }
    let mut rows = Vec::new();
    for (file, written) in OF_SYSV.into_iter().chain(OF_MQUEUE) {
        let seen = in_its_own(move |me| me.saw(file, ipc::limit(file)?))?;
        let default = seen.first().map_or("".into(), |fact| fact.value.clone());
        rows.push(vec![format!("/proc/sys/{file}").into(), default, Value::from(written)]);
    }
    lab.table("The limits of an IPC namespace", &["file", "in a new one", "written inside"], rows)?;

    lab.step(Step {
        goal: "Change a limit, and read it in a new namespace; reach a limit, and go on in a new namespace.",
        calls: &["read(\"/proc/sys/kernel/msgmax\")", "write(\"/proc/sys/kernel/msgmni\", \"1\")"],
        by_hand: &[
            "echo 4242 > /proc/sys/kernel/msgmax; unshare --ipc cat /proc/sys/kernel/msgmax",
            "echo 1 > /proc/sys/kernel/msgmni; ipcmk --queue; unshare --ipc ipcmk --queue",
        ],
    })?;
    let inherit = |namespaces| {
        in_its_own(move |me| {
            ipc::set_limit("kernel/msgmax", "4242")?;
            other(me, namespaces, |me| me.saw("cat /proc/sys/kernel/msgmax", ipc::limit("kernel/msgmax")?))
        })
    };
    lab.claim(DEFAULTS)
        .without(inherit(Namespaces::NONE)?)
        .with(inherit(Namespaces::IPC)?)
        .shows(|limit| *limit == "8192")?;
    let fill = |namespaces| {
        in_its_own(move |me| {
            ipc::set_limit("kernel/msgmni", "1")?;
            ipc::make_queue(KEY)?;
            other(me, namespaces, |me| {
                me.saw("msgget(0x1ac, IPC_CREAT|IPC_EXCL)", Outcome::of(ipc::make_queue(KEY + 1))?)
            })
        })
    };
    lab.claim(FULL).without(fill(Namespaces::NONE)?).with(fill(Namespaces::IPC)?).shows(|it| *it == "OK")?;

    lab.step(Step {
        goal: "Write 4242 to msgmax and open it, leave the namespace, and read the open file; then open it anew.",
        calls: &["open(\"/proc/sys/kernel/msgmax\")", "unshare(CLONE_NEWIPC)", "read(fd)"],
        by_hand: &[
            "echo 4242 > /proc/sys/kernel/msgmax; exec 8< /proc/sys/kernel/msgmax",
            "unshare --ipc sh -c 'cat <&8; cat /proc/sys/kernel/msgmax'; exec 8<&-",
        ],
    })?;
    lab.claim(OPENED)
        .without(read_after_leaving(false)?)
        .with(read_after_leaving(cause(true, false))?)
        .shows(|it| *it == "4242" && it.inside("when opened anew").is_some_and(|it| *it == "8192"))?;

    lab.step(Step {
        goal: "In a new IPC namespace change what two files of /proc/sys/kernel show: hostname and msgmax. Read outside.",
        calls: &["sethostname(\"inside\")", "write(\"/proc/sys/kernel/msgmax\", \"4242\")"],
        by_hand: &["unshare --ipc hostname inside; cat /proc/sys/kernel/hostname"],
    })?;
    let write = |file: &'static str| {
        in_its_own(move |me| {
            // The stage's own, in both arms.
            uts::set_hostname("outside")?;
            let before = ipc::limit(file)?;
            other(me, Namespaces::IPC, move |_| match file {
                "kernel/hostname" => uts::set_hostname("inside"),
                limit => ipc::set_limit(limit, "4242"),
            })?;
            me.saw(format!("{file} has changed outside"), ipc::limit(file)? != before)
        })
    };
    lab.claim(NOT_ALL)
        .without(write("kernel/hostname")?)
        .with(write(cause("kernel/msgmax", "kernel/hostname"))?)
        .shows(|changed| *changed == "no")?;
    Ok(())
}

/// Reads a limit by a file that was opened before its namespace was left, or after.
fn read_after_leaving(opens_before: bool) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        ipc::set_limit("kernel/msgmax", "4242")?;
        let open = || File::open(MSGMAX).named(|| format!("open(\"{MSGMAX}\")"));
        let early = open()?;
        namespace::unshare(Namespaces::IPC)?;
        let file = if opens_before { early } else { open()? };
        let text = std::io::read_to_string(file).named(|| format!("read(\"{MSGMAX}\")"))?;
        me.saw("read from the open file", text.trim_end())?;
        me.saw("when opened anew", ipc::limit("kernel/msgmax")?)
    })
}

/// What is asked of `files` outside.
fn changed_outside(files: &[(&str, &str)]) -> String {
    format!("of {} files, changed outside", files.len())
}

/// Writes all `files` in a child, and says how many of them changed for its parent.
fn write_inside(files: &'static [(&str, &str)], namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_its_own(move |me| {
        let read_all = || files.iter().map(|(file, _)| ipc::limit(file)).collect::<ns_core::Result<Vec<_>>>();
        let before = read_all()?;
        other(me, namespaces, move |me| {
            let mut as_written = true;
            for (file, value) in files {
                ipc::set_limit(file, value)?;
                as_written &= ipc::limit(file)? == *value;
            }
            me.saw("read inside afterwards", if as_written { "as written" } else { "otherwise" })
        })?;
        let changed = read_all()?.iter().zip(&before).filter(|(after, before)| after != before).count();
        me.saw(changed_outside(files), changed)
    })
}
