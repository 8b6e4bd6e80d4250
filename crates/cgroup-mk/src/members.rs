//! Who is in a cgroup: cgroup.procs, which is read as a list and written as a command.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::cgroup::{Cgroup, Place, Want};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Spawn, Value, Witness, process, stage};

use crate::{A_PLACE, cgroup_of, find, is_in};

pub(crate) const LISTED: Claim = Claim::holds("listed", "cgroup.procs lists the PIDs of the members.")
    .cause("a member")
    .notes(&[34])
    .needs(&[A_PLACE]);
pub(crate) const MOVES: Claim =
    Claim::holds("moves", "A process whose PID is written to cgroup.procs leaves its cgroup for this one.")
        .cause("echo PID > cgroup.procs")
        .notes(&[29, 35])
        .needs(&[A_PLACE]);
pub(crate) const APPENDED: Claim =
    Claim::refuted("appended", "A PID has to be appended to cgroup.procs, like a line to a list.", "command")
        .cause("> instead of >>")
        .notes(&[35])
        .needs(&[A_PLACE])
        .misconceptions(&[(lesson::YES, "it is always written with >>, and reads like a list")]);
pub(crate) const COMMAND: Claim = Claim::holds(
    "command",
    "A write to cgroup.procs, > or >>, is a command: it moves one PID and keeps the rest; two PIDs are EINVAL.",
)
.cause("a second PID in the write")
.notes(&[35])
.needs(&[A_PLACE]);
pub(crate) const BORN_IN: Claim = Claim::holds(
    "born-in",
    "clone3() can start a child in another cgroup than its parent's: nobody moves it there.",
)
.cause("CLONE_INTO_CGROUP")
.more(&[111])
.needs(&[A_PLACE]);
pub(crate) const OTHER_NUMBERS: Claim = Claim::holds(
    "other-numbers",
    "cgroup.procs has the PIDs of its reader's PID namespace, and a 0 for each member that has none there.",
)
.cause("CLONE_NEWPID")
.notes(&[34])
.needs(&[A_PLACE]);
pub(crate) const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "A zombie is not listed and keeps no cgroup from being removed, though its /proc/PID/cgroup names it still.",
)
.cause("the member's end")
.notes(&[34])
.needs(&[A_PLACE]);
pub(crate) const BUSY: Claim =
    Claim::holds("busy", "A cgroup with a member cannot be removed: rmdir gives EBUSY.")
        .cause("a member")
        .more(&[104])
        .needs(&[A_PLACE]);
pub(crate) const POPULATED: Claim = Claim::holds(
    "populated",
    "A member turns `populated` to 1 in the cgroup.events of the cgroup above as well.",
)
.cause("a member")
.more(&[103])
.needs(&[A_PLACE]);

