//! One process, how many PIDs?
//!
//! PID namespaces form a tree, and a process has a number in its own namespace and in each one above it. Watch for the
//! direction: numbers, signals and procfs all look down the tree, and nothing in it looks up.
//!
//! Where a trial needs a namespace to stand in for the machine's own, it makes one, A, around both arms alike. What an
//! arm adds to it is the cause.

mod adoption;
mod depth;
mod mounts;
mod moving;
mod numbers;
mod reach;
mod trial;

use std::ffi::CString;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Step};
use nix::unistd::getpid;
use ns_core::{Child, Fact, Named, Namespaces, Pid, Spawn, Value, Witness, mount, pids};

const ONE_EACH: Claim = Claim::holds(
    "one-each",
    "A process has one PID in its own PID namespace and one in every ancestor of it (NSpid in /proc/PID/status).",
)
.cause("CLONE_NEWPID")
.notes(&[92, 94, 99]);
const LISTED: Claim = Claim::holds(
    "listed",
    "A procfs lists the processes of its own PID namespace and of those below it, by the numbers that they have there.",
)
.cause("CLONE_NEWPID")
.notes(&[94, 95, 99, 101])
.needs(&[Need::Probe(mounts::new_procfs)]);
const SAME_NUMBER: Claim =
    Claim::holds("same-number", "Two processes have the same PID at once, each in a namespace of its own.")
        .cause("CLONE_NEWPID")
        .notes(&[81, 82]);

const PID_NS_TREE: Experiment = Experiment {
    name: "pid-ns-tree",
    question: "One process, how many PIDs?",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("pid-ns-tree", "run the experiment"),
        ("pid-ns-tree --sabotage", "without the namespaces: no claim holds"),
        ("pid-ns-tree --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=unshare,setns,clone3 pid-ns-tree", "who goes where"),
    ],
    // For new procfs mounts. The PID namespaces are made around each trial, since a stage's would take in children only.
    stage: Namespaces::MNT,
    needs: &[],
    claims: &[
        ONE_EACH,
        LISTED,
        SAME_NUMBER,
        reach::NO_NUMBER,
        reach::SEES_NOTHING,
        reach::DOWNWARDS,
        reach::PARENT,
        moving::CALLER_STAYS,
        moving::CHILDREN_GO,
        moving::FREELY,
        moving::CAPABLE,
        moving::NO_ASCENT,
        moving::UNDO,
        moving::AGAIN,
        moving::NO_THREAD,
        moving::RECOVER,
        adoption::BY_INIT,
        adoption::SUBREAPER,
        adoption::OUTER_INIT,
        adoption::ALWAYS_INIT,
        depth::DEEPEST,
        depth::ENDS_BELOW,
        mounts::MOUNTER,
        mounts::OTHERS,
        mounts::SUBSET,
        numbers::CHOSEN,
        numbers::NEXT,
        numbers::TRANSLATED,
        numbers::SENDER,
        numbers::LIMIT,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&PID_NS_TREE)
}

fn run(lab: &mut Lab) -> Result<()> {
    let mounts = lab.can_ask(&[LISTED])?;
    lab.step(Step {
        goal: "Nest PID namespaces: A in here, B in A, C in B, with one process each. Ask each for its numbers, and who it sees.",
        calls: &["clone3(CLONE_NEWPID)", "mount(\"proc\", \"/mnt\", \"proc\")", "read(\"/proc/self/status\")"],
        by_hand: &[
            "unshare -Urpf unshare -pf unshare -pf grep NSpid /proc/self/status",
            "unshare -Urpf --mount-proc unshare -pf sh -c 'sleep 9 & wait' & sleep 1",
            "grep NSpid /proc/$(pgrep --newest -x sleep)/status",
        ],
    })?;
    let plain = Tree::grow(Namespaces::NONE, mounts, |_| Ok(()))?;
    let nested = Tree::grow(Namespaces::PID, mounts, |numbers| introduce(lab, numbers))?;
    lab.claim(ONE_EACH).without(plain.numbers()).with(nested.numbers()).shows(|seen| {
        matches!(seen.inside("NSpid of C's first"), Some(Value::List(numbers)) if numbers.len() == LEVELS.len())
    })?;
    if mounts {
        lab.table(
            "Who sees whom, and by which number",
            &["the process", "from here", "from A", "from B", "from C"],
            nested.rows(),
        )?;
        lab.claim(LISTED)
            .without(plain.against_the_claim())
            .with(nested.against_the_claim())
            .shows(|seen| *seen == 0)?;
    }

    lab.step(Step {
        goal: "Start two processes side by side, in a new PID namespace each, and ask each for its own PID.",
        calls: &["clone3(CLONE_NEWPID)", "clone3(CLONE_NEWPID)", "getpid()"],
        by_hand: &["unshare -Urpf sh -c 'echo $$' & unshare -Urpf sh -c 'echo $$'; wait"],
    })?;
    lab.claim(SAME_NUMBER)
        .without(two_side_by_side(Namespaces::NONE)?)
        .with(two_side_by_side(Namespaces::PID)?)
        .shows(|seen| {
            seen.inside("getpid() of one") == seen.inside("getpid() of the other")
                && seen.outside("PID of one") != seen.outside("PID of the other")
        })?;

    reach::run(lab)?;
    moving::run(lab)?;
    adoption::run(lab)?;
    depth::run(lab)?;
    mounts::run(lab)?;
    numbers::run(lab)
}

/// The processes of the tree, from the outside in.
const LEVELS: [&str; 4] = ["one outside", "A's first", "B's first", "C's first"];

