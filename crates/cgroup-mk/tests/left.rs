//! `cgroup-mk` leaves nothing behind, even if it is killed between two calls. It removes what killed runs left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

type Test = fn() -> Result<Completion, Failed>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_cgroup-mk");
/// A machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let tests: [(&str, Test); 2] = [
        (
            "killed_between_two_renames_it_leaves_no_directory",
            killed_between_two_renames_it_leaves_no_directory,
        ),
        ("a_start_sweeps_what_dead_owners_left", a_start_sweeps_what_dead_owners_left),
    ];
    let trials = tests.into_iter().map(|(name, test)| Trial::ignorable_test(name, test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A TMPDIR of the test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("cgroup-mk-test-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn entries(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.0).unwrap().flatten().map(|entry| entry.path()).collect()
    }

    /// Runs a command with this TMPDIR.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).env("TMPDIR", &self.0).stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn killed_between_two_renames_it_leaves_no_directory() -> Result<Completion, Failed> {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return Ok(Completion::ignored_with("strace is missing: apt install strace"));
    }
    let scratch = Scratch::new("killed");
    let renames = "rename,renameat,renameat2";
    let log = scratch.0.with_extension("log");
    // At the entry of the second rename, when the directory has its other name.
    let output = scratch.run(
        "strace",
        &[
            "-qq",
            "-o",
            log.to_str().unwrap(),
            "-e",
            &format!("trace={renames}"),
            "-e",
            &format!("inject={renames}:signal=SIGKILL:when=2"),
            PROGRAM,
        ],
    );
    let calls = fs::read_to_string(&log)?;
    fs::remove_file(&log)?;
    if output.status.success() || !calls.contains(".renamed") {
        return Ok(Completion::ignored_with(
            "no cgroup may be made here, so nothing is renamed: try as root",
        ));
    }
    assert!(calls.contains("killed by SIGKILL"), "{calls}");
    let late = Instant::now() + PATIENCE;
    while !scratch.entries().is_empty() {
        assert!(Instant::now() < late, "{:?} is left; {calls}", scratch.entries());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Completion::Completed)
}

fn a_start_sweeps_what_dead_owners_left() -> Result<Completion, Failed> {
    let scratch = Scratch::new("swept");
    let mut dead = Command::new("true").spawn()?;
    dead.wait()?;
    let left = scratch.0.join(format!("inception-{}-1-0-plain.renamed", dead.id()));
    fs::create_dir(&left)?;
    // Not to be removed: another name, and a directory whose owner still runs.
    let others = ["somebodys".to_string(), format!("inception-{}-{}-0-x", std::process::id(), start_time())];
    for other in &others {
        fs::create_dir(scratch.0.join(other))?;
    }
    scratch.run(PROGRAM, &["--all", "--format", "jsonl"]);
    assert!(!left.exists(), "what a dead owner left is gone");
    for other in others {
        assert!(Path::new(&scratch.0.join(&other)).exists(), "{other} stays");
    }
    Ok(Completion::Completed)
}

/// When this process started, in clock ticks since boot (proc_pid_stat(5)).
fn start_time() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap()
}