const CLAIMS: [Claim; 9] =
    [LISTED, MOVES, APPENDED, COMMAND, BORN_IN, OTHER_NUMBERS, ZOMBIE, BUSY, POPULATED];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&CLAIMS)? {
        return Ok(());
    }
    let place = find(Want::AnyV2)?;
    let (old, new) = (place.create("old")?, place.create("new")?);
    lab.step(Step {
        goal: "Start two processes, and write the PID of one to cgroup.procs of a new cgroup.",
        calls: &["write(\"…/cgroup.procs\", \"PID\")", "read(\"/proc/PID/cgroup\")"],
        by_hand: &[
            "sleep 99 & echo $! > $new/cgroup.procs; cat $new/cgroup.procs; grep ^0:: /proc/$!/cgroup",
        ],
    })?;
    let bystander = stander("bystander")?;
    let member = stander("member")?;
    for child in [&bystander, &member] {
        old.join(child.pid())?;
    }
    new.join(member.pid())?;
    lab.claim(LISTED)
        .without(listed(&new, &bystander)?)
        .with(listed(&new, &member)?)
        .shows(|listed| *listed == "yes")?;
    lab.claim(MOVES)
        .without(whereabouts(&old, &new, &bystander)?)
        .with(whereabouts(&old, &new, &member)?)
        .shows(|it| {
            it.outside("it is in the new cgroup").is_some_and(|it| *it == "yes")
                && it.outside("it is in the old one").is_some_and(|it| *it == "no")
        })?;
    drop((bystander, member));

    lab.step(Step {
        goal: "To a cgroup with a member, write PIDs as one might write to a list: by >, by >>, and two at once.",
        calls: &[
            "open(\"…/cgroup.procs\", O_APPEND)",
            "open(\"…/cgroup.procs\", O_TRUNC)",
            "write(fd, \"PID PID\")",
        ],
        by_hand: &[
            "sleep 98 & echo $! > $new/cgroup.procs; cat $new/cgroup.procs",
            "echo 1 2 > $new/cgroup.procs",
        ],
    })?;
    lab.claim(APPENDED)
        .without(write_pids(&place, &[">>"], false)?)
        .with(write_pids(&place, &[cause(">", ">>")], false)?)
        .shows(|it| it.outside("members afterwards").is_some_and(|it| *it != 2))?;
    lab.claim(COMMAND)
        .without(write_pids(&place, &[">", ">>"], false)?)
        .with(write_pids(&place, &[">", ">>"], cause(true, false))?)
        .shows(|it| {
            let refused = it.facts().iter().filter(|fact| fact.value == "EINVAL").count() == 2;
            refused && it.outside("members afterwards").is_some_and(|it| *it == 1)
        })?;
    let child = stander("child")?;
    grid(lab, &new, &child)?;
    drop(child);

    lab.step(Step {
        goal: "Let a child be born in the cgroup, where others are moved after their birth.",
        calls: &["clone3(CLONE_INTO_CGROUP)"],
        by_hand: &[],
    })?;
    let outsider = Spawn::new("outsider").run(Witness::stay)?;
    let native = Spawn::new("native").born_in(new.fd()).run(Witness::stay)?;
    let birthplace = |child: &Child| -> Result<Fact> {
        Ok(Fact::outside("it is in the new cgroup", is_in(child.pid(), &new)?))
    };
    lab.claim(BORN_IN).without(birthplace(&outsider)?).with(birthplace(&native)?).shows(|it| *it == "yes")?;
    drop((outsider, native));

    lab.step(Step {
        goal: "Read cgroup.procs from a new PID namespace, in which the member has no number.",
        calls: &["clone3(CLONE_NEWPID)", "read(\"…/cgroup.procs\")"],
        by_hand: &["sudo unshare --pid --fork cat $new/cgroup.procs"],
    })?;
    let member = stander("member")?;
    // Not by join(): the reader has to find somebody there under sabotage too.
    new.write("cgroup.procs", &member.pid().to_string())?;
    // Who lacks the privilege needs a user namespace to make another: then both arms get one.
    let needed = stage::needed(Namespaces::PID);
    lab.claim(OTHER_NUMBERS)
        .without(read_by(needed - Namespaces::PID, &new)?)
        .with(read_by(needed, &new)?)
        .shows(|pids| *pids == 0)?;
    drop(member);

    drop((old, new));
    last_things(lab, &place)
}

