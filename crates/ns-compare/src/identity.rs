//! The identity of a namespace: links in /proc/PID/ns, inode numbers, and the unique numbers of NS_GET_ID.

use std::collections::BTreeSet;

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use ns_core::probe::{self, Unmet};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Pid, Reporter, Value, namespace, process,
    uts,
};

use crate::container::start_container;
use crate::eight::{at_once, list, of_this_kernel};

const LINKS: Claim = Claim::holds(
    "links",
    "If the ns/uts links of two processes differ, a hostname that one sets is not visible to the other.",
)
.factor("CLONE_NEWUTS")
.notes(&[18])
.arms("same UTS", "new UTS")
.core(&[Row::outside("their ns/uts links", LINKS_OF_BOTH), Row::inside("hostname of the second", READ)])
.asks(
    "How do you tell that two processes are in different UTS namespaces?",
    &[
        right("their links /proc/PID/ns/uts differ"),
        wrong(
            "their hostnames differ",
            "they often do, but a new namespace begins with a copy of the hostname",
        ),
        wrong("one of them is PID 1 inside", "this shows a different PID namespace"),
        wrong("an ordinary user cannot", "lsns shows an ordinary user fewer namespaces than root"),
    ],
);

/// The fact that says whether the links of two processes differ.
const LINKS_OF_BOTH: &str = "ns/uts of the two";
const READ: &str = "hostname after the first set it";

pub(crate) const COMPARE_LINKS: Step = Step {
    title: "Compare the UTS links of two processes. Then let the first set the hostname, and the second read it.",
    calls: &["readlink(\"/proc/PID/ns/uts\")", "sethostname(\"first\")", "uname()"],
    by_hand: &[hand(
        "readlink /proc/$$/ns/uts /proc/self/ns/uts; unshare -Ur --uts readlink /proc/self/ns/uts",
    )
    .prints("uts:[<ns A>]\nuts:[<ns A>]\nuts:[<ns B>]")],
    claims: &[LINKS],
    run: |lab| {
        lab.compare(LINKS, Namespaces::NONE, Namespaces::UTS, two_processes)?.shows(
            outside("first's ns/uts").differs_from(outside("second's ns/uts")) & inside(READ).is("second"),
        )
    },
};

const TRACE: Claim = Claim::holds(
    "trace",
    "Reading a link in /proc/PID/ns needs read access by the rules of ptrace(2); without it, EACCES.",
)
.factor("PR_SET_DUMPABLE 0")
.notes(&[18]);

pub(crate) const READ_A_LINK: Step = Step {
    title: "Without capabilities, read the link of a dumpable process, and of one that is not dumpable.",
    calls: &["prctl(PR_SET_DUMPABLE, 0)", "capset([])", "readlink(\"/proc/PID/ns/uts\")"],
    by_hand: &[hand("ls -l /proc/1/ns").prints("EACCES")],
    claims: &[TRACE],
    run: |lab| lab.compare(TRACE, true, false, read_a_link_of)?.shows(first().is("EACCES")),
};

const NO_CHILD_YET: Claim = Claim::holds(
    "no-child-yet",
    "After unshare(CLONE_NEWPID), open() of pid_for_children fails with ENOENT until the first child is created.",
)
.factor("unshare(CLONE_NEWPID)")
.notes(&[18])
.requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const LOOK_FOR_CHILDREN: Step = Step {
    title: "Call unshare(CLONE_NEWPID). Open pid_for_children, the namespace of the next children, before and after the first fork().",
    calls: &["unshare(CLONE_NEWPID)", "open(\"/proc/self/ns/pid_for_children\")", "fork()"],
    by_hand: &[hand("unshare -Ur --pid readlink /proc/self/ns/pid_for_children; echo $?").prints("1")],
    claims: &[NO_CHILD_YET],
    run: |lab| {
        lab.compare(NO_CHILD_YET, Namespaces::NONE, Namespaces::PID, for_children)?
            .in_both_arms(inside("open(…) after the first child").from("ENOENT").to("OK"))
            .shows(inside("open(pid_for_children)").is("ENOENT"))
    },
};

const REUSED: Claim = Claim::holds(
    "reused",
    "UTS namespaces that exist at the same time have different inode numbers; a later one can reuse a number.",
)
.factor("the end of the previous one")
.notes(&[18]);
const SERIAL: Claim = Claim::holds(
    "serial",
    "ioctl(NS_GET_ID) returns a different number for each of 16 UTS namespaces created one after another.",
)
.factor("NS_GET_ID")
.more(&[9])
.requires(&[Requirement::Probe(ns_get_id)]);

