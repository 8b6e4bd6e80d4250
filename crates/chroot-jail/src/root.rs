//! What chroot(2) changes, and what it leaves as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, outside, right, wrong};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Value, mount, namespace, root, signals};

use crate::jail::{JAIL, PLACE, Wall, change_directory, open, trial};

const CALLER_ALONE: Claim = Claim::holds(
    "caller-alone",
    "chroot() changes the root of the caller, and of no other process that is there already.",
)
.factor("chroot()")
.notes(&[2]);
const NO_NAMESPACE: Claim = Claim::holds(
    "no-namespace",
    "chroot() makes no namespace: all of the caller's links in /proc/PID/ns stay.",
)
.factor("chroot() instead of unshare(CLONE_NEWNS)")
.notes(&[2])
.arms("CLONE_NEWNS", "chroot()")
.core(&[
    Row::outside("new namespaces", "links that differ"),
    Row::outside("its root, outside", "readlink /proc/PID/root"),
])
.asks(
    "A process has called chroot(). Which of its namespaces differ from its parent's?",
    &[
        right("none"),
        wrong("its mount namespace", "it sees another root directory, as a process in a container does"),
        wrong(
            "its mount and user namespaces",
            "the manual says that user namespaces isolate the root directory",
        ),
        wrong("all: it is a container", "the notes say that containers are based on namespaces and chroot"),
    ],
);
const PROC_ROOT: Claim =
    Claim::holds("proc-root", "From outside, /proc/PID/root leads to where a process's root is.")
        .factor("chroot()")
        .notes(&[2]);
const MOUNTINFO: Claim = Claim::holds(
    "mountinfo",
    "mountinfo shows a chrooted process only the mounts below its root, and reads so from outside too.",
)
.factor("chroot()")
.notes(&[2]);

pub(crate) const CALL_CHROOT: Step = Step {
    title: "Let a child call chroot(), and look at it and at its parent from outside.",
    calls: &["chroot(\"/mnt/jail\")", "chdir(\"/\")", "readlink(\"/proc/PID/root\")"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("PATH=$PATH:/sbin; mount -t tmpfs x /mnt; mkdir /mnt/usr /mnt/proc; cp -a /bin /lib* /mnt 2>/dev/null").prints(""), hand("mount --rbind /usr /mnt/usr; mount --rbind /proc /mnt/proc; touch /mnt/inside").prints(""), hand("chroot /mnt sleep 60 & sleep 1; readlink /proc/$!/root /proc/$$/root; ls -d /proc/$!/root/inside").prints("/mnt\n/\n/proc/…/root/inside"), hand("readlink /proc/$!/ns/mnt /proc/$$/ns/mnt; wc -l < /proc/$!/mountinfo; wc -l < /proc/$$/mountinfo; kill $!; exit").prints("mnt:[<ns>]\nmnt:[<ns>]\n<count A>\n<count B>"), ],
    claims: &[CALLER_ALONE, NO_NAMESPACE, PROC_ROOT, MOUNTINFO],
    run: |lab| {
        lab.compare(CALLER_ALONE, Wall::None, Wall::Chroot, look_at)?.shows(
            outside("readlink /proc/PID/root").is(JAIL) & outside("readlink /proc/self/root").is("/"),
        )?;
        lab.compare(
            NO_NAMESPACE,
            (Wall::None, Namespaces::MNT),
            (Wall::Chroot, Namespaces::NONE),
            |(wall, namespaces)| count_new_namespaces(wall, namespaces),
        )?
        .shows(outside("links that differ").is(0) & outside("readlink /proc/PID/root").is(JAIL))?;
        lab.compare(PROC_ROOT, Wall::None, Wall::Chroot, look_through)?
            .shows(outside("open(\"/proc/PID/root/inside\")").from("ENOENT").to("OK"))?;
        lab.compare(MOUNTINFO, Wall::None, Wall::Chroot, list_mounts)?.shows(
            inside("/mnt/jail is called").is("/")
                & inside("/mnt is listed").is("no")
                & outside("/mnt is listed for it").is("no"),
        )
    },
};

