//! The classic breakouts of containers, each tried.

mod plain;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use plain::answers::{NO_LANDLOCK, started_where_the_kernel_answers, where_the_kernel_answers};
use plain::{Directory, PROGRAM, mounts, refused, rootfs, run, said, sh};

#[test]
fn no_descriptor_is_left_open() {
    let rootfs = rootfs("descriptors");
    // The shell leaves two directories of the host open for the container.
    let script = format!("exec 7</; exec 9</etc; exec {PROGRAM} run {} ls /proc/self/fd", rootfs.0.display());
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    // Descriptor 3 is the directory that ls reads.
    assert_eq!(said(&output), "0\n1\n2\n3");
}

#[test]
fn the_working_directory_is_inside() {
    // CVE-2024-21626: a working directory behind a descriptor that was left open.
    let rootfs = rootfs("cwd");
    assert_eq!(said(&sh(&rootfs, "readlink /proc/self/cwd; cd ..; cd ..; pwd")), "/\n/");
    let output = sh(
        &rootfs,
        "for fd in 3 4 5 6 7 8 9 10 11 12; do cd -P /proc/self/fd/$fd/ 2>/dev/null && pwd -P; done; echo none",
    );
    assert_eq!(said(&output), "none");
    // With an inherited descriptor of the host's root, as in the runtimes with this bug.
    let script = format!(
        "exec 7</; cd /; exec {PROGRAM} run {} sh -c 'readlink /proc/self/cwd; pwd; ls -d etc'",
        rootfs.0.display()
    );
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(said(&output), "/\n/\netc");
    let gone = Directory::new("gone");
    let script = format!(
        "cd {0}; rmdir {0}; exec {PROGRAM} run {1} readlink /proc/self/cwd",
        gone.0.display(),
        rootfs.0.display()
    );
    assert_eq!(said(&Command::new("sh").args(["-c", &script]).output().unwrap()), "/");
}

