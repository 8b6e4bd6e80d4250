//! /proc/sys/kernel/hostname: the same name as a file, with rules of its own.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ns_core::probe::Missing;
use ns_core::{Child, Errno, Fact, Kind, Named, Namespaces, NsFile, Outcome, Witness, process, uts};

const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Any user but 0.
const STRANGER: u32 = 1000;

pub(crate) const ONE_FILE: Claim = Claim::holds(
    "one-file",
    "/proc/sys/kernel/hostname shows each reader its own name, even through one open file.",
)
.cause("CLONE_NEWUTS")
.notes(&[135]);
pub(crate) const WOKEN: Claim = Claim::holds(
    "woken",
    "poll() on /proc/sys/kernel/hostname wakes for a rename in any UTS namespace: only the name stays in.",
)
.cause("sethostname()")
.notes(&[135]);
pub(crate) const CUT: Claim = Claim::holds(
    "cut",
    "/proc/sys/kernel/hostname takes a name of more than 64 bytes, and keeps 64 of them.",
)
.cause("a 65th byte")
.more(&[53])
.needs(&[Need::Probe(is_ours_to_write)]);
pub(crate) const BY_FILE: Claim = Claim::holds(
    "by-file",
    "To write /proc/sys/kernel/hostname takes user 0 of the host, and no capability.",
)
.cause("user 0")
.more(&[53])
.needs(&[Need::Probe(is_ours_to_write), Need::Probe(another_user)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Open /proc/sys/kernel/hostname once. We and a child with another hostname both read that open file.",
        calls: &["open(\"/proc/sys/kernel/hostname\")", "clone3(CLONE_NEWUTS)", "pread(file)"],
        by_hand: &["unshare -Ur --uts sh -c 'hostname inside; cat <&3' 3< /proc/sys/kernel/hostname"],
    })?;
    let (plain, inside) = (read_one_file(Namespaces::NONE)?, read_one_file(Namespaces::UTS)?);
    lab.claim(ONE_FILE).without(plain).with(inside).shows(|file| {
        file.inside("pread(file)").is_some_and(|it| *it == "inside")
            && file.outside("pread(file)").is_some_and(|it| *it == "outside")
    })?;

    lab.step(Step {
        goal: "Go away to another UTS namespace, rename that one, and come back. Does poll() say that ours has changed?",
        calls: &[
            "open(\"/proc/sys/kernel/hostname\")",
            "setns(away, CLONE_NEWUTS)",
            "sethostname(\"away\")",
            "setns(home, CLONE_NEWUTS)",
            "poll(file, POLLPRI, 0)",
        ],
        by_hand: &[],
    })?;
    lab.claim(WOKEN)
        .without(poll_after_a_visit(false)?)
        .with(poll_after_a_visit(cause(true, false))?)
        .shows(|poll| *poll == "each time")?;

    if lab.can_ask(&[CUT])? {
        lab.step(Step {
            goal: "Write names of 64 and of 65 bytes to the file.",
            calls: &["write(\"/proc/sys/kernel/hostname\", name, length)"],
            by_hand: &["sudo unshare --uts sh -c 'printf %070d 0 > /proc/sys/kernel/hostname; hostname | wc --chars'"],
        })?;
        lab.claim(CUT).without(write_long_name(64)?).with(write_long_name(cause(65, 64))?).shows(|name| {
            name.outside("write(file)").is_some_and(|it| *it == "OK")
                && name.outside("bytes kept") != name.outside("bytes written")
        })?;
    }

    if lab.can_ask(&[BY_FILE])? {
        lab.step(Step {
            goal: "Drop every capability, and set the hostname by call and by file: as user 1000, and as user 0.",
            calls: &["setresuid(1000, 1000, 1000)", "capset(0)", "sethostname(\"called\")", "write(file, \"written\")"],
            by_hand: &[
                "sudo unshare --uts setpriv --bounding-set -all sh",
                "hostname called; echo written > /proc/sys/kernel/hostname; hostname",
            ],
        })?;
        lab.claim(BY_FILE).without(rename_as(STRANGER)?).with(rename_as(cause(0, STRANGER))?).shows(
            |rename| {
                rename.inside("sethostname()").is_some_and(|it| *it == "EPERM")
                    && rename.inside("write(file)").is_some_and(|it| *it == "OK")
            },
        )?;
    }
    Ok(())
}