/// What a member's end, and its presence, mean for the cgroup.
fn last_things(lab: &mut Lab, place: &Place) -> Result<()> {
    lab.step(Step {
        goal: "Let a member end, and do not wait for it: a zombie. Then remove the cgroup from under it.",
        calls: &["_exit(0)", "read(\"…/cgroup.procs\")", "rmdir(\"…\")"],
        by_hand: &[],
    })?;
    let member = |ends: bool| -> Result<Observation> {
        let cgroup = place.create("last")?;
        let mortal = stander("mortal")?;
        cgroup.join(mortal.pid())?;
        if ends {
            mortal.release()?;
            process::wait_for_state(mortal.pid(), &['Z'])?;
        }
        let listed = listed(&cgroup, &mortal)?;
        let named = Fact::outside("/proc/PID/cgroup names it", is_in(mortal.pid(), &cgroup)?);
        Ok([listed, named, Fact::outside("rmdir", rmdir(cgroup.path())?)].into())
    };
    lab.claim(ZOMBIE).without(member(false)?).with(member(cause(true, false))?).shows(|it| {
        *it == "no"
            && it.outside("/proc/PID/cgroup names it").is_some_and(|it| *it == "yes")
            && it.outside("rmdir").is_some_and(|it| *it == "OK")
    })?;

    lab.step(Step {
        goal: "Try to remove a cgroup, empty and with a member. Ask its parent whether anybody is there.",
        calls: &["rmdir(\"…\")", "read(\"…/cgroup.events\")"],
        by_hand: &[
            "rmdir $new; cat $new/cgroup.events",
            "kill %1 %2; wait; cat $new/cgroup.events; rmdir $new",
        ],
    })?;
    let removal = |joins: bool| -> Result<Observation> {
        let top = place.create("top")?;
        let middle = top.child(&"middle".parse()?)?;
        let member = stander("member")?;
        if joins {
            middle.join(member.pid())?;
        }
        let populated = top.events()?.get("populated").copied().unwrap_or(0);
        let answer = rmdir(middle.path())?;
        Ok([
            Fact::outside("rmdir", answer),
            Fact::outside("populated, in the parent", Value::Number(i64::try_from(populated)?)),
        ]
        .into())
    };
    lab.claim(BUSY).without(removal(false)?).with(removal(true)?).shows(|answer| *answer == "EBUSY")?;
    lab.claim(POPULATED)
        .without(removal(false)?)
        .with(removal(true)?)
        .shows(|it| it.outside("populated, in the parent").is_some_and(|it| *it == 1))?;
    Ok(())
}

/// rmdir(2), with the kernel's answer as a value.
pub(crate) fn rmdir(path: &std::path::Path) -> Result<Outcome> {
    Ok(Outcome::of(std::fs::remove_dir(path).named(|| "rmdir(…)".into()))?)
}

fn stander(label: &str) -> ns_core::Result<Child> {
    Child::spawn(label, Namespaces::NONE, Witness::stay)
}

fn listed(cgroup: &Cgroup, child: &Child) -> Result<Fact> {
    Ok(Fact::outside("cgroup.procs lists it", cgroup.procs()?.contains(&child.pid())))
}

fn whereabouts(old: &Cgroup, new: &Cgroup, child: &Child) -> Result<Vec<Fact>> {
    Ok(vec![
        Fact::outside("it is in the new cgroup", is_in(child.pid(), new)?),
        Fact::outside("it is in the old one", old.procs()?.contains(&child.pid())),
        Fact::outside("/proc/PID/cgroup", Value::Name(cgroup_of(child.pid())?)),
    ])
}

/// Writes PIDs to the cgroup.procs of a cgroup with a member: one by each redirection, or both of two each time.
fn write_pids(place: &Place, redirections: &[&str], both: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("target")?;
    let (member, others) = (stander("member")?, [stander("first")?, stander("second")?]);
    // Not by join(): there has to be a member under sabotage too.
    cgroup.write("cgroup.procs", &member.pid().to_string())?;
    let members =
        |when: &str| -> Result<Fact> { Ok(Fact::outside(format!("members {when}"), cgroup.procs()?.len())) };
    let mut facts = vec![members("before")?];
    let pids = others.each_ref().map(|child| child.pid().to_string());
    for (redirection, pid) in redirections.iter().zip(&pids) {
        let (what, text) = if both { ("two PIDs", pids.join(" ")) } else { ("PID", pid.clone()) };
        let answer = redirect(&cgroup, redirection, &text)?;
        facts.push(Fact::outside(format!("echo {what} {redirection} cgroup.procs"), answer));
    }
    facts.push(members("afterwards")?);
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
fn grid(lab: &mut Lab, cgroup: &Cgroup, child: &Child) -> Result<()> {
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

fn read_by(namespaces: Namespaces, cgroup: &Cgroup) -> Result<Fact> {
    let path = cgroup.path().join("cgroup.procs");
    let mut reader = Child::spawn("reader", namespaces, move |me| {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let pids: Vec<Value> = text
            .lines()
            .filter_map(|line| line.parse().ok())
            .map(|pid: i32| Value::from(Pid::from_raw(pid)))
            .collect();
        me.saw("cat cgroup.procs", pids.into_iter().next().unwrap_or("nothing".into()))
    })?;
    Ok(reader.hear()?)
}
