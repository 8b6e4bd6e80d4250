//! `mini-container run` without ROOTFS: a root filesystem of this machine's programs.

mod plain;

use std::fs;
use std::process::{Command, Output, Stdio};

use plain::{Directory, PROGRAM, mounts, refused, run, said};

/// `mini-container run` with these arguments, where `path` is searched for busybox first.
fn run_with_path(path: &str, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .arg("run")
        .args(arguments)
        .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Whether this machine has a static busybox, which is taken before /usr. Says so.
fn has_busybox() -> bool {
    let found = run(["true"]);
    let has = String::from_utf8_lossy(&found.stderr).contains("busybox");
    if has {
        eprintln!("skip: this machine has a static busybox, which is taken before its /usr");
    }
    has
}

/// Asserts that standard error has one line, about what was made.
#[track_caller]
fn told_what_was_made(output: &Output, of: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("mini-container: no ROOTFS is given: one is made in memory, of "), "{told}");
    assert!(told.contains(of), "{told}");
}

/// A static program that lists a command `sh`, and prints its name and arguments otherwise. `None` without a C compiler
/// that can link it.
fn fake_busybox(directory: &Directory) -> Option<()> {
    let source = directory.at("busybox.c");
    fs::write(
        &source,
        "#include <stdio.h>\n#include <string.h>\nint main(int n, char **a) {\n\
         if (n > 1 && !strcmp(a[1], \"--list\")) return puts(\"busybox\\nsh\\n../evil\\n/evil\") < 0;\n\
         return printf(\"%s %s\\n\", a[0], n > 1 ? a[1] : \"-\") < 0; }\n",
    )
    .unwrap();
    let built = Command::new("cc").args(["-static", "-o"]).arg(directory.at("busybox")).arg(&source).output();
    built.is_ok_and(|it| it.status.success()).then_some(())
}

#[test]
fn this_machines_programs_run_and_its_files_stay() {
    if has_busybox() {
        return;
    }
    let before = mounts();
    let output = run([
        "sh",
        "-c",
        "echo $$; id -u; cat /etc/passwd | head -n 1; touch /etc/new /root/new; ls -d /etc/new",
    ]);
    assert_eq!(said(&output), "2\n0\nroot:x:0:0:root:/root:/bin/sh\n/etc/new");
    told_what_was_made(&output, "this machine's /usr");
    assert_eq!(mounts(), before);
    // Of the host there are programs, and nothing else.
    let names = said(&run(["sh", "-c", "cd /; echo *; ls /root /var /tmp /run"]));
    for absent in ["boot", "home", "mnt", "opt", "srv"] {
        assert!(!names.split_whitespace().any(|name| name == absent), "{names}");
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    assert_ne!(said(&run(["cat", "/etc/passwd"])), passwd.trim_end());
    // A write to /usr fails, or stays in memory.
    let name = format!("mini-container-test-{}", std::process::id());
    let _ = run(["sh", "-c", &format!("touch /usr/{name}; echo evil >/bin/true; rm -rf /usr/share/doc")]);
    assert!(!std::path::Path::new("/usr").join(&name).exists());
    assert!(Command::new("true").status().unwrap().success());
}

#[test]
fn the_first_word_is_rootfs_or_a_command_by_one_rule() {
    let work = Directory::new("words");
    let here = |arguments: &[&str]| {
        Command::new(PROGRAM)
            .arg("run")
            .args(arguments)
            .current_dir(&work.0)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    assert_eq!(said(&here(&["echo", "no", "ROOTFS"])), "no ROOTFS");
    assert_eq!(said(&here(&["--", "echo", "no", "ROOTFS"])), "no ROOTFS");
    assert_eq!(said(&here(&["--", "/bin/echo", "--", "x"])), "-- x");
    assert_eq!(said(&here(&["echo", "--", "x"])), "-- x");
    // A name with a / is ROOTFS.
    refused(
        &here(&["/bin/echo", "x"]),
        125,
        &["/bin/echo: neither a directory nor a tar", "run -- /bin/echo"],
    );
    refused(&here(&["./echo", "x"]), 125, &["ROOTFS ./echo", "No such file", "run -- ./echo"]);
    // So is that of a file here.
    fs::write(work.at("echo"), "").unwrap();
    refused(&here(&["echo", "x"]), 125, &["echo: neither a directory nor a tar", "run -- echo"]);
    assert_eq!(said(&here(&["--", "echo", "x"])), "x");
    fs::remove_file(work.at("echo")).unwrap();
    fs::create_dir(work.at("echo")).unwrap();
    refused(&here(&["echo", "x"]), 127, &["x: not found", "ROOTFS has no such file"]);
    let output = here(&["debian", "bash"]);
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.lines().last().unwrap().contains("debian: not found"), "{told}");
    assert!(told.contains("docker save IMAGE > image.tar"), "{told}");
}

#[test]
fn a_static_busybox_is_taken_for_the_commands_that_it_has() {
    let work = Directory::new("busybox");
    if fake_busybox(&work).is_none() {
        eprintln!("skip: cc links no static program here: apt install gcc libc6-dev");
        return;
    }
    let path = work.0.to_str().unwrap();
    let output = run_with_path(path, &["sh", "argument"]);
    assert_eq!(said(&output), "sh argument");
    told_what_was_made(&output, &format!("{path}/busybox, with 2 commands"));
    assert_eq!(said(&run_with_path(path, &["--", "/bin/sh", "x"])), "/bin/sh x");
    // Another command comes from /usr.
    let output = run_with_path(path, &["echo", "x"]);
    assert_eq!(said(&output), "x");
    told_what_was_made(&output, "this machine's /usr");
    // It is a copy: root inside cannot reach the file.
    let digest = fs::read(work.at("busybox")).unwrap();
    assert!(said(&run_with_path(path, &["sh", "--list"])).contains("sh"));
    assert!(fs::read(work.at("busybox")).unwrap() == digest);
}

#[test]
fn no_other_busybox_is_taken() {
    if has_busybox() {
        return;
    }
    let work = Directory::new("not-busybox");
    let path = work.0.to_str().unwrap();
    let busybox = work.at("busybox");
    // One that needs libraries, a script, one that does not run, a directory.
    plain::copy_program("/bin/sh", &busybox);
    told_what_was_made(&run_with_path(path, &["true"]), "this machine's /usr");
    fs::write(&busybox, "#!/bin/sh\necho true\n").unwrap();
    told_what_was_made(&run_with_path(path, &["true"]), "this machine's /usr");
    fs::write(&busybox, b"\x7fELF").unwrap();
    told_what_was_made(&run_with_path(path, &["true"]), "this machine's /usr");
    fs::remove_file(&busybox).unwrap();
    fs::create_dir(&busybox).unwrap();
    told_what_was_made(&run_with_path(path, &["true"]), "this machine's /usr");
}

#[test]
fn where_filesystems_are_mounted_in_usr_it_is_read_only() {
    if has_busybox() {
        return;
    }
    // As on WSL2, which mounts drivers below /usr/lib.
    let script = format!(
        "mount -t tmpfs none /usr/share && touch /usr/share/there && \
         exec {PROGRAM} run sh -c 'ls /usr/share; touch /usr/new 2>/dev/null || echo refused'"
    );
    let output =
        Command::new("unshare").args(["-Urm", "sh", "-c", &script]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(said(&output), "there\nrefused");
    told_what_was_made(&output, "/usr (read-only)");
}