fn read_one_file(namespaces: Namespaces) -> Result<Vec<Fact>> {
    uts::set_hostname("outside")?;
    let file = open_hostname()?;
    let mut child = Child::spawn("child", namespaces, |me| {
        uts::set_hostname("inside")?;
        me.saw("pread(file)", read_from_start(&file)?)
    })?;
    let inside = child.hear()?;
    Ok(vec![inside, Fact::outside("pread(file)", read_from_start(&file)?)])
}

/// A process opens the file at home, goes away, renames what is there or does not, and polls at home again.
fn poll_after_a_visit(renames: bool) -> Result<Vec<Fact>> {
    uts::set_hostname("home")?;
    // A rename elsewhere on this machine would be heard too, by chance; but not every time.
    const TIMES: usize = 20;
    let there = Child::spawn("member of away", Namespaces::UTS, Witness::stay)?;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let (home, away) = (NsFile::of(None, Kind::Uts)?, NsFile::of(Some(there.pid()), Kind::Uts)?);
        let mut woken = 0;
        for _ in 0..TIMES {
            let file = open_hostname()?;
            away.enter(Some(Kind::Uts))?;
            if renames {
                uts::set_hostname("away")?;
            }
            home.enter(Some(Kind::Uts))?;
            let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLPRI)];
            woken += usize::from(poll(&mut fds, PollTimeout::ZERO).named(|| "poll()".into())? > 0);
        }
        let how_often = if woken == TIMES { "each time" } else { "not each time" };
        me.tell(Fact::outside(format!("woken in {TIMES} tries"), how_often))?;
        me.tell(Fact::outside("hostname", uts::hostname()))
    })?;
    Ok(visitor.hear_all()?)
}

fn write_long_name(length: usize) -> Result<[Fact; 3]> {
    let written = uts::write_hostname(&"x".repeat(length));
    Ok([
        Fact::outside("bytes written", length),
        Fact::outside("write(file)", Outcome::of(written)?),
        Fact::outside("bytes kept", uts::hostname().len()),
    ])
}

fn rename_as(user: u32) -> Result<Vec<Fact>> {
    uts::set_hostname("outside")?;
    let mut child = Child::spawn("child", Namespaces::NONE, |me| {
        if user != 0 {
            process::become_user(user)?;
        }
        process::drop_all_capabilities()?;
        me.saw("sethostname()", Outcome::of(uts::set_hostname("called"))?)?;
        me.saw("write(file)", Outcome::of(uts::write_hostname("written"))?)?;
        me.saw("hostname", uts::hostname())
    })?;
    Ok(child.hear_all()?)
}

fn open_hostname() -> ns_core::Result<File> {
    File::open(HOSTNAME).named(|| format!("open(\"{HOSTNAME}\")"))
}

fn read_from_start(file: &File) -> ns_core::Result<String> {
    let mut buffer = [0; uts::LONGEST + 1];
    let length = file.read_at(&mut buffer, 0).named(|| format!("pread(\"{HOSTNAME}\")"))?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim_end().into())
}

/// Whether the file is open to us for writing. To open it changes nothing.
fn is_ours_to_write() -> ns_core::Result<Option<Missing>> {
    let opened =
        OpenOptions::new().write(true).open(HOSTNAME).named(|| format!("open(\"{HOSTNAME}\", O_WRONLY)"));
    Ok(match Outcome::of(opened)? {
        Outcome::Done => None,
        Outcome::Failed(Errno::EACCES) => Some(Missing::new(
            format!("user 0 of the host, to whom {HOSTNAME} belongs"),
            "run as root: sudo …",
        )),
        Outcome::Failed(errno) => {
            Some(Missing::new(format!("write access to {HOSTNAME} ({errno:?})"), "run as root on the host"))
        }
    })
}

/// Whether we can become another user: not where a user namespace maps us alone.
fn another_user() -> ns_core::Result<Option<Missing>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        me.saw("setresuid()", Outcome::of(process::become_user(STRANGER))?)
    })?;
    let became = child.hear()?.value;
    Ok((became != "OK").then(|| Missing::new("a second user to become", "run as root on the host")))
}
