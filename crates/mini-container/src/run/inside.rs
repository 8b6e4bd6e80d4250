//! The steps of init, in order, before the container runs any other program.

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
    streams.install()?;
    // A new session: signals of the terminal go to the launcher, which forwards them.
    nix::unistd::setsid().named(|| "setsid()".into())?;
    // The launcher first sets the ID maps and the network, which init has no privilege for.
    me.checkpoint()?;
    limits::enter(cgroups)?;

    // So that mounts from here on are not visible outside: systemd makes all mounts shared.
    mount::make_private()?;
    // Opened with the caller's user ID and root. Later, both are different.
    let devices = devices::open()?;
    let source = root::open(&asked.rootfs)?;
    let unmapped = if asked.user.is_some() { root::unmapped_directory(&source)? } else { None };
    if let Some(number) = unmapped {
        me.report("unmapped directory", i64::from(number))?;
        me.checkpoint()?;
    }
    process::become_root()?;
    uts::set_hostname(&asked.hostname)?;
    let links = Netlink::open()?;
    links.set_up(links.index(&LinkName::new("lo")?)?)?;

    // The modes of files must not depend on the caller's umask.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let (new_root, unpacked) = root::build(&source, || me.report("unpacking", true))?;
    if matches!(source, root::Source::Archive(..)) {
        // The memory that it fills must not count as the command's: only now the launcher moves init to its cgroups.
        me.report("unpacked", true)?;
        me.checkpoint()?;
    }
    // Now, and not with the others: the root of a cgroup namespace is the cgroup of its creator at this moment
    // (cgroup_namespaces(7)).
    for kind in MADE_INSIDE.kinds() {
        match namespace::unshare(Namespaces::only(kind)) {
            // EINVAL: the kernel lacks this kind, as WSL2 lacks time namespaces. ENOSPC: the limit of namespaces is reached.
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
        // This makes only one mount read-only, so /dev does not change.
        new_root.make_one_read_only()?;
    }
    root::enter(&new_root)?;

    // Each step removes a privilege that the previous one needed.
    capabilities::keep_few()?;
    nix::sys::prctl::set_no_new_privs().named(|| "prctl(PR_SET_NO_NEW_PRIVS)".into())?;
    seccomp::filter()?;

    me.report("unmapped owners", i64::from(unpacked.unmapped))?;
    me.report("ready", true)?;
    let terminal = terminal.map(|terminal| Terminal { terminal, stands_for: terminals });
    let status = init::serve(&asked.command, &asked.hostname, &unpacked.config, terminal)?;
    std::process::exit(status)
}

/// The report of a kind of namespace that this kernel does not have.
pub(super) const UNKNOWN: &str = "unknown kind";
/// The report of a kind of namespace whose limit is reached.
pub(super) const FORBIDDEN: &str = "forbidden kind";
