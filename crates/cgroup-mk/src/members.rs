//! The members of a cgroup: a read of cgroup.procs lists them, and a write moves a process.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Lab, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::poll::{PollFd, PollFlags};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest};
use ns_core::{
    Child, Deadline, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, Spawn, Value, process, sandbox,
};

use crate::cgroups::{A_PARENT, cgroup_of, is_in, rmdir, start_idle};

const LISTED: Claim = Claim::holds("listed", "cgroup.procs lists the PIDs of the members.")
    .factor("a member")
    .notes(&[34])
    .requires(&[A_PARENT])
    .arms("not written", "PID written")
    .core(&[Row::outside("cgroup.procs lists it", "cgroup.procs lists it")])
    .asks(
        "The PID of a process is written to cgroup.procs of a new cgroup. What does the file read afterwards?",
        &[
            right("that PID"),
            wrong("nothing: a write to it is a command", "many files for commands cannot be read"),
            wrong("the text that was written, PID or not", "an ordinary file keeps what was written"),
        ],
    );
const MOVES: Claim = Claim::holds(
    "moves",
    "Writing a PID to cgroup.procs moves the process from its old cgroup to this one.",
)
.factor("echo PID > cgroup.procs")
.notes(&[29, 35])
.requires(&[A_PARENT])
.arms("not written", "PID written")
.core(&[Row::outside("in its old cgroup", "in the old cgroup")])
.asks(
    "A process is in the cgroup `old`. Its PID is written to cgroup.procs of `new`. Where is it then?",
    &[
        right("in `new` alone"),
        wrong("in both", "in version 1 a process is in one cgroup of each hierarchy"),
        wrong("in `old`; its next children are in `new`", "setns() into a PID namespace works like that"),
    ],
);

pub(crate) const JOIN: Step = Step {
    title: "Start a process in a cgroup called old, and write its PID to cgroup.procs of a new cgroup.",
    calls: &["write(\"…/cgroup.procs\", \"PID\")", "read(\"/proc/PID/cgroup\")"],
    by_hand: &[hand(
        "sleep 60 & echo $! > $new/cgroup.procs; echo $!; cat $new/cgroup.procs; grep ^0:: /proc/$!/cgroup",
    )
    .prints("<pid>\n<pid>\n0::/…/new")
    .in_the_same_shell()],
    claims: &[LISTED, MOVES],
    run: |lab| {
        let places = lab.arms(false, true, places_of)?;
        lab.judge(LISTED, places.only(&["cgroup.procs lists it"]))
            .shows(outside("cgroup.procs lists it").is("yes"))?;
        lab.judge(MOVES, places.only(&["in the new cgroup", "in the old cgroup", "/proc/PID/cgroup"]))
            .shows(outside("in the new cgroup").is("yes") & outside("in the old cgroup").is("no"))
    },
};

const APPENDED: Claim =
    Claim::refuted("appended", "A PID must be appended to cgroup.procs with >>, like a line to a list.", "command")
        .factor("> instead of >>")
        .notes(&[35])
        .requires(&[A_PARENT])
        .arms(">>", ">")
        .core(&[Row::outside("members, 1 before", "members afterwards")])
        .asks(
            "cgroup.procs lists one PID. Another is written with `>`, not with `>>`. Which processes are members then?",
            &[
                right("both of them"),
                wrong("the new one alone", "`>` truncates an ordinary file, and cgroup.procs reads like a list"),
                wrong("the old one alone", "examples use `>>`, so a write with `>` seems to fail"),
                wrong("neither", "`>` seems to remove the old one, and only `>>` to add one"),
            ],
        );
const COMMAND: Claim = Claim::holds(
    "command",
    "A write to cgroup.procs, by > or >>, moves one process and keeps the members; two PIDs fail with EINVAL.",
)
.factor("a second PID in the write")
.notes(&[35])
.requires(&[A_PARENT])
.arms("one PID", "two PIDs")
.core(&[Row::outside("echo > cgroup.procs", "echo … > cgroup.procs")])
.asks(
    "Two PIDs are written to cgroup.procs, in one write. What happens?",
    &[
        right("EINVAL: neither is moved"),
        wrong("both are moved", "the file reads as a list, so it seems to take one"),
        wrong("the first is moved, and the rest is ignored", "scanf() would read the first number alone"),
    ],
);

