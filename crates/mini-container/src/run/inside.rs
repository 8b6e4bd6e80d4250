//! What init does, in order, before there is anything in the container that is not ours.

use std::os::fd::AsFd;

use ns_core::cgroup::Cgroup;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Named, Namespaces, Result, Witness, mount, process, uts};

use super::{Asked, capabilities, console, devices, init, kernel_files, limits, place, root, seccomp};

/// Builds the container around this process, its PID 1, and ends as its command ends.
pub(super) fn build_and_run(
    me: &mut Witness,
    asked: &Asked,
    cgroups: &[Cgroup],
    with_console: bool,
) -> Result<()> {
    // What a terminal sends to those who started us is for the launcher, which passes it on.
    nix::unistd::setsid().named(|| "setsid()".into())?;
    // The launcher has work first: our IDs, our network. None of it may we do ourselves.
    me.pause()?;
    limits::enter(cgroups)?;

    // Nothing that is mounted from here on is to be seen outside; systemd shares all mounts.
    mount::make_private()?;
    // Opened with the rights of whoever asked. Later names mean other files, and we are somebody else.
    let devices = devices::open()?;
    let source = root::open(&asked.rootfs)?;
    let nobodys = if asked.user.is_some() { root::nobodys(&source)? } else { None };
    if let Some(number) = nobodys {
        me.saw("nobody's", i64::from(number))?;
        me.pause()?;
    }
    process::become_root()?;
    uts::set_hostname(&asked.hostname)?;
    let links = Netlink::open()?;
    links.set_up(links.index(&LinkName::new("lo")?)?)?;

    // Not our umask's business.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let (new_root, unpacked) = root::build(&source, || me.saw("unpacking", true))?;
    if matches!(source, root::Source::Archive(..)) {
        // What it fills does not count as the command's: only now the launcher moves us to our cgroups.
        me.saw("unpacked", true)?;
        me.pause()?;
    }
    // Now, and not with the others: its root is the cgroup that we are in at this moment (cgroup_namespaces(7)).
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWCGROUP)
        .named(|| "unshare(CLONE_NEWCGROUP)".into())?;
    let proc = kernel_files::proc(new_root.as_fd(), &devices)?;
    let sys = kernel_files::sys(new_root.as_fd(), &devices)?;
    let (dev, pts) = devices::dev(new_root.as_fd(), &devices)?;
    for (name, mounted) in [("proc", &proc), ("sys", &sys), ("dev", &dev)] {
        place::must_lead_to(new_root.as_fd(), name, mounted)?;
    }
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

    me.saw("unmapped owners", i64::from(unpacked.unmapped))?;
    me.saw("ready", true)?;
    let status = init::serve(&asked.command, &asked.hostname, &unpacked.config, terminal)?;
    std::process::exit(status)
}

/// The namespaces that init is born into: all but the cgroup namespace, which it makes itself.
pub(super) const BORN_INTO: Namespaces = Namespaces::all().difference(Namespaces::CGROUP);
