//! Who is in a cgroup: cgroup.procs, which is read as a list and written as a command.

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
        "The PID of a process is written to cgroup.procs of a new cgroup. What does the file have when it is read?",
        &[
            right("that PID"),
            wrong("nothing: a write to it is a command", "files that take commands often cannot be read"),
            wrong("whatever was written, be it a PID or not", "that is what any other file has"),
        ],
    );
const MOVES: Claim = Claim::holds(
    "moves",
    "A process whose PID is written to cgroup.procs leaves its cgroup for this one.",
)
.factor("echo PID > cgroup.procs")
.notes(&[29, 35])
.requires(&[A_PARENT])
.arms("not written", "PID written")
.core(&[Row::outside("in its old cgroup", "it is in the old one")])
.asks(
    "A process is in the cgroup `old`. Its PID is written to cgroup.procs of `new`. Where is it then?",
    &[
        right("in `new` alone"),
        wrong("in both", "in version 1 it is in several, one in each hierarchy"),
        wrong("in `old`; its next children are in `new`", "setns() into a PID namespace works so"),
    ],
);

pub(crate) const JOIN: Step = Step {
    title: "Start two processes, and write the PID of one to cgroup.procs of a new cgroup.",
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
        lab.judge(
            MOVES,
            places.only(&["it is in the new cgroup", "it is in the old one", "/proc/PID/cgroup"]),
        )
        .shows(outside("it is in the new cgroup").is("yes") & outside("it is in the old one").is("no"))
    },
};

const APPENDED: Claim =
    Claim::refuted("appended", "A PID has to be appended to cgroup.procs, like a line to a list.", "command")
        .factor("> instead of >>")
        .notes(&[35])
        .requires(&[A_PARENT])
        .arms(">>", ">")
        .core(&[Row::outside("members, 1 before", "members afterwards")])
        .asks(
            "cgroup.procs lists one PID. Another is written with `>`, not with `>>`. Who is a member then?",
            &[
                right("both of them"),
                wrong("the new one alone", "`>` empties a file first, and cgroup.procs reads like a list"),
                wrong("the old one alone", "examples use `>>`, so a write without is thought to fail"),
                wrong("neither", "`>` removes the old, and a PID that is not appended does not count"),
            ],
        );
const COMMAND: Claim = Claim::holds(
    "command",
    "A write to cgroup.procs, > or >>, is a command: it moves one PID and keeps the rest; two PIDs are EINVAL.",
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
        wrong("both are moved", "the file is read as a list, so it should take one"),
        wrong("the first is moved, and the rest is ignored", "that is what scanf() would make of it"),
    ],
);

pub(crate) const WRITE_PIDS: Step = Step {
    title: "To a cgroup with a member, write PIDs as one might write to a list: by >, by >>, and two at once.",
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
    "clone3(CLONE_INTO_CGROUP) creates a child in another cgroup than its parent's: nobody moves it there.",
)
.factor("CLONE_INTO_CGROUP")
.more(&[111])
.requires(&[A_PARENT]);

pub(crate) const CREATE_INSIDE: Step = Step {
    title: "Create a child in the cgroup itself, where others are moved later.",
    calls: &["clone3(CLONE_INTO_CGROUP)"],
    by_hand: &[],
    claims: &[CREATED_IN],
    run: |lab| {
        lab.compare(CREATED_IN, false, true, |inside| {
            let new = CgroupParent::require(CgroupRequest::AnyV2)?.create("new")?;
            let spawn = Spawn::new("child");
            let spawn = if inside { spawn.into_cgroup(new.fd()) } else { spawn };
            let child = spawn.run(Reporter::stay)?;
            Ok(Fact::outside("it is in the new cgroup", is_in(child.pid(), &new)?))
        })?
        .shows(outside("it is in the new cgroup").is("yes"))
    },
};

const OTHER_PIDS: Claim = Claim::holds(
    "other-numbers",
    "cgroup.procs has the PIDs of its reader's PID namespace, and a 0 for each member that has none there.",
)
.factor("CLONE_NEWPID")
.notes(&[34])
.requires(&[A_PARENT, Requirement::Namespace(Kind::Pid)]);

pub(crate) const READ_FROM_ANOTHER_PID_NAMESPACE: Step = Step {
    title: "Read cgroup.procs from a new PID namespace, in which the member has no PID.",
    calls: &["clone3(CLONE_NEWPID)", "read(\"…/cgroup.procs\")"],
    by_hand: &[hand("unshare -Urpf sh -c \"cat $new/cgroup.procs\"").prints("0\n0\n0").in_the_same_shell()],
    claims: &[OTHER_PIDS],
    run: |lab| {
        // Who lacks the privilege needs a user namespace to make another: then both arms get one.
        let needed = sandbox::needed(Namespaces::PID);
        lab.compare(OTHER_PIDS, needed - Namespaces::PID, needed, read_members)?
            .shows(inside("cat cgroup.procs").is(0))
    },
};

const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "A zombie is not listed and keeps no cgroup from being removed, though its /proc/PID/cgroup names it still.",
)
.factor("the member's end")
.notes(&[34])
.more(&[104])
.requires(&[A_PARENT]);

