//! Which namespace is which: by the links of /proc/PID/ns, by inode numbers, and by numbers that do not come again.

use std::collections::BTreeSet;

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Need, Step, cause};
use ns_core::probe::Missing;
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Pid, Value, Witness, namespace, uts,
};

use crate::refusals::give_up_capabilities;
use crate::{EIGHT, list};

pub(crate) const LINKS: Claim = Claim::holds(
    "links",
    "Processes whose links in /proc/PID/ns name two inodes are in two namespaces: neither sees the other's changes.",
)
.cause("CLONE_NEWUTS")
.notes(&[18]);
pub(crate) const TRACE: Claim =
    Claim::holds("trace", "Whoever may not trace a process may not read its links in /proc/PID/ns: EACCES.")
        .cause("PR_SET_DUMPABLE 0")
        .notes(&[18]);
pub(crate) const NO_CHILD_YET: Claim = Claim::holds(
    "no-child-yet",
    "After unshare(CLONE_NEWPID) pid_for_children leads nowhere, ENOENT, until the first child is made.",
)
.cause("unshare(CLONE_NEWPID)")
.notes(&[18]);
pub(crate) const REUSED: Claim = Claim::holds(
    "reused",
    "The inode number of a namespace is its own while it lives; when it is gone, another namespace gets the number.",
)
.cause("the end of the one before")
.notes(&[18]);
pub(crate) const SERIAL: Claim =
    Claim::holds("serial", "ioctl(NS_GET_ID) gives each namespace a number that no other ever gets.")
        .cause("NS_GET_ID")
        .more(&[9])
        .needs(&[Need::Probe(ns_get_id)]);
pub(crate) const FIRST: Claim = Claim::holds(
    "first",
    "The first namespaces of a machine have fixed inode numbers: 0xefffffff for ipc down to 0xeffffffa for time.",
)
.cause("membership since boot")
.more(&[10])
.needs(&[Need::Probe(kthreadd)]);
pub(crate) const FIRST_NET_MNT: Claim = Claim::holds_since(
    "first-net-mnt",
    "The first network namespace has the inode number 0xeffffff9, and the first mount namespace 0xeffffff8.",
    Kernel(6, 18),
)
.cause("membership since boot")
.more(&[10])
.needs(&[Need::Probe(kthreadd)]);

