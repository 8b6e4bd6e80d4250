//! The steps of init, in order, before the container runs any other program.

use std::os::fd::AsFd;

use ns_core::cgroup::Cgroup;
use ns_core::child::NetworkAside;
use ns_core::net::set_up_loopback;
use ns_core::{Errno, Error, Named, Namespaces, Reporter, Result, mount, namespace, process, uts};

use super::kinds::MADE_INSIDE;
use super::order::Order;
use super::program::Terminal;
use super::reach::Reach;
use super::root::Built;
use super::streams::Streams;
use super::surroundings::Surroundings;
use super::{
    binds, capabilities, console, dev, devices, init, kernel_files, limits, place, programs, resolver, root,
    seccomp, surroundings,
};

/// Builds the container around this process, its PID 1, and ends as its command ends. `network` is still in the making,
/// unless the launcher connects it: then init was created in it.
pub(super) fn build_and_run(
    me: &mut Reporter,
    order: &Order,
    cgroups: &[Cgroup],
    streams: &Streams,
    network: Option<NetworkAside>,
) -> Result<()> {
    let asked = &order.asked;
    streams.install()?;
    // A new session: signals of the terminal go to the launcher, which forwards them.
    nix::unistd::setsid().named(|| "setsid()".into())?;
    // The launcher first sets the ID maps and the network, which init has no privilege for.
    me.checkpoint()?;
    limits::enter(cgroups)?;
    if network.is_none() {
        set_up_loopback()?;
    }

    // So that mounts from here on are not visible outside: systemd makes all mounts shared.
    mount::make_private()?;
    // Opened with the caller's user ID and root. Later, both are different.
    let devices = devices::open()?;
    let source = root::open(&order.rootfs)?;
    let binds = binds::open(&asked.bind)?;
    let unmapped = if asked.user.is_some() { root::unmapped_directory(&source)? } else { None };
    if let Some(number) = unmapped {
        me.report("unmapped directory", i64::from(number))?;
        me.checkpoint()?;
    }
    process::become_root()?;
    uts::set_hostname(&asked.hostname)?;

    // The modes of files must not depend on the caller's umask.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let Built { root: new_root, unpacked, made } = root::build(&source, || me.report("unpacking", true))?;
    if let Some(made) = made {
        me.report(MADE, made)?;
        // Until the launcher has said so: what the command writes comes after it.
        me.checkpoint()?;
    }
    if source.is_packed() {
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
    let mut empty = kernel_files::Empty::default();
    let proc = kernel_files::proc(new_root.as_fd(), &devices, &mut empty)?;
    let (dev, pts) = dev::mount(new_root.as_fd(), &devices)?;
    // Prepared now, while the kernel still has the network to do.
    let filter = seccomp::filter()?;
    // A sysfs shows the devices of the network namespace in which it is mounted.
    network.map(NetworkAside::enter).transpose()?;
    let sys = kernel_files::sys(new_root.as_fd(), &mut empty)?;
    for (name, mounted) in [("proc", &proc), ("sys", &sys), ("dev", &dev)] {
        place::must_lead_to(new_root.as_fd(), name, mounted)?;
    }
    if asked.reach() == Some(Reach::Out) {
        let servers = resolver::servers();
        if servers.is_empty() || resolver::write(new_root.as_fd(), &servers).is_err() {
            me.report(UNRESOLVED, true)?;
        }
    }
    // After it, so that a --bind can take its place.
    binds::mount(new_root.as_fd(), &binds)?;
    if let Some(source) = binds::unmapped(&binds, root::NOBODY)? {
        me.report("unmapped bind", source.display().to_string())?;
    }
    if let Some(directory) = &asked.workdir {
        surroundings::make_directory(new_root.as_fd(), directory)?;
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
    programs::limit_to_root()?;
    filter.install()?;

    for (what, number) in [(DEVICES, unpacked.devices), (UNMAPPED, unpacked.unmapped)] {
        if number > 0 {
            me.report(what, i64::from(number))?;
        }
    }
    me.report("ready", true)?;
    let terminal = terminal.map(|terminal| Terminal { terminal, stands_for: terminals });
    let surroundings = Surroundings::of(order, &unpacked.config)?;
    let status = init::serve(&order.command, &surroundings, terminal)?;
    process::exit_now(status)
}

/// The report of how many devices were left out.
pub(super) const DEVICES: &str = "devices";
/// The report of how many files have an owner without an ID.
pub(super) const UNMAPPED: &str = "unmapped owners";
/// The report that the container has no name server.
pub(super) const UNRESOLVED: &str = "unresolved";
/// The report of what was made where no ROOTFS is given.
pub(super) const MADE: &str = "made";
/// The report of a kind of namespace that this kernel does not have.
pub(super) const UNKNOWN: &str = "unknown kind";
/// The report of a kind of namespace whose limit is reached.
pub(super) const FORBIDDEN: &str = "forbidden kind";
