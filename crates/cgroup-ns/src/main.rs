//! What does a cgroup namespace hide?
//!
//! The cgroup of the creator becomes the root of the new namespace. Inside, this cgroup reads as `/`, and all paths start
//! there. Watch which process reads: a path depends on the namespace of the reader. It does not say what a process may
//! do, or how much it may use.
//!
//! The commands by hand are one session of root. Later steps use its shell variables and the cgroup $new.

mod cgroups;
mod escape;
mod mounts;
mod requirements;
mod shell;

use anyhow::Result;
use lesson::{Claim, Experiment, Need, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use ns_core::cgroup::{self, CgroupParent, CgroupRequest};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter};

use cgroups::{Home, Tree, into_cgroup, path_of, shown};
use requirements::A_PARENT;

const CGROUP_NS: Experiment = Experiment {
    name: "cgroup-ns",
    question: "What does a cgroup namespace hide?",
    setup: "A process in a cgroup reads its own path, and those of others.",
    arms: ["plain child", "CLONE_NEWCGROUP"],
    in_short: "it changes where paths start, and moves no process. With nsdelegate, a member cannot move out.",
    notes: "Cgroup Namespace",
    man: &["cgroup_namespaces(7)", "cgroups(7)", "namespaces(7)"],
    examples: &[
        ("cgroup-ns", "run the experiment, below the nearest cgroup that you may write to"),
        (
            "systemd-run --user --scope -p Delegate=yes cgroup-ns",
            "run it as an ordinary user, in a cgroup that systemd delegates",
        ),
        ("cgroup-ns --sabotage", "run the negative control: without the factors, no claim holds"),
    ],
    sandbox: Namespaces::MNT,
    requires: &[Requirement::Namespace(Kind::Cgroup)],
    steps: &[
        READ_OWN_PATH,
        READ_OTHERS_PATHS,
        COMPARE_TWO,
        MOVE_A_MEMBER,
        ENTER,
        mounts::LOOK_FROM_INSIDE,
        mounts::MOUNT_IN_A_USER_NAMESPACE,
        escape::BREAK_OUT,
        escape::STAND_AT_THE_BOUNDARY,
        escape::SET_THE_OPTION,
    ],
    shell: Some(shell::SHELL),
    prepare: Some(prepare),
};

fn prepare() -> Result<()> {
    Ok(cgroup::sweep().map(drop)?)
}

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_NS)
}

/// A cgroup that is not the visible root: a new one, or that of this process.
const A_HOME: Requirement = Requirement::Probe(|| Ok(Home::find()?.err()));

