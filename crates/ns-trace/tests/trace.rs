//! What is told of real programs, that nobody is harmed by a death of ours, and what bad input gets.

#[path = "common/deadline.rs"]
mod deadline;
#[path = "common/input.rs"]
mod input;
#[path = "common/kept.rs"]
mod kept;

use std::fs;
use std::io::Write;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use deadline::{finish, output};
use input::Input;
use kept::Kept;

const TRACE: &str = env!("CARGO_BIN_EXE_ns-trace");

fn trace(arguments: &[&str]) -> Output {
    output(Command::new(TRACE).args(arguments).stdin(Stdio::null()))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The records about a command.
fn records(options: &[&str], command: &[&str]) -> Vec<Value> {
    let kept = Kept::new();
    trace(&[&["--wait", "--format", "jsonl", "-o", kept.path()], options, &["--"], command].concat());
    let text = fs::read_to_string(kept.path()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn can_unshare() -> bool {
    output(Command::new("unshare").args(["-Ur", "true"])).status.success()
}

/// A shell under ns-trace, which is told line by line what to do.
struct Shell {
    trace: Child,
    input: ChildStdin,
    output: Input<ChildStdout>,
}

impl Shell {
    fn start(options: &[&str]) -> Shell {
        let mut command = Command::new(TRACE);
        command.args(options).args(["--", "sh"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut trace = command.stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (trace.stdin.take().unwrap(), trace.stdout.take().unwrap());
        Shell { trace, input, output: Input::new(output) }
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.output.up_to("\n").trim_end().into()
    }

    /// Sends a signal to ns-trace, as it is.
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.trace.id() as i32), signal).unwrap();
    }
}

fn field(pid: &str, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().into()
}

/// A process that is no child of ours, until it has ended.
struct Watched(std::os::fd::OwnedFd);

impl Watched {
    fn of(pid: &str) -> Watched {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        Watched(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap())
    }

    fn ends(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::IN)];
        let deadline = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&deadline)).unwrap() == 1
    }
}