pub(crate) const WRITE_PIDS: Step = Step {
    title: "Write PIDs to cgroup.procs of a cgroup with a member: with >, with >>, and two at once.",
    calls: &[
        "open(\"…/cgroup.procs\", O_APPEND)",
        "open(\"…/cgroup.procs\", O_TRUNC)",
        "write(fd, \"PID PID\")",
    ],
    by_hand: &[
        hand("for n in 1 2; do sleep 60 & echo $! > $new/cgroup.procs; done; wc -l < $new/cgroup.procs")
            .prints("3")
            .in_the_same_shell(),
        hand("echo 1 2 > $new/cgroup.procs").prints("EINVAL"),
    ],
    claims: &[APPENDED, COMMAND],
    run: |lab| {
        lab.compare(APPENDED, ">>", ">", |redirection| write_pids(&[redirection], 1))?
            .shows(outside("members afterwards").is_not(2))?;
        lab.compare(COMMAND, 1, 2, |at_once| write_pids(&[">", ">>"], at_once))?.shows(
            outside("echo … > cgroup.procs").is("EINVAL")
                & outside("echo … >> cgroup.procs").is("EINVAL")
                & outside("members afterwards").is(1),
        )?;
        show_writes(lab)
    },
};

const CREATED_IN: Claim = Claim::holds(
    "created-in",
    "clone3(CLONE_INTO_CGROUP) creates the child directly in another cgroup, without a move.",
)
.factor("CLONE_INTO_CGROUP")
.arms("plain child", "CLONE_INTO_CGROUP")
.more(&[111])
.requires(&[A_PARENT]);

pub(crate) const CREATE_INSIDE: Step = Step {
    title: "Create a child directly in a new cgroup.",
    calls: &["clone3(CLONE_INTO_CGROUP)"],
    by_hand: &[],
    claims: &[CREATED_IN],
    run: |lab| {
        lab.compare(CREATED_IN, false, true, |inside| {
            let new = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?;
            let spawn = Spawn::new("child");
            let spawn = if inside { spawn.into_cgroup(new.fd()) } else { spawn };
            let child = spawn.run(Reporter::stay)?;
            Ok(Fact::outside("in the new cgroup", is_in(child.pid(), &new)?))
        })?
        .shows(outside("in the new cgroup").is("yes"))
    },
};

const OTHER_PIDS: Claim = Claim::holds(
    "other-numbers",
    "cgroup.procs shows 0 for a member that has no PID in the reader's PID namespace.",
)
.factor("CLONE_NEWPID")
.arms("plain child", "CLONE_NEWPID")
.notes(&[34])
.requires(&[A_PARENT, Requirement::Namespace(Kind::Pid)]);

pub(crate) const READ_FROM_ANOTHER_PID_NAMESPACE: Step = Step {
    title: "Read cgroup.procs from a new PID namespace, in which the member has no PID.",
    calls: &["clone3(CLONE_NEWPID)", "read(\"…/cgroup.procs\")"],
    by_hand: &[hand("unshare -Urpf sh -c \"cat $new/cgroup.procs\"").prints("0\n0\n0").in_the_same_shell()],
    claims: &[OTHER_PIDS],
    run: |lab| {
        // Without CAP_SYS_ADMIN, a PID namespace needs a new user namespace. Then both arms get one.
        let needed = sandbox::needed(Namespaces::PID);
        lab.compare(OTHER_PIDS, needed - Namespaces::PID, needed, read_members)?
            .shows(inside("cat cgroup.procs").is(0))
    },
};

const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "cgroup.procs does not list a zombie, and rmdir() succeeds, although /proc/PID/cgroup of the zombie names the cgroup.",
)
.factor("the member's end")
.arms("running", "zombie")
.notes(&[34])
.more(&[104])
.requires(&[A_PARENT]);

pub(crate) const END_A_MEMBER: Step = Step {
    title: "Let a member end without wait(), so that it is a zombie. Then remove its cgroup.",
    calls: &["_exit(0)", "read(\"…/cgroup.procs\")", "rmdir(\"…\")"],
    by_hand: &[],
    claims: &[ZOMBIE],
    run: |lab| {
        lab.compare(ZOMBIE, false, true, remove_with_a_member)?
            .in_both_arms(outside("/proc/PID/cgroup names it").is("yes"))
            .shows(outside("cgroup.procs lists it").is("no") & outside("rmdir").from("EBUSY").to("OK"))
    },
};

