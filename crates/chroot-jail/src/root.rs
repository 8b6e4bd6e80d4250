//! What chroot(2) changes, and what it leaves as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Pid, mount, namespace, root, signals};

use crate::jail::{JAIL, PLACE, Wall, change_directory, open, trial};

pub(crate) const CALLER_ALONE: Claim = Claim::holds(
    "caller-alone",
    "chroot() changes the root of the caller, and of no other process that is there already.",
)
.cause("chroot()")
.notes(&[2]);
pub(crate) const NO_NAMESPACE: Claim = Claim::holds(
    "no-namespace",
    "chroot() makes no namespace: all of the caller's links in /proc/PID/ns stay.",
)
.cause("chroot() instead of unshare(CLONE_NEWNS)")
.notes(&[2])
.misconceptions(&[(
    lesson::NO,
    "a process in a chroot sees another root directory, as one in a container does",
)]);
pub(crate) const PROC_ROOT: Claim =
    Claim::holds("proc-root", "From outside, /proc/PID/root leads to where a process's root is.")
        .cause("chroot()")
        .more(&[89]);
pub(crate) const MOUNTINFO: Claim = Claim::holds(
    "mountinfo",
    "mountinfo shows a chrooted process only the mounts below its root, and reads so from outside too.",
)
.cause("chroot()")
.notes(&[2]);
pub(crate) const WORKING_DIRECTORY: Claim = Claim::holds(
    "working-directory",
    "chroot() leaves the working directory outside: getcwd() says (unreachable), and relative paths lead on there.",
)
.cause("chroot()")
.notes(&[2]);
pub(crate) const CHDIR: Claim =
    Claim::holds("chdir", "chdir(\"/\") after chroot() takes it inside, where .. of the root is the root.")
        .cause("chdir(\"/\")")
        .notes(&[2]);
pub(crate) const PROCESSES: Claim = Claim::holds(
    "processes",
    "A chroot confines paths alone: from in it, processes outside can be signalled.",
)
.cause("chroot() instead of CLONE_NEWPID")
.notes(&[2]);
pub(crate) const INTERPRETER: Claim = Claim::holds(
    "interpreter",
    "A program whose interpreter is not in the chroot gives ENOENT, though its file is there.",
)
.cause("chroot()")
.more(&[89]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Let a child call chroot(), and look at it and at its parent from outside.",
        calls: &["chroot(\"/mnt/jail\")", "chdir(\"/\")", "readlink(\"/proc/PID/root\")"],
        by_hand: &[
            "unshare -Urm bash",
            "PATH=$PATH:/sbin; mount -t tmpfs x /mnt; mkdir /mnt/usr /mnt/proc; cp -a /bin /lib* /mnt 2>/dev/null",
            "mount --rbind /usr /mnt/usr; mount --rbind /proc /mnt/proc; touch /mnt/inside",
            "chroot /mnt sleep 60 & sleep 1; readlink /proc/$!/root /proc/$$/root; ls /proc/$!/root",
            "readlink /proc/$!/ns/mnt /proc/$$/ns/mnt; wc -l /proc/$!/mountinfo /proc/$$/mountinfo; kill $!; exit",
        ],
    })?;
    lab.claim(CALLER_ALONE)
        .without(look_at(Wall::None)?)
        .with(look_at(cause(Wall::Chroot, Wall::None))?)
        .shows(|seen| {
            seen.outside("readlink /proc/PID/root").is_some_and(|it| *it == JAIL)
                && seen.outside("readlink /proc/self/root").is_some_and(|it| *it == "/")
        })?;
    lab.claim(NO_NAMESPACE)
        .without(count_new_namespaces(Wall::None, Namespaces::MNT)?)
        .with(count_new_namespaces(
            cause(Wall::Chroot, Wall::None),
            cause(Namespaces::NONE, Namespaces::MNT),
        )?)
        .shows(|seen| {
            seen.outside("links that differ").is_some_and(|it| *it == 0)
                && seen.outside("readlink /proc/PID/root").is_some_and(|it| *it == JAIL)
        })?;
    lab.claim(PROC_ROOT)
        .without(look_through(Wall::None)?)
        .with(look_through(cause(Wall::Chroot, Wall::None))?)
        .shows(|file| *file == "OK")?;
    lab.claim(MOUNTINFO)
        .without(list_mounts(Wall::None)?)
        .with(list_mounts(cause(Wall::Chroot, Wall::None))?)
        .shows(|seen| {
            seen.inside("/mnt/jail is called").is_some_and(|it| *it == "/")
                && seen.inside("/mnt is listed").is_some_and(|it| *it == "no")
                && seen.outside("/mnt is listed for it").is_some_and(|it| *it == "no")
        })?;

    lab.step(Step {
        goal: "Call chroot() with the working directory outside; then go in with chdir(\"/\").",
        calls: &["chdir(\"/mnt\")", "chroot(\"/mnt/jail\")", "getcwd()", "open(\"outside\")", "chdir(\"/\")"],
        by_hand: &[
            "unshare -Urm perl -e 'mkdir \"/tmp/jail\"; chdir \"/etc\";\n\
             chroot \"/tmp/jail\"; open F, \"hostname\"; print <F>;\n\
             open F, \"/etc/hostname\" or print \"$!\\n\"'",
            "rmdir /tmp/jail",
        ],
    })?;
    lab.claim(WORKING_DIRECTORY)
        .without(stay_outside(false, false)?)
        .with(stay_outside(cause(true, false), false)?)
        .shows(|seen| {
            seen.inside("getcwd()").is_some_and(|it| *it == "(unreachable)/mnt")
                && seen.inside("open(\"outside\")").is_some_and(|it| *it == "OK")
        })?;
    lab.claim(CHDIR)
        .without(stay_outside(true, false)?)
        .with(stay_outside(true, cause(true, false))?)
        .shows(|seen| {
            seen.inside("getcwd()").is_some_and(|it| *it == "/")
                && seen.inside("open(\"../outside\")").is_some_and(|it| *it == "ENOENT")
        })?;

    lab.step(Step {
        goal: "Signal a process outside, from a chroot and from a PID namespace; run a script in a chroot without a shell.",
        calls: &["kill(pid, 0)", "execve(\"/script\")"],
        by_hand: &["unshare -Urm sh -c 'mount -t tmpfs x /mnt; cp /bin/ls /mnt; /sbin/chroot /mnt /ls'"],
    })?;
    lab.claim(PROCESSES)
        .without(signal_outside(Wall::None, Namespaces::PID)?)
        .with(signal_outside(cause(Wall::Chroot, Wall::None), cause(Namespaces::NONE, Namespaces::PID))?)
        .shows(|answer| *answer == "OK")?;
    lab.claim(INTERPRETER)
        .without(run_a_script(Wall::None)?)
        .with(run_a_script(cause(Wall::Chroot, Wall::None))?)
        .shows(|answer| *answer == "ENOENT")?;
    Ok(())
}

