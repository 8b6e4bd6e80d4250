//! /proc/sys/kernel/hostname: the hostname as a file, which has rules of its own.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ns_core::probe::Unmet;
use ns_core::{Child, Errno, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, process, uts};

const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Any user ID but 0.
const ORDINARY_USER: u32 = 1000;

const ONE_FILE: Claim = Claim::holds(
    "one-file",
    "/proc/sys/kernel/hostname returns the hostname of the reader's namespace, even through a shared file descriptor.",
)
.factor("CLONE_NEWUTS")
.notes(&[135])
.core(&[
    Row::inside("same fd, inside", "pread(file)"),
    Row::outside("same fd, outside", "pread(file)"),
])
.asks(
    "A process opens /proc/sys/kernel/hostname. Its child in a new UTS namespace reads that descriptor. What does it get?",
    &[
        right("the child's own hostname"),
        wrong("the parent's hostname", "an open file is usually the same for every reader, and the parent opened it"),
        wrong("nothing: read() fails", "a descriptor is believed to work in its opener's namespace only"),
    ],
);

pub(crate) const READ_ONE_FILE: Step = Step {
    title: "Open /proc/sys/kernel/hostname once. Set another hostname in a child, and read the descriptor in both processes.",
    calls: &["open(\"/proc/sys/kernel/hostname\")", "clone3(CLONE_NEWUTS)", "pread(file)"],
    by_hand: &[hand("unshare -Ur --uts sh -c 'hostname inside; cat <&3' 3< /proc/sys/kernel/hostname")
        .prints("inside")],
    claims: &[ONE_FILE],
    run: |lab| {
        lab.compare(ONE_FILE, Namespaces::NONE, Namespaces::UTS, read_one_file)?
            .in_both_arms(inside("pread(file)").is("inside"))
            .shows(outside("pread(file)").is("outside"))
    },
};

const WOKEN: Claim = Claim::holds(
    "woken",
    "poll() on /proc/sys/kernel/hostname also reports a sethostname() in another UTS namespace.",
)
.factor("sethostname()")
.notes(&[135]);

pub(crate) const POLL: Step = Step {
    title: "Enter another UTS namespace, set its hostname, and return. Then ask poll() whether the hostname has changed.",
    calls: &[
        "open(\"/proc/sys/kernel/hostname\")",
        "setns(away, CLONE_NEWUTS)",
        "sethostname(\"away\")",
        "setns(home, CLONE_NEWUTS)",
        "poll(file, POLLPRI, 0)",
    ],
    by_hand: &[],
    claims: &[WOKEN],
    run: |lab| lab.compare(WOKEN, false, true, poll_after_a_visit)?.shows(first().is("each time")),
};

const CUT: Claim = Claim::holds(
    "cut",
    "write() of 65 bytes to /proc/sys/kernel/hostname succeeds, and the kernel keeps 64.",
)
.factor("a 65th byte")
.more(&[53])
.requires(&[Requirement::Probe(may_write_the_file)]);

pub(crate) const WRITE_LONG_NAMES: Step = Step {
    title: "Write names of 64 and of 65 bytes to /proc/sys/kernel/hostname.",
    calls: &["write(\"/proc/sys/kernel/hostname\", name, length)"],
    by_hand: &[hand("unshare --uts sh -c 'printf %070d 0 > /proc/sys/kernel/hostname; hostname | wc -c'")
        .as_root()
        .prints("65")],
    claims: &[CUT],
    run: |lab| {
        // The file cuts a longer name, where sethostname() refuses it.
        lab.compare(CUT, 64, 65, write_long_name)?
            .in_both_arms(outside("write(file)").is_not("EINVAL"))
            .shows(outside("bytes kept").differs_from(outside("bytes written")))
    },
};

const BY_FILE: Claim = Claim::holds(
    "by-file",
    "Writing /proc/sys/kernel/hostname requires user ID 0 of the host, and no capability.",
)
.factor("user ID 0")
.more(&[53])
.requires(&[Requirement::Probe(may_write_the_file), Requirement::Probe(another_user)]);

