//! Who gets into a time namespace, and when.

use std::process::{Command, Stdio};

use anyhow::Result;
use lesson::{Claim, Kernel, Requirement, Row, Step, inside, outside, right, wrong};
use ns_core::probe::{self, Unmet};
use ns_core::{
    Child, Error, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Pid, Reporter, clock, host, namespace,
};

use crate::shift::{self, LAST_WEEK, seconds};

/// The role in which a child goes on after execve().
pub(crate) const AFTER_EXECVE: &str = "report-after-execve";

/// To write one's offsets, `monotonic 1 0`, is asked of several processes.
const WRITE: &str = "write(timens_offsets)";
const AHEAD: &str = "CLOCK_MONOTONIC, ahead by";
const SPAWN: &str = "posix_spawn()";
const CALLER_MOVED: &str = "the caller has another ns/time";
const CHILD_MOVED: &str = "its child has another ns/time";

const CHILDREN: Claim = Claim::holds(
    "children",
    "unshare(CLONE_NEWTIME) leaves the caller where it is; a child of it by fork() is in the new namespace.",
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.arms("no flag", "CLONE_NEWTIME")
.core(&[Row::inside("caller: new ns/time", CALLER_MOVED), Row::inside("its child", CHILD_MOVED)])
.asks(
    "A process calls unshare(CLONE_NEWTIME), and then fork(). Who is in the new time namespace?",
    &[
        right("its child alone"),
        wrong("the caller alone", "a child is thought to get a copy of the first namespace"),
        wrong("both", "unshare() moves its caller for six of the eight kinds, and children inherit"),
        wrong("nobody, before the offsets are written", "a namespace without offsets seems to be none"),
    ],
);

pub(crate) const MAKE_A_CHILD: Step = Step {
    title: "Call unshare() for a time namespace, and make a child. Who is in the new namespace?",
    calls: &["unshare(CLONE_NEWTIME)", "readlink(\"/proc/self/ns/time\")", "fork()"],
    by_hand: &["unshare -Ur --time --fork sh -c 'readlink /proc/$PPID/ns/time /proc/$$/ns/time'"],
    claims: &[CHILDREN],
    run: |lab| {
        lab.compare(CHILDREN, Namespaces::NONE, Namespaces::TIME, make_a_child)?.shows(
            inside("ns/time of the caller").same_as(inside("ns/time of the caller afterwards"))
                & inside("ns/time of the caller").differs_from(inside("ns/time of its child")),
        )
    },
};

const EXECVE: Claim = Claim::holds_since(
    "execve",
    "The caller of unshare(CLONE_NEWTIME) enters the new namespace itself as soon as it calls execve().",
    Kernel(6, 2),
)
.factor("execve()")
.notes(&[106]);
const TOO_LATE: Claim = Claim::holds_since(
    "too-late",
    "execve() after unshare(CLONE_NEWTIME) fixes the offsets: time_namespaces(7)'s `unshare -T -- bash` ends in EACCES.",
    Kernel(6, 2),
)
.factor("execve()")
.notes(&[106]);
const VFORK: Claim = Claim::holds_since(
    "vfork",
    "A caller that starts a program by posix_spawn(), and waits in vfork() meanwhile, keeps its own clock.",
    Kernel(6, 2),
)
.factor("no execve() of its own")
.notes(&[106])
.more(&[100]);

pub(crate) const EXECUTE: Step = Step {
    title: "Call unshare(), and set the offsets to a day and a week. Go on in the same program, and in one \
            that execve() starts in its place. Then let both start a program by posix_spawn() before they go on.",
    calls: &[
        "unshare(CLONE_NEWTIME)",
        "execve(\"/proc/self/exe\")",
        "clone3(CLONE_VM|CLONE_VFORK)",
        "write(\"/proc/self/timens_offsets\", …)",
    ],
    by_hand: &["unshare -Ur --time bash -c 'echo monotonic 1 0 > /proc/self/timens_offsets'"],
    claims: &[EXECVE, TOO_LATE, VFORK],
    run: |lab| {
        let went_on = lab.arms(false, true, |executes| go_on(false, executes))?;
        lab.judge(EXECVE, went_on.only(&[AHEAD])).shows(inside(AHEAD).is("86400 s"))?;
        lab.judge(TOO_LATE, went_on.only(&[WRITE])).shows(inside(WRITE).is("EACCES"))?;
        let spawned = lab.arms(true, false, |executes| go_on(true, executes))?;
        lab.judge(VFORK, spawned.only(&[SPAWN, AHEAD]))
            .shows(inside(AHEAD).is("0 s") & inside(SPAWN).from("EINVAL").to("OK"))
    },
};

const SETNS: Claim =
    Claim::holds("setns", "setns() moves the caller itself into a time namespace, at once, and back.")
        .factor("another's ns/time")
        .notes(&[106]);

pub(crate) const VISIT: Step = Step {
    title: "By setns(), enter a time namespace and go back. Enter first one's own, then that of `member`, a \
            process whose clock is a day ahead.",
    calls: &["open(\"/proc/PID/ns/time\")", "setns(ns, CLONE_NEWTIME)", "clock_gettime(CLOCK_MONOTONIC)"],
    by_hand: &[
        "unshare -Ur --time --fork --boottime 604800 sleep 60 &",
        "nsenter --user --preserve-credentials --time --target $(pgrep --parent $!) uptime --pretty",
    ],
    claims: &[SETNS],
    run: |lab| {
        let mut member = Child::spawn("member", Namespaces::NONE, |me| {
            enter_new(Some(LAST_WEEK))?;
            me.report("inside", "yes")?;
            me.stay()
        })?;
        member.fact()?; // it is inside
        lab.actor(&member)?;
        lab.compare(SETNS, None, Some(member.pid()), visit)?
            .shows(inside(AHEAD).is("86400 s") & inside("after setns() back").is("at home"))
    },
};

const CLONE3: Claim = Claim::holds(
    "clone3",
    "clone3(CLONE_NEWTIME) creates a child directly in a new namespace, whose offsets are fixed by that: EACCES.",
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.requires(&[Requirement::Probe(creation)]);

pub(crate) const CREATE_INSIDE: Step = Step {
    title: "Let clone3() make a child and its time namespace at once, and the child set the offsets.",
    calls: &["clone3(CLONE_NEWTIME)", "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")"],
    by_hand: &[
        "unshare -Ur /usr/bin/python3 -c 'import ctypes,os,struct; ns=lambda: print(os.readlink(\"/proc/self/ns/time\"), flush=True); ns(); ctypes.CDLL(None).syscall(435, struct.pack(\"11Q\",128,0,0,0,17,0,0,0,0,0,0), 88) and os.wait() or (ns(), os.execlp(\"bash\",\"bash\",\"-c\",\"echo monotonic 1 0 > /proc/self/timens_offsets\"))'",
    ],
    claims: &[CLONE3],
    run: |lab| {
        lab.compare(CLONE3, Namespaces::NONE, Namespaces::TIME, create_in)?
            .shows(inside("ns/time").is("another") & inside(WRITE).is("EACCES"))
    },
};

const THREADS: Claim = Claim::holds_since(
    "threads",
    "After unshare(CLONE_NEWTIME) a process can start threads; after unshare(CLONE_NEWPID) it cannot.",
    Kernel(6, 2),
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.requires(&[Requirement::Probe(pid_namespaces)]);

pub(crate) const START_A_THREAD: Step = Step {
    title: "Call unshare() for a PID or a time namespace, in which children will be created. Then start a thread, and a program by posix_spawn().",
    calls: &["unshare(…)", "clone3(CLONE_VM|CLONE_THREAD|…)", "clone3(CLONE_VM|CLONE_VFORK)"],
    by_hand: &[
        "unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x80); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWTIME",
        "unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x20000000); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWPID",
    ],
    claims: &[THREADS],
    run: |lab| {
        // The kernel says EINVAL; a C library may make EAGAIN of that for a thread, as musl does.
        lab.compare(THREADS, Namespaces::PID, Namespaces::TIME, start_after_unshare)?.shows(
            inside("pthread_create()").from("EINVAL").or("EAGAIN").to("OK")
                & inside(SPAWN).from("EINVAL").to("OK"),
        )
    },
};

const DOCKER: Claim = Claim::holds(
    "docker",
    "A container with the namespaces that Docker makes by default is in our time namespace.",
)
.factor("Docker's own set")
.notes(&[107])
.arms("with time", "Docker's set")
.core(&[Row::outside("shared with the host", "shared with us")])
.asks(
    "A container has the namespaces that Docker makes by default. In whose time namespace is it?",
    &[
        right("in the host's"),
        wrong("in one of its own", "a container seems to have its own of everything"),
        wrong("in one that all containers share", "they do share Docker's network bridge"),
    ],
)
.requires(&[Requirement::Probe(container)]);

pub(crate) const CONTAIN: Step = Step {
    title: "Compare our namespaces with a container's: a replica with Docker's default set, without Docker.",
    calls: &["clone3(…)", "readlink(\"/proc/PID/ns/time\")"],
    by_hand: &[
        "unshare -Ur --mount --uts --ipc --pid --net --cgroup --fork readlink /proc/self/ns/time",
        "readlink /proc/self/ns/time",
    ],
    claims: &[DOCKER],
    run: |lab| {
        lab.compare(DOCKER, DOCKERS | Namespaces::TIME, DOCKERS, contain)?.shows(
            outside("namespaces of its own").is("cgroup ipc net mnt pid uts")
                & outside("shared with us").is("time user"),
        )
    },
};

/// What `docker run` makes without options (the cgroup namespace only where cgroup v2 is).
const DOCKERS: Namespaces = Namespaces::MNT
    .union(Namespaces::UTS)
    .union(Namespaces::IPC)
    .union(Namespaces::PID)
    .union(Namespaces::NET)
    .union(Namespaces::CGROUP);

/// Makes a time namespace, sets its offsets (`None`: leaves them), and enters it by setns(), the short way in.
pub(crate) fn enter_new(offsets: Option<&str>) -> ns_core::Result<()> {
    namespace::unshare(Namespaces::TIME)?;
    if let Some(offsets) = offsets {
        clock::write_offsets(offsets)?;
    }
    NsFile::for_children(Kind::Time)?.enter(Some(Kind::Time))
}

fn make_a_child(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, |me| {
        let before = time_of_caller()?;
        me.report("ns/time of the caller", before)?;
        namespace::unshare(namespaces)?;
        let after = time_of_caller()?;
        me.report("ns/time of the caller afterwards", after)?;
        let mut child = Child::spawn("child", Namespaces::NONE, |me| {
            let own = time_of_caller()?;
            me.report("ns/time of its child", own)?;
            me.report(CHILD_MOVED, own != before)
        })?;
        me.send(child.fact()?)?;
        me.report(CALLER_MOVED, after != before)?;
        me.send(child.fact()?)
    })?;
    Ok(caller.facts()?)
}

/// A process that has unshared goes on: as it is, or after execve(). Before that it `spawns` a program, or does not.
fn go_on(spawns: bool, executes: bool) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        clock::write_offsets(LAST_WEEK)?;
        if spawns {
            me.report(SPAWN, spawn_a_program()?)?;
        }
        if executes { me.exec_again(AFTER_EXECVE).map(|never| match never {}) } else { report(me) }
    })?;
    let mut facts = Vec::new();
    for _ in 0..1 + usize::from(spawns) {
        facts.push(caller.fact()?);
    }
    let ahead = shift::read(&shift::MONOTONIC, &mut caller)?[0].ahead;
    facts.push(Fact::inside("caller", AHEAD, seconds(ahead)));
    Ok(facts)
}

