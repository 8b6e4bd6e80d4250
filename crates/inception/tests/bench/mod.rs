//! A bench for the driver: a copy of it, beside shell scripts that take the experiments' places.
// No test program uses all of it.
#![allow(dead_code)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) const DRIVER: &str = env!("CARGO_BIN_EXE_inception");
/// A machine under load, and emulated, is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// While a script is open for writing nothing may be started: the new process would hold it open for a moment, and
/// execve(2) of it would give ETXTBSY.
pub(crate) static STARTING: Mutex<()> = Mutex::new(());

/// A folder with the driver and with programs that take the experiments' places.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
}

impl Bench {
    pub(crate) fn new(test: &str) -> Bench {
        let folder = std::env::temp_dir().join(format!("inception-driver-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // By cp, so that no descriptor of ours is ever open for writing to what is to be executed.
        let copied = Command::new("cp").arg(DRIVER).arg(folder.join("inception")).status().unwrap();
        assert!(copied.success(), "the temporary directory has room");
        Bench { folder }
    }

    /// A bench on which the first demo's experiment is a script.
    pub(crate) fn with(test: &str, script: &str) -> Bench {
        let bench = Bench::new(test);
        bench.place(&first_demo(), script);
        bench
    }

    pub(crate) fn place(&self, name: &str, script: &str) {
        let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("inception"));
        command.args(arguments).stdin(Stdio::null()).env("PATH", "/usr/bin:/bin").env("HERE", &self.folder);
        for variable in ["LAB_MUST_RUN", "NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "TERM"] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        output(&mut self.command(arguments))
    }

    /// Runs the first demo, and gives the exit status and all that was written.
    pub(crate) fn ask(&self, more: &[&str]) -> (i32, String) {
        let output = self.run(&[&["run", &first_demo()], more].concat());
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    }

    pub(crate) fn has(&self, file: &str) -> bool {
        self.folder.join(file).exists()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn start(command: &mut Command) -> Child {
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap()
}

/// The same command, with every signal's default. Where a test was started by a script's `&`, SIGINT is ignored, and what
/// it starts would inherit that.
pub(crate) fn heeding(command: &Command) -> Command {
    let mut heeding = Command::new("env");
    heeding.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    heeding.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    heeding
}

pub(crate) fn output(command: &mut Command) -> Output {
    start(command.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn demos() -> Vec<String> {
    let output = output(Command::new(DRIVER).args(["list", "--format", "jsonl"]));
    let lines = text(&output.stdout);
    let name = |line| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_string();
    lines.lines().map(name).collect()
}

pub(crate) fn first_demo() -> String {
    demos().remove(0)
}

pub(crate) fn claim(id: &str) -> Value {
    json!({"id": id, "text": format!("The sentence of {id}."), "factor": "a cause", "expect": "holds",
        "notes": [84], "more": [23]})
}

pub(crate) fn begin(claims: &[&str]) -> Value {
    json!({"event": "begin", "schema": 2, "experiment": "fake", "question": "Is it so?", "notes": "None", "man": [],
        "kernel": "6.12", "sabotage": false, "sandbox": {"namespaces": [], "uid": 0},
        "claims": claims.iter().map(|id| claim(id)).collect::<Vec<_>>()})
}

pub(crate) fn judged(id: &str, verdict: &str, expected: bool) -> Value {
    let arm = json!({"effect": verdict == "holds", "facts": []});
    json!({"event": "judged", "claim": id, "verdict": verdict, "expected": expected, "control": arm, "treatment": arm})
}

pub(crate) fn skipped(id: &str) -> Value {
    json!({"event": "skipped", "claim": id, "missing": "CAP_MOON", "remedy": "fly there"})
}

pub(crate) fn end(holds: usize, refuted: usize, skipped: usize, unexpected: usize, status: u8) -> Value {
    json!({"event": "end", "broken": null, "status": status, "elapsed": 1_000_000,
        "tally": {"holds": holds, "refuted": refuted, "inconclusive": 0, "skipped": skipped, "unexpected": unexpected}})
}

/// Shell commands that write these lines.
pub(crate) fn say(events: &[Value]) -> String {
    let lines = events.iter().map(|event| format!("cat <<'END'\n{event}\nEND\n"));
    lines.collect()
}

pub(crate) fn fine() -> String {
    say(&[begin(&["a", "b"]), judged("a", "holds", true), judged("b", "refuted", true), end(1, 1, 0, 0, 0)])
}

pub(crate) fn is_one_line(text: &str) -> bool {
    text.ends_with('\n') && text.lines().count() == 1
}

pub(crate) fn within_patience(what: &str, mut happens: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happens() {
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(5));
    }
}

/// Whether a process lives; a zombie does not.
pub(crate) fn lives(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("\nState:\tZ")
}