#[test]
fn a_program_is_told_of_and_left_as_it_is() {
    let output = trace(&["--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), b"out\n".as_slice()));
    let told = stderr(&output);
    assert!(told.contains("err\n") && told.contains("ends with status 7"), "{told}");
}

#[test]
fn the_exit_status_is_that_of_the_program() {
    for (command, status) in [
        (&["true"][..], 0),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["/nonexistent"], 127),
        (&["no-such-program"], 127),
        (&["/etc/passwd"], 126),
        (&["/etc"], 126),
    ] {
        let output = trace(&[&["--"], command].concat());
        assert_eq!(output.status.code(), Some(status), "{command:?}: {}", stderr(&output));
    }
}

#[test]
fn namespaces_maps_and_mounts_are_told_with_their_lessons() {
    if !can_unshare() {
        return eprintln!("skip: no user namespace can be created here");
    }
    let output = trace(&["--width", "400", "--", "unshare", "-Urpf", "--mount-proc", "true"]);
    let told = stderr(&output);
    for part in [
        "creates a user namespace, a mount namespace and a PID namespace, by unshare(",
        "14 user-ns-map",
        "writes uid_map of process",
        "it is PID 1 in its PID namespace",
        "mounts a proc on /proc (MS_NOSUID|MS_NODEV|MS_NOEXEC)  → 10 mount-ns",
        "] ends with status 0",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
}

#[test]
fn a_refusal_is_told_with_its_errno() {
    let records = records(&[], &["sh", "-c", "chroot /nonexistent true"]);
    let refused = |call: &str| records.iter().find(|it| it["call"] == call).map(|it| it["errno"].clone());
    assert_eq!(refused("chroot"), Some("ENOENT".into()), "{records:?}");
}

#[test]
fn a_kept_story_is_told_again() {
    let kept = Kept::new();
    let kept = kept.path();
    let output = trace(&["--format", "jsonl", "-o", kept, "--", "sh", "-c", "echo said"]);
    assert_eq!((stderr(&output).as_str(), output.stdout.as_slice()), ("", b"said\n".as_slice()));
    let again = trace(&["--replay", kept]);
    let told = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(told.contains("executes") && told.contains("ends with status 0"), "{told}");
    let same = trace(&["--replay", kept, "--format", "jsonl"]);
    assert_eq!(same.stdout, fs::read(kept).unwrap());
}

#[test]
fn two_stories_are_laid_side_by_side() {
    let kept = Kept::new();
    trace(&["--format", "jsonl", "-o", kept.path(), "--", "true"]);
    let output = trace(&["--width", "200", "--plain", "--compare", kept.path(), "sh -c 'exit 3'"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(table.contains("status 0") && table.contains("status 3"), "{table}");
    assert!(table.ends_with("1 of 24 answers differ\n"), "{table}");
}

#[test]
fn a_page_and_a_trace_for_the_viewer_are_whole() {
    let (page, viewer) = (Kept::new(), Kept::new());
    let files = ["--html", page.path(), "--format", "perfetto", "-o", viewer.path()];
    trace(&[&files[..], &["--", "sh", "-c", "/bin/true '<script>'"]].concat());
    let page = fs::read_to_string(page.path()).unwrap();
    assert!(
        page.ends_with("</html>") && page.contains("&lt;script&gt;") && !page.contains("<script"),
        "{page}"
    );
    let viewer: Value = serde_json::from_str(&fs::read_to_string(viewer.path()).unwrap()).unwrap();
    let events = viewer["traceEvents"].as_array().unwrap();
    assert!(events.iter().all(|event| event["ph"].is_string() && event["pid"].is_u64()), "{events:?}");
    assert!(
        events.iter().any(|event| event["name"] == "execve" && event["dur"].as_u64() >= Some(1)),
        "{events:?}"
    );
}

#[test]
fn a_killed_teller_harms_nobody() {
    let mut shell = Shell::start(&["-o", "/dev/null"]);
    let pid = shell.ask("echo $$");
    let keeper = field(&pid, "TracerPid:");
    let (program, keeper) = (Watched::of(&pid), Watched::of(&keeper));
    shell.signal(Signal::SIGKILL);
    assert!(Watched::of(&shell.trace.id().to_string()).ends());
    // Each of these is a call that stops: execve(2), and unshare(2) where it may be made.
    assert_eq!(shell.ask("/bin/echo executed"), "executed");
    assert_eq!(shell.ask("(exec /bin/echo again)"), "again");
    if can_unshare() {
        assert_eq!(shell.ask("unshare -Ur /bin/echo inside"), "inside");
    }
    drop(shell.input);
    assert!(program.ends() && keeper.ends(), "the keeper ends with the last that it traces");
}

#[test]
fn a_killed_keeper_is_told_and_another_takes_its_place() {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if !nix::unistd::geteuid().is_root() && !["", "0"].contains(&scope.trim()) {
        return eprintln!("skip: Yama lets no other keeper trace it");
    }
    let mut shell = Shell::start(&["-o", "/dev/null"]);
    let pid = shell.ask("echo $$");
    let keeper = field(&pid, "TracerPid:");
    let watched = Watched::of(&keeper);
    kill(Pid::from_raw(keeper.parse().unwrap()), Signal::SIGKILL).unwrap();
    assert!(watched.ends());
    let begun = std::time::Instant::now();
    while ["0", keeper.as_str()].contains(&field(&pid, "TracerPid:").as_str()) {
        assert!(begun.elapsed().as_secs() < 60, "nobody traces it");
        std::thread::yield_now();
    }
    assert_eq!(shell.ask("/bin/echo executed"), "executed");
    writeln!(shell.input, "exit 5").unwrap();
    let output = finish(shell.trace);
    let said = stderr(&output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(5), 1), "{said}");
    assert!(said.contains("the process that traces was killed"), "{said}");
}

#[test]
fn signals_reach_the_program_as_they_are() {
    let mut shell = Shell::start(&["-o", "/dev/null"]);
    assert_eq!(shell.ask("trap 'caught=caught' TERM; echo ready"), "ready");
    shell.signal(Signal::SIGTERM);
    assert_eq!(shell.ask("until test -n \"$caught\"; do :; done; echo $caught"), "caught");
    let pid = shell.ask("echo $$");
    let signal = |signal| kill(Pid::from_raw(pid.parse().unwrap()), signal).unwrap();
    // While it waits for a line, nothing else stops it.
    wait_for_state(&pid, "S");
    signal(Signal::SIGSTOP);
    wait_for_state(&pid, "t");
    signal(Signal::SIGCONT);
    assert_eq!(shell.ask("echo continued"), "continued");
    writeln!(shell.input, "kill -34 $$").unwrap();
    assert_eq!(finish(shell.trace).status.code(), Some(128 + 34), "a real-time signal kills too");
}

/// Until the process is in that state. There is no event for it; the deadline is generous.
fn wait_for_state(pid: &str, state: &str) {
    let begun = std::time::Instant::now();
    while !field(pid, "State:").starts_with(state) {
        assert!(begun.elapsed().as_secs() < 60, "{}", field(pid, "State:"));
        std::thread::yield_now();
    }
}

#[test]
fn a_process_that_runs_is_told_of_and_left() {
    let mut command = Command::new("sh");
    let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    let pid = shell.id().to_string();
    let mut trace =
        Command::new(TRACE).args(["--width", "200", "-p", &pid]).stderr(Stdio::piped()).spawn().unwrap();
    let mut story = Input::new(trace.stderr.take().unwrap());
    let line = story.up_to("\n");
    assert!(line.contains(&format!("PID {pid} is traced from here on")), "{line}");
    let second = output(Command::new(TRACE).args(["-p", &pid]));
    assert_eq!(second.status.code(), Some(2));
    assert!(stderr(&second).contains("is traced by process"), "{}", stderr(&second));
    writeln!(input, "/bin/true").unwrap();
    story.up_to("executes /bin/true");
    kill(Pid::from_raw(trace.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(finish(trace).status.code(), Some(0));
    assert_eq!(field(&pid, "TracerPid:"), "0");
    writeln!(input, "exit 3").unwrap();
    assert_eq!(finish(shell).status.code(), Some(3));
}

#[test]
fn two_that_run_are_told_of_together() {
    let start = || {
        let mut shell = Command::new("sh").stdin(Stdio::piped()).spawn().unwrap();
        (shell.id().to_string(), shell.stdin.take().unwrap(), shell)
    };
    let (one, other) = (start(), start());
    let kept = Kept::new();
    let mut trace = Command::new(TRACE);
    trace.args(["--format", "jsonl", "-o", kept.path(), "-p", &one.0, "-p", &other.0, "-p", &one.0]);
    let trace = trace.spawn().unwrap();
    for pid in [&one.0, &other.0] {
        let begun = std::time::Instant::now();
        while field(pid, "TracerPid:") == "0" {
            assert!(begun.elapsed().as_secs() < 60, "{pid} is not traced");
            std::thread::yield_now();
        }
    }
    let pids = [one.0.clone(), other.0.clone()];
    for (_, mut input, shell) in [one, other] {
        writeln!(input, "exec /bin/true").unwrap();
        assert!(finish(shell).status.success());
    }
    assert_eq!(finish(trace).status.code(), Some(0), "all that is traced has ended");
    let text = fs::read_to_string(kept.path()).unwrap();
    for event in ["begin", "execute", "end"] {
        assert_eq!(text.matches(&format!("\"{event}\"")).count(), 2, "{event}: {text}");
    }
    let told = trace_text(&["--replay", kept.path()]);
    assert!(told.contains(&format!("PID {} is traced from here on", pids[1])), "{told}");
}

fn trace_text(arguments: &[&str]) -> String {
    String::from_utf8_lossy(&trace(arguments).stdout).into_owned()
}

#[test]
fn bad_input_gets_one_line_and_2() {
    for (arguments, named) in [
        (&[][..], "nothing to trace"),
        (&["-p", "0"], "'0'"),
        (&["-p", "4194304"], "there is no process 4194304"),
        (&["-p", "2"], "process 2"),
        (&["--replay", "/nonexistent"], "cannot read /nonexistent"),
        (&["--replay", "/etc/passwd"], "line 1 is no record"),
        (&["--format", "moon", "--", "true"], "moon"),
        (&["-o", "/nonexistent/file", "--", "true"], "cannot write /nonexistent/file"),
        (&["-p", "1", "--", "true"], "--pid"),
        (&["--compare", "/nonexistent", "true"], "'/nonexistent' is neither a kept file"),
        (&["--compare", "true"], "2 values"),
        (&["--compare", "true", "true", "--format", "perfetto"], "no form 'perfetto'"),
        (&["--html", "/nonexistent/page", "--", "true"], "cannot write /nonexistent/page"),
    ] {
        let output = trace(arguments);
        let said = stderr(&output);
        if arguments == ["-p", "2"] && !said.contains("kernel") {
            // In a PID namespace of its own the machine has no such thread.
            continue;
        }
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{arguments:?}: {said}");
        assert!(said.contains(named) || said.contains("kernel"), "{arguments:?}: {said}");
    }
}

#[test]
fn it_fits_every_width_and_outlives_a_closed_pipe() {
    for width in ["20", "60", "80"] {
        for more in [&[][..], &["--plain"]] {
            let output = trace(&[&["--width", width], more, &["--", "sh", "-c", "true; /bin/true"]].concat());
            let told = stderr(&output);
            let longest = told.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width.parse().unwrap(), "{width}: {told}");
        }
    }
    let line =
        format!("{TRACE} -- sh -c '/bin/true; sleep 0; exit 4' 2>&1 >&- | true; echo ${{PIPESTATUS[0]}}");
    let output = output(Command::new("bash").args(["-c", &line]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4\n");
}

#[test]
fn every_call_tells_the_same_as_the_filter() {
    let command = ["sh", "-c", "/bin/true; chroot /nonexistent true; unshare -Ur sh -c 'hostname inside'"];
    let told = |options: &[&str]| -> Vec<(String, String)> {
        let records = records(options, &command);
        let calls = records.iter().filter(|it| it["event"] == "call");
        let mut calls: Vec<_> = calls.map(|it| (it["call"].to_string(), it["errno"].to_string())).collect();
        calls.sort();
        calls
    };
    let filtered = told(&[]);
    assert!(filtered.len() >= 5, "{filtered:?}");
    assert_eq!(filtered, told(&["--every-call"]));
}