/// What a process reports that has unshared and gone on, wherever it is then.
pub(crate) fn report(me: &mut Reporter) -> ns_core::Result<()> {
    me.report(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
    shift::report(me, &shift::MONOTONIC)
}

/// A visitor enters the time namespace of `host` (`None`: its own), reads the clock, and goes back.
fn visit(host: Option<Pid>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // Back into the host's time namespace nobody gets without privilege over it: so home is one of our own.
        enter_new(None)?;
        let (home, away) = (NsFile::of(None, Kind::Time)?, NsFile::of(host, Kind::Time)?);
        me.report(AHEAD, seconds(shift::between(&home, &away)?))?;
        let back = time_of_caller()? == home.id()?;
        me.report("after setns() back", if back { "at home" } else { "still away" })
    })?;
    Ok(visitor.facts()?)
}

fn create_in(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let ours = time_of_caller()?;
    let mut child = Child::spawn("child", namespaces, |me| {
        me.report("ns/time", if time_of_caller()? == ours { "ours" } else { "another" })?;
        // The control is in the host's time namespace, where nobody writes anything.
        if !host::left(Kind::Time)? {
            return me.report(WRITE, "not tried: this is the host's time namespace");
        }
        me.report(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)
    })?;
    Ok(child.facts()?)
}

