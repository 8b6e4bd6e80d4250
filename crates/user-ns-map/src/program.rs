//! The notes' program `user_ns`, and what its text does not show. For which user does it work? How long is its map? To
//! which /proc does it write? Does it report a failure?

use anyhow::Result;
use lesson::{Claim, Requirement, Step, first, hand, inside, outside, unmet};
use nix::unistd::{getpid, getuid};
use ns_core::probe::Unmet;
use ns_core::{Capability, Child, ExitStatus, Fact, Namespaces, Outcome, Spawn, Value, idmap, mount};

use crate::maps::{self, id, map};
use crate::user::{self, User};

const WRITE: &str = "write(uid_map)";

const OWN_ID: Claim = Claim::holds(
    "own-id",
    "Without privilege outside, a process can map its own user ID; another user's ID fails with EPERM.",
)
.factor("the own ID in the map")
.notes(&[113]);

pub(crate) const MAP_ONE_ID: Step = Step {
    title: "Write `0 ID 1` from inside, as the notes' program does: with another user's ID, then with the writer's own.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"0 ID 1\")"],
    by_hand: &[
        hand("unshare --user sleep 60 &").prints(""),
        hand("echo \"0 $(($(id -u) + 1)) 1\" > /proc/$!/uid_map  # another's ID").prints("EPERM"),
        hand("echo \"0 $(id -u) 1\" > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!")
            .prints("0 <user id> 1"),
    ],
    claims: &[OWN_ID],
    run: |lab| {
        let ids = user::ids();
        lab.compare(OWN_ID, ids.other, ids.uid, map_from_inside)?
            .shows(inside(WRITE).from("EPERM").to("OK") & inside("getuid()").is(0))
    },
};

const FROM_INSIDE: Claim = Claim::holds(
    "from-inside",
    "After root enters a new user namespace, its write() of `0 1000 1` to uid_map fails with EPERM.",
)
.factor("a writer inside")
.notes(&[113])
.requires(&[Requirement::Capability(Capability::CAP_SETUID)]);

pub(crate) const MAP_AS_ROOT: Step = Step {
    title: "Map another user's ID as root: from outside, then from inside.",
    calls: &["write(\"/proc/PID/uid_map\", \"0 1000 1\")", "write(\"/proc/self/uid_map\", \"0 1000 1\")"],
    by_hand: &[
        hand("unshare --user sleep 60 &").as_root().prints(""),
        hand("echo '0 1000 1' > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!")
            .as_root()
            .prints("0 1000 1"),
        hand("unshare --user --keep-caps bash -c 'echo 0 1000 1 > /proc/self/uid_map'")
            .as_root()
            .prints("EPERM"),
    ],
    claims: &[FROM_INSIDE],
    run: |lab| lab.compare(FROM_INSIDE, false, true, map_as_root)?.shows(first().is("EPERM")),
};

const NUL: Claim =
    Claim::holds("nul", "The kernel reads a map up to the first NUL, and ignores the bytes after it.")
        .factor("a NUL after the line")
        .notes(&[116]);

pub(crate) const WRITE_TOO_MUCH: Step = Step {
    title: "Write five bytes too many after the line, as the notes' program does: first without a NUL, then with one.",
    calls: &["write(fd, \"0 UID 1\\n\" \"uid w\", 14)", "write(fd, \"0 UID 1\\n\" \"\\0uid \", 14)"],
    by_hand: &[
        hand("unshare --user sleep 60 &").prints(""),
        hand("env printf \"0 $(id -u) 1\\n\\0uid \" > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!")
            .prints("0 <user id> 1"),
    ],
    claims: &[NUL],
    run: |lab| {
        lab.compare(NUL, "uid w", "\0uid ", write_too_much)?
            .shows(first().from("EINVAL").to("OK") & inside("getuid()").is(0))
    },
};

const PROC_FIRST: Claim = Claim::holds(
    "proc-first",
    "The init of a new PID namespace can write its maps in /proc/1 only after it mounts a new procfs.",
)
.factor("mount -t proc")
.notes(&[113, 116])
.requires(&[Requirement::Probe(new_procfs)]);

pub(crate) const RUN_ITS_CHILD: Step = Step {
    title: "Run the calls of the program's child, from mount() to getuid(): without the mount, then with it.",
    calls: &[
        "clone3(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)",
        "mount(\"proc\", \"/proc\", \"proc\")",
        "getpid()",
        "write(\"/proc/1/uid_map\", …, 14)",
        "write(\"/proc/1/setgroups\", \"deny\\n\", 5)",
        "write(\"/proc/1/gid_map\", …, 14)",
    ],
    by_hand: &[hand("unshare --user --map-root-user --pid --fork sh -c 'stat -c \"%U %n\" /proc/$$/uid_map'").prints("nobody /proc/1/uid_map"), hand("unshare --user --map-root-user --pid --fork --mount-proc sh -c 'stat -c \"%U %n\" /proc/$$/uid_map'").prints("root /proc/1/uid_map"), ],
    claims: &[PROC_FIRST],
    run: |lab| lab.compare(PROC_FIRST, false, true, child_of_the_program)?.shows(inside("getuid()").is(0)),
};

const STATUS: Claim = Claim::holds(
    "status",
    "The notes' program exits with 0 although its child fails: it passes NULL for the status of waitpid().",
)
.factor("NULL for the status")
.notes(&[113]);