/// CVE-2019-5736: a root filesystem with a script whose interpreter is the program that starts it.
fn with_a_script_for_the_runtime(name: &str) -> Directory {
    let rootfs = rootfs(name);
    plain::install(&rootfs.0, std::path::Path::new(PROGRAM));
    fs::write(rootfs.at("bin/evil"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(rootfs.at("bin/evil"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    rootfs
}

#[test]
fn our_program_cannot_be_executed_inside() {
    if !ns_core::landlock::abi().is_ok_and(|version| version >= 2) {
        eprintln!("skip: this kernel has no Landlock of version 2 or newer");
        return;
    }
    let rootfs = with_a_script_for_the_runtime("exe");
    let path = rootfs.0.to_str().unwrap();
    // Executed, it would be a command line that makes no sense: 2.
    refused(
        &run([path, "evil"]),
        126,
        &["/bin/evil: needs /proc/self/exe: a program of the host", "one of ROOTFS"],
    );
    for name in ["/proc/self/exe", "/proc/1/exe", "/proc/thread-self/exe"] {
        assert_eq!(run([path, name]).status.code(), Some(126), "{name}");
    }
    symlink("/proc/self/exe", rootfs.at("bin/link")).unwrap();
    assert_eq!(run([path, "link"]).status.code(), Some(126));
    // What is inside can be executed, deleted or not, and renamed from one directory to another.
    let script = "cp /bin/cat /tmp/cat; echo one | /tmp/cat; mkdir /tmp/a /tmp/b; mv /tmp/cat /tmp/a/cat; \
                  mv /tmp/a/cat /tmp/b/cat; exec 5</tmp/b/cat; rm /tmp/b/cat; echo two | /proc/self/fd/5";
    plain::install(&rootfs.0, std::path::Path::new("/bin/cp"));
    plain::install(&rootfs.0, std::path::Path::new("/bin/mv"));
    plain::install(&rootfs.0, std::path::Path::new("/bin/rm"));
    assert_eq!(said(&sh(&rootfs, script)), "one\ntwo");
    assert_eq!(
        said(&sh(
            &rootfs,
            "for exe in exe task/1/exe; do cat /proc/1/$exe >/dev/null 2>&1 || echo refused; done"
        )),
        "refused\nrefused"
    );
}

#[test]
fn our_program_cannot_be_overwritten_where_it_can_be_executed() {
    let rootfs = with_a_script_for_the_runtime("exe");
    let path = rootfs.0.to_str().unwrap();
    let before = fs::read(PROGRAM).unwrap();
    let output = where_the_kernel_answers(&[NO_LANDLOCK], PROGRAM, &["run", path, "evil"]);
    refused(&output, 2, &["mini-container: "]);
    // /proc/self/exe is a sealed copy, which this test cannot write either.
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {PROGRAM} run {path} sleep 2")]).stdin(Stdio::null());
    let mut child = started_where_the_kernel_answers(&[NO_LANDLOCK], command);
    let link = format!("/proc/{}/exe", child.id());
    let sealed = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        fs::read_link(&link).is_ok_and(|it| it.to_string_lossy().starts_with("/memfd:mini-container"))
    });
    assert!(sealed, "it runs from memory");
    let held = fs::File::open(&link).unwrap();
    child.wait().unwrap();
    let seals = rustix::fs::fcntl_get_seals(&held).unwrap();
    assert!(seals.contains(rustix::fs::SealFlags::WRITE | rustix::fs::SealFlags::SEAL));
    // No process executes it any more, so the error is not ETXTBSY.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    let written = fs::OpenOptions::new().write(true).open(path).and_then(|mut it| it.write(b"evil"));
    assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert!(fs::read(PROGRAM).unwrap() == before, "the program is what it was");
}

/// The expected filesystem type of each of the three names, as stat(1) prints it.
const MOUNTED: [(&str, &str); 3] = [("proc", "proc"), ("sys", "sysfs"), ("dev", "tmpfs")];

#[test]
fn links_at_mount_targets_lead_inside() {
    // `etc` and `etc/deep` exist inside too. Outside, a directory of the same name must stay empty.
    let outside = Directory::new("outside");
    let before = mounts();
    for (name, filesystem) in MOUNTED {
        let outside = outside.0.to_str().unwrap();
        for target in [outside, &format!("../../../../../../../..{outside}"), "etc/../etc/deep", "/etc"] {
            let rootfs = rootfs(&format!("link-{name}"));
            let inside = rootfs.0.join(outside.trim_start_matches('/'));
            fs::create_dir_all(&inside).unwrap();
            fs::create_dir(rootfs.at("etc/deep")).unwrap();
            fs::remove_dir(rootfs.at(name)).unwrap();
            symlink(target, rootfs.at(name)).unwrap();
            let output = sh(&rootfs, &format!("stat -f -c %T {target}/. /{name}/."));
            assert_eq!(said(&output), format!("{filesystem}\n{filesystem}"), "{name} -> {target}");
            let left: Vec<_> =
                fs::read_dir(rootfs.at("etc")).unwrap().flatten().map(|it| it.file_name()).collect();
            assert_eq!(left, ["deep"], "ROOTFS is as it was");
        }
    }
    assert!(fs::read_dir(&outside.0).unwrap().next().is_none());
    assert_eq!(mounts(), before);
}

#[test]
fn links_to_no_place_for_a_mount_are_refused() {
    let before = mounts();
    let outside = Directory::new("nowhere");
    let nowhere = "is a symbolic link to a name that does not exist there";
    let covered = "lead to one place";
    for (name, other) in [("proc", "sys"), ("sys", "proc"), ("dev", "proc")] {
        let itself = "is a symbolic link that leads to itself, or out of the filesystem";
        let root = "is a symbolic link to the root";
        let cases = [
            // This exists outside, and not inside.
            (outside.0.to_str().unwrap(), nowhere),
            ("../../../../nosuch", nowhere),
            (name, itself),
            ("/", root),
            ("..", root),
            ("bin/true", "is not a directory"),
            (other, covered),
            (&format!("{other}/kernel"), covered),
        ];
        for (target, why) in cases {
            let rootfs = rootfs(&format!("link-{name}"));
            fs::create_dir(rootfs.at("sys/kernel")).unwrap();
            fs::remove_dir_all(rootfs.at(name)).unwrap();
            symlink(target, rootfs.at(name)).unwrap();
            refused(&sh(&rootfs, "true"), 125, &["ROOTFS/", why, "make it a directory"]);
        }
    }
    assert!(fs::read_dir(&outside.0).unwrap().next().is_none());
    assert_eq!(mounts(), before);
}

#[test]
fn a_procfs_is_not_faked() {
    // CVE-2025-52881: a write to procfs changes another file, since another file is mounted at the name.
    let rootfs = rootfs("procfs");
    fs::create_dir_all(rootfs.at("proc/self/attr")).unwrap();
    symlink("/etc", rootfs.at("proc/sys")).unwrap();
    fs::write(rootfs.at("proc/keys"), "fake").unwrap();
    assert_eq!(said(&sh(&rootfs, "stat -f -c %T /proc/self /proc/sys")), "proc\nproc");
    assert_eq!(
        said(&sh(&rootfs, "echo x 2>/dev/null >/proc/sys/kernel/hostname || echo refused")),
        "refused"
    );
    let masked = said(&sh(&rootfs, "cat /proc/keys /proc/interrupts; echo end"));
    assert_eq!(masked, "end");
    assert!(fs::read_dir(rootfs.at("etc")).unwrap().next().is_none());
    let file = Directory::new("proc-file");
    fs::write(file.at("proc"), "").unwrap();
    refused(&sh(&file, "true"), 125, &["ROOTFS/proc is not a directory"]);
}

#[test]
fn masked_files_are_masked_by_the_device() {
    // CVE-2025-31133: /dev/null is another file, and masked files show it.
    let rootfs = rootfs("null");
    assert_eq!(
        said(&sh(
            &rootfs,
            "stat -c %t:%T /proc/interrupts; cat /proc/interrupts /proc/timer_list /proc/keys 2>/dev/null"
        )),
        "1:3"
    );
    let fake = Directory::new("fake");
    fs::write(fake.at("null"), "").unwrap();
    let script = format!(
        "mount --bind {} /dev/null && exec {PROGRAM} run {} true",
        fake.at("null").display(),
        rootfs.0.display()
    );
    let output =
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::piped()).output().unwrap();
    refused(&output, 125, &["/dev/null is not the device 1:3"]);
}

#[test]
fn a_console_is_not_a_link() {
    // CVE-2025-52565: /dev/console, or the terminal that is mounted there, is a link to a file that should be hidden.
    let rootfs = rootfs("console");
    let outside = Directory::new("console-target");
    fs::write(outside.at("file"), "untouched").unwrap();
    symlink(outside.at("file"), rootfs.at("dev/console")).unwrap();
    fs::create_dir(rootfs.at("dev/pts")).unwrap();
    symlink(outside.at("file"), rootfs.at("dev/pts/0")).unwrap();
    symlink(outside.at("file"), rootfs.at("dev/ptmx")).unwrap();
    let command = format!(
        "{PROGRAM} run {} sh -c 'stat -c %t:%T /dev/console; stat -f -c %T /dev/console'",
        rootfs.0.display()
    );
    assert_eq!(plain::shown_at_a_terminal(&command), "88:0\ndevpts");
    assert_eq!(fs::read_to_string(outside.at("file")).unwrap(), "untouched");
}

#[test]
fn namespaces_and_mounts_cannot_be_made_inside() {
    let rootfs = rootfs("filters");
    plain::install(&rootfs.0, std::path::Path::new("/usr/bin/unshare"));
    plain::install(&rootfs.0, std::path::Path::new("/bin/mount"));
    for script in [
        "unshare -U true",
        "unshare -m true",
        "mount -t tmpfs none /tmp",
        "mount -o remount,bind,rw /proc/sys",
    ] {
        assert!(!sh(&rootfs, script).status.success(), "{script}");
    }
}
