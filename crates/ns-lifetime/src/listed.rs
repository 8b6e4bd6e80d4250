//! The references that keep a namespace without members, as namespaces(7) lists them under "Namespace lifetime".

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, right, wrong};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, mount, namespace, sandbox, uts};

use crate::limit;
use crate::limited::{NAMESPACE, Trial, clean_up_after, exists, one_more, wait_until_gone};
use crate::member::{end, member};
use crate::scratch::{empty_directory, empty_file};

const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "An open descriptor of /proc/PID/ns/uts keeps that UTS namespace after its last member ends.",
)
.factor("open(ns/uts)")
.notes(&[20])
.more(&[22])
.core(&[Row::outside("UTS: open descriptor", NAMESPACE)])
.asks(
    "You have /proc/PID/ns/uts open. Process PID, its only member, ends. What happens to that UTS namespace?",
    &[
        right("it still exists, without a process"),
        wrong(
            "it is gone, and your descriptor leads nowhere",
            "the files in /proc/PID are thought to end with the process",
        ),
        wrong("it still exists, with you as its member", "having a file open is taken for having entered it"),
    ],
);
const BIND: Claim = Claim::holds(
    "bind-mount",
    "A bind mount of /proc/PID/ns/uts keeps that UTS namespace after its last member ends.",
)
.factor("mount --bind")
.notes(&[20])
.more(&[21, 22])
.core(&[Row::outside("UTS: bind mount", NAMESPACE)])
.asks(
    "/proc/PID/ns/uts is bind-mounted on a file; its only member ends, and no descriptor is open. What does the mount do?",
    &[
        right("it keeps the namespace"),
        wrong("nothing: the file is empty again", "the link that was mounted is gone with its process"),
        wrong("it keeps only the name: a new namespace is created on entry", "`ip netns exec` seems to create one each time"),
    ],
);
const BY_NAME: Claim = Claim::holds(
    "by-name",
    "setns() enters a UTS namespace without members by its bind mount. After umount() it fails with EINVAL.",
)
.factor("mount --bind")
.more(&[21]);
const IN_ITSELF: Claim = Claim::holds(
    "in-itself",
    "A bind mount of a mount namespace inside itself, where it would keep itself, fails with EINVAL.",
)
.factor("its own mount namespace")
.more(&[21]);

pub(crate) const HOLD_OPEN: Step = Step {
    title: "End the only member of a UTS namespace: with its link open or bind-mounted, and without.",
    calls: &["open(\"/proc/PID/ns/uts\")", "mount(\"/proc/PID/ns/uts\", …, MS_BIND)", "setns()"],
    by_hand: &[
        hand("unshare --user --map-root-user --mount  # a shell of your own, for this step").prints(""),
        hand("mount -t tmpfs tmpfs /tmp; touch /tmp/kept; unshare --uts=/tmp/kept hostname kept").prints(""),
        hand("nsenter --uts=/tmp/kept hostname; umount /tmp/kept; nsenter --uts=/tmp/kept hostname")
            .prints("kept\nEINVAL"),
        hand("echo 1 > /proc/sys/user/max_uts_namespaces; unshare --uts sleep 60 & sleep 1").prints(""),
        hand("exec 3< /proc/$!/ns/uts; kill $!; wait; unshare --uts true").prints("ENOSPC"),
        hand("exec 3<&-; unshare --uts true && echo room").prints("room"),
    ],
    claims: &[DESCRIPTOR, BIND, BY_NAME, IN_ITSELF],
    run: |lab| {
        let open = lab.begin(DESCRIPTOR, false, true, descriptor);
        let bound = lab.begin(BIND, false, true, bind_mount);
        clean_up_after(open.so_far().chain(bound.so_far()))?;
        lab.end(open, Trial::ask)?.shows(exists(Kind::Uts))?;
        lab.end(bound, Trial::ask)?.shows(exists(Kind::Uts))?;
        lab.compare(BY_NAME, false, true, by_name)?.in_both_arms(inside(BY_LINK).is("OK")).shows(
            inside("setns(…, CLONE_NEWUTS)").from("EINVAL").to("OK")
                & inside("hostname after setns()").is("kept"),
        )?;
        lab.compare(IN_ITSELF, false, true, bind_a_mount_namespace)?.shows(first().from("OK").to("EINVAL"))
    },
};

