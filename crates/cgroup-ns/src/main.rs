//! What does a cgroup namespace hide?
//!
//! The cgroup that a process is in when it makes the namespace becomes the root of its view: `/` is where it is, and
//! all other paths start there. Watch who reads. The same process has one path for itself and another for those
//! outside, and neither says what it may do: that is decided elsewhere.
//!
//! What is shown by hand is one session of root: its shell variables, and the cgroup $new, last from step to step.

mod cgroups;
mod escape;
mod mounts;
mod requirements;

use anyhow::Result;
use lesson::{Claim, Experiment, Need, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use nix::sys::stat::{Mode, umask};
use ns_core::cgroup::{self, CgroupParent, CgroupRequest};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Reporter};

use cgroups::{Home, Tree, into_cgroup, path_of, shown};
use requirements::A_PARENT;

const CGROUP_NS: Experiment = Experiment {
    name: "cgroup-ns",
    question: "What does a cgroup namespace hide?",
    setup: "A process in a cgroup reads its path, and those of others.",
    arms: ["plain child", "CLONE_NEWCGROUP"],
    in_short: "it changes what paths begin with, not where a process is. With nsdelegate no member gets out.",
    notes: "Cgroup Namespace",
    man: &["cgroup_namespaces(7)", "cgroups(7)", "namespaces(7)"],
    examples: &[
        ("cgroup-ns", "run the experiment in the nearest cgroup that may be written"),
        ("systemd-run --user --scope -p Delegate=yes cgroup-ns", "as an ordinary user of systemd"),
        ("cgroup-ns --sabotage", "without the factors: no claim holds"),
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
    prepare: Some(prepare),
};

fn prepare() -> Result<()> {
    // A umask such as 0777 would keep the owner out of the cgroups that it makes.
    umask(Mode::from_bits_truncate(0o022));
    Ok(cgroup::sweep().map(drop)?)
}

fn main() -> std::process::ExitCode {
    lesson::main(&CGROUP_NS)
}

/// A cgroup that is not the root of what we see: one that we make, or our own.
const A_HOME: Requirement = Requirement::Probe(|| Ok(Home::find()?.err()));

const BECOMES_ROOT: Claim = Claim::holds(
    "becomes-root",
    "The cgroup that a process is in when it creates a cgroup namespace is the namespace's root, and reads as /.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[21, 22])
.requires(&[A_HOME])
.core(&[Row::inside("its own path", "/proc/self/cgroup")])
.asks(
    "A process in the cgroup /home calls unshare(CLONE_NEWCGROUP). Which path does it read in /proc/self/cgroup?",
    &[
        right("/"),
        wrong("/home", "no process has been moved, and the path is that of its cgroup"),
        wrong("/home/ and a new name", "creating a namespace is thought to create a cgroup for it"),
        wrong("none: the file is empty", "a new namespace is expected to begin empty"),
    ],
);
const OUTSIDE: Claim = Claim::holds(
    "outside",
    "Others see what the process itself does not: outside its namespace /proc/PID/cgroup has the whole path.",
)
.factor("a reader outside")
.notes(&[23, 25])
.requires(&[A_HOME])
.arms("by itself", "from outside")
.core(&[Row::first("its path, read")])
.asks(
    "A process has created a cgroup namespace. The host reads its /proc/PID/cgroup. What does it read?",
    &[
        right("the path from the host's root"),
        wrong("/", "the file is the process's, so it is expected to say what the process reads"),
        wrong("nothing: EACCES", "what is inside a namespace is thought to be out of reach"),
    ],
);

const READ_OWN_PATH: Step = Step {
    title: "Put a process into a cgroup, let it make a namespace there, and ask where it is.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")", "read(\"/proc/PID/cgroup\")"],
    by_hand: &[hand("v2=$(findmnt -nfo TARGET -t cgroup2); own=$v2$(sed -n s/^0:://p /proc/self/cgroup); new=$own/new").as_root().prints("").needs(&[Need::Cgroup]), hand("mkdir $new $new/inner; echo $$ > $new/inner/cgroup.procs; grep ^0:: /proc/self/cgroup").as_root().prints("0::/…/inner"), hand("unshare --cgroup sh -c 'grep ^0:: /proc/self/cgroup; readlink /proc/$$/ns/cgroup; grep ^0:: /proc/$PPID/cgroup'").as_root().prints("0::/\ncgroup:[…]\n0::/"), ],
    claims: &[BECOMES_ROOT, OUTSIDE],
    run: |lab| {
        // It stays until the end, so that those in it can be looked at meanwhile.
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
    "A path starts at the reader's root: a process above is at /.., one beside at /../ and its cgroup's name.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[23, 26])
.requires(&[A_PARENT])
.core(&[
    Row::inside("path above", "/proc/PID/cgroup of one above"),
    Row::inside("path beside", BESIDE),
])
.asks(
    "In a new cgroup namespace a process reads the path of one in the cgroup above its root. Which is it?",
    &[
        right("/.."),
        wrong("/", "the root is thought to be the highest that there is, as for chroot()"),
        wrong("the whole path", "/proc/PID/cgroup is taken for one text, the same for every reader"),
    ],
);
const HIDES: Claim = Claim::refuted(
    "hides",
    "In a cgroup namespace the paths of the cgroups outside cannot be seen.",
    "relative",
)
.factor("CLONE_NEWCGROUP")
.notes(&[26])
.requires(&[A_PARENT])
.core(&[Row::inside("sibling seen", NAMED)])
.asks(
    "A process in a new cgroup namespace reads /proc/PID/cgroup of one in the cgroup `sibling`, beside its root. What is it?",
    &[
        right("a path that names `sibling`"),
        wrong("nothing", "to prevent information leaks is the first use that the manual page names"),
        wrong("/, as for itself", "every path outside is thought to be replaced by the root"),
    ],
);
/// The path of a process in the cgroup beside the reader's.
const BESIDE: &str = "/proc/PID/cgroup of one beside";
/// Whether that path has the cgroup's name.
const NAMED: &str = "it names that cgroup";

const READ_OTHERS_PATHS: Step = Step {
    title: "From inside, look at a process in the cgroup above, and at one in the cgroup beside.",
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
        lab.judge(HIDES, paths.only(&[BESIDE, NAMED])).shows(inside(NAMED).is("no"))?;
        lab.judge(RELATIVE, paths.only(&["/proc/PID/cgroup of one above", BESIDE]))
            .shows(inside("/proc/PID/cgroup of one above").is("/..") & inside(BESIDE).is("/../sibling"))
    },
};

const SAME: Claim = Claim::holds(
    "same",
    "In namespaces of their own two processes read the same path, though their cgroups are two.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[27])
.requires(&[A_PARENT]);

const COMPARE_TWO: Step = Step {
    title: "Let two processes in two cgroups make a namespace each, and compare what they read.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("for one in inner sibling; do sh -c 'echo $$ > $1/cgroup.procs; exec unshare --cgroup grep ^0:: /proc/self/cgroup' sh $new/$one; done").as_root().prints("0::/\n0::/").in_the_same_shell(), ],
    claims: &[SAME],
    run: |lab| {
        lab.compare(SAME, Namespaces::NONE, Namespaces::CGROUP, read_in_both)?
            .shows(outside("they read the same").is("yes"))
    },
};

const ROOT_STAYS: Claim = Claim::holds(
    "root-stays",
    "The root stays where it was: a process that is moved to the cgroup beside it reads /../ and that one's name.",
)
.factor("a move from outside")
.notes(&[21, 27])
.requires(&[A_PARENT]);

const MOVE_A_MEMBER: Step = Step {
    title: "Move a member of a namespace to the cgroup beside, from outside. Let it look before and after.",
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
    "setns() into a cgroup namespace changes what is read, and moves the caller to no other cgroup.",
)
.factor("setns()")
.notes(&[21, 22])
.requires(&[A_PARENT])
.arms("stays out", "setns()")
.core(&[
    Row::inside("its own path", "/proc/self/cgroup"),
    Row::outside("in old cgroup", "it is in the sibling still"),
])
.asks(
    "A process enters another's cgroup namespace by setns(). In which cgroup is it then?",
    &[
        right("in its own, as before"),
        wrong(
            "in the root of that namespace",
            "cgroups are about limits, so one expects a namespace of cgroups to bring some",
        ),
        wrong(
            "in the cgroup of the process whose namespace it is",
            "`docker exec` does both, and looks like one step",
        ),
    ],
);

const ENTER: Step = Step {
    title: "Let a process of the cgroup beside enter the namespace.",
    calls: &["setns(fd, CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("unshare --cgroup sleep 60 & sleep 1; nsenter --target $! --cgroup grep ^0:: /proc/self/cgroup; kill $!").as_root().prints("0::/").in_the_same_shell(), ],
    claims: &[ENTERED],
    run: |lab| {
        lab.compare(ENTERED, false, true, visit)?.shows(
            inside("/proc/self/cgroup").is("/../sibling") & outside("it is in the sibling still").is("yes"),
        )
    },
};

/// Who reads the path of a process.
#[derive(Clone, Copy)]
enum Reader {
    Itself,
    Outside,
}

/// A child at home that moves into new `namespaces`, says where it is, and stays.
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
    let others = [(&tree.top, "one above"), (&tree.sibling, "one beside")]
        .map(|(cgroup, label)| start_in(cgroup, label));
    let others = others.into_iter().collect::<Result<Vec<_>>>()?;
    let mut reader = into_cgroup(&tree.home, "reader", namespaces, |me| {
        let mut path = String::new();
        for other in &others {
            path = path_of(Some(other.pid()), "")?;
            me.report(format!("/proc/PID/cgroup of {}", other.label()), shown(&path))?;
        }
        // The last one is beside.
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
        Fact::outside("they read the same", one == other),
        Fact::inside("one", "/proc/self/cgroup in home", one),
        Fact::inside("other", "/proc/self/cgroup in sibling", other),
    ])
}

/// A member of a cgroup namespace reads where it is: where the namespace was made, or `moved` to the cgroup beside.
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

/// A process of the cgroup beside reads where it is; first it `enters` the namespace, or does not.
fn visit(enters: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let mut member = into_cgroup(&tree.home, "member", Namespaces::CGROUP, |me| {
        me.report("ready", "yes")?;
        me.stay()
    })?;
    member.fact()?; // the namespace is made
    let mut visitor = into_cgroup(&tree.sibling, "visitor", Namespaces::NONE, |me| {
        if enters {
            NsFile::of(Some(member.pid()), Kind::Cgroup)?.enter(Some(Kind::Cgroup))?;
        }
        me.report("/proc/self/cgroup", shown(&path_of(None, "")?))?;
        me.stay()
    })?;
    let path = visitor.fact()?;
    let is_there = tree.sibling.procs()?.contains(&visitor.pid());
    Ok(vec![path, Fact::outside("it is in the sibling still", is_there)])
}

/// An idle process.
fn start_in(cgroup: &cgroup::Cgroup, label: &str) -> Result<Child> {
    let mut child = into_cgroup(cgroup, label, Namespaces::NONE, |me| {
        me.report("it is", "there")?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}