/// How many namespaces are made one after another.
const MANY: u32 = 16;
/// The kernel's first thread in the process table: a member of the namespaces that the machine booted with.
const KTHREADD: Pid = Pid::from_raw(2);
/// As linux/nsfs.h has them.
const FIRST_INODES: [(Kind, u64); 8] = [
    (Kind::Ipc, 0xefff_ffff),
    (Kind::Uts, 0xefff_fffe),
    (Kind::User, 0xefff_fffd),
    (Kind::Pid, 0xefff_fffc),
    (Kind::Cgroup, 0xefff_fffb),
    (Kind::Time, 0xefff_fffa),
    (Kind::Net, 0xefff_fff9),
    (Kind::Mnt, 0xefff_fff8),
];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the UTS links of two processes. Then let the first set the hostname, and the second read it.",
        calls: &["readlink(\"/proc/PID/ns/uts\")", "sethostname(\"first\")", "uname()"],
        by_hand: &["readlink /proc/$$/ns/uts /proc/self/ns/uts; unshare -Ur --uts readlink /proc/self/ns/uts"],
    })?;
    lab.claim(LINKS).without(two_processes(Namespaces::NONE)?).with(two_processes(Namespaces::UTS)?).shows(
        |of| {
            of.outside("first's ns/uts") != of.outside("second's ns/uts")
                && of.inside("hostname after the first set it").is_some_and(|it| *it == "second")
        },
    )?;

    lab.step(Step {
        goal: "Without capabilities, read the link of a process that may be traced, and of one that forbade it.",
        calls: &["prctl(PR_SET_DUMPABLE, 0)", "capset([])", "readlink(\"/proc/PID/ns/uts\")"],
        by_hand: &["ls -l /proc/1/ns  # as an ordinary user"],
    })?;
    lab.claim(TRACE)
        .without(read_a_link_of(true)?)
        .with(read_a_link_of(cause(false, true))?)
        .shows(|answer| *answer == "EACCES")?;

    lab.step(Step {
        goal: "Call unshare(CLONE_NEWPID). Where will the next children be born? Look before and after the first.",
        calls: &["unshare(CLONE_NEWPID)", "open(\"/proc/self/ns/pid_for_children\")", "fork()"],
        by_hand: &["unshare -Ur --pid readlink /proc/self/ns/pid_for_children; echo $?"],
    })?;
    lab.claim(NO_CHILD_YET)
        .without(for_children(Namespaces::NONE)?)
        .with(for_children(Namespaces::PID)?)
        .shows(|open| {
            *open == "ENOENT" && open.inside("open(…) after the first child").is_some_and(|it| *it == "OK")
        })?;

    lab.step(Step {
        goal: "Make 16 UTS namespaces one after another: keeping each open, and letting each go before the next.",
        calls: &["clone3(CLONE_NEWUTS)", "fstat(\"/proc/PID/ns/uts\")", "ioctl(uts, NS_GET_ID)"],
        by_hand: &["for n in 1 2 3; do unshare -Ur --uts readlink /proc/self/ns/uts; done"],
    })?;
    let kept = one_after_another(true)?;
    let let_go = one_after_another(cause(false, true))?;
    lab.claim(REUSED).without(kept.inodes()).with(let_go.inodes()).shows(|made| *made != MANY)?;
    if lab.can_ask(&[SERIAL])? {
        lab.claim(SERIAL).without(let_go.inodes()).with(let_go.serials()).shows(|made| *made == MANY)?;
    }

    if lab.can_ask(&[FIRST, FIRST_NET_MNT])? {
        lab.step(Step {
            goal: "Read the links of kthreadd, which has been where it is since boot, and of a child that has not.",
            calls: &["readlink(\"/proc/2/ns/…\")"],
            by_hand: &["sudo ls -l /proc/2/ns; printf '%x\\n' 4026531836"],
        })?;
        let child = Child::spawn("child", EIGHT, Witness::stay)?;
        let since_boot = cause(KTHREADD, child.pid());
        let (new, first) = (namespace::of(Some(child.pid()))?, namespace::of(Some(since_boot))?);
        let rows = FIRST_INODES
            .iter()
            .map(|(kind, _)| vec![kind.link().into(), inode(&new, *kind), inode(&first, *kind)]);
        lab.table("Inode numbers", &["kind", "a new namespace", "the first"], rows.collect())?;
        for (claim, kinds) in [(FIRST, &FIRST_INODES[..6]), (FIRST_NET_MNT, &FIRST_INODES[6..])] {
            let fixed = |ids: &[NsId]| {
                let fixed = kinds
                    .iter()
                    .filter(|(kind, ino)| ids.iter().any(|id| (id.kind, id.ino) == (*kind, *ino)));
                Fact::outside("kinds with the fixed number", list(fixed.map(|(kind, _)| *kind)))
            };
            lab.claim(claim)
                .without(fixed(&new))
                .with(fixed(&first))
                .shows(|found| found.value() == &list(kinds.iter().map(|(kind, _)| *kind)))?;
        }
    }
    Ok(())
}

fn inode(ids: &[NsId], kind: Kind) -> Value {
    ids.iter().find(|id| id.kind == kind).map(|id| Value::Name(format!("{:#x}", id.ino))).into()
}

fn two_processes(namespaces: Namespaces) -> Result<Vec<Fact>> {
    uts::set_hostname("outside")?;
    let mut first = Child::spawn("first", Namespaces::NONE, |me| {
        me.pause()?;
        uts::set_hostname("first")?;
        me.saw("hostname is set", "yes")
    })?;
    let mut second = Child::spawn("second", namespaces, |me| {
        uts::set_hostname("second")?;
        me.saw("hostname is set", "yes")?;
        me.pause()?;
        me.saw("hostname after the first set it", uts::hostname())
    })?;
    second.hear()?; // it has its name
    let mut facts = Vec::new();
    for child in [&first, &second] {
        let link = namespace::of_kind(Some(child.pid()), Kind::Uts)?;
        facts.push(Fact::outside(format!("{}'s ns/uts", child.label()), link));
    }
    first.release()?;
    first.hear()?;
    second.release()?;
    facts.push(second.hear()?);
    Ok(facts)
}

