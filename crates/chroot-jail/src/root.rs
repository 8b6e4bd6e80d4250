//! What chroot(2) changes, and what it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, outside, right, wrong};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, Value, mount, namespace, root, signals};

use crate::jail::{Confinement, JAIL, PLACE, change_directory, open, trial};

const CALLER_ALONE: Claim = Claim::holds(
    "caller-alone",
    "chroot() changes the root directory of the caller, and not that of its parent.",
)
.factor("chroot()")
.notes(&[2]);
const NO_NAMESPACE: Claim = Claim::holds(
    "no-namespace",
    "chroot() creates no namespace: all links in /proc/PID/ns of the caller stay the same.",
)
.factor("chroot() instead of unshare(CLONE_NEWNS)")
.notes(&[2])
.arms("CLONE_NEWNS", "chroot()")
.core(&[
    Row::outside("new namespaces", "links that differ"),
    Row::outside("root, from outside", "readlink /proc/PID/root"),
])
.asks(
    "A process has called chroot(). Which of its namespaces differ from its parent's?",
    &[
        right("none"),
        wrong("its mount namespace", "it has another root directory, as a process in a container has"),
        wrong(
            "its mount and user namespaces",
            "user_namespaces(7) says that user namespaces isolate the root directory",
        ),
        wrong("all: it is a container", "containers are often explained by namespaces and chroot"),
    ],
);
const PROC_ROOT: Claim =
    Claim::holds("proc-root", "From outside, /proc/PID/root leads to the root directory of the process.")
        .factor("chroot()")
        .notes(&[2]);
const MOUNTINFO: Claim = Claim::holds(
    "mountinfo",
    "/proc/PID/mountinfo of a chrooted process omits a mount above its root, even when read from outside.",
)
.factor("chroot()")
.notes(&[2]);

pub(crate) const CALL_CHROOT: Step = Step {
    title: "Let a child call chroot(). From outside, read its root, namespaces and mounts, and its parent's root.",
    calls: &["chroot(\"/mnt/jail\")", "chdir(\"/\")", "readlink(\"/proc/PID/root\")"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("PATH=$PATH:/sbin; mount -t tmpfs x /mnt; mkdir /mnt/usr /mnt/proc; cp -a /bin /lib* /mnt 2>/dev/null").prints(""), hand("mount --rbind /usr /mnt/usr; mount --rbind /proc /mnt/proc; touch /mnt/inside").prints(""), hand("chroot /mnt sleep 60 & sleep 1; readlink /proc/$!/root /proc/$$/root; ls -d /proc/$!/root/inside").prints("/mnt\n/\n/proc/…/root/inside"), hand("readlink /proc/$!/ns/mnt /proc/$$/ns/mnt; wc -l < /proc/$!/mountinfo; wc -l < /proc/$$/mountinfo; kill $!; exit").prints("mnt:[<ns>]\nmnt:[<ns>]\n<count A>\n<count B>"), ],
    claims: &[CALLER_ALONE, NO_NAMESPACE, PROC_ROOT, MOUNTINFO],
    run: |lab| {
        lab.compare(CALLER_ALONE, Confinement::None, Confinement::Chroot, look_at)?
            .in_both_arms(outside("readlink /proc/self/root").is("/"))
            .shows(outside("readlink /proc/PID/root").is(JAIL))?;
        lab.compare(
            NO_NAMESPACE,
            (Confinement::None, Namespaces::MNT),
            (Confinement::Chroot, Namespaces::NONE),
            |(confinement, namespaces)| count_new_namespaces(confinement, namespaces),
        )?
        .shows(outside("links that differ").is(0) & outside("readlink /proc/PID/root").is(JAIL))?;
        lab.compare(PROC_ROOT, Confinement::None, Confinement::Chroot, look_through)?
            .shows(outside("open(\"/proc/PID/root/inside\")").from("ENOENT").to("OK"))?;
        lab.compare(MOUNTINFO, Confinement::None, Confinement::Chroot, list_mounts)?.shows(
            inside("mount point of the jail").is("/")
                & inside("/mnt is listed").is("no")
                & outside("/mnt is listed").is("no"),
        )
    },
};

