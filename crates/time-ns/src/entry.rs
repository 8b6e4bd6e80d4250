//! Who gets into a time namespace, and when.

use std::process::{Command, Stdio};

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Need, Step, cause};
use ns_core::probe::{self, Missing};
use ns_core::{
    Child, Error, Fact, Kind, Named, Namespaces, NsFile, NsId, Outcome, Pid, Witness, clock, host, namespace,
};

use crate::{LAST_WEEK, seconds, shift};

pub(crate) const CHILDREN: Claim = Claim::holds(
    "children",
    "unshare(CLONE_NEWTIME) leaves the caller where it is; its next children are born into the new namespace.",
)
.cause("CLONE_NEWTIME")
.notes(&[106]);
pub(crate) const EXECVE: Claim = Claim::holds_since(
    "execve",
    "The caller of unshare(CLONE_NEWTIME) enters the new namespace itself as soon as it calls execve().",
    Kernel(6, 2),
)
.cause("execve()")
.notes(&[106])
.more(&[100]);
pub(crate) const TOO_LATE: Claim = Claim::holds_since(
    "too-late",
    "execve() after unshare(CLONE_NEWTIME) fixes the offsets: time_namespaces(7)'s `unshare -T -- bash` ends in EACCES.",
    Kernel(6, 2),
)
.cause("execve()")
.notes(&[106]);
pub(crate) const SETNS: Claim =
    Claim::holds("setns", "setns() moves the caller itself into a time namespace, at once, and back.")
        .cause("another's ns/time")
        .notes(&[106]);
pub(crate) const CLONE3: Claim = Claim::holds(
    "clone3",
    "clone3(CLONE_NEWTIME) bears a child straight into a new namespace, whose offsets are fixed by that.",
)
.cause("CLONE_NEWTIME")
.notes(&[106])
.needs(&[Need::Probe(birth)]);
pub(crate) const THREADS: Claim = Claim::holds_since(
    "threads",
    "After unshare(CLONE_NEWTIME) a process can start threads; after unshare(CLONE_NEWPID) it cannot.",
    Kernel(6, 2),
)
.cause("CLONE_NEWTIME")
.notes(&[106])
.more(&[100])
.needs(&[Need::Probe(pid_namespaces)]);
pub(crate) const DOCKER: Claim = Claim::holds(
    "docker",
    "A container with the namespaces that Docker makes by default is in our time namespace.",
)
.cause("Docker's own set")
.notes(&[107])
.needs(&[Need::Probe(container)]);

/// To write one's offsets, `monotonic 1 0`, is asked of several processes.
const WRITE: &str = "write(timens_offsets)";

/// The role in which a child goes on after execve().
pub(crate) const AFTER_EXECVE: &str = "report-after-execve";

