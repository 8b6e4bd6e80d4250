//! What init does, in order, before there is anything in the container that is not ours.

use std::os::fd::AsFd;

use ns_core::cgroup::Cgroup;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Errno, Error, Named, Namespaces, Reporter, Result, mount, namespace, process, uts};

use super::asked::Asked;
use super::kinds::MADE_INSIDE;
use super::program::Terminal;
use super::streams::Streams;
use super::{capabilities, console, dev, devices, init, kernel_files, limits, place, root, seccomp};

/// Builds the container around this process, its PID 1, and ends as its command ends.
pub(super) fn build_and_run(
    me: &mut Reporter,
    asked: &Asked,
    cgroups: &[Cgroup],
    streams: &Streams,
) -> Result<()> {
    streams.take_on()?;
    // What a terminal sends to those who started us is for the launcher, which passes it on.
    nix::unistd::setsid().named(|| "setsid()".into())?;
    // The launcher has work first: our IDs, our network. None of it may we do ourselves.
    me.checkpoint()?;
    limits::enter(cgroups)?;

    // Nothing that is mounted from here on is to be seen outside; systemd shares all mounts.
    mount::make_private()?;
    // Opened with the rights of whoever asked. Later names mean other files, and we are somebody else.
    let devices = devices::open()?;
    let source = root::open(&asked.rootfs)?;
    let nobodys = if asked.user.is_some() { root::nobodys(&source)? } else { None };
    if let Some(number) = nobodys {
        me.report("nobody's", i64::from(number))?;
        me.checkpoint()?;
    }
    process::become_root()?;
    uts::set_hostname(&asked.hostname)?;
    let links = Netlink::open()?;
    links.set_up(links.index(&LinkName::new("lo")?)?)?;

    // Not our umask's business.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let (new_root, unpacked) = root::build(&source, || me.report("unpacking", true))?;
    if matches!(source, root::Source::Archive(..)) {
        // What it fills does not count as the command's: only now the launcher moves us to our cgroups.
        me.report("unpacked", true)?;
        me.checkpoint()?;
    }
    // Now, and not with the others: its root is the cgroup that we are in at this moment (cgroup_namespaces(7)).
    for kind in MADE_INSIDE.kinds() {
        match namespace::unshare(Namespaces::only(kind)) {
            // The kernel does not know the flag, as WSL2's does not know that of time namespaces; or a setting allows none.
            Err(Error::Call { errno: Errno::EINVAL, .. }) => me.report(UNKNOWN, kind.to_string())?,
            Err(Error::Call { errno: Errno::ENOSPC, .. }) => me.report(FORBIDDEN, kind.to_string())?,
            made => made?,
        }
    }
    let proc = kernel_files::proc(new_root.as_fd(), &devices)?;
    let sys = kernel_files::sys(new_root.as_fd(), &devices)?;
    let (dev, pts) = dev::mount(new_root.as_fd(), &devices)?;
    for (name, mounted) in [("proc", &proc), ("sys", &sys), ("dev", &dev)] {
        place::must_lead_to(new_root.as_fd(), name, mounted)?;
    }
    let terminals = streams.terminals();
    let with_console = terminals.contains(&true);
    let terminal = if with_console { Some(console::make(me, dev.as_fd(), pts.as_fd())?) } else { None };
    if asked.read_only {
        // Mounts are read-only one by one, so /dev stays as it is.
        new_root.make_one_read_only()?;
    }
    root::enter(&new_root)?;

    // Each takes something away that the one before needed.
    capabilities::keep_few()?;
    nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())?;
    seccomp::filter()?;

    me.report("unmapped owners", i64::from(unpacked.unmapped))?;
    me.report("ready", true)?;
    let terminal = terminal.map(|terminal| Terminal { terminal, stands_for: terminals });
    let status = init::serve(&asked.command, &asked.hostname, &unpacked.config, terminal)?;
    std::process::exit(status)
}

/// How init calls a kind of namespace that this kernel does not have.
pub(super) const UNKNOWN: &str = "unknown kind";
/// And one of which no more may be made.
pub(super) const FORBIDDEN: &str = "forbidden kind";