const WORKING_DIRECTORY: Claim = Claim::holds(
    "working-directory",
    "chroot() keeps the working directory: getcwd() returns an (unreachable) path, and relative paths start there.",
)
.factor("chroot()")
.notes(&[2])
.core(&[Row::inside("getcwd()", "getcwd()"), Row::inside("file beside the jail", "open(\"outside\")")])
.asks(
    "In /mnt, a process calls chroot(\"/mnt/jail\") and no chdir(). It opens a file of /mnt by its relative path. What happens?",
    &[
        right("it is opened"),
        wrong("ENOENT: paths start in the jail now", "chroot() seems to change the working directory too"),
        wrong("ENOENT: the working directory is gone", "a directory outside the root seems not to exist"),
        wrong("EACCES", "a jail seems to deny access to all outside"),
    ],
);
const CHDIR: Claim = Claim::holds(
    "chdir",
    "After chroot(), chdir(\"/\") moves the working directory inside, where .. of the root is the root.",
)
.factor("chdir(\"/\")")
.arms("no chdir()", "chdir(\"/\")")
.notes(&[2]);

pub(crate) const STAY_OUTSIDE: Step = Step {
    title: "Call chroot() with the working directory outside the jail. Then call chdir(\"/\").",
    calls: &["chdir(\"/mnt\")", "chroot(\"/mnt/jail\")", "getcwd()", "open(\"outside\")", "chdir(\"/\")"],
    by_hand: &[hand("unshare -Urm perl -e 'mkdir \"/tmp/jail\"; chdir \"/etc\";\nchroot \"/tmp/jail\"; open F, \"passwd\"; print scalar <F>;\nopen F, \"/etc/passwd\" or print \"$!\\n\"'").prints("root:x:0:0:…\nENOENT"), hand("rmdir /tmp/jail").prints(""), ],
    claims: &[WORKING_DIRECTORY, CHDIR],
    run: |lab| {
        lab.compare(WORKING_DIRECTORY, false, true, |calls_chroot| stay_outside(calls_chroot, false))?
            .in_both_arms(inside("open(\"outside\")").from("ENOENT").to("OK"))
            .shows(inside("getcwd()").that(is_unreachable))?;
        lab.compare(CHDIR, false, true, |then_chdir| stay_outside(true, then_chdir))?
            .in_both_arms(inside("open(\"../outside\")").is("ENOENT"))
            .shows(inside("getcwd()").is("/"))
    },
};

const PROCESSES: Claim = Claim::holds(
    "processes",
    "chroot() does not confine signals: kill() from inside reaches a process outside.",
)
.factor("chroot() instead of CLONE_NEWPID")
.notes(&[2])
.arms("CLONE_NEWPID", "chroot()")
.core(&[Row::inside("signal to outside", "kill(pid, 0)")])
.asks(
    "From a chroot, a process signals a process outside, of the same user. What does kill() return?",
    &[
        right("OK: the signal is allowed"),
        wrong("ESRCH: there is no such process", "from a PID namespace, kill() fails with ESRCH"),
        wrong("EPERM", "a jail seems to forbid it"),
    ],
);
const INTERPRETER: Claim = Claim::holds(
    "interpreter",
    "execve() fails with ENOENT if the interpreter is not in the chroot, although the program is there.",
)
.factor("chroot()")
.notes(&[2]);

