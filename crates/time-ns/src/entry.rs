//! Which process enters a time namespace, and when.

use std::process::{Command, Stdio};

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Row, Step, hand, inside, outside, right, wrong};
use ns_core::probe::{self, Unmet};
use ns_core::{
    Child, Error, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Pid, Reporter, clock, host, namespace,
};

use crate::shift::{self, LAST_WEEK, seconds};

/// The name under which a child continues after execve().
pub(crate) const AFTER_EXECVE: &str = "report-after-execve";

/// A write of `monotonic 1 0`, which several processes try.
const WRITE: &str = "write(timens_offsets)";
const AHEAD: &str = "CLOCK_MONOTONIC, ahead by";
const SPAWN: &str = "posix_spawn()";
const CALLER_MOVED: &str = "caller in another ns/time";
const CHILD_MOVED: &str = "child in another ns/time";

const CHILDREN: Claim = Claim::holds(
    "children",
    "After unshare(CLONE_NEWTIME), the caller stays in its time namespace, and its next child is in the new one.",
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.arms("no flag", "CLONE_NEWTIME")
.core(&[Row::inside("caller: new ns/time", CALLER_MOVED), Row::inside("its child", CHILD_MOVED)])
.asks(
    "A process calls unshare(CLONE_NEWTIME), and then fork(). Which process is in the new time namespace?",
    &[
        right("only its child"),
        wrong("only the caller", "the child seems to stay in the first namespace"),
        wrong("both", "for six of the eight kinds, unshare() moves its caller, and children inherit that"),
        wrong("none, before the offsets are written", "a namespace without offsets seems useless"),
    ],
);

pub(crate) const CREATE_A_CHILD: Step = Step {
    title: "Call unshare(CLONE_NEWTIME), and create a child. Compare the time namespaces of both with the first one.",
    calls: &["unshare(CLONE_NEWTIME)", "readlink(\"/proc/self/ns/time\")", "fork()"],
    by_hand: &[hand("unshare -Ur --time --fork sh -c 'readlink /proc/$PPID/ns/time /proc/$$/ns/time'")
        .prints("time:[<ns A>]\ntime:[<ns B>]")],
    claims: &[CHILDREN],
    run: |lab| {
        lab.compare(CHILDREN, Namespaces::NONE, Namespaces::TIME, create_a_child)?
            .in_both_arms(inside("ns/time of the caller").same_as(inside("ns/time of the caller afterwards")))
            .shows(inside("ns/time of the caller").differs_from(inside("ns/time of its child")))
    },
};

const EXECVE: Claim = Claim::holds_since(
    "execve",
    "After unshare(CLONE_NEWTIME), the next execve() of the caller moves it into the new time namespace.",
    Kernel(6, 2),
)
.factor("execve()")
.notes(&[106]);
// So `unshare -T -- bash`, an example of time_namespaces(7), cannot set its offsets from that shell.
const TOO_LATE: Claim = Claim::holds_since(
    "too-late",
    "After unshare(CLONE_NEWTIME) and execve(), a write to timens_offsets fails with EACCES.",
    Kernel(6, 2),
)
.factor("execve()")
.notes(&[106]);
const VFORK: Claim = Claim::holds_since(
    "vfork",
    "After unshare(CLONE_NEWTIME), a caller that starts a program by posix_spawn() keeps its own clock.",
    Kernel(6, 2),
)
.factor("no execve() of its own")
.notes(&[106])
.more(&[100]);

pub(crate) const EXECUTE: Step = Step {
    title: "Call unshare(CLONE_NEWTIME), and set offsets of a day and a week. Continue without execve(), then with it. Do both again, and start another program by posix_spawn() first.",
    calls: &[
        "unshare(CLONE_NEWTIME)",
        "execve(\"/proc/self/exe\")",
        "clone3(CLONE_VM|CLONE_VFORK)",
        "write(\"/proc/self/timens_offsets\", …)",
    ],
    by_hand: &[hand("unshare -Ur --time bash -c 'echo monotonic 1 0 > /proc/self/timens_offsets'")
        .prints("EACCES")
        .needs(&[Need::Kernel(6, 2)])],
    claims: &[EXECVE, TOO_LATE, VFORK],
    run: |lab| {
        let continued = lab.arms(false, true, |executes| proceed(false, executes))?;
        lab.judge(EXECVE, continued.only(&[AHEAD])).shows(inside(AHEAD).is("86400 s"))?;
        lab.judge(TOO_LATE, continued.only(&[WRITE])).shows(inside(WRITE).is("EACCES"))?;
        let spawned = lab.arms(true, false, |executes| proceed(true, executes))?;
        // Before Linux 6.2 no program can be started: EINVAL.
        lab.judge(VFORK, spawned.only(&[SPAWN, AHEAD]))
            .shows(inside(AHEAD).from("86400 s").or("EINVAL").to("0 s"))
    },
};

const SETNS: Claim =
    Claim::holds("setns", "setns() moves the caller into a time namespace at once, and back again.")
        .factor("ns/time of another process")
        .notes(&[106]);

pub(crate) const VISIT: Step = Step {
    title: "Call setns() with a time namespace, and return: first the caller's own, then that of `member`, whose clock is a day ahead.",
    calls: &["open(\"/proc/PID/ns/time\")", "setns(ns, CLONE_NEWTIME)", "clock_gettime(CLOCK_MONOTONIC)"],
    by_hand: &[hand("unshare -Ur --time --fork --kill-child --boottime 604800 sleep 60 &").prints(""), hand("nsenter -U --preserve-credentials --time --target $(pgrep --parent $!) uptime --pretty; kill -KILL $!").prints("up … week…"), ],
    claims: &[SETNS],
    run: |lab| {
        let mut member = Child::spawn("member", Namespaces::NONE, |me| {
            enter_new(Some(LAST_WEEK))?;
            me.report("inside", "yes")?;
            me.stay()
        })?;
        member.fact()?; // it is in its new namespace
        lab.actor(&member)?;
        lab.compare(SETNS, None, Some(member.pid()), visit)?
            .in_both_arms(inside("ns/time after setns() back").is("the first one"))
            .shows(inside(AHEAD).is("86400 s"))
    },
};

const CLONE3: Claim = Claim::holds(
    "clone3",
    "clone3(CLONE_NEWTIME) creates a child in a new time namespace with fixed offsets: a write fails with EACCES.",
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.requires(&[Requirement::Probe(creation)]);

pub(crate) const CREATE_INSIDE: Step = Step {
    title: "Create a child and its time namespace by one clone3(). Let the child write the offsets.",
    calls: &["clone3(CLONE_NEWTIME)", "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")"],
    by_hand: &[hand("unshare -Ur /usr/bin/python3 -c 'import ctypes,os,struct; ns=lambda: print(os.readlink(\"/proc/self/ns/time\"), flush=True); ns(); ctypes.CDLL(None).syscall(435, struct.pack(\"11Q\",128,0,0,0,17,0,0,0,0,0,0), 88) and os.wait() or (ns(), os.execlp(\"bash\",\"bash\",\"-c\",\"echo monotonic 1 0 > /proc/self/timens_offsets\"))'").prints("time:[<ns A>]\ntime:[<ns B>]\nEACCES"), ],
    claims: &[CLONE3],
    run: |lab| {
        lab.compare(CLONE3, Namespaces::NONE, Namespaces::TIME, create_in)?
            .shows(inside("ns/time").is("another") & inside(WRITE).is("EACCES"))
    },
};

const THREADS: Claim = Claim::holds_since(
    "threads",
    "A process can start threads after unshare(CLONE_NEWTIME); after unshare(CLONE_NEWPID), clone3() fails with EINVAL.",
    Kernel(6, 2),
)
.factor("CLONE_NEWTIME")
.notes(&[106])
.requires(&[Requirement::Probe(pid_namespaces)]);

pub(crate) const START_A_THREAD: Step = Step {
    title: "Call unshare() for a PID namespace, then for a time namespace. After each, start a thread, and a program by posix_spawn().",
    calls: &["unshare(…)", "clone3(CLONE_VM|CLONE_THREAD|…)", "clone3(CLONE_VM|CLONE_VFORK)"],
    by_hand: &[hand("unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x80); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWTIME").prints("OK").needs(&[Need::Kernel(6, 2)]), hand("unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x20000000); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWPID").prints("…\nRuntimeError: can't start new thread"), ],
    claims: &[THREADS],
    run: |lab| {
        // The kernel returns EINVAL. For a thread, a C library may turn that into EAGAIN, as musl does.
        lab.compare(THREADS, Namespaces::PID, Namespaces::TIME, start_after_unshare)?.shows(
            inside("pthread_create()").from("EINVAL").or("EAGAIN").to("OK"),
        )
    },
};

const DOCKER: Claim = Claim::holds(
    "docker",
    "A container with the namespaces that Docker creates by default is in the host's time namespace.",
)
.factor("Docker's default set")
.notes(&[107])
.arms("with time ns", "Docker's set")
.core(&[Row::outside("shared with the host", "shared with the host")])
.asks(
    "A container has the namespaces that Docker creates by default. In which time namespace is it?",
    &[
        right("in the host's"),
        wrong("in a new one", "a container seems to have one namespace of each kind"),
        wrong("in one that all containers share", "they do share Docker's network bridge"),
    ],
)
.requires(&[Requirement::Probe(container)]);

pub(crate) const COMPARE_WITH_DOCKER: Step = Step {
    title: "Create a container with Docker's default set of namespaces, without Docker. Compare its namespaces with the host's.",
    calls: &["clone3(…)", "readlink(\"/proc/PID/ns/time\")"],
    by_hand: &[
        hand("unshare -Ur --mount --uts --ipc --pid --net --cgroup --fork readlink /proc/self/ns/time")
            .prints("time:[<ns A>]"),
        hand("readlink /proc/self/ns/time").prints("time:[<ns A>]"),
    ],
    claims: &[DOCKER],
    run: |lab| {
        lab.compare(DOCKER, DOCKERS | Namespaces::TIME, DOCKERS, contain)?.shows(
            outside("own namespaces").is("cgroup ipc net mnt pid uts")
                & outside("shared with the host").is("time user"),
        )
    },
};

/// The namespaces that `docker run` creates without options. The cgroup namespace is among them with cgroup v2 only.
const DOCKERS: Namespaces = Namespaces::MNT
    .union(Namespaces::UTS)
    .union(Namespaces::IPC)
    .union(Namespaces::PID)
    .union(Namespaces::NET)
    .union(Namespaces::CGROUP);

/// Creates a time namespace, sets its offsets (`None`: leaves them), and enters it by setns().
pub(crate) fn enter_new(offsets: Option<&str>) -> ns_core::Result<()> {
    namespace::unshare(Namespaces::TIME)?;
    if let Some(offsets) = offsets {
        clock::write_offsets(offsets)?;
    }
    NsFile::for_children(Kind::Time)?.enter(Some(Kind::Time))
}

fn create_a_child(namespaces: Namespaces) -> Result<Vec<Fact>> {
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

/// A process calls unshare(), and continues: as it is, or after execve(). With `spawns`, it starts a program before.
fn proceed(spawns: bool, executes: bool) -> Result<Vec<Fact>> {
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
    let not_started = facts.iter().find(|fact| fact.what == SPAWN && fact.value != "OK");
    // What has started no program has no clock after that.
    let ahead = not_started.map_or_else(|| seconds(ahead), |fact| fact.value.clone());
    facts.push(Fact::inside("caller", AHEAD, ahead));
    Ok(facts)
}

/// The report of a process that continues after unshare().
pub(crate) fn report(me: &mut Reporter) -> ns_core::Result<()> {
    me.report(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
    shift::report(me, &shift::MONOTONIC)
}

/// A visitor enters the time namespace of `host` (`None`: its own), reads the clock, and returns.
fn visit(host: Option<Pid>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // The visitor could not return to the host's time namespace, over which it has no privilege. So it starts in a
        // new one.
        enter_new(None)?;
        let (home, away) = (NsFile::of(None, Kind::Time)?, NsFile::of(host, Kind::Time)?);
        me.report(AHEAD, seconds(shift::between(&home, &away)?))?;
        let back = time_of_caller()? == home.id()?;
        me.report("ns/time after setns() back", if back { "the first one" } else { "another" })
    })?;
    Ok(visitor.facts()?)
}

fn create_in(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let of_parent = time_of_caller()?;
    let mut child = Child::spawn("child", namespaces, |me| {
        me.report("ns/time", if time_of_caller()? == of_parent { "the parent's" } else { "another" })?;
        // The control is in the host's time namespace, whose offsets stay as they are.
        if !host::left(Kind::Time)? {
            return me.report(WRITE, "not tried: this is the host's time namespace");
        }
        me.report(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)
    })?;
    Ok(child.facts()?)
}

fn contain(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let container = Child::spawn("container", namespaces, Reporter::stay)?;
    let (of_host, of_container) = (namespace::of(None)?, namespace::of(Some(container.pid()))?);
    let (shared, own): (Vec<_>, Vec<_>) = of_container.into_iter().partition(|id| of_host.contains(id));
    let kinds = |ids: Vec<NsId>| ids.iter().map(|id| id.kind.link()).collect::<Vec<_>>().join(" ");
    Ok(vec![
        Fact::outside("own namespaces", kinds(own)),
        Fact::outside("shared with the host", kinds(shared)),
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

/// Starts a program by posix_spawn(), and waits for its end. posix_spawn() waits in vfork() until the program's
/// execve().
fn spawn_a_program() -> ns_core::Result<Outcome> {
    // This program with --version: it exists, and ends at once.
    let mut program = Command::new("/proc/self/exe");
    program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Outcome::of(program.status().named(|| SPAWN.into()))
}

fn time_of_caller() -> ns_core::Result<NsId> {
    namespace::of_kind(None, Kind::Time)
}

/// Whether a child can be created in a new time namespace. A seccomp filter may refuse clone3(), as in containers.
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