pub(crate) const END_A_MEMBER: Step = Step {
    title: "Let a member end, and do not wait for it: a zombie. Then remove its cgroup.",
    calls: &["_exit(0)", "read(\"…/cgroup.procs\")", "rmdir(\"…\")"],
    by_hand: &[],
    claims: &[ZOMBIE],
    run: |lab| {
        lab.compare(ZOMBIE, false, true, remove_with_a_member)?.shows(
            outside("cgroup.procs lists it").is("no")
                & outside("/proc/PID/cgroup names it").is("yes")
                & outside("rmdir").from("EBUSY").to("OK"),
        )
    },
};

const BUSY: Claim = Claim::holds("busy", "A cgroup with a member cannot be removed: rmdir gives EBUSY.")
    .factor("a member")
    .more(&[104])
    .requires(&[A_PARENT]);
const POPULATED: Claim = Claim::holds(
    "populated",
    "A member turns `populated` to 1 in the cgroup.events of the cgroup above as well.",
)
.factor("a member")
.more(&[103])
.requires(&[A_PARENT]);
const POLLED: Claim = Claim::holds(
    "polled",
    "poll() on cgroup.events wakes when the last member below has ended: `populated` is 0 again.",
)
.factor("the last member's end")
.more(&[103])
.requires(&[A_PARENT]);

pub(crate) const REMOVE: Step = Step {
    title: "Try to remove a cgroup, empty and with a member. Ask its parent whether anybody is there, and wait by poll() \
            for the news that nobody is.",
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
        lab.judge(POPULATED, removals).shows(outside("populated, in the parent").is(1))?;
        lab.compare(POLLED, false, true, poll_until_one_is_empty)?.shows(
            outside("poll() wakes for the cgroup above").is("yes")
                & outside("populated, in the cgroup above").is(0),
        )
    },
};

/// Where a process of an old cgroup is, once its PID is written to the cgroup.procs of a new one, or without that.
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
        Fact::outside("it is in the new cgroup", is_in(process.pid(), &new)?),
        Fact::outside("it is in the old one", old.procs()?.contains(&process.pid())),
        Fact::outside("/proc/PID/cgroup", Value::Name(cgroup_of(process.pid())?)),
    ])
}

fn lists(cgroup: &Cgroup, child: &Child) -> Result<Fact> {
    Ok(Fact::outside("cgroup.procs lists it", cgroup.procs()?.contains(&child.pid())))
}

/// Writes PIDs to the cgroup.procs of a cgroup with a member, so many `at_once`, by each redirection.
fn write_pids(redirections: &[&str], at_once: usize) -> Result<Vec<Fact>> {
    let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("target")?;
    let member = start_idle("member")?;
    cgroup.join(member.pid())?;
    let count =
        |when: &str| -> Result<Fact> { Ok(Fact::outside(format!("members {when}"), cgroup.procs()?.len())) };
    let mut facts = vec![Fact::outside("PIDs at once", at_once), count("before")?];
    let mut others = Vec::new();
    for redirection in redirections {
        let movers = (0..at_once).map(|_| start_idle("other")).collect::<ns_core::Result<Vec<_>>>()?;
        let pids: Vec<_> = movers.iter().map(|child| child.pid().to_string()).collect();
        others.extend(movers);
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

/// What else the kernel makes of a write to cgroup.procs.
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
        ("two PIDs, a line each", format!("{pid}\n{pid}")),
        ("the PID of nobody", gone.pid().to_string()),
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

/// Removes a cgroup with a member, who lives or has ended.
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

/// Removes a cgroup below another, with a member or without.
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
        Fact::outside("populated, in the parent", Value::Number(i64::try_from(populated)?)),
    ])
}

/// Two cgroups have a member each, one of them in a cgroup below. One member ends, `below` or the other: for which of the
/// two cgroup.events does poll() wake?
fn poll_until_one_is_empty(below: bool) -> Result<Vec<Fact>> {
    let parent = CgroupParent::require(CgroupRequest::AnyV2)?;
    let (top, other) = (parent.create("top")?, parent.create("other")?);
    let middle = top.child(&"middle".parse()?)?;
    let mut members = [start_idle("member below")?, start_idle("member of the other")?];
    for (cgroup, member) in [&middle, &other].into_iter().zip(&members) {
        cgroup.join(member.pid())?;
    }
    let files = [open_events(&top)?, open_events(&other)?];
    let ends = &mut members[usize::from(!below)];
    ends.wake()?;
    ends.wait()?;
    let mut fds = files.each_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLPRI));
    Deadline::new().poll(&mut fds, "news of either cgroup")?;
    let woken = fds[0].any() == Some(true);
    let populated = top.events()?.get("populated").copied().unwrap_or(0);
    Ok(vec![
        Fact::outside("poll() wakes for the cgroup above", woken),
        Fact::outside("populated, in the cgroup above", Value::Number(i64::try_from(populated)?)),
    ])
}

/// The cgroup.events of a cgroup, read once: from then on poll() reports changes.
fn open_events(cgroup: &Cgroup) -> Result<File> {
    let path = cgroup.path().join("cgroup.events");
    let mut file = File::open(&path).named(|| format!("open(\"{}\")", path.display()))?;
    file.read_to_string(&mut String::new()).named(|| format!("read(\"{}\")", path.display()))?;
    Ok(file)
}