const BUSY: Claim = Claim::holds("busy", "rmdir() of a cgroup with a member fails with EBUSY.")
    .factor("a member")
    .arms("no member", "a member")
    .more(&[104])
    .requires(&[A_PARENT]);
const POPULATED: Claim =
    Claim::holds("populated", "A member sets `populated` to 1 in cgroup.events of the parent cgroup too.")
        .factor("a member")
        .arms("no member", "a member")
        .more(&[103])
        .requires(&[A_PARENT]);
const POLLED: Claim = Claim::holds(
    "polled",
    "poll() on cgroup.events of a parent returns when the last member below ends, and `populated` is 0.",
)
.factor("the last member's end")
.arms("other member", "last member")
.more(&[103])
.requires(&[A_PARENT]);

pub(crate) const REMOVE: Step = Step {
    title: "Try to remove a cgroup, empty and with a member. Read cgroup.events of its parent, and poll() until it is empty.",
    calls: &["rmdir(\"…\")", "read(\"…/cgroup.events\")", "poll(events, POLLPRI)"],
    by_hand: &[
        hand("rmdir $new; cat $new/cgroup.events").prints("EBUSY\npopulated 1\nfrozen 0").in_the_same_shell(),
        hand("kill $(cat $new/cgroup.procs); sleep 1; cat $new/cgroup.events; rmdir $new")
            .prints("populated 0\nfrozen 0"),
    ],
    claims: &[BUSY, POPULATED, POLLED],
    run: |lab| {
        let removals = lab.arms(false, true, remove_below)?;
        lab.judge(BUSY, removals.clone()).shows(outside("rmdir").is("EBUSY"))?;
        lab.judge(POPULATED, removals).shows(outside("populated in the parent").is(1))?;
        lab.compare(POLLED, false, true, poll_until_one_is_empty)?.shows(
            outside("poll() returns for the parent").is("yes") & outside("populated in the parent").is(0),
        )
    },
};

/// Where a process of an old cgroup is. If `moves`, its PID is written to cgroup.procs of a new one.
fn places_of(moves: bool) -> Result<Vec<Fact>> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (old, new) = (parent.create("old")?, parent.create("new")?);
    let process = start_idle("process")?;
    old.join(process.pid())?;
    if moves {
        new.join(process.pid())?;
    }
    Ok(vec![
        lists(&new, &process)?,
        Fact::outside("in the new cgroup", is_in(process.pid(), &new)?),
        Fact::outside("in the old cgroup", old.procs()?.contains(&process.pid())),
        Fact::outside("/proc/PID/cgroup", Value::Name(cgroup_of(process.pid())?)),
    ])
}

fn lists(cgroup: &Cgroup, child: &Child) -> Result<Fact> {
    Ok(Fact::outside("cgroup.procs lists it", cgroup.procs()?.contains(&child.pid())))
}

/// Writes PIDs to cgroup.procs of a cgroup with a member: `at_once` in one write, by each redirection.
fn write_pids(redirections: &[&str], at_once: usize) -> Result<Vec<Fact>> {
    let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("target")?;
    let member = start_idle("member")?;
    cgroup.join(member.pid())?;
    let count =
        |when: &str| -> Result<Fact> { Ok(Fact::outside(format!("members {when}"), cgroup.procs()?.len())) };
    let mut facts = vec![Fact::outside("PIDs at once", at_once), count("before")?];
    let mut others = Vec::new();
    for redirection in redirections {
        let processes = (0..at_once).map(|_| start_idle("other")).collect::<ns_core::Result<Vec<_>>>()?;
        let pids: Vec<_> = processes.iter().map(|child| child.pid().to_string()).collect();
        others.extend(processes);
        let answer = redirect(&cgroup, redirection, &pids.join(" "))?;
        facts.push(Fact::outside(format!("echo … {redirection} cgroup.procs"), answer));
    }
    facts.push(count("afterwards")?);
    Ok(facts)
}

/// Opens cgroup.procs as a shell does for `> cgroup.procs` or `>> cgroup.procs`, and writes `text`.
fn redirect(cgroup: &Cgroup, redirection: &str, text: &str) -> Result<Outcome> {
    let mut options = OpenOptions::new();
    match redirection {
        ">>" => options.append(true),
        _ => options.write(true).truncate(true),
    };
    let opened = options.open(cgroup.path().join("cgroup.procs"));
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    Ok(Outcome::of(written.named(|| "write()".into()))?)
}