const CHILD: Claim = Claim::holds(
    "child",
    "A user namespace without members exists as long as its child namespace does.",
)
.factor("a child namespace that exists")
.notes(&[20])
.more(&[22])
.core(&[Row::outside("user: nested one", NAMESPACE)])
.asks(
    "A user namespace has no process left; one that was created in it still exists. What happens to the parent?",
    &[
        right("it exists as long as its child"),
        wrong("it is gone; the grandparent is the child's parent", "an orphaned process gets a new parent"),
        wrong("it is gone, and its child with it", "the end of a PID namespace's init ends the nested ones"),
    ],
)
.requires(&[Requirement::Namespace(Kind::User)]);
const OWNED: Claim =
    Claim::holds("owned", "A user namespace without members exists as long as a UTS namespace that it owns.")
        .factor("CLONE_NEWUTS")
        .notes(&[20])
        .more(&[22])
        .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const NEST: Step = Step {
    title: "Nest a user namespace in another, or let it own a UTS namespace. Then end all members.",
    calls: &["unshare(CLONE_NEWUSER)", "unshare(CLONE_NEWUSER|CLONE_NEWUTS)", "open(\"/proc/PID/ns/…\")"],
    by_hand: &[hand("unshare --user --map-root-user  # a shell of your own, for this step").prints(""), hand("echo 1 > /proc/sys/user/max_user_namespaces; unshare --user --map-root-user --uts sleep 60 & sleep 1").prints(""), hand("exec 3< /proc/$!/ns/uts; kill $!; wait; unshare --user true").prints("ENOSPC"), hand("exec 3<&-; sleep 1; unshare --user true && echo room").prints("room"), ],
    claims: &[CHILD, OWNED],
    run: |lab| {
        let child = lab.begin(CHILD, false, true, nested);
        let owned = lab.begin(OWNED, Namespaces::NONE, Namespaces::UTS, owner);
        clean_up_after(child.so_far().chain(owned.so_far()))?;
        lab.end(child, Trial::ask)?.shows(exists(Kind::User))?;
        lab.end(owned, Trial::ask)?.shows(exists(Kind::User))
    },
};

const PID_CHILDREN: Claim = Claim::holds(
    "pid-for-children",
    "A PID namespace whose init has ended exists as long as it is a process's pid_for_children.",
)
.factor("a caller that runs")
.notes(&[20])
.more(&[22])
.requires(&[Requirement::Namespace(Kind::Pid)]);
const TIME_CHILDREN: Claim = Claim::holds(
    "time-for-children",
    "A time namespace without members exists as long as it is a process's time_for_children.",
)
.factor("a caller that runs")
.notes(&[20])
.more(&[22])
.requires(&[Requirement::Namespace(Kind::Time)]);

pub(crate) const UNSHARE: Step = Step {
    title: "Call unshare() for a PID or a time namespace, which only children of the caller enter. End the only child.",
    calls: &["unshare(CLONE_NEWPID)", "unshare(CLONE_NEWTIME)", "fork()", "waitpid()"],
    by_hand: &[hand("unshare --user --map-root-user  # a shell of your own, for this step").prints(""), hand("echo 1 > /proc/sys/user/max_pid_namespaces; unshare --pid sh -c '/bin/true; exec sleep 60' & sleep 1").prints(""), hand("unshare --pid --fork true").prints("ENOSPC"), hand("kill $!; sleep 1; unshare --pid --fork true && echo room").prints("room"), ],
    claims: &[PID_CHILDREN, TIME_CHILDREN],
    run: |lab| {
        let pid = lab.begin(PID_CHILDREN, false, true, |caller_runs| for_children(Kind::Pid, caller_runs));
        let time = lab.begin(TIME_CHILDREN, false, true, |caller_runs| for_children(Kind::Time, caller_runs));
        clean_up_after(pid.so_far().chain(time.so_far()))?;
        lab.end(pid, Trial::ask)?.shows(exists(Kind::Pid))?;
        lab.end(time, Trial::ask)?.shows(exists(Kind::Time))
    },
};