fn contain(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let container = Child::spawn("container", namespaces, Reporter::stay)?;
    let (ours, theirs) = (namespace::of(None)?, namespace::of(Some(container.pid()))?);
    let (shared, own): (Vec<_>, Vec<_>) = theirs.into_iter().partition(|id| ours.contains(id));
    let kinds = |ids: Vec<NsId>| ids.iter().map(|id| id.kind.link()).collect::<Vec<_>>().join(" ");
    Ok(vec![
        Fact::outside("namespaces of its own", kinds(own)),
        Fact::outside("shared with us", kinds(shared)),
    ])
}

fn start_after_unshare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        namespace::unshare(namespaces)?;
        me.report("unshared", namespaces.as_typed())?;
        let thread = std::thread::Builder::new().spawn(|| ()).named(|| "pthread_create()".into());
        me.report("pthread_create()", Outcome::of(thread.map(|thread| thread.join().is_ok()))?)?;
        me.report(SPAWN, spawn_a_program()?)
    })?;
    Ok(child.facts()?)
}

/// Starts a program by posix_spawn(), which waits in vfork() until that has called execve(), and waits for its end.
fn spawn_a_program() -> ns_core::Result<Outcome> {
    // Ourselves: a program that is certainly there, and asked so, ends at once.
    let mut program = Command::new("/proc/self/exe");
    program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Outcome::of(program.status().named(|| SPAWN.into()))
}

fn time_of_caller() -> ns_core::Result<NsId> {
    namespace::of_kind(None, Kind::Time)
}

/// Where a seccomp filter hides clone3(), as in containers, no child can be created in a time namespace.
fn creation() -> ns_core::Result<Option<Unmet>> {
    can_be_created_in(Namespaces::TIME)
}

fn container() -> ns_core::Result<Option<Unmet>> {
    can_be_created_in(DOCKERS | Namespaces::TIME)
}

fn can_be_created_in(namespaces: Namespaces) -> ns_core::Result<Option<Unmet>> {
    match Child::spawn("probe", namespaces, |_| Ok(())) {
        Ok(_) => Ok(None),
        Err(Error::Call { call, errno }) => {
            Ok(Some(probe::why_refused(ns_core::Refused { call, errno }, namespaces)))
        }
        Err(other) => Err(other),
    }
}

fn pid_namespaces() -> ns_core::Result<Option<Unmet>> {
    probe::sandbox(Namespaces::PID)
}