/// A child in a chroot or not, that stays there to be looked at.
fn child_behind(wall: Wall, namespaces: Namespaces) -> ns_core::Result<Child> {
    let mut child = Child::spawn("prisoner", namespaces, move |me| {
        wall.put_up()?;
        me.saw("ready", "yes")?;
        me.stay()
    })?;
    child.hear()?;
    Ok(child)
}

fn root_of(process: Option<Pid>) -> ns_core::Result<String> {
    Ok(root::of(process)?.display().to_string())
}

fn look_at(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, Namespaces::NONE)?;
        me.tell(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))?;
        me.tell(Fact::outside("readlink /proc/self/root", root_of(None)?))
    })
}

fn count_new_namespaces(wall: Wall, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, namespaces)?;
        let ours = namespace::of(None)?;
        let differ = namespace::of(Some(child.pid()))?.iter().filter(|id| !ours.contains(id)).count();
        me.tell(Fact::outside("links that differ", differ))?;
        me.tell(Fact::outside("readlink /proc/PID/root", root_of(Some(child.pid()))?))
    })
}

fn look_through(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let child = child_behind(wall, Namespaces::NONE)?;
        me.tell(Fact::outside(
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
            me.saw("/mnt/jail is called", called)?;
            me.saw("/mnt is listed", list.iter().any(|it| it.mount_point == Path::new(PLACE)))?;
            me.stay()
        })?;
        me.tell(child.hear()?)?;
        me.tell(child.hear()?)?;
        let seen = mount::list(Some(child.pid()))?.iter().any(|it| it.mount_point == Path::new(PLACE));
        me.tell(Fact::outside("/mnt is listed for it", seen))
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
            me.saw("getcwd()", directory.to_string_lossy().into_owned())?;
            me.saw("open(\"outside\")", open("outside")?)?;
            me.saw("open(\"../outside\")", open("../outside")?)
        })?;
        for fact in child.hear_all()? {
            me.tell(fact)?;
        }
        Ok(())
    })
}

fn signal_outside(wall: Wall, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let outside = nix::unistd::getpid();
        let mut child = Child::spawn("prisoner", namespaces, move |me| {
            wall.put_up()?;
            me.saw("kill(pid, 0)", signals::send(outside, None)?)
        })?;
        me.tell(child.hear()?)
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
            me.saw(
                "execve(\"script\")",
                Outcome::of(Command::new("./script").status().named(|| "execve()".into()))?,
            )?;
            me.saw("open(\"script\")", open("script")?)
        })?;
        me.tell(child.hear()?)?;
        me.tell(child.hear()?)
    })
}