const WORKING_DIRECTORY: Claim = Claim::holds(
    "working-directory",
    "chroot() leaves the working directory where it is: getcwd() says (unreachable), and relative paths begin there.",
)
.factor("chroot()")
.notes(&[2])
.core(&[Row::inside("getcwd()", "getcwd()"), Row::inside("file beside the jail", "open(\"outside\")")])
.asks(
    "In /mnt, a process calls chroot(\"/mnt/jail\") and no chdir(). It opens the relative path of a file in /mnt. What happens?",
    &[
        right("it is opened"),
        wrong("ENOENT: paths begin in the jail now", "chroot() is thought to move the working directory along"),
        wrong("ENOENT: the working directory is gone", "what is not below the root is thought not to exist"),
        wrong("EACCES", "a jail is thought to forbid what is outside"),
    ],
);
const CHDIR: Claim =
    Claim::holds("chdir", "chdir(\"/\") after chroot() takes it inside, where .. of the root is the root.")
        .factor("chdir(\"/\")")
        .notes(&[2]);

pub(crate) const STAY_OUTSIDE: Step = Step {
    title: "Call chroot() with the working directory outside; then go in with chdir(\"/\").",
    calls: &["chdir(\"/mnt\")", "chroot(\"/mnt/jail\")", "getcwd()", "open(\"outside\")", "chdir(\"/\")"],
    by_hand: &[hand("unshare -Urm perl -e 'mkdir \"/tmp/jail\"; chdir \"/etc\";\nchroot \"/tmp/jail\"; open F, \"passwd\"; print scalar <F>;\nopen F, \"/etc/passwd\" or print \"$!\\n\"'").prints("root:x:0:0:…\nENOENT"), hand("rmdir /tmp/jail").prints(""), ],
    claims: &[WORKING_DIRECTORY, CHDIR],
    run: |lab| {
        lab.compare(WORKING_DIRECTORY, false, true, |calls_chroot| stay_outside(calls_chroot, false))?
            .shows(
                inside("getcwd()").that(is_unreachable) & inside("open(\"outside\")").from("ENOENT").to("OK"),
            )?;
        lab.compare(CHDIR, false, true, |then_chdir| stay_outside(true, then_chdir))?
            .shows(inside("getcwd()").is("/") & inside("open(\"../outside\")").is("ENOENT"))
    },
};

const PROCESSES: Claim = Claim::holds(
    "processes",
    "A chroot does not confine signals: from inside it, kill() reaches processes outside.",
)
.factor("chroot() instead of CLONE_NEWPID")
.notes(&[2])
.arms("CLONE_NEWPID", "chroot()")
.core(&[Row::inside("signal to outside", "kill(pid, 0)")])
.asks(
    "From a chroot, a process signals one outside, of the same user. What does kill() return?",
    &[
        right("OK: it reaches it"),
        wrong("ESRCH: it sees no such process", "from a container nobody outside is reached"),
        wrong("EPERM", "a jail is thought to forbid it"),
    ],
);
const INTERPRETER: Claim = Claim::holds(
    "interpreter",
    "A program whose interpreter is not in the chroot gives ENOENT, though its file is there.",
)
.factor("chroot()")
.notes(&[2]);