const BECOMES_ROOT: Claim = Claim::holds(
    "becomes-root",
    "The root of a new cgroup namespace is the cgroup of its creator, and reads as / there.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[21, 22])
.requires(&[A_HOME])
.core(&[Row::inside("own path", "/proc/self/cgroup")])
.asks(
    "A process in the cgroup /home calls unshare(CLONE_NEWCGROUP). Which path does it read in /proc/self/cgroup?",
    &[
        right("/"),
        wrong("/home", "no process is moved, and the path is that of its cgroup"),
        wrong("/home/ and a new name", "a new namespace seems to need a new cgroup"),
        wrong("none: the file is empty", "some new namespaces start empty"),
    ],
);
const OUTSIDE: Claim = Claim::holds(
    "outside",
    "Read from outside, /proc/PID/cgroup of a member shows the path from the reader's root, and not /.",
)
.factor("a reader outside")
.notes(&[23, 25])
.requires(&[A_HOME])
.arms("by itself", "from outside")
.core(&[Row::first("path, read")])
.asks(
    "A process has created a cgroup namespace. The host reads its /proc/PID/cgroup. What does it read?",
    &[
        right("the path from the host's root"),
        wrong("/", "the file belongs to the process, so it seems to show what the process reads"),
        wrong("nothing: EACCES", "isolation seems to deny access"),
    ],
);

const READ_OWN_PATH: Step = Step {
    title: "Put a process into a cgroup. Let it create a cgroup namespace there, and read its path.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")", "read(\"/proc/PID/cgroup\")"],
    by_hand: &[hand("v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup); new=$own/new").as_root().prints("").needs(&[Need::Cgroup]), hand("mkdir $new $new/inner; echo $$ > $new/inner/cgroup.procs; grep ^0:: /proc/self/cgroup").as_root().prints("0::/…/inner"), hand("unshare --cgroup sh -c 'grep ^0:: /proc/self/cgroup; readlink /proc/$$/ns/cgroup; grep ^0:: /proc/$PPID/cgroup'").as_root().prints("0::/\ncgroup:[…]\n0::/"), ],
    claims: &[BECOMES_ROOT, OUTSIDE],
    run: |lab| {
        // It stays until the end of the run, so that a reader can inspect its members.
        let home = lab.once(|_| Ok(Home::find()?.map_err(ns_core::Error::Unmet)?))?;
        let paths =
            lab.arms(Namespaces::NONE, Namespaces::CGROUP, |namespaces| read_own_path(&home, namespaces))?;
        let paths = paths.try_map(|(child, path)| {
            lab.keep(child)?;
            Ok(path)
        })?;
        lab.judge(BECOMES_ROOT, paths).shows(inside("/proc/self/cgroup").is("/"))?;
        lab.compare(OUTSIDE, Reader::Itself, Reader::Outside, |reader| {
            let (child, path) = read_own_path(&home, Namespaces::CGROUP)?;
            Ok(match reader {
                Reader::Itself => path,
                Reader::Outside => {
                    Fact::outside("/proc/PID/cgroup", shown(&path_of(Some(child.pid()), &home.controllers)?))
                }
            })
        })?
        .shows(first().is_not("/"))
    },
};

const RELATIVE: Claim = Claim::holds(
    "relative",
    "Paths start at the reader's root: the parent of the root reads as /.., a sibling as /../NAME.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[23, 26])
.requires(&[A_PARENT])
.core(&[
    Row::inside("parent's path", IN_PARENT),
    Row::inside("sibling's path", IN_SIBLING),
])
.asks(
    "In a new cgroup namespace, a process reads the path of a process in the parent of its root. Which is it?",
    &[
        right("/.."),
        wrong("/", "nothing seems to be above the root, as for chroot()"),
        wrong("the whole path", "/proc/PID/cgroup seems to be the same text for every reader"),
    ],
);
const HIDES: Claim = Claim::refuted(
    "hides",
    "A process in a cgroup namespace cannot see the paths of cgroups outside it.",
    "relative",
)
.factor("CLONE_NEWCGROUP")
.notes(&[26])
.requires(&[A_PARENT])
.core(&[Row::inside("sibling seen", NAMED)])
.asks(
    "A process in a new cgroup namespace reads /proc/PID/cgroup of a process in `sibling`, a sibling of its root. What is it?",
    &[
        right("a path that names `sibling`"),
        wrong("nothing", "cgroup_namespaces(7) names the prevention of information leaks first"),
        wrong("/, as for itself", "the root seems to replace every path outside"),
    ],
);
/// The path of a process in the parent of the reader's cgroup.
const IN_PARENT: &str = "/proc/PID/cgroup in parent";
/// The path of a process in a sibling of the reader's cgroup.
const IN_SIBLING: &str = "/proc/PID/cgroup in sibling";
/// Whether that path has the name of the sibling.
const NAMED: &str = "names the sibling";

const READ_OTHERS_PATHS: Step = Step {
    title: "From inside, read the path of a process in the parent cgroup, and of one in a sibling.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/PID/cgroup\")"],
    by_hand: &[
        hand("mkdir $new/sibling; sleep 60 & echo $! > $new/sibling/cgroup.procs")
            .as_root()
            .prints("")
            .in_the_same_shell(),
        hand("unshare --cgroup sh -c 'grep ^0:: /proc/1/cgroup /proc/$1/cgroup' sh $!; kill $!")
            .as_root()
            .prints("/proc/1/cgroup:0::/…\n/proc/…/cgroup:0::/../sibling"),
    ],
    claims: &[HIDES, RELATIVE],
    run: |lab| {
        let paths = lab.arms(Namespaces::NONE, Namespaces::CGROUP, read_others_paths)?;
        lab.judge(HIDES, paths.only(&[IN_SIBLING, NAMED])).shows(inside(NAMED).is("no"))?;
        lab.judge(RELATIVE, paths.only(&[IN_PARENT, IN_SIBLING]))
            .shows(inside(IN_PARENT).is("/..") & inside(IN_SIBLING).is("/../sibling"))
    },
};