/// How many namespaces are created one after another.
const MANY: usize = 16;
/// How many at most, while no inode number has been reused: other processes of this machine take numbers too.
const MOST: usize = 8 * MANY;

pub(crate) const MAKE_SIXTEEN: Step = Step {
    title: "Create 16 UTS namespaces one after another: keep each open, then end each before the next.",
    calls: &["clone3(CLONE_NEWUTS)", "fstat(\"/proc/PID/ns/uts\")", "ioctl(uts, NS_GET_ID)"],
    by_hand: &[hand("for n in 1 2 3; do unshare -Ur --uts readlink /proc/self/ns/uts; done")
        .prints("uts:[…]\nuts:[…]\nuts:[…]")],
    claims: &[REUSED, SERIAL],
    run: |lab| {
        lab.compare(REUSED, true, false, |keeps| one_after_another(keeps, Number::Inode))?
            .shows(first().is("fewer"))?;
        lab.compare(SERIAL, Number::Inode, Number::Serial, |number| one_after_another(false, number))?
            .shows(first().is(MANY))
    },
};

const FIRST: Claim = Claim::holds(
    "first",
    "The initial namespaces have fixed inode numbers, from 0xefffffff for ipc down to 0xeffffffa for time.",
)
.factor("membership since boot")
.more(&[10])
.requires(&[Requirement::Probe(kthreadd), Requirement::Probe(at_once)]);
const FIRST_NET_MNT: Claim = Claim::holds_since(
    "first-net-mnt",
    "The initial network namespace has the inode number 0xeffffff9, and the initial mount namespace 0xeffffff8.",
    Kernel(6, 18),
)
.factor("membership since boot")
.more(&[10])
.requires(&[Requirement::Probe(kthreadd), Requirement::Probe(at_once)]);

/// The PID of kthreadd, a kernel thread and a member of the initial namespaces.
const KTHREADD: Pid = Pid::from_raw(2);
/// The inode numbers in linux/nsfs.h.
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

pub(crate) const READ_THE_FIRST: Step = Step {
    title: "Read the links of kthreadd, which is in the initial namespaces, and of a child in new ones.",
    calls: &["readlink(\"/proc/2/ns/…\")"],
    by_hand: &[hand("readlink /proc/2/ns/uts; printf '%x\\n' 4026531838")
        .as_root()
        .prints("uts:[4026531838]\neffffffe")
        .needs(&[Need::Systemd])],
    claims: &[FIRST, FIRST_NET_MNT],
    run: |lab| {
        let child = start_container(of_this_kernel())?;
        let links = lab.arms(child.pid(), KTHREADD, |pid| Ok(namespace::of(Some(pid))?))?;
        let row = |kind: Kind| {
            vec![kind.link().into(), inode(links.control(), kind), inode(links.treatment(), kind)]
        };
        let rows = FIRST_INODES.iter().filter(|(kind, _)| probe::kind(*kind).is_none());
        let rows = rows.map(|(kind, _)| row(*kind)).collect();
        lab.table("Inode numbers", &["kind", "a new namespace", "the initial one"], rows)?;
        for (claim, kinds) in [(FIRST, &FIRST_INODES[..6]), (FIRST_NET_MNT, &FIRST_INODES[6..])] {
            let all = kinds.iter().map(|(kind, _)| *kind).filter(|kind| probe::kind(*kind).is_none());
            let all = list(all);
            lab.judge(claim, links.clone().map(|ids| fixed(kinds, &ids))).shows(first().is(all))?;
        }
        Ok(())
    },
};

/// Those of `kinds` whose inode number is the fixed one.
fn fixed(kinds: &[(Kind, u64)], ids: &[NsId]) -> Fact {
    let fixed = kinds.iter().filter(|(kind, ino)| ids.iter().any(|id| (id.kind, id.ino) == (*kind, *ino)));
    Fact::outside("kinds with the fixed number", list(fixed.map(|(kind, _)| *kind)))
}

fn inode(ids: &[NsId], kind: Kind) -> Value {
    ids.iter().find(|id| id.kind == kind).map(|id| Value::Name(format!("{:#x}", id.ino))).into()
}