const PROC: Claim =
    Claim::holds("proc", "A mounted procfs keeps its PID namespace after the last member ends.")
        .factor("mount -t proc")
        .notes(&[20])
        .more(&[22])
        .requires(&[Requirement::Namespace(Kind::Pid)]);
const MQUEUE: Claim = Claim::refuted(
    "mqueue",
    "A mounted mqueue filesystem keeps its IPC namespace after the last member ends.",
    "mqueue-outlives",
)
.factor("mount -t mqueue")
.notes(&[20])
.more(&[22])
.requires(&[Requirement::Namespace(Kind::Ipc)]);
const MQUEUE_OUTLIVES: Claim = Claim::holds(
    "mqueue-outlives",
    "A mounted mqueue filesystem outlives its IPC namespace. Creating a queue in it then fails with EACCES.",
)
.factor("exit(0)")
.notes(&[20])
.requires(&[Requirement::Namespace(Kind::Ipc)]);

pub(crate) const MOUNT: Step = Step {
    title: "Mount a filesystem that shows the objects of a namespace, from inside. Then end the only member.",
    calls: &["mount(\"proc\", …)", "mount(\"mqueue\", …)", "open(\"…/queue\", O_CREAT)"],
    by_hand: &[hand("unshare --user --map-root-user --mount  # a shell of your own, for this step").prints(""), hand("mount -t tmpfs tmpfs /tmp; mkdir /tmp/proc /tmp/mqueue; echo 1 > /proc/sys/user/max_pid_namespaces").prints(""), hand("unshare --pid --fork mount -t proc proc /tmp/proc; unshare --pid --fork true").prints("ENOSPC"), hand("umount /tmp/proc; sleep 1; unshare --pid --fork true && echo room").prints("room"), hand("unshare --ipc mount -t mqueue mqueue /tmp/mqueue; sleep 1; touch /tmp/mqueue/queue").prints("EACCES"), ],
    claims: &[PROC, MQUEUE, MQUEUE_OUTLIVES],
    run: |lab| {
        let proc = lab.begin(PROC, false, true, |mounts| mounted(Kind::Pid, "proc", mounts));
        let mqueue = lab.begin(MQUEUE, false, true, |mounts| mounted(Kind::Ipc, "mqueue", mounts));
        let outlives = lab.begin(MQUEUE_OUTLIVES, false, true, a_queue);
        clean_up_after(proc.so_far().chain(mqueue.so_far()))?;
        lab.end(proc, Trial::ask)?.shows(exists(Kind::Pid))?;
        lab.end(mqueue, Trial::ask)?.shows(exists(Kind::Ipc))?;
        lab.end(outlives, |mut creator| Ok(creator.facts()?))?
            .in_both_arms(inside("the filesystem").is("mqueue"))
            .shows(inside("open(\"…/queue\", O_CREAT)").from("OK").to("EACCES"))
    },
};

fn descriptor(opens: bool) -> Result<Trial> {
    one_more(Kind::Uts, 1, move |_| {
        let mut member = member(Kind::Uts, |_| Ok(()))?;
        let file = opens.then(|| NsFile::of(Some(member.pid()), Kind::Uts)).transpose()?;
        end(&mut member)?;
        Ok(file)
    })
}

fn bind_mount(binds: bool) -> Result<Trial> {
    one_more(Kind::Uts, 1, move |_| {
        let mut member = member(Kind::Uts, |_| Ok(()))?;
        let name = empty_file()?;
        if binds {
            mount::bind(Path::new(&format!("/proc/{}/ns/uts", member.pid())), &name)?;
        }
        end(&mut member)
    })
}

/// The fact that shows that an EINVAL is about the file.
const BY_LINK: &str = "setns(\"/proc/PID/ns/uts\"), while the member runs";