/// What was told by the processes of the tree.
struct Tree(Vec<Fact>);

impl Tree {
    /// A is a namespace of its own in either arm; `namespaces` are what B and C get.
    /// `look` is called with what they tell of their numbers, while all live.
    fn grow(namespaces: Namespaces, mounts: bool, look: impl FnOnce(&[Fact]) -> Result<()>) -> Result<Tree> {
        // Others may run this experiment too, so the names that we look for carry a number of ours.
        let tree = Growing { tag: getpid(), namespaces, mounts };
        let mut outside = Child::spawn(LEVELS[0], Namespaces::NONE, move |me| tree.grow_from(0, me))?;
        // All are there before anyone looks.
        let mut facts = Vec::new();
        for _ in LEVELS {
            facts.push(outside.hear()?);
        }
        look(&facts)?;
        outside.release()?;
        facts.extend(outside.hear_all()?);
        Ok(Tree(facts))
    }

    fn numbers(&self) -> Vec<Fact> {
        self.0.iter().filter(|fact| fact.what.starts_with("NSpid")).cloned().collect()
    }

    fn seen(&self, from: &str, process: &str) -> Option<&Value> {
        self.0.iter().find(|fact| fact.who == from && fact.what == process).map(|fact| &fact.value)
    }

    /// A row for each process, a column for each place to look from.
    fn rows(&self) -> Vec<Vec<Value>> {
        let row = |process: &&str| {
            let cells =
                LEVELS.iter().map(|from| self.seen(from, process).cloned().unwrap_or("not there".into()));
            std::iter::once(Value::from(*process)).chain(cells).collect()
        };
        LEVELS.iter().map(row).collect()
    }

    fn against_the_claim(&self) -> Vec<Fact> {
        let mut against = 0;
        for (from_level, from) in LEVELS.iter().enumerate() {
            for (level, process) in LEVELS.iter().enumerate() {
                against += usize::from(self.seen(from, process).is_some() != (level >= from_level));
            }
        }
        let listed = |from: &str| LEVELS.iter().filter(|process| self.seen(from, process).is_some()).count();
        vec![
            Fact::inside("tree", "of the 16 cells, against the claim", against),
            Fact::inside("tree", "of the four processes, listed in B's procfs", listed(LEVELS[2])),
            Fact::inside("tree", "of the four processes, listed in C's procfs", listed(LEVELS[3])),
        ]
    }
}

/// Says who the processes of the tree are, from the outside in: the innermost spoke first.
fn introduce(lab: &mut Lab, numbers: &[Fact]) -> Result<()> {
    numbers.iter().rev().try_for_each(|told| lab.process(&told.who, trial::number(told, 0)?))
}

#[derive(Clone, Copy)]
struct Growing {
    tag: Pid,
    namespaces: Namespaces,
    mounts: bool,
}

impl Growing {
    /// Each process is the parent of the next. The innermost speaks first; then each tells whom it sees, from the
    /// outside in.
    fn grow_from(self, level: usize, me: &mut Witness) -> ns_core::Result<()> {
        let name = CString::new(self.name(level)).unwrap_or_default();
        nix::sys::prctl::set_name(&name).named(|| format!("prctl(PR_SET_NAME, {name:?})"))?;
        let own_procfs = Path::new(if level == 0 { "/proc" } else { "/mnt" });
        if level > 0 && self.mounts {
            mount::mount("proc", own_procfs)?;
        }
        let mut next = match LEVELS.get(level + 1) {
            Some(label) => Some(self.spawn(label, level + 1)?),
            None => None,
        };
        if let Some(next) = &mut next {
            for _ in &LEVELS[level + 1..] {
                me.tell(next.hear()?)?;
            }
        }
        me.saw(format!("NSpid of {}", LEVELS[level]), trial::own_numbers()?)?;
        me.pause()?;
        if self.mounts {
            self.look(own_procfs, me)?;
        }
        match next {
            Some(next) => {
                next.release()?;
                trial::tell_all_of(next, me)
            }
            None => Ok(()),
        }
    }

    fn spawn(self, label: &str, level: usize) -> ns_core::Result<Child> {
        // A mount namespace each, so that its procfs covers nobody else's.
        let around = if level == 1 { Namespaces::PID | Namespaces::MNT } else { Namespaces::MNT };
        let added = if level == 1 { Namespaces::NONE } else { self.namespaces };
        Spawn::new(label).namespaces_always(around).namespaces(added).run(move |me| self.grow_from(level, me))
    }

    fn look(self, procfs: &Path, me: &mut Witness) -> ns_core::Result<()> {
        for pid in pids::listed(procfs)? {
            // Others' processes come and go.
            let name = std::fs::read_to_string(procfs.join(format!("{pid}/comm"))).unwrap_or_default();
            if let Some(level) = (0..LEVELS.len()).find(|level| self.name(*level) == name.trim_end()) {
                me.saw(LEVELS[level], Value::Pid(pid))?;
            }
        }
        Ok(())
    }

    fn name(self, level: usize) -> String {
        format!("{level}.{}", self.tag)
    }
}

fn two_side_by_side(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let say_pid = |what| move |me: &mut Witness| me.saw(what, getpid()).and_then(|()| me.stay());
    let mut one = Child::spawn("one", namespaces, say_pid("getpid() of one"))?;
    let mut other = Child::spawn("other", namespaces, say_pid("getpid() of the other"))?;
    Ok(vec![
        one.hear()?,
        other.hear()?,
        Fact::outside("PID of one", one.pid()),
        Fact::outside("PID of the other", other.pid()),
    ])
}