/// What `docker run` makes without options (the cgroup namespace only where cgroup v2 is).
const DOCKERS: Namespaces = Namespaces::MNT
    .union(Namespaces::UTS)
    .union(Namespaces::IPC)
    .union(Namespaces::PID)
    .union(Namespaces::NET)
    .union(Namespaces::CGROUP);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Call unshare() for a time namespace, and make a child. Who is in the new namespace?",
        calls: &["unshare(CLONE_NEWTIME)", "readlink(\"/proc/self/ns/time\")", "fork()"],
        by_hand: &["unshare -Ur --time --fork sh -c 'readlink /proc/$PPID/ns/time /proc/$$/ns/time'"],
    })?;
    let (plain, unshared) = (make_a_child(Namespaces::NONE)?, make_a_child(Namespaces::TIME)?);
    lab.claim(CHILDREN).without(plain).with(unshared).shows(|time| {
        let caller = time.inside("ns/time of the caller");
        caller == time.inside("ns/time of the caller afterwards")
            && caller != time.inside("ns/time of its child")
    })?;

    lab.step(Step {
        goal: "Call unshare(), set the offsets to a day and a week, and go on: in the same program, and in one that execve() starts in its place.",
        calls: &["unshare(CLONE_NEWTIME)", "execve(\"/proc/self/exe\")", "write(\"/proc/self/timens_offsets\", …)"],
        by_hand: &["unshare -Ur --time bash -c 'echo monotonic 1 0 > /proc/self/timens_offsets'"],
    })?;
    let (stayed, executed) = (go_on(false)?, go_on(cause(true, false))?);
    lab.claim(EXECVE).without(stayed.clock).with(executed.clock).shows(|ahead| *ahead == "86400 s")?;
    lab.claim(TOO_LATE).without(stayed.answer).with(executed.answer).shows(|answer| *answer == "EACCES")?;

    lab.step(Step {
        goal: "By setns(), enter a time namespace and go back: first from one's own into that same one, then into that of `member`, a process whose clock is a day ahead.",
        calls: &["open(\"/proc/PID/ns/time\")", "setns(ns, CLONE_NEWTIME)", "clock_gettime(CLOCK_MONOTONIC)"],
        by_hand: &[
            "unshare -Ur --time --fork --boottime 604800 sleep 60 &",
            "nsenter --user --preserve-credentials --time --target $(pgrep --parent $!) uptime --pretty",
        ],
    })?;
    let mut member = Child::spawn("member", Namespaces::NONE, |me| {
        enter_new(Some(LAST_WEEK))?;
        me.saw("inside", "yes")?;
        me.stay()
    })?;
    member.hear()?; // it is inside
    lab.actor(&member)?;
    lab.claim(SETNS).without(visit(None)?).with(visit(Some(member.pid()))?).shows(|visitor| {
        visitor.inside("CLOCK_MONOTONIC, ahead by").is_some_and(|it| *it == "86400 s")
            && visitor.inside("after setns() back").is_some_and(|it| *it == "at home")
    })?;

    if lab.can_ask(&[CLONE3])? {
        lab.step(Step {
            goal: "Let clone3() make a child and its time namespace at once, and the child set the offsets.",
            calls: &["clone3(CLONE_NEWTIME)", "write(\"/proc/self/timens_offsets\", \"monotonic 1 0\")"],
            by_hand: &[
                "unshare -Ur /usr/bin/python3 -c 'import ctypes,os,struct; ns=lambda: print(os.readlink(\"/proc/self/ns/time\"), flush=True); ns(); ctypes.CDLL(None).syscall(435, struct.pack(\"11Q\",128,0,0,0,17,0,0,0,0,0,0), 88) and os.wait() or (ns(), os.execlp(\"bash\",\"bash\",\"-c\",\"echo monotonic 1 0 > /proc/self/timens_offsets\"))'",
            ],
        })?;
        lab.claim(CLONE3).without(bear(Namespaces::NONE)?).with(bear(Namespaces::TIME)?).shows(|child| {
            child.inside("ns/time").is_some_and(|it| *it == "another")
                && child.inside(WRITE).is_some_and(|it| *it == "EACCES")
        })?;
    }

    if lab.can_ask(&[THREADS])? {
        lab.step(Step {
            goal: "Call unshare() for a PID or a time namespace, into which children will be born. Then start a thread, and a program by posix_spawn().",
            calls: &["unshare(…)", "clone3(CLONE_VM|CLONE_THREAD|…)", "clone3(CLONE_VM|CLONE_VFORK)"],
            by_hand: &[
                "unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x80); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWTIME",
                "unshare -Ur /usr/bin/python3 -c 'import ctypes,threading; ctypes.CDLL(None).unshare(0x20000000); threading.Thread(target=print,args=[\"OK\"]).start()'  # CLONE_NEWPID",
            ],
        })?;
        lab.claim(THREADS)
            .without(start_after_unshare(Namespaces::PID)?)
            .with(start_after_unshare(Namespaces::TIME)?)
            .shows(|start| {
                start.inside("pthread_create()").is_some_and(|it| *it == "OK")
                    && start.inside("posix_spawn()").is_some_and(|it| *it == "OK")
            })?;
    }

    if lab.can_ask(&[DOCKER])? {
        lab.step(Step {
            goal: "Compare our namespaces with a container's: a replica with Docker's default set, without Docker.",
            calls: &["clone3(…)", "readlink(\"/proc/PID/ns/time\")"],
            by_hand: &[
                "unshare -Ur --mount --uts --ipc --pid --net --cgroup --fork readlink /proc/self/ns/time",
                "readlink /proc/self/ns/time",
            ],
        })?;
        let (with_time, dockers) = (contain(DOCKERS | Namespaces::TIME)?, contain(DOCKERS)?);
        lab.claim(DOCKER).without(with_time).with(dockers).shows(|container| {
            container.outside("namespaces of its own").is_some_and(|it| *it == "cgroup ipc net mnt pid uts")
                && container.outside("shared with us").is_some_and(|it| *it == "time user")
        })?;
    }
    Ok(())
}

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
        me.saw("ns/time of the caller", time_of_caller()?)?;
        namespace::unshare(namespaces)?;
        me.saw("ns/time of the caller afterwards", time_of_caller()?)?;
        let mut child =
            Child::spawn("child", Namespaces::NONE, |me| me.saw("ns/time of its child", time_of_caller()?))?;
        me.tell(child.hear()?)
    })?;
    Ok(caller.hear_all()?)
}

