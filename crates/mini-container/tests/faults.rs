//! Machines and limits that prevent a container or a part of it: the error message and the exit status.

mod plain;

use std::fs;
use std::process::{Command, Output, Stdio};

use plain::answers::{NO_LANDLOCK, where_the_kernel_answers};
use plain::{Directory, PROGRAM, refused, rootfs, run, said};

/// A container at a limit that prlimit(1) sets, with panics as talkative as they get.
fn limited(limit: &str, arguments: &[&str]) -> Output {
    Command::new("prlimit")
        .args([limit, PROGRAM, "run"])
        .args(arguments)
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_command_that_cannot_be_started_has_no_status() {
    let rootfs = rootfs("no-status");
    let path = rootfs.0.to_str().unwrap();
    // Init is one process already.
    let output = run(["--pids-max", "1", path, "true"]);
    if !String::from_utf8_lossy(&output.stderr).contains("a limit by the pids controller: ") {
        refused(
            &output,
            125,
            &["clone(CLONE_VM|CLONE_VFORK): EAGAIN", "--pids-max (which counts init too)", "raise it"],
        );
    }
    let mut has_succeeded = false;
    for files in 5..40 {
        let output = limited(&format!("--nofile={files}:{files}"), &[path, "true"]);
        if output.status.success() {
            has_succeeded = true;
        } else {
            refused(&output, 125, &["EMFILE", "raise it: ulimit -n"]);
        }
    }
    assert!(has_succeeded, "40 files are enough");
}

#[test]
fn small_limits_are_named() {
    let rootfs = rootfs("limits");
    let path = rootfs.0.to_str().unwrap();
    // Where the program has to copy itself.
    let small = ["--fsize=0:0", PROGRAM, "run", path, "true"];
    let output = where_the_kernel_answers(&[NO_LANDLOCK], "prlimit", &small);
    refused(&output, 125, &["EFBIG", "raise it: ulimit -f unlimited"]);
    // Of a user, since root is not counted; one who is nobody else, so that others do not count.
    let program = rootfs.at("program");
    plain::copy_program(PROGRAM, &program);
    let mut command = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        command.args(["--reuid", "64333", "--regid", "64333", "--clear-groups"]);
    }
    command.args(["--no-new-privs", "prlimit", "--nproc=1:1"]).arg(program).args(["run", path, "true"]);
    let output = command.env("RUST_BACKTRACE", "1").current_dir("/").stdin(Stdio::null()).output().unwrap();
    refused(&output, 125, &["clone3(", "EAGAIN", "RLIMIT_NPROC", "ulimit -u"]);
    for megabytes in [12, 14, 16, 20, 24, 32] {
        let bytes = megabytes << 20;
        let output = limited(&format!("--as={bytes}:{bytes}"), &[path, "true"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Where it is too small for the loader or for Rust's runtime, they say so.
        let told = output.status.success()
            || stderr.lines().count() <= 1
            || stderr.starts_with("memory allocation of ");
        assert!(told && !stderr.contains("panicked"), "{megabytes} MiB: {output:?}");
    }
}

#[test]
fn a_refused_call_has_its_cause_and_a_remedy() {
    let rootfs = rootfs("refused");
    let path = rootfs.0.to_str().unwrap();
    for (call, errno, words) in [
        (libc::SYS_mount, libc::EACCES, "mount --make-rprivate /: EACCES"),
        (libc::SYS_mount, libc::EPERM, "mount --make-rprivate /: EPERM"),
        (libc::SYS_sethostname, libc::EPERM, "sethostname(\"container\"): EPERM"),
        (libc::SYS_pivot_root, libc::EPERM, "pivot_root(\".\", \".\"): EPERM"),
        (libc::SYS_move_mount, libc::EPERM, "move_mount("),
        (libc::SYS_fsopen, libc::ENOSYS, "mount -t tmpfs"),
        (libc::SYS_openat2, libc::ENOSYS, "openat2("),
        (libc::SYS_capset, libc::EPERM, "capset("),
        (libc::SYS_close_range, libc::ENOSYS, "close_range("),
        (libc::SYS_open_tree, libc::EPERM, "open_tree("),
        (libc::SYS_open_tree, libc::ENOSYS, "open_tree("),
        (libc::SYS_fsconfig, libc::EPERM, "mount -t tmpfs"),
        (libc::SYS_fsmount, libc::EPERM, "mount -t tmpfs"),
        (libc::SYS_mount_setattr, libc::EPERM, "mount_setattr("),
        (libc::SYS_mount_setattr, libc::ENOSYS, "mount_setattr("),
        (libc::SYS_umount2, libc::EPERM, "umount2("),
        (libc::SYS_unshare, libc::EPERM, "unshare("),
        (libc::SYS_setresuid, libc::EPERM, "setresuid("),
        (libc::SYS_seccomp, libc::EPERM, "seccomp("),
    ] {
        let output = where_the_kernel_answers(&[(call, None, errno)], PROGRAM, &["run", path, "true"]);
        refused(&output, 125, &[words, "a seccomp filter is active", "to get it: "]);
    }
}

#[test]
fn without_landlock_the_program_copies_itself() {
    let rootfs = rootfs("copies");
    let path = rootfs.0.to_str().unwrap();
    for errno in [libc::ENOSYS, libc::EOPNOTSUPP] {
        let none = (libc::SYS_landlock_create_ruleset, None, errno);
        let output = where_the_kernel_answers(&[none], PROGRAM, &["run", path, "sh", "-c", "echo $$"]);
        assert_eq!(said(&output), "2");
        let no_copy = (libc::SYS_memfd_create, None, libc::ENOSYS);
        let output = where_the_kernel_answers(&[none, no_copy], PROGRAM, &["run", path, "true"]);
        refused(&output, 125, &["memfd_create(", "a seccomp filter is active", "to get it: "]);
    }
    let none = (libc::SYS_landlock_restrict_self, None, libc::E2BIG);
    let output = where_the_kernel_answers(&[none], PROGRAM, &["run", path, "true"]);
    refused(&output, 125, &["landlock_restrict_self(): E2BIG"]);
}

#[test]
fn a_setting_that_forbids_user_namespaces_is_named() {
    // AppArmor lets a user namespace be made, and then refuses what needs a capability in it.
    let rootfs = rootfs("setting");
    let fake = Directory::new("settings");
    for name in ["cap_last_cap", "overflowuid", "overflowgid"] {
        fs::write(fake.at(name), fs::read(format!("/proc/sys/kernel/{name}")).unwrap()).unwrap();
    }
    fs::write(fake.at("apparmor_restrict_unprivileged_userns"), "1\n").unwrap();
    let script = format!(
        "mount --bind {} /proc/sys/kernel && exec {PROGRAM} run {} true",
        fake.0.display(),
        rootfs.0.display()
    );
    let arguments = ["-Urm", "sh", "-c", &script];
    let output =
        where_the_kernel_answers(&[(libc::SYS_sethostname, None, libc::EPERM)], "unshare", &arguments);
    let words =
        ["sethostname", "kernel.apparmor_restrict_unprivileged_userns is 1", "to get it: sysctl kernel."];
    refused(&output, 125, &words);
}

#[test]
fn what_no_engine_needs_is_left_out_where_the_kernel_has_none() {
    let rootfs = rootfs("without");
    let path = rootfs.0.to_str().unwrap();
    let kinds: [(i32, &str); 2] = [(libc::CLONE_NEWTIME, "time"), (libc::CLONE_NEWCGROUP, "cgroup")];
    for (flag, kind) in kinds {
        let unknown = (libc::SYS_unshare, Some(flag as u64), libc::EINVAL);
        let script = "readlink /proc/self/ns/*";
        let output = where_the_kernel_answers(&[unknown], PROGRAM, &["run", path, "sh", "-c", script]);
        let outside = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
        assert!(said(&output).contains(outside.to_str().unwrap()), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains(&format!("has no {kind} namespaces: the container runs without one")),
            "{stderr}"
        );
        // The control.
        let output = run([path, "sh", "-c", script]);
        assert!(!said(&output).contains(outside.to_str().unwrap()), "{output:?}");
    }
}

#[test]
fn what_a_setting_forbids_and_no_engine_needs_is_left_out_too() {
    let rootfs = rootfs("forbidden");
    let path = rootfs.0.to_str().unwrap();
    let set_to_none = |kind: &str| {
        let script =
            format!("echo 0 >/proc/sys/user/max_{kind}_namespaces && exec {PROGRAM} run {path} true");
        Command::new("unshare").args(["-Ur", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap()
    };
    for kind in ["time", "cgroup"] {
        let output = set_to_none(kind);
        assert!(output.status.success(), "{output:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains(&format!("max_{kind}_namespaces): the container gets no new one")),
            "{stderr}"
        );
    }
    for kind in ["user", "net", "pid", "mnt", "uts", "ipc"] {
        refused(&set_to_none(kind), 125, &["ENOSPC", &format!("max_{kind}_namespaces is 0"), "to get it: "]);
    }
}

#[test]
fn a_container_needs_no_clone3() {
    let rootfs = rootfs("clone3");
    let path = rootfs.0.to_str().unwrap();
    let hidden = (libc::SYS_clone3, None, libc::ENOSYS);
    let output = where_the_kernel_answers(&[hidden], PROGRAM, &["run", path, "sh", "-c", "echo $$"]);
    assert_eq!(said(&output), "2");
    // Nor does its cgroup, in which clone3 would create it.
    let script = "for i in 1 2 3 4 5; do sleep 0.1 & done; wait";
    let output =
        where_the_kernel_answers(&[hidden], PROGRAM, &["run", "--pids-max", "4", path, "sh", "-c", script]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("ork") || stderr.contains("a limit by the pids controller: "), "{stderr}");
}

#[test]
fn a_user_namespace_with_one_id_maps_no_more() {
    let rootfs = rootfs("one-id");
    let script = format!("exec {PROGRAM} run \"$@\" {} id -u", rootfs.0.display());
    let run_in_one = |options: &[&str]| {
        Command::new("unshare")
            .args(["-Ur", "sh", "-c", &script, "sh"])
            .args(options)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    assert_eq!(said(&run_in_one(&[])), "0");
    refused(&run_in_one(&["--user", "auto"]), 125, &["uid_map: EPERM", "has only 1 IDs", "leave --user out"]);
}

#[test]
fn what_another_container_hides_is_named() {
    let rootfs = rootfs("hides");
    let path = rootfs.0.display();
    let inside = |script: &str| {
        let script = format!("{script} && exec {PROGRAM} run {path} true");
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap()
    };
    // As engines cover a part of /proc.
    let output = inside("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
    refused(&output, 125, &["mount -t proc: EPERM", "parts of /proc are covered", "--privileged"]);
    let output = inside("mount --rbind /proc /proc && mount -o remount,bind,ro /proc");
    refused(&output, 125, &["EROFS", "/proc is read-only here", "--privileged"]);
    let output = inside("mount -t tmpfs none /dev && : >/dev/other");
    refused(&output, 125, &["open(\"/dev/null\", O_PATH): ENOENT", "/dev lacks a device"]);
}

#[test]
fn a_chroot_is_named() {
    let rootfs = rootfs("chroot");
    plain::install(&rootfs.0, std::path::Path::new(PROGRAM));
    let path = rootfs.0.display();
    let script = format!(
        "mount --bind {path} {path} && mount -t proc proc {path}/proc && exec chroot {path} {PROGRAM} run /etc true"
    );
    let output = Command::new("unshare")
        .args(["-Urmpf", "--kill-child", "sh", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    refused(&output, 125, &["clone3(", "EPERM", "outside the chroot"]);
}
