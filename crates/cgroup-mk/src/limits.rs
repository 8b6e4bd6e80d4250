//! What a limit is: a number in a file, which binds the members and nobody else.
//!
//! `pids.max` serves as the example: it is called so on both versions, and whether it binds shows at once.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::cgroup::{Cgroup, Want};
use ns_core::{Child, Fact, Namespaces, Outcome, Value, child};

use crate::{find, missing};

const PIDS: Need = Need::Probe(|| missing(Want::Controller("pids")));

pub(crate) const IN_A_FILE: Claim =
    Claim::holds("in-a-file", "A limit is set by writing to a file, and read from it.")
        .cause("echo 5 > pids.max")
        .notes(&[36])
        .needs(&[PIDS]);
pub(crate) const BINDS: Claim =
    Claim::holds("binds", "A limit binds the members of the cgroup: past pids.max, fork() gives EAGAIN.")
        .cause("membership")
        .notes(&[29])
        .needs(&[PIDS]);
pub(crate) const NONSENSE: Claim =
    Claim::holds("nonsense", "A text that is no limit is refused with EINVAL, and the limit stays.")
        .cause("a text that is no limit")
        .notes(&[36])
        .needs(&[PIDS]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[IN_A_FILE, BINDS, NONSENSE])? {
        return Ok(());
    }
    let place = find(Want::Controller("pids"))?;
    lab.step(Step {
        goal: "Write a limit, read it back, and write what is no limit.",
        calls: &["write(\"…/pids.max\", \"5\")", "read(\"…/pids.max\")"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O pids); cd ${v1:-$v2}; mkdir new  # as root",
            "cat new/pids.max; echo 5 > new/pids.max; cat new/pids.max; echo -1 > new/pids.max",
        ],
    })?;
    lab.saw(Fact::outside("the version of the cgroup", place.version().to_string()))?;
    let cgroup = place.create("limited")?;
    let read = || -> Result<Fact> { Ok(Fact::outside("cat pids.max", cgroup.read("pids.max")?)) };
    let before = read()?;
    cgroup.limit("pids.max", 5)?;
    lab.claim(IN_A_FILE).without(before).with(read()?).shows(|limit| *limit == "5")?;
    let attempt = |value: &str| -> Result<Vec<Fact>> {
        let answer = Outcome::of(cgroup.write("pids.max", value))?;
        Ok(vec![
            Fact::outside(format!("echo {value} > pids.max"), answer),
            Fact::outside("cat pids.max", cgroup.read("pids.max")?),
        ])
    };
    lab.claim(NONSENSE)
        .without(attempt("5")?)
        .with(attempt(cause("10%", "5"))?)
        .shows(|it| *it == "EINVAL" && it.outside("cat pids.max").is_some_and(|it| *it == "5"))?;
    let rows: Vec<_> = ["0", "5", "max", "-1", "10%", "many", "5 5", "4194305"]
        .into_iter()
        .map(|value| Ok(vec![Value::from(value), Outcome::of(cgroup.write("pids.max", value))?.into()]))
        .collect::<Result<_>>()?;
    lab.table("What the kernel answers to a write to pids.max", &["written", "answer"], rows)?;

    lab.step(Step {
        goal: "Limit a cgroup to three processes. Let one inside, and one outside, fork until it has four children.",
        calls: &["write(\"…/pids.max\", \"3\")", "fork()"],
        by_hand: &[
            "echo 3 > new/pids.max; sh -c 'echo $$ > new/cgroup.procs; sleep 1 & sleep 1 & sleep 1'",
            "sleep 2; rmdir new",
        ],
    })?;
    cgroup.write("pids.max", "3")?;
    lab.claim(BINDS)
        .without(fork_four_times(&cgroup, false)?)
        .with(fork_four_times(&cgroup, true)?)
        .shows(|answer| *answer == "EAGAIN")?;
    Ok(())
}

fn fork_four_times(cgroup: &Cgroup, joins: bool) -> Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
        me.pause()?;
        let mut children = Vec::new();
        let answer = child::have_children(&mut children, 4)?;
        me.saw("fork()", answer)?;
        me.saw("children, besides itself", children.len())
    })?;
    if joins {
        cgroup.join(parent.pid())?;
    }
    parent.release()?;
    Ok(parent.hear_all()?)
}