/// What is seen of a process that has unshared and gone on.
struct GoneOn {
    clock: Fact,
    answer: Fact,
}

fn go_on(executes: bool) -> Result<GoneOn> {
    let mut caller = Child::spawn("caller", Namespaces::NONE, |me| {
        namespace::unshare(Namespaces::TIME)?;
        clock::write_offsets(LAST_WEEK)?;
        if executes { me.exec_again(AFTER_EXECVE).map(|never| match never {}) } else { report(me) }
    })?;
    let answer = caller.hear()?;
    let ahead = shift::read(&shift::MONOTONIC, &mut caller)?[0].ahead;
    Ok(GoneOn { clock: Fact::inside("caller", "CLOCK_MONOTONIC, ahead by", seconds(ahead)), answer })
}

/// What a process tells that has unshared and gone on, wherever it is then.
pub(crate) fn report(me: &mut Witness) -> ns_core::Result<()> {
    me.saw(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)?;
    shift::tell(me, &shift::MONOTONIC)
}

/// A visitor enters the time namespace of `host` (`None`: its own), reads the clock, and goes back.
fn visit(host: Option<Pid>) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // Back into the host's time namespace nobody gets without privilege over it: so home is one of our own.
        enter_new(None)?;
        let (home, away) = (NsFile::of(None, Kind::Time)?, NsFile::of(host, Kind::Time)?);
        me.saw("CLOCK_MONOTONIC, ahead by", seconds(shift::between(&home, &away)?))?;
        let back = time_of_caller()? == home.id()?;
        me.saw("after setns() back", if back { "at home" } else { "still away" })
    })?;
    Ok(visitor.hear_all()?)
}

fn bear(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let ours = time_of_caller()?;
    let mut child = Child::spawn("child", namespaces, |me| {
        me.saw("ns/time", if time_of_caller()? == ours { "ours" } else { "another" })?;
        // The control is in the host's time namespace, where nobody writes anything.
        if !host::left(Kind::Time)? {
            return me.saw(WRITE, "not tried: this is the host's time namespace");
        }
        me.saw(WRITE, Outcome::of(clock::write_offsets("monotonic 1 0"))?)
    })?;
    Ok(child.hear_all()?)
}

fn contain(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let container = Child::spawn("container", namespaces, Witness::stay)?;
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
        me.saw("unshared", namespaces.as_typed())?;
        let thread = std::thread::Builder::new().spawn(|| ()).named(|| "pthread_create()".into());
        me.saw("pthread_create()", Outcome::of(thread.map(|thread| thread.join().is_ok()))?)?;
        // Ourselves: a program that is certainly there, and asked so, ends at once.
        let mut program = Command::new("/proc/self/exe");
        program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        me.saw("posix_spawn()", Outcome::of(program.status().named(|| "posix_spawn()".into()))?)
    })?;
    Ok(child.hear_all()?)
}

fn time_of_caller() -> ns_core::Result<NsId> {
    namespace::of_kind(None, Kind::Time)
}

/// Where a seccomp filter hides clone3(), as in containers, no child can be born into a time namespace.
fn birth() -> ns_core::Result<Option<Missing>> {
    can_be_born_into(Namespaces::TIME)
}

fn container() -> ns_core::Result<Option<Missing>> {
    can_be_born_into(DOCKERS | Namespaces::TIME)
}

fn can_be_born_into(namespaces: Namespaces) -> ns_core::Result<Option<Missing>> {
    match Child::spawn("probe", namespaces, |_| Ok(())) {
        Ok(_) => Ok(None),
        Err(Error::Call { call, errno }) => Ok(Some(probe::why_refused(&call, errno, namespaces))),
        Err(other) => Err(other),
    }
}

fn pid_namespaces() -> ns_core::Result<Option<Missing>> {
    probe::stage(Namespaces::PID)
}