fn read_a_link_of(traceable: bool) -> Result<Fact> {
    let mut target = Child::spawn("target", Namespaces::NONE, move |me| {
        // proc(5): who is not dumpable belongs, in /proc, to root; and ptrace(2) asks for CAP_SYS_PTRACE.
        nix::sys::prctl::set_dumpable(traceable).named(|| "prctl(PR_SET_DUMPABLE)".into())?;
        // A process with more capabilities than the reader's could not be traced either.
        give_up_capabilities()?;
        me.saw("ready", "yes")?;
        me.stay()
    })?;
    target.hear()?;
    let pid = target.pid();
    let mut reader = Child::spawn("reader", Namespaces::NONE, move |me| {
        give_up_capabilities()?;
        me.saw("readlink(\"/proc/PID/ns/uts\")", Outcome::of(namespace::of_kind(Some(pid), Kind::Uts))?)
    })?;
    Ok(reader.hear()?)
}

fn for_children(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        namespace::unshare(namespaces)?;
        me.saw("open(pid_for_children)", Outcome::of(NsFile::for_children(Kind::Pid))?)?;
        let _first = Child::spawn("first child", Namespaces::NONE, Witness::stay)?;
        me.saw("open(…) after the first child", Outcome::of(NsFile::for_children(Kind::Pid))?)
    })?;
    Ok(caller.hear_all()?)
}

/// Inode numbers and NS_GET_ID numbers of namespaces that were made one after another.
struct Made {
    inodes: BTreeSet<u64>,
    serials: BTreeSet<u64>,
}

impl Made {
    fn inodes(&self) -> [Fact; 2] {
        different("inodes", &self.inodes)
    }

    fn serials(&self) -> [Fact; 2] {
        different("NS_GET_ID numbers", &self.serials)
    }
}

fn different(what: &str, numbers: &BTreeSet<u64>) -> [Fact; 2] {
    let count = Value::Count(i64::try_from(numbers.len()).unwrap_or(i64::MAX));
    [Fact::outside(format!("different {what}"), count), Fact::outside("namespaces made", MANY)]
}

fn one_after_another(keep: bool) -> Result<Made> {
    let mut kept = Vec::new();
    let mut made = Made { inodes: BTreeSet::new(), serials: BTreeSet::new() };
    for _ in 0..MANY {
        let child = Child::spawn("child", Namespaces::UTS, Witness::stay)?;
        let file = NsFile::of(Some(child.pid()), Kind::Uts)?;
        made.inodes.insert(file.id()?.ino);
        made.serials.extend(file.serial().ok());
        kept.extend(keep.then_some(file));
        // Here the child ends and, if its file was not kept, its namespace.
    }
    Ok(made)
}

fn ns_get_id() -> ns_core::Result<Option<Missing>> {
    Ok(match Outcome::of(NsFile::of(None, Kind::Uts)?.serial())? {
        Outcome::Done => None,
        Outcome::Failed(errno) => {
            Some(Missing::new(format!("ioctl(NS_GET_ID) gives {errno:?}"), "run Linux 6.18 or newer"))
        }
    })
}

/// Whether the links of kthreadd can be read. A process of another name is no sign of the first namespaces.
fn kthreadd() -> ns_core::Result<Option<Missing>> {
    let named = std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim_end() == "kthreadd");
    let readable = named && namespace::of(Some(KTHREADD)).is_ok_and(|found| !found.is_empty());
    Ok((!readable).then(|| {
        Missing::new(
            "leave to read the links of kthreadd, PID 2, a member of the first namespaces",
            "run as root outside any container: sudo ns-compare",
        )
    }))
}