/// Shows what the kernel answers to other writes to cgroup.procs.
fn show_writes(lab: &mut Lab) -> Result<()> {
    let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("target")?;
    let child = start_idle("child")?;
    let mut gone = Child::spawn("gone", Namespaces::NONE, |_| Ok(()))?;
    gone.wait()?;
    let pid = child.pid();
    let writes = [
        ("a PID", pid.to_string()),
        ("the same PID again", pid.to_string()),
        ("a PID with blanks around it", format!("  {pid}  ")),
        ("two PIDs", format!("{pid} {pid}")),
        ("two PIDs, one a line", format!("{pid}\n{pid}")),
        ("a PID that no process has", gone.pid().to_string()),
        ("a negative number", "-1".into()),
        ("a word", "me".into()),
    ];
    let mut rows = Vec::new();
    for (what, text) in writes {
        rows.push(vec![Value::from(what), Outcome::of(cgroup.write("cgroup.procs", &text))?.into()]);
    }
    lab.table("What the kernel answers to a write to cgroup.procs", &["written", "answer"], rows)
}

/// What a child in new `namespaces` reads of a cgroup with one member.
fn read_members(namespaces: Namespaces) -> Result<Fact> {
    let new = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?;
    let member = start_idle("member")?;
    new.join(member.pid())?;
    let mut reader = Child::spawn("reader", namespaces, |me| {
        let text = std::fs::read_to_string(new.path().join("cgroup.procs")).unwrap_or_default();
        let pid = text.lines().find_map(|line| line.parse().ok());
        me.report("cat cgroup.procs", pid.map_or("nothing".into(), |pid| Value::from(Pid::from_raw(pid))))
    })?;
    Ok(reader.fact()?)
}

/// Removes a cgroup with a member, which is a zombie if `ended`.
fn remove_with_a_member(ended: bool) -> Result<[Fact; 3]> {
    let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("last")?;
    let member = start_idle("member")?;
    cgroup.join(member.pid())?;
    if ended {
        member.wake()?;
        process::wait_for_state(member.pid(), &['Z'])?;
    }
    Ok([
        lists(&cgroup, &member)?,
        Fact::outside("/proc/PID/cgroup names it", is_in(member.pid(), &cgroup)?),
        rmdir(&cgroup)?,
    ])
}

/// Removes a child cgroup, which has a member if `has_member`.
fn remove_below(has_member: bool) -> Result<Vec<Fact>> {
    let top = CgroupParent::require(CgroupRequest::AnyV2)?.create("top")?;
    let middle = top.child(&"middle".parse()?)?;
    let member = start_idle("member")?;
    if has_member {
        middle.join(member.pid())?;
    }
    let populated = top.events()?.get("populated").copied().unwrap_or(0);
    Ok(vec![
        rmdir(&middle)?,
        Fact::outside("populated in the parent", Value::Number(i64::try_from(populated)?)),
    ])
}

/// Two cgroups have a member each, one of them in a child cgroup. One member ends, `below` or the other. poll() returns
/// for one of the two cgroup.events.
fn poll_until_one_is_empty(below: bool) -> Result<Vec<Fact>> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (top, other) = (parent.create("top")?, parent.create("other")?);
    let middle = top.child(&"middle".parse()?)?;
    let mut members = [start_idle("member below")?, start_idle("other member")?];
    for (cgroup, member) in [&middle, &other].into_iter().zip(&members) {
        cgroup.join(member.pid())?;
    }
    let files = [open_events(&top)?, open_events(&other)?];
    let ends = &mut members[usize::from(!below)];
    ends.wake()?;
    ends.wait()?;
    let mut fds = files.each_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLPRI));
    Deadline::new().poll(&mut fds, "a change in either cgroup")?;
    let returned = fds[0].any() == Some(true);
    let populated = top.events()?.get("populated").copied().unwrap_or(0);
    Ok(vec![
        Fact::outside("poll() returns for the parent", returned),
        Fact::outside("populated in the parent", Value::Number(i64::try_from(populated)?)),
    ])
}

/// Opens cgroup.events of a cgroup and reads it once. After that, poll() reports changes.
fn open_events(cgroup: &Cgroup) -> Result<File> {
    let path = cgroup.path().join("cgroup.events");
    let mut file = File::open(&path).named(|| format!("open(\"{}\")", path.display()))?;
    file.read_to_string(&mut String::new()).named(|| format!("read(\"{}\")", path.display()))?;
    Ok(file)
}
