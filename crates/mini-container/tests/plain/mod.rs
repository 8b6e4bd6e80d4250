//! Shared by the tests of `run`: a root filesystem of this machine's programs, and checks of a run.
#![allow(dead_code, reason = "each test file uses some of it")]

pub(crate) mod answers;
pub(crate) mod tarred;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A machine under load is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mini-container");

/// The same, or for a test that runs on another machine, the program that its caller names.
pub(crate) fn program() -> String {
    std::env::var("CARGO_BIN_EXE_mini-container").unwrap_or_else(|_| PROGRAM.into())
}

/// What a terminal shows of a command of the shell that reads nothing.
pub(crate) fn shown_at_a_terminal(command: &str) -> String {
    let output = at_a_terminal(command).output().unwrap();
    // script(1) types the end of its own input, and the terminal may echo that.
    said(&output).replace('\r', "").replace("^@", "").trim_end().into()
}

/// A command of the shell at a terminal of script(1)'s, which prints what the terminal shows.
pub(crate) fn at_a_terminal(command: &str) -> Command {
    let mut script = Command::new("timeout");
    script
        .arg(PATIENCE.as_secs().to_string())
        .args(["script", "-qec", command, "/dev/null"])
        .stdin(Stdio::null());
    script
}

/// A directory that is removed when it is dropped.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Directory {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Not below the target directory, which other users may be unable to reach.
        let path =
            std::env::temp_dir().join(format!("mini-container-test-{}-{number}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Directory(path)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A root filesystem with a few programs of this machine and the libraries that they need.
pub(crate) fn rootfs(name: &str) -> Directory {
    let rootfs = Directory::new(name);
    for directory in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        fs::create_dir(rootfs.at(directory)).unwrap();
    }
    for program in
        ["sh", "cat", "ls", "sleep", "readlink", "stat", "head", "tr", "true", "id", "mkdir", "touch"]
    {
        install(&rootfs.0, Path::new("/bin").join(program).as_path());
    }
    rootfs
}

/// Copies a program below `rootfs`, and the libraries that ldd(1) lists for it.
pub(crate) fn install(rootfs: &Path, program: &Path) {
    copy(rootfs, program);
    let needed = Command::new("ldd").arg(program).output().unwrap();
    for word in
        String::from_utf8_lossy(&needed.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        copy(rootfs, Path::new(word));
    }
}

fn copy(rootfs: &Path, file: &Path) {
    let to = rootfs.join(file.strip_prefix("/").unwrap());
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    if !to.exists() {
        copy_program(file, &to);
    }
}

/// Copies a program that is to be run. Another process copies it: a child of another test could inherit a descriptor that
/// is open for writing. Until that child has called execve(2), executing the copy fails with ETXTBSY.
pub(crate) fn copy_program(from: impl AsRef<Path>, to: &Path) {
    assert!(Command::new("cp").arg(from.as_ref()).arg(to).status().unwrap().success());
}

/// `mini-container run` with these arguments.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(program()).arg("run").args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A shell command in a container.
pub(crate) fn sh(rootfs: &Directory, script: &str) -> Output {
    run([rootfs.0.as_os_str(), OsStr::new("sh"), OsStr::new("-c"), OsStr::new(script)])
}

/// Its standard output. Asserts that it succeeded.
pub(crate) fn said(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).trim_end().into()
}

/// Asserts that it failed with `status`, and one line on standard error that contains all of `words`.
#[track_caller]
pub(crate) fn refused(output: &Output, status: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line: {stderr}");
    assert!(stderr.starts_with("mini-container: "), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' in: {stderr}");
    }
}

/// The mounts of this process, which must be the same before and after a run.
pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}