pub(crate) const SIGNAL_AND_RUN: Step = Step {
    title: "Signal a process outside, from a chroot and from a PID namespace; run a script in a chroot without a shell.",
    calls: &["kill(pid, 0)", "execve(\"/script\")"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs x /mnt; cp /bin/ls /mnt; /sbin/chroot /mnt /ls'  # its libraries are outside").prints("ENOENT"), ],
    claims: &[PROCESSES, INTERPRETER],
    run: |lab| {
        lab.compare(
            PROCESSES,
            (Wall::None, Namespaces::PID),
            (Wall::Chroot, Namespaces::NONE),
            |(wall, namespaces)| signal_outside(wall, namespaces),
        )?
        .shows(inside("kill(pid, 0)").from("ESRCH").to("OK"))?;
        lab.compare(INTERPRETER, Wall::None, Wall::Chroot, run_a_script)?.shows(
            inside("execve(\"script\")").is("ENOENT") & inside("open(\"script\")").from("ENOENT").to("OK"),
        )
    },
};

/// A child in a chroot or not, that stays there to be looked at.
fn child_behind(wall: Wall, namespaces: Namespaces) -> ns_core::Result<Child> {
    let mut child = Child::spawn("prisoner", namespaces, move |me| {
        wall.put_up()?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}

/// After (unreachable) the kernel gives the path from the root of the mount namespace (getcwd(3)).
fn is_unreachable(directory: &Value) -> bool {
    directory.to_string().starts_with("(unreachable)/")
}

fn root_of(process: Option<Pid>) -> ns_core::Result<String> {
    Ok(root::of(process)?.display().to_string())
}

fn look_at(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, Namespaces::NONE)?;
        me.send(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))?;
        me.send(Fact::outside("readlink /proc/self/root", root_of(None)?))
    })
}

fn count_new_namespaces(wall: Wall, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, namespaces)?;
        let ours = namespace::of(None)?;
        let differ = namespace::of(Some(child.pid()))?.iter().filter(|id| !ours.contains(id)).count();
        me.send(Fact::outside("links that differ", differ))?;
        me.send(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))
    })
}

fn look_through(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, Namespaces::NONE)?;
        me.send(Fact::outside(
            "open(\"/proc/PID/root/inside\")",
            open(format!("/proc/{}/root/inside", child.pid()))?,
        ))
    })
}

fn list_mounts(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut child = Child::spawn("prisoner", Namespaces::NONE, move |me| {
            let jail = mount::at(None, Path::new(JAIL))?.map(|it| it.mnt_id);
            wall.put_up()?;
            let list = mount::list(None)?;
            let called =
                list.iter().find(|it| Some(it.mnt_id) == jail).map(|it| it.mount_point.display().to_string());
            me.report("/mnt/jail is called", called)?;
            me.report("/mnt is listed", list.iter().any(|it| it.mount_point == Path::new(PLACE)))?;
            me.stay()
        })?;
        me.send(child.fact()?)?;
        me.send(child.fact()?)?;
        let seen = mount::list(Some(child.pid()))?.iter().any(|it| it.mount_point == Path::new(PLACE));
        me.send(Fact::outside("/mnt is listed for it", seen))
    })
}

fn stay_outside(calls_chroot: bool, then_chdir: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut child = Child::spawn("prisoner", Namespaces::NONE, move |me| {
            change_directory(PLACE)?;
            if calls_chroot {
                root::chroot(Path::new(JAIL))?;
            }
            if then_chdir {
                change_directory("/")?;
            }
            // The system call itself: libc turns (unreachable) into ENOENT.
            let directory = rustix::process::getcwd(Vec::new()).named(|| "getcwd()".into())?;
            me.report("getcwd()", directory.to_string_lossy().into_owned())?;
            me.report("open(\"outside\")", open("outside")?)?;
            me.report("open(\"../outside\")", open("../outside")?)
        })?;
        child.pass_on(me)
    })
}

fn signal_outside(wall: Wall, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let outside = nix::unistd::getpid();
        let mut child = Child::spawn("prisoner", namespaces, move |me| {
            wall.put_up()?;
            me.report("kill(pid, 0)", signals::send(outside, None)?)
        })?;
        me.send(child.fact()?)
    })
}

fn run_a_script(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let script = Path::new(JAIL).join("script");
        fs::write(&script, "#!/bin/sh\nexit 0\n").named(|| "write()".into())?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).named(|| "chmod()".into())?;
        let mut child = Child::spawn("prisoner", Namespaces::NONE, move |me| {
            change_directory(JAIL)?;
            wall.put_up()?;
            me.report(
                "execve(\"script\")",
                Outcome::of(Command::new("./script").status().named(|| "execve()".into()))?,
            )?;
            me.report("open(\"script\")", open("script")?)
        })?;
        me.send(child.fact()?)?;
        me.send(child.fact()?)
    })
}