pub(crate) const FAIL: Step = Step {
    title: "Let the program's child fail to write the map, and read the exit status of the program.",
    calls: &["waitpid(child, &status, 0)", "waitpid(child, NULL, 0)"],
    by_hand: &[
        hand("sh -c 'false & wait $!'; echo $?").prints("1"),
        hand("sh -c 'false & wait'; echo $?").prints("0"),
    ],
    claims: &[STATUS],
    run: |lab| {
        lab.compare(STATUS, true, false, end_of_the_program)?
            .in_both_arms(outside("its child").is("exited 1"))
            .shows(outside("program").is("exited 0"))
    },
};

fn map_from_inside(outside: u32) -> Result<Vec<Fact>> {
    let mut program = User::Ordinary.child("user_ns", Namespaces::USER, |me| {
        me.report(WRITE, Outcome::of(idmap::write_uid_map(None, &format!("0 {outside} 1\n")))?)?;
        me.report("ID in the map", id(outside))?;
        me.report("getuid()", id(getuid().as_raw()))
    })?;
    Ok(program.facts()?)
}

fn map_as_root(from_inside: bool) -> Result<Vec<Fact>> {
    let text = maps::own_id();
    let mut root = User::Root.child("root", Namespaces::NONE, |me| {
        let mut inside = Child::spawn("inside", Namespaces::USER, |me| {
            if from_inside {
                me.report(WRITE, Outcome::of(idmap::write_uid_map(None, &text))?)?;
            }
            me.stay()
        })?;
        if from_inside {
            inside.wake()?;
            return inside.pass_on(me);
        }
        me.send(Fact::outside(WRITE, Outcome::of(idmap::write_uid_map(Some(inside.pid()), &text))?))
    })?;
    Ok(root.facts()?)
}

fn write_too_much(rest: &str) -> Result<Vec<Fact>> {
    let text = maps::own_id() + rest;
    let mut program = User::Ordinary.child("user_ns", Namespaces::USER, |me| {
        me.report(
            format!("write(uid_map, \"0 UID 1\\n\" {rest:?})"),
            Outcome::of(idmap::write_uid_map(None, &text))?,
        )?;
        me.report("/proc/self/uid_map", map(&idmap::read(None, "uid_map")?))?;
        me.report("getuid()", id(getuid().as_raw()))
    })?;
    Ok(program.facts()?)
}

/// The namespaces that the notes' program creates for its child.
const OF_THE_CHILD: Namespaces = Namespaces::USER.union(Namespaces::PID).union(Namespaces::MNT);

/// `child_fn` of the notes, with the user's own IDs instead of 1000.
fn child_of_the_program(mounts_proc: bool) -> Result<Vec<Fact>> {
    let ids = user::ids();
    let mut program = User::Ordinary.child("user_ns", Namespaces::NONE, move |me| {
        let mut child = Child::spawn("its child", OF_THE_CHILD, move |me| {
            if mounts_proc {
                mount::make_private()?;
                me.report("mount(proc)", Outcome::of(mount::mount("proc", "/proc".as_ref()))?)?;
            }
            let line = |id: u32| format!("0 {id} 1\n\0uid ");
            me.report("getpid()", getpid())?;
            me.report(WRITE, Outcome::of(idmap::write_uid_map(Some(getpid()), &line(ids.uid)))?)?;
            me.report("write(setgroups)", Outcome::of(idmap::write_setgroups(Some(getpid()), "deny\n"))?)?;
            me.report("write(gid_map)", Outcome::of(idmap::write_gid_map(Some(getpid()), &line(ids.gid)))?)?;
            me.report("getuid()", id(getuid().as_raw()))
        })?;
        child.pass_on(me)
    })?;
    Ok(program.facts()?)
}

/// `main` of the notes, with a child that fails because it maps another user's ID.
fn end_of_the_program(asks_for_status: bool) -> Result<Vec<Fact>> {
    let text = format!("0 {} 1\n", user::ids().other);
    let mut program = User::Ordinary.child("user_ns", Namespaces::NONE, move |me| {
        let mut child =
            Child::spawn("its child", Namespaces::USER, move |_| idmap::write_uid_map(None, &text))?;
        let end = child.wait()?;
        me.send(Fact::outside("its child", end))?;
        // As exit() in C: the exit status is what this arm reports, so it must come from the program itself.
        match end {
            ExitStatus::Exited(status) if asks_for_status => std::process::exit(status),
            _ => std::process::exit(0),
        }
    })?;
    let child = program.fact()?;
    Ok(vec![child, Fact::outside("program", Value::from(program.wait()?))])
}

/// What prevents an ordinary user from mounting a new procfs, such as a container's mounts over parts of /proc.
fn new_procfs() -> ns_core::Result<Option<Unmet>> {
    let probe = User::Ordinary.child("probe", Namespaces::NONE, |me| {
        let mut child = Spawn::new("probe").namespaces(OF_THE_CHILD).run(|me| {
            mount::make_private()?;
            match Outcome::of(mount::mount("proc", "/proc".as_ref()))? {
                Outcome::Done => Ok(()),
                refused => {
                    let what = format!(
                        "a /proc without mounts over its parts: mounting a new procfs fails with {refused}"
                    );
                    unmet::report(me, &Unmet::new(what, "run on the host or in a virtual machine"))
                }
            }
        })?;
        child.pass_on(me)
    })?;
    unmet::reported_by(probe)
}
