//! The notes' program `user_ns`, and what its text hides: whom it works for, how long a map is, whose /proc it
//! writes to, and who hears of a failure.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use nix::unistd::{getpid, getuid};
use ns_core::probe::Missing;
use ns_core::{Capability, Child, End, Fact, Namespaces, Outcome, Spawn, Value, idmap, mount};

use crate::person::{self, Person, id, map};

pub(crate) const OWN_ID: Claim = Claim::holds(
    "own-id",
    "Without privilege outside one may map one's own ID alone: the notes' program serves user 1000 only.",
)
.cause("one's own ID in the map")
.notes(&[113]);
pub(crate) const FROM_INSIDE: Claim = Claim::holds(
    "from-inside",
    "The notes' program fails for root too: once inside, root has no privilege outside any more.",
)
.cause("a writer inside")
.notes(&[113])
.needs(&[Need::Capability(Capability::CAP_SETUID)]);
pub(crate) const NUL: Claim = Claim::holds(
    "nul",
    "The kernel reads a map up to the first NUL: so it takes the program's write of 14 bytes from a text of 9.",
)
.cause("a NUL after the line")
.notes(&[116]);
pub(crate) const PROC_FIRST: Claim = Claim::holds(
    "proc-first",
    "To the init of a new PID namespace, /proc/1/uid_map is its own once it has mounted a new /proc, not before.",
)
.cause("mount -t proc")
.notes(&[113, 116])
.needs(&[Need::Probe(new_procfs)]);
pub(crate) const STATUS: Claim =
    Claim::holds("status", "A program that passes NULL for waitpid()'s status, as the notes' does, ends with 0 though its child failed.")
        .cause("NULL for the status")
        .notes(&[113]);

const WRITE: &str = "write(uid_map)";
const BORN: Namespaces = Namespaces::USER.union(Namespaces::PID).union(Namespaces::MNT);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    let ids = person::ids();

    lab.step(Step {
        goal: "Write `0 ID 1` from inside, as the notes' program does: with another user's ID, and with one's own.",
        calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 ID 1\")"],
        by_hand: &["unshare --user sleep 9 &", "sleep 1; echo '0 1001 1' > /proc/$!/uid_map  # EPERM unless you are 1001, or root"],
    })?;
    lab.claim(OWN_ID)
        .without(map_from_inside(ids.other)?)
        .with(map_from_inside(ids.uid)?)
        .shows(|seen| seen.inside("getuid()").is_some_and(|it| *it == 0))?;

    if lab.can_ask(&[FROM_INSIDE])? {
        lab.step(Step {
            goal: "Map another user's ID as root: from outside, and from inside.",
            calls: &["write(\"/proc/PID/uid_map\", \"0 1000 1\")", "write(\"/proc/self/uid_map\", \"0 1000 1\")"],
            by_hand: &[
                "sudo sh -c 'unshare --user sleep 9 & sleep 1; echo \"0 1000 1\" > /proc/$!/uid_map; cat /proc/$!/uid_map'",
                "sudo unshare --user --keep-caps bash -c 'echo \"0 1000 1\" > /proc/self/uid_map'",
            ],
        })?;
        lab.claim(FROM_INSIDE)
            .without(map_as_root(false)?)
            .with(map_as_root(true)?)
            .shows(|answer| *answer == "EPERM")?;
    }

    lab.step(Step {
        goal: "Write five bytes too many, as the program does. In its memory a NUL and part of an error text follow.",
        calls: &["write(fd, \"0 UID 1\\n\" \"uid w\", 14)", "write(fd, \"0 UID 1\\n\" \"\\0uid \", 14)"],
        by_hand: &[
            "unshare --user sleep 9 &",
            "sleep 1; env printf \"0 $(id -u) 1\\n\\0uid \" > /proc/$!/uid_map; cat /proc/$!/uid_map",
        ],
    })?;
    lab.claim(NUL)
        .without(write_too_much("uid w")?)
        .with(write_too_much(cause("\0uid ", "uid w"))?)
        .shows(|seen| seen.inside("getuid()").is_some_and(|it| *it == 0))?;

    if lab.can_ask(&[PROC_FIRST])? {
        lab.step(Step {
            goal: "Run what its child does, from mount() to getuid(), without and with the mount.",
            calls: &[
                "clone3(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)",
                "mount(\"proc\", \"/proc\", \"proc\")",
                "getpid()",
                "write(\"/proc/1/uid_map\", …, 14)",
                "write(\"/proc/1/setgroups\", \"deny\\n\", 5)",
                "write(\"/proc/1/gid_map\", …, 14)",
            ],
            by_hand: &[
                "unshare --user --map-root-user --pid --fork sh -c 'ls -l /proc/$$/uid_map'",
                "unshare --user --map-root-user --pid --fork --mount-proc sh -c 'ls -l /proc/$$/uid_map'",
            ],
        })?;
        lab.claim(PROC_FIRST)
            .without(child_of_the_program(false)?)
            .with(child_of_the_program(cause(true, false))?)
            .shows(|seen| seen.inside("getuid()").is_some_and(|it| *it == 0))?;
    }

    lab.step(Step {
        goal: "Let its child fail on the map, and ask what the program ends with.",
        calls: &["waitpid(child, &status, 0)", "waitpid(child, NULL, 0)"],
        by_hand: &["sh -c 'false & wait $!'; echo $?", "sh -c 'false & wait'; echo $?"],
    })?;
    lab.claim(STATUS)
        .without(end_of_the_program(true)?)
        .with(end_of_the_program(cause(false, true))?)
        .shows(|seen| {
            seen.outside("its end").is_some_and(|it| *it == "exited 0")
                && seen.outside("its child's end").is_some_and(|it| *it == "exited 1")
        })?;
    Ok(())
}