const SAME: Claim = Claim::holds(
    "same",
    "Two processes in different cgroups, each in its own cgroup namespace, read the same path.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[27])
.requires(&[A_PARENT]);

const COMPARE_TWO: Step = Step {
    title: "Let two processes in two cgroups create a namespace each. Compare the paths that they read.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("for one in inner sibling; do sh -c 'echo $$ > $1/cgroup.procs; exec unshare --cgroup grep ^0:: /proc/self/cgroup' sh $new/$one; done").as_root().prints("0::/\n0::/").in_the_same_shell(), ],
    claims: &[SAME],
    run: |lab| {
        lab.compare(SAME, Namespaces::NONE, Namespaces::CGROUP, read_in_both)?
            .shows(outside("same path").is("yes"))
    },
};

const ROOT_STAYS: Claim = Claim::holds(
    "root-stays",
    "The root of the namespace stays: a member that is moved to a sibling of it reads /../NAME.",
)
.factor("a move from outside")
.arms("not moved", "moved")
.notes(&[21, 27])
.requires(&[A_PARENT]);

const MOVE_A_MEMBER: Step = Step {
    title: "From outside, move a member of a namespace to a sibling cgroup. Let it read its path before and after.",
    calls: &["write(\"…/sibling/cgroup.procs\", \"PID\")", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("export go=$(mktemp -u); mkfifo $go; unshare --cgroup sh -c 'read go < $go; grep ^0:: /proc/self/cgroup' & sleep 1").as_root().prints("").in_the_same_shell(), hand("echo $! > $new/sibling/cgroup.procs; echo > $go; wait $!; rm $go").as_root().prints("0::/../sibling"), ],
    claims: &[ROOT_STAYS],
    run: |lab| {
        lab.compare(ROOT_STAYS, false, true, read_after_a_move)?
            .shows(inside("/proc/self/cgroup").is("/../sibling"))
    },
};

const ENTERED: Claim = Claim::holds(
    "entered",
    "setns() into a cgroup namespace changes the paths that the caller reads, and does not move the caller.",
)
.factor("setns()")
.notes(&[21, 22])
.requires(&[A_PARENT])
.arms("stays out", "setns()")
.core(&[Row::inside("own path", "/proc/self/cgroup"), Row::outside("in old cgroup", "still in the sibling")])
.asks(
    "A process enters the cgroup namespace of another process by setns(). In which cgroup is it then?",
    &[
        right("in the same as before"),
        wrong(
            "in the root of that namespace",
            "cgroups set limits, so their namespace seems to set some too",
        ),
        wrong("in the cgroup of the other process", "`docker exec` changes both, and looks like one step"),
    ],
);

const ENTER: Step = Step {
    title: "Let a process of a sibling cgroup enter the namespace by setns().",
    calls: &["setns(fd, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("unshare --cgroup sleep 60 & sleep 1; nsenter --target $! --cgroup grep ^0:: /proc/self/cgroup; kill $!").as_root().prints("0::/").in_the_same_shell(), ],
    claims: &[ENTERED],
    run: |lab| {
        lab.compare(ENTERED, false, true, read_from_sibling)?
            .in_both_arms(outside("still in the sibling").is("yes"))
            .shows(inside("/proc/self/cgroup").is("/../sibling"))
    },
};

/// Which process reads the path.
#[derive(Clone, Copy)]
enum Reader {
    Itself,
    Outside,
}

/// A child in the home cgroup that moves into new `namespaces`, reports its path, and stays.
fn read_own_path(home: &Home, namespaces: Namespaces) -> Result<(Child, Fact)> {
    let label = if namespaces.is_empty() { "plain child" } else { "member" };
    let mut child = home.start(label, namespaces, |me| {
        me.report("/proc/self/cgroup", shown(&path_of(None, &home.controllers)?))?;
        me.stay()
    })?;
    let path = child.fact()?;
    Ok((child, path))
}

fn read_others_paths(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let others =
        [(&tree.top, "parent"), (&tree.sibling, "sibling")].map(|(cgroup, label)| start_in(cgroup, label));
    let others = others.into_iter().collect::<Result<Vec<_>>>()?;
    let mut reader = into_cgroup(&tree.home, "reader", namespaces, |me| {
        let mut path = String::new();
        for other in &others {
            path = path_of(Some(other.pid()), "")?;
            me.report(format!("/proc/PID/cgroup in {}", other.label()), shown(&path))?;
        }
        // The last one is in the sibling.
        me.report(NAMED, path.contains("sibling"))
    })?;
    Ok(reader.facts()?)
}

fn read_in_both(namespaces: Namespaces) -> Result<[Fact; 3]> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let mut paths = Vec::new();
    for cgroup in [&tree.home, &tree.sibling] {
        let read = |me: &mut Reporter| me.report("/proc/self/cgroup", shown(&path_of(None, "")?));
        paths.push(into_cgroup(cgroup, "reader", namespaces, read)?.fact()?.value);
    }
    let [one, other] = [paths.remove(0), paths.remove(0)];
    Ok([
        Fact::outside("same path", one == other),
        Fact::inside("one", "/proc/self/cgroup in home", one),
        Fact::inside("other", "/proc/self/cgroup in sibling", other),
    ])
}

/// A member of a cgroup namespace reads its path. It is moved to the sibling first if `moved`.
fn read_after_a_move(moved: bool) -> Result<Fact> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let mut member = into_cgroup(&tree.home, "member", Namespaces::CGROUP, |me| {
        me.report("/proc/self/cgroup", shown(&path_of(None, "")?))?;
        me.checkpoint()?;
        me.report("/proc/self/cgroup", shown(&path_of(None, "")?))
    })?;
    member.fact()?; // before the move
    if moved {
        tree.sibling.join(member.pid())?;
    }
    member.wake()?;
    Ok(member.fact()?)
}

/// A process in the sibling cgroup reads its path. It enters the namespace first if `enters`.
fn read_from_sibling(enters: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let mut member = into_cgroup(&tree.home, "member", Namespaces::CGROUP, |me| {
        me.report("ready", "yes")?;
        me.stay()
    })?;
    member.fact()?; // the namespace is created
    let mut caller = into_cgroup(&tree.sibling, "caller", Namespaces::NONE, |me| {
        if enters {
            NsFile::of(Some(member.pid()), Kind::Cgroup)?.enter(Some(Kind::Cgroup))?;
        }
        me.report("/proc/self/cgroup", shown(&path_of(None, "")?))?;
        me.stay()
    })?;
    let path = caller.fact()?;
    let is_still = tree.sibling.procs()?.contains(&caller.pid());
    Ok(vec![path, Fact::outside("still in the sibling", is_still)])
}

/// Starts an idle process.
fn start_in(cgroup: &cgroup::Cgroup, label: &str) -> Result<Child> {
    let mut child = into_cgroup(cgroup, label, Namespaces::NONE, |me| {
        me.report("it is", "ready")?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}
