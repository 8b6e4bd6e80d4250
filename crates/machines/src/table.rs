//! All machines.

use caps::Capability;
use nix::sys::resource::Resource;
use nix::sys::stat::{Mode, umask};
use ns_core::{Errno, Kind, Namespaces, Result};

use crate::calls::CALLS;
use crate::machine::Machine;
use crate::make::{By, filtered, machine};
use crate::people::people;
use crate::{hidden, prepare};

/// Every machine, the plain one first.
pub fn machines() -> Vec<Machine> {
    let mut all = surroundings();
    all.extend(limits());
    all.extend(filesystems());
    all.extend(kinds());
    all.extend(filters());
    all.extend(deprived());
    all.extend(people());
    all
}

fn surroundings() -> Vec<Machine> {
    vec![
        machine("plain", "nothing is done", By::Anyone, || Ok(())),
        machine("ordinary user", "user and group 64321", By::Root, prepare::become_stranger),
        machine("no_new_privs", "prctl(PR_SET_NO_NEW_PRIVS)", By::Anyone, prepare::no_new_privs)
            .named_by("privilege by execve()", "no_new_privs")
            .without_sudo(),
        machine("ordinary user, no_new_privs", "user 64321, prctl(PR_SET_NO_NEW_PRIVS)", By::Root, || {
            prepare::become_stranger()?;
            prepare::no_new_privs()
        })
        .named_by("privilege by execve()", "no_new_privs")
        .without_sudo(),
        machine(
            "user namespace",
            "unshare(CLONE_NEWUSER), one ID mapped",
            By::Anyone,
            prepare::inside_a_user_namespace,
        )
        .named_by("for ordinary users", "EPERM"),
        machine("nobody", "user and group 65534", By::Root, prepare::become_nobody),
        machine(
            "the OOM killer's first choice",
            "oom_score_adj is 1000",
            By::Anyone,
            prepare::be_chosen_first,
        ),
        machine("umask 0777", "umask(0777)", By::Anyone, || {
            umask(Mode::all());
            Ok(())
        }),
        // Its session began outside, and has no ID there.
        machine("PID 1", "unshare(CLONE_NEWPID), mount -t proc", By::Root, prepare::own_mounts).with_pid_1(),
    ]
}

fn limits() -> Vec<Machine> {
    let rlimit = |name: &str, resource, most: u64| {
        let how = format!("setrlimit({resource:?}, {most})");
        machine(format!("{name} {most}"), how, By::Anyone, move || prepare::limit(resource, most))
            .named_by(name, format!("{resource:?} is {most}"))
    };
    let mut all = vec![
        rlimit("open files", Resource::RLIMIT_NOFILE, 16),
        rlimit("open files", Resource::RLIMIT_NOFILE, 32),
        rlimit("size of files", Resource::RLIMIT_FSIZE, 0),
        rlimit("address space", Resource::RLIMIT_AS, 200 << 20),
        rlimit("locked memory", Resource::RLIMIT_MEMLOCK, 0),
        rlimit("message queues", Resource::RLIMIT_MSGQUEUE, 0),
    ];
    // The kernel does not hold root to it.
    all.extend([3, 8, 20].map(|most| {
        let how = format!("user 64321, setrlimit(RLIMIT_NPROC, {most})");
        machine(format!("processes {most}"), how, By::Root, move || {
            prepare::become_stranger()?;
            prepare::limit(Resource::RLIMIT_NPROC, most)
        })
        .named_by("processes", format!("RLIMIT_NPROC is {most}"))
    }));
    let cgroup = |controller: &'static str, most: u64, shown: String| {
        let how = format!("a cgroup with {controller}.max {shown}");
        machine(format!("{controller}.max {shown}"), how, By::Root, move || {
            prepare::join_limited(controller, most)
        })
        .named_by(format!("{controller} of the cgroup"), format!(" is {most}"))
    };
    all.extend([3, 8, 20, 50].map(|most| cgroup("pids", most, most.to_string())));
    all.extend([16, 32, 64].map(|most| cgroup("memory", most << 20, format!("{most}M"))));
    all
}