fn map_from_inside(outside: u32) -> Result<Vec<Fact>> {
    let mut program = Person::User.child("user_ns", Namespaces::USER, move |me| {
        me.saw(WRITE, Outcome::of(idmap::write_uid_map(None, &format!("0 {outside} 1\n")))?)?;
        me.saw("the ID in the map", id(outside))?;
        me.saw("getuid()", id(getuid().as_raw()))
    })?;
    Ok(program.hear_all()?)
}

fn map_as_root(from_inside: bool) -> Result<Vec<Fact>> {
    let text = person::own_id();
    let mut root = Person::Root.child("root", Namespaces::NONE, move |me| {
        let own = text.clone();
        let inside = Child::spawn("inside", Namespaces::USER, move |me| {
            if from_inside {
                me.saw(WRITE, Outcome::of(idmap::write_uid_map(None, &own))?)?;
            }
            me.stay()
        })?;
        if from_inside {
            inside.release()?;
            return person::tell_all_of(inside, me);
        }
        me.tell(Fact::outside(WRITE, Outcome::of(idmap::write_uid_map(Some(inside.pid()), &text))?))
    })?;
    Ok(root.hear_all()?)
}

fn write_too_much(rest: &'static str) -> Result<Vec<Fact>> {
    let text = person::own_id() + rest;
    let mut program = Person::User.child("user_ns", Namespaces::USER, move |me| {
        me.saw(
            format!("write(uid_map, \"0 UID 1\\n\" {rest:?})"),
            Outcome::of(idmap::write_uid_map(None, &text))?,
        )?;
        me.saw("/proc/self/uid_map", map(&idmap::read(None, "uid_map")?))?;
        me.saw("getuid()", id(getuid().as_raw()))
    })?;
    Ok(program.hear_all()?)
}

/// `child_fn` of the notes, with our own IDs in the place of 1000.
fn child_of_the_program(mounts_proc: bool) -> Result<Vec<Fact>> {
    let ids = person::ids();
    let mut program = Person::User.child("user_ns", Namespaces::NONE, move |me| {
        let child = Child::spawn("its child", BORN, move |me| {
            if mounts_proc {
                mount::make_private()?;
                me.saw("mount(proc)", Outcome::of(mount::mount("proc", "/proc".as_ref()))?)?;
            }
            let line = |id: u32| format!("0 {id} 1\n\0uid ");
            me.saw("getpid()", getpid())?;
            me.saw("write(uid_map)", Outcome::of(idmap::write_uid_map(Some(getpid()), &line(ids.uid)))?)?;
            me.saw("write(setgroups)", Outcome::of(idmap::write_setgroups(Some(getpid()), "deny\n"))?)?;
            me.saw("write(gid_map)", Outcome::of(idmap::write_gid_map(Some(getpid()), &line(ids.gid)))?)?;
            me.saw("getuid()", id(getuid().as_raw()))
        })?;
        person::tell_all_of(child, me)
    })?;
    Ok(program.hear_all()?)
}

/// `main` of the notes, with a child that fails because 1000 is not its user.
fn end_of_the_program(asks_for_status: bool) -> Result<Vec<Fact>> {
    let text = format!("0 {} 1\n", person::ids().other);
    let mut program = Person::User.child("user_ns", Namespaces::NONE, move |me| {
        let mut child =
            Child::spawn("its child", Namespaces::USER, move |_| idmap::write_uid_map(None, &text))?;
        let end = child.wait()?;
        me.tell(Fact::outside("its child's end", end))?;
        // As C's exit(): the end is what we are after here, so it cannot be the body's.
        match end {
            End::Exited(status) if asks_for_status => std::process::exit(status),
            _ => std::process::exit(0),
        }
    })?;
    let child = program.hear()?;
    Ok(vec![child, Fact::outside("its end", Value::from(program.wait()?))])
}

/// What keeps an ordinary user from mounting a new procfs, as a container's masks over /proc do.
fn new_procfs() -> ns_core::Result<Option<Missing>> {
    let mut probe = Person::User.child("probe", Namespaces::NONE, |me| {
        let child = Spawn::new("probe").namespaces_always(BORN).run(|me| {
            mount::make_private()?;
            match Outcome::of(mount::mount("proc", "/proc".as_ref()))? {
                Outcome::Done => Ok(()),
                refused => {
                    let what = format!("mounting a new procfs gives {refused}: parts of /proc are covered");
                    person::tell_missing(me, Missing::new(what, "run on the host or in a virtual machine"))
                }
            }
        })?;
        person::tell_all_of(child, me)
    })?;
    person::missing_as_told(&mut probe)
}