fn two_processes(namespaces: Namespaces) -> Result<Vec<Fact>> {
    uts::set_hostname("outside")?;
    let mut first = Child::spawn("first", Namespaces::NONE, |me| {
        me.checkpoint()?;
        uts::set_hostname("first")?;
        me.report("hostname is set", "yes")
    })?;
    let mut second = Child::spawn("second", namespaces, |me| {
        uts::set_hostname("second")?;
        me.report("hostname is set", "yes")?;
        me.checkpoint()?;
        me.report(READ, uts::hostname())
    })?;
    second.fact()?; // it has set its hostname
    let mut facts = Vec::new();
    let mut links = Vec::new();
    for child in [&first, &second] {
        let link = namespace::of_kind(Some(child.pid()), Kind::Uts)?;
        facts.push(Fact::outside(format!("{}'s ns/uts", child.label()), link));
        links.push(link);
    }
    first.wake()?;
    first.fact()?;
    second.wake()?;
    facts.push(second.fact()?);
    let word = if links[0] == links[1] { "the same" } else { "different" };
    facts.push(Fact::outside(LINKS_OF_BOTH, word));
    Ok(facts)
}

fn read_a_link_of(traceable: bool) -> Result<Fact> {
    let mut target = Child::spawn("target", Namespaces::NONE, move |me| {
        // A process that is not dumpable belongs to root in /proc (proc(5)), and ptrace(2) needs CAP_SYS_PTRACE for it.
        nix::sys::prctl::set_dumpable(traceable).named(|| "prctl(PR_SET_DUMPABLE)".into())?;
        // A process with more capabilities than the reader has could not be traced either.
        process::drop_all_capabilities()?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    target.fact()?;
    let pid = target.pid();
    let mut reader = Child::spawn("reader", Namespaces::NONE, move |me| {
        process::drop_all_capabilities()?;
        me.report("readlink(\"/proc/PID/ns/uts\")", Outcome::of(namespace::of_kind(Some(pid), Kind::Uts))?)
    })?;
    Ok(reader.fact()?)
}

fn for_children(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
        namespace::unshare(namespaces)?;
        me.report("open(pid_for_children)", Outcome::of(NsFile::for_children(Kind::Pid))?)?;
        let _first = Child::spawn("first child", Namespaces::NONE, Reporter::stay)?;
        me.report("open(…) after the first child", Outcome::of(NsFile::for_children(Kind::Pid))?)
    })?;
    Ok(caller.facts()?)
}

/// The number by which to identify a namespace.
#[derive(Clone, Copy)]
enum Number {
    Inode,
    Serial,
}

impl Number {
    fn of(self, file: &NsFile) -> ns_core::Result<u64> {
        match self {
            Number::Inode => Ok(file.id()?.ino),
            Number::Serial => file.serial(),
        }
    }

    fn different(self) -> &'static str {
        match self {
            Number::Inode => "different inodes",
            Number::Serial => "different NS_GET_ID numbers",
        }
    }
}

/// The number of different inodes or IDs among namespaces that are created one after another, and kept open or not.
fn one_after_another(keeps: bool, number: Number) -> Result<[Fact; 2]> {
    let may_be_reused = !keeps && matches!(number, Number::Inode);
    let mut kept = Vec::new();
    let mut numbers = BTreeSet::new();
    let mut made = 0;
    while made < MANY || may_be_reused && numbers.len() == made && made < MOST {
        made += 1;
        let child = Child::spawn("child", Namespaces::UTS, Reporter::stay)?;
        let file = NsFile::of(Some(child.pid()), Kind::Uts)?;
        numbers.insert(number.of(&file)?);
        kept.extend(keeps.then_some(file));
        // Dropping the child ends it. If its file was not kept, its namespace is gone too.
    }
    // How many are reused depends on what else runs on this machine.
    let count = if numbers.len() == made { Value::from(made) } else { "fewer".into() };
    Ok([Fact::outside(number.different(), count), Fact::outside("namespaces created", made)])
}

fn ns_get_id() -> ns_core::Result<Option<Unmet>> {
    Ok(match Outcome::of(NsFile::of(None, Kind::Uts)?.serial())? {
        Outcome::Done => None,
        Outcome::Failed(errno) => {
            Some(Unmet::new(format!("ioctl(NS_GET_ID) fails with {errno:?}"), "run Linux 6.18 or newer"))
        }
    })
}

/// The reason, if there is one, why the links of kthreadd cannot be read. PID 2 must be called kthreadd: another process
/// may be in other namespaces.
fn kthreadd() -> ns_core::Result<Option<Unmet>> {
    let named = std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim_end() == "kthreadd");
    let readable = named && namespace::of(Some(KTHREADD)).is_ok_and(|found| !found.is_empty());
    Ok((!readable).then(|| {
        Unmet::new(
            "permission to read the links of kthreadd, PID 2, which is in the initial namespaces",
            "run as root outside any container: sudo ns-compare",
        )
    }))
}