fn by_name(stays_bound: bool) -> Result<Vec<Fact>> {
    let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
        sandbox::enter(Namespaces::USER | Namespaces::MNT)?;
        let mut member = member(Kind::Uts, |_| uts::set_hostname("kept"))?;
        let link = NsFile::of(Some(member.pid()), Kind::Uts)?;
        let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
            me.report(BY_LINK, Outcome::of(link.enter(Some(Kind::Uts)))?)
        })?;
        me.send(visitor.fact()?)?;
        drop((visitor, link));
        let name = empty_file()?;
        mount::bind(Path::new(&format!("/proc/{}/ns/uts", member.pid())), &name)?;
        end(&mut member)?;
        if !stays_bound {
            mount::unmount(&name)?;
        }
        let file = NsFile::open(name.display().to_string())?;
        me.report("setns(…, CLONE_NEWUTS)", Outcome::of(file.enter(Some(Kind::Uts)))?)?;
        me.report("hostname after setns()", Value::Name(uts::hostname()))
    })?;
    Ok(creator.facts()?)
}

fn bind_a_mount_namespace(own: bool) -> Result<Fact> {
    let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
        sandbox::enter(Namespaces::USER | Namespaces::MNT)?;
        let name = empty_file()?;
        let member = member(Kind::Mnt, |_| Ok(()))?;
        let whose = if own { "self".into() } else { member.pid().to_string() };
        let bound = mount::bind(Path::new(&format!("/proc/{whose}/ns/mnt")), &name);
        me.report("mount(\"/proc/…/ns/mnt\", …, MS_BIND)", Outcome::of(bound)?)
    })?;
    Ok(creator.fact()?)
}

fn nested(child_exists: bool) -> Result<Trial> {
    one_more(Kind::User, 2, move |_| {
        let mut member = member(Kind::Cgroup, |_| {
            sandbox::enter(Namespaces::USER)?; // the parent namespace, which has no other process
            sandbox::enter(Namespaces::USER).map(drop) // the child namespace
        })?;
        let child = NsFile::of(Some(member.pid()), Kind::User)?;
        end(&mut member)?;
        Ok(child_exists.then_some(child))
    })
}

fn owner(owned: Namespaces) -> Result<Trial> {
    one_more(Kind::User, 1, move |_| {
        let mut member = Child::spawn("member", Namespaces::NONE, move |me| {
            sandbox::enter(Namespaces::USER | owned)?;
            me.report("ready", "yes")?;
            me.stay()
        })?;
        member.fact()?;
        // Without CLONE_NEWUTS, this is the UTS namespace that all processes of the experiment share.
        let uts = NsFile::of(Some(member.pid()), Kind::Uts)?;
        end(&mut member)?;
        Ok(uts)
    })
}

fn for_children(kind: Kind, caller_runs: bool) -> Result<Trial> {
    one_more(kind, 1, move |_| {
        let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
            namespace::unshare(Namespaces::only(kind))?;
            Child::spawn("only child", Namespaces::NONE, |_| Ok(()))?.wait()?;
            me.report("ready", "yes")?;
            me.stay()
        })?;
        caller.fact()?;
        if !caller_runs {
            end(&mut caller)?;
        }
        Ok(caller)
    })
}

fn mounted(kind: Kind, filesystem: &'static str, mounts: bool) -> Result<Trial> {
    one_more(kind, 1, move |_| {
        let target = empty_directory()?;
        let mut member = member(kind, move |_| {
            // The member shares the creator's mount namespace, so the mount outlives the member.
            if mounts { mount::mount(filesystem, &target) } else { Ok(()) }
        })?;
        end(&mut member)
    })
}

/// A process that creates a queue in the mounted mqueue filesystem: while the only member runs, or after the namespace is gone.
fn a_queue(ends: bool) -> Result<Child> {
    Ok(Child::spawn("creator", Namespaces::NONE, move |me| {
        sandbox::enter(Namespaces::USER | Namespaces::MNT)?;
        limit::set(Kind::Ipc, 1)?;
        let target = empty_directory()?;
        let within = target.clone();
        let mut member = member(Kind::Ipc, move |_| mount::mount("mqueue", &within))?;
        if ends {
            end(&mut member)?;
            wait_until_gone(Kind::Ipc)?;
        }
        let queue = target.join("queue");
        me.report(
            "open(\"…/queue\", O_CREAT)",
            Outcome::of(File::create(&queue).named(|| "open(O_CREAT)".into()))?,
        )?;
        me.report("the filesystem", mount::filesystem_type(&target)?)
    })?)
}