fn filesystems() -> Vec<Machine> {
    let root = |name: &str, how: &str, prepare: fn() -> Result<()>| machine(name, how, By::Root, prepare);
    vec![
        root("read-only /proc", "mount -o remount,bind,ro /proc", prepare::read_only_proc)
            .named_by("settings", "read-only"),
        root("read-only /proc/sys", "mount -o remount,bind,ro /proc/sys", prepare::read_only_settings)
            .named_by("settings", "read-only"),
        root("no /sys", "umount -l /sys", prepare::no_sys).named_by("sysfs", "/sys"),
        root("empty /sys", "mount -t tmpfs tmpfs /sys", || prepare::empty("/sys")).named_by("sysfs", "/sys"),
        root("bare /dev", "a tmpfs with /dev/null alone", prepare::bare_dev).named_by("devices", "/dev/zero"),
        root("empty /dev", "mount -t tmpfs tmpfs /dev", || prepare::empty("/dev"))
            .named_by("devices", "/dev/null"),
        root("empty /run", "mount -t tmpfs tmpfs /run", || prepare::empty("/run")),
        root("hidepid", "mount -o hidepid=2, user 64321", prepare::hide_processes)
            .named_by("other processes", "hidepid"),
        root("read-only cgroups", "each hierarchy: remount,bind,ro", prepare::read_only_cgroups)
            .named_by("pids", "EROFS"),
        root("no cgroups", "umount -l /sys/fs/cgroup", prepare::no_cgroups).named_by("layout", "no cgroup"),
        root("chroot", "chroot to a directory", prepare::chroot_to_a_directory)
            .named_by("root directory", "chroot"),
        root("chroot to a mount", "chroot to a bind mount of /", prepare::chroot_to_a_mount)
            .named_by("root directory", "chroot"),
        root("chroot, ordinary user", "chroot to a bind mount of /, user 64321", || {
            prepare::chroot_to_a_mount()?;
            prepare::become_stranger()
        })
        .named_by("root directory", "chroot"),
    ]
}

/// Each kind of namespace absent, and each forbidden.
fn kinds() -> Vec<Machine> {
    let absent = Kind::ALL.map(|kind| {
        let how = format!("clone(2), unshare(2), setns(2) give EINVAL for {}", kind.flag());
        filtered(format!("no {kind} namespaces"), how, By::Anyone, move || {
            prepare::refuse_kinds(Namespaces::only(kind), Errno::EINVAL)
        })
        .named_by(kind.link(), format!("this kernel has no {kind} namespaces"))
    });
    let unknown = Kind::ALL.map(|kind| {
        let how = format!("EINVAL for {}, and /proc/PID/ns/{} is not there", kind.flag(), kind.link());
        machine(format!("kernel without {kind} namespaces"), how, By::Root, move || {
            prepare::refuse_kinds(Namespaces::only(kind), Errno::EINVAL)?;
            hidden::let_others_answer()
        })
        .named_by(kind.link(), format!("this kernel has no {kind} namespaces"))
        .hides(kind)
    });
    // As most people meet it.
    let of_a_user = machine(
        "ordinary user, kernel without time namespaces",
        "user 64321, EINVAL for CLONE_NEWTIME, and /proc/PID/ns/time is not there",
        By::Root,
        || {
            prepare::refuse_kinds(Namespaces::TIME, Errno::EINVAL)?;
            hidden::let_others_answer()?;
            prepare::become_stranger()
        },
    )
    .named_by("time", "this kernel has no time namespaces")
    .hides(Kind::Time);
    let forbidden = Kind::ALL.map(|kind| {
        let how = format!("user.max_{kind}_namespaces is 0 in a user namespace");
        machine(format!("{kind} namespaces forbidden"), how, By::Anyone, move || prepare::forbid(kind))
            .named_by(kind.link(), format!("max_{kind}_namespaces is 0"))
    });
    absent.into_iter().chain(unknown).chain([of_a_user]).chain(forbidden).collect()
}

fn filters() -> Vec<Machine> {
    let mut all = vec![
        filtered(
            "Docker's filter",
            "clone3: ENOSYS; namespaces, mount, setns: EPERM",
            By::Anyone,
            prepare::refuse_as_docker,
        ),
        filtered("no user namespaces for users", "user 64321, CLONE_NEWUSER gives EPERM", By::Root, || {
            prepare::become_stranger()?;
            prepare::refuse_kinds(Namespaces::USER, Errno::EPERM)
        }),
        filtered("user namespaces without mounts", "user 64321, mount gives EACCES", By::Root, || {
            prepare::become_stranger()?;
            prepare::refuse(&[libc::SYS_mount], Errno::EACCES)
        }),
    ];
    let refused = |name: &str, numbers: &'static [libc::c_long], errno: Errno| {
        let how = format!("seccomp: {name} gives {errno:?}");
        filtered(format!("{name} {errno:?}"), how, By::Anyone, move || prepare::refuse(numbers, errno))
    };
    for (name, numbers) in CALLS {
        all.extend([Errno::EPERM, Errno::ENOSYS].map(|errno| refused(name, numbers, errno)));
    }
    // As the kernel answers to a namespace that cannot be entered.
    all.push(refused("setns", &[libc::SYS_setns], Errno::EINVAL));
    all
}

/// Each capability that this kernel knows dropped, and all.
fn deprived() -> Vec<Machine> {
    let known = ns_core::probe::deprived_of(0);
    let one = |capability: Capability| {
        let how = format!("prctl(PR_CAPBSET_DROP, {capability})");
        machine(format!("without {capability}"), how, By::Root, move || prepare::deprive(&[capability]))
            .named_by("bounding set", capability.to_string())
    };
    let mut all: Vec<_> = known.iter().copied().map(one).collect();
    let all_of_them =
        machine("without any capability", "prctl(PR_CAPBSET_DROP), each", By::Root, move || {
            prepare::deprive(&known)
        });
    all.push(all_of_them.named_by("bounding set", "CAP_SYS_ADMIN"));
    all
}