pub(crate) const WRITE_AS_A_USER: Step = Step {
    title: "Drop every capability. Set the hostname by sethostname() and by the file: as user 1000, then as user 0.",
    calls: &[
        "setresuid(1000, 1000, 1000)",
        "capset(0)",
        "sethostname(\"called\")",
        "write(file, \"written\")",
    ],
    by_hand: &[
        hand("unshare --uts setpriv --bounding-set -all bash  # a shell of your own").as_root().prints(""),
        hand("hostname called").as_root().prints("…: you must be root to change the host name").status(1),
        hand("echo written > /proc/sys/kernel/hostname; hostname").as_root().prints("written"),
    ],
    claims: &[BY_FILE],
    run: |lab| {
        lab.compare(BY_FILE, ORDINARY_USER, 0, rename_as)?
            .in_both_arms(inside("sethostname()").is("EPERM"))
            .shows(inside("write(file)").from("EACCES").to("OK"))
    },
};

fn read_one_file(namespaces: Namespaces) -> Result<Vec<Fact>> {
    uts::set_hostname("outside")?;
    let file = open_hostname()?;
    let mut child = Child::spawn("child", namespaces, |me| {
        uts::set_hostname("inside")?;
        me.report("pread(file)", read_from_start(&file)?)
    })?;
    let inside = child.fact()?;
    Ok(vec![inside, Fact::outside("pread(file)", read_from_start(&file)?)])
}

/// A process opens the file, enters another UTS namespace, sets its hostname or not, returns, and calls poll().
fn poll_after_a_visit(renames: bool) -> Result<Vec<Fact>> {
    uts::set_hostname("home")?;
    // By chance, poll() may report a rename elsewhere on this machine too, but not every time.
    const TIMES: usize = 20;
    let there = Child::spawn("member of away", Namespaces::UTS, Reporter::stay)?;
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
        me.send(Fact::outside(format!("woken in {TIMES} tries"), how_often))?;
        me.send(Fact::outside("hostname", uts::hostname()))
    })?;
    Ok(visitor.facts()?)
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
        me.report("sethostname()", Outcome::of(uts::set_hostname("called"))?)?;
        me.report("write(file)", Outcome::of(uts::write_hostname("written"))?)?;
        me.report("hostname", uts::hostname())
    })?;
    Ok(child.facts()?)
}

fn open_hostname() -> ns_core::Result<File> {
    File::open(HOSTNAME).named(|| format!("open(\"{HOSTNAME}\")"))
}

fn read_from_start(file: &File) -> ns_core::Result<String> {
    let mut buffer = [0; uts::LONGEST + 1];
    let length = file.read_at(&mut buffer, 0).named(|| format!("pread(\"{HOSTNAME}\")"))?;
    Ok(String::from_utf8_lossy(&buffer[..length]).trim_end().into())
}

/// Whether this process may open the file for writing. Opening it changes nothing.
fn may_write_the_file() -> ns_core::Result<Option<Unmet>> {
    let opened =
        OpenOptions::new().write(true).open(HOSTNAME).named(|| format!("open(\"{HOSTNAME}\", O_WRONLY)"));
    Ok(match Outcome::of(opened)? {
        Outcome::Done => None,
        Outcome::Failed(Errno::EACCES) => {
            Some(Unmet::new(format!("user ID 0 of the host, which owns {HOSTNAME}"), "run as root: sudo …"))
        }
        Outcome::Failed(errno) => {
            Some(Unmet::new(format!("write access to {HOSTNAME} ({errno:?})"), "run as root on the host"))
        }
    })
}

/// Whether this process can become another user. It cannot where a user namespace maps one user only.
fn another_user() -> ns_core::Result<Option<Unmet>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        me.report("setresuid()", Outcome::of(process::become_user(ORDINARY_USER))?)
    })?;
    let became = child.fact()?.value;
    Ok((became != "OK").then(|| Unmet::new("a second user ID", "run as root on the host")))
}