pub(crate) const SIGNAL_AND_RUN: Step = Step {
    title: "Signal a process outside, from a chroot and from a PID namespace. Run a script in a chroot without a shell.",
    calls: &["kill(pid, 0)", "execve(\"/script\")"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs x /mnt; cp /bin/ls /mnt; /sbin/chroot /mnt /ls'  # its libraries are outside").prints("ENOENT"), ],
    claims: &[PROCESSES, INTERPRETER],
    run: |lab| {
        lab.compare(
            PROCESSES,
            (Confinement::None, Namespaces::PID),
            (Confinement::Chroot, Namespaces::NONE),
            |(confinement, namespaces)| signal_outside(confinement, namespaces),
        )?
        .shows(inside("kill(pid, 0)").from("ESRCH").to("OK"))?;
        lab.compare(INTERPRETER, Confinement::None, Confinement::Chroot, run_a_script)?
            .in_both_arms(inside("open(\"script\")").from("ENOENT").to("OK"))
            .shows(inside("execve(\"script\")").is("ENOENT"))
    },
};

/// A child that is confined, or not, and stays so that others can inspect it.
fn confined_child(confinement: Confinement, namespaces: Namespaces) -> ns_core::Result<Child> {
    let mut child = Child::spawn("jailed", namespaces, move |me| {
        confinement.apply()?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    child.fact()?;
    Ok(child)
}

/// After (unreachable), the path starts at the root of the mount namespace (getcwd(3)).
fn is_unreachable(directory: &Value) -> bool {
    directory.to_string().starts_with("(unreachable)/")
}

fn root_of(process: Option<Pid>) -> ns_core::Result<String> {
    Ok(root::of(process)?.display().to_string())
}

fn look_at(confinement: Confinement) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = confined_child(confinement, Namespaces::NONE)?;
        me.send(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))?;
        me.send(Fact::outside("readlink /proc/self/root", root_of(None)?))
    })
}

fn count_new_namespaces(confinement: Confinement, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = confined_child(confinement, namespaces)?;
        let own = namespace::of(None)?;
        let differ = namespace::of(Some(child.pid()))?.iter().filter(|id| !own.contains(id)).count();
        me.send(Fact::outside("links that differ", differ))?;
        me.send(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))
    })
}

fn look_through(confinement: Confinement) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = confined_child(confinement, Namespaces::NONE)?;
        me.send(Fact::outside(
            "open(\"/proc/PID/root/inside\")",
            open(format!("/proc/{}/root/inside", child.pid()))?,
        ))
    })
}

fn list_mounts(confinement: Confinement) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut child = Child::spawn("jailed", Namespaces::NONE, move |me| {
            let jail = mount::at(None, Path::new(JAIL))?.map(|it| it.mnt_id);
            confinement.apply()?;
            let list = mount::list(None)?;
            let point =
                list.iter().find(|it| Some(it.mnt_id) == jail).map(|it| it.mount_point.display().to_string());
            me.report("mount point of the jail", point)?;
            me.report("/mnt is listed", list.iter().any(|it| it.mount_point == Path::new(PLACE)))?;
            me.stay()
        })?;
        me.send(child.fact()?)?;
        me.send(child.fact()?)?;
        let is_listed = mount::list(Some(child.pid()))?.iter().any(|it| it.mount_point == Path::new(PLACE));
        me.send(Fact::outside("/mnt is listed", is_listed))
    })
}

fn stay_outside(calls_chroot: bool, then_chdir: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut child = Child::spawn("jailed", Namespaces::NONE, move |me| {
            change_directory(PLACE)?;
            if calls_chroot {
                root::chroot(Path::new(JAIL))?;
            }
            if then_chdir {
                change_directory("/")?;
            }
            // Not getcwd(3): libc turns (unreachable) into ENOENT.
            let directory = rustix::process::getcwd(Vec::new()).named(|| "getcwd()".into())?;
            me.report("getcwd()", directory.to_string_lossy().into_owned())?;
            me.report("open(\"outside\")", open("outside")?)?;
            me.report("open(\"../outside\")", open("../outside")?)
        })?;
        child.pass_on(me)
    })
}

fn signal_outside(confinement: Confinement, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let outside = nix::unistd::getpid();
        let mut child = Child::spawn("jailed", namespaces, move |me| {
            confinement.apply()?;
            me.report("kill(pid, 0)", signals::send(outside, None)?)
        })?;
        me.send(child.fact()?)
    })
}

fn run_a_script(confinement: Confinement) -> Result<Vec<Fact>> {
    trial(move |me| {
        let script = Path::new(JAIL).join("script");
        fs::write(&script, "#!/bin/sh\nexit 0\n").named(|| "write()".into())?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).named(|| "chmod()".into())?;
        let mut child = Child::spawn("jailed", Namespaces::NONE, move |me| {
            change_directory(JAIL)?;
            confinement.apply()?;
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
