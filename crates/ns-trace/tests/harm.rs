//! Whatever a traced program does, it does as it would without ns-trace; and what forbids tracing is told in one line.

#[path = "common/deadline.rs"]
mod deadline;
#[path = "common/input.rs"]
mod input;
#[path = "common/kept.rs"]
mod kept;
#[path = "common/programs.rs"]
mod programs;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::errno::Errno;
use ns_core::seccomp::{Action, Filter, Rule};
use serde_json::Value;

use deadline::{finish, output};
use input::Input;
use kept::Kept;
use programs::is_there;

const TRACE: &str = env!("CARGO_BIN_EXE_ns-trace");

/// Says to a test of this file that it is the program that is traced.
const TRACED: &str = "NS_TRACE_TEST_IS_TRACED";

fn trace(arguments: &[&str]) -> Output {
    output(Command::new(TRACE).args(arguments).stdin(Stdio::null()))
}

/// What is told of a command line for a shell, and how it ended.
fn story(line: &str) -> (String, Output) {
    let file = Kept::new();
    let output = trace(&["--wait", "--width", "400", "-o", file.path(), "--", "sh", "-c", line]);
    (fs::read_to_string(file.path()).unwrap(), output)
}

/// The same of a test of this file, which knows by [`TRACED`] that it is the program.
fn story_of_test(name: &str) -> (String, Output) {
    let file = Kept::new();
    let us = std::env::current_exe().unwrap();
    let mut command = Command::new(TRACE);
    command.args(["--wait", "--width", "400", "-o", file.path(), "--"]).arg(us).args([
        "--exact",
        name,
        "--nocapture",
    ]);
    let output = output(command.env(TRACED, "1").stdin(Stdio::null()));
    (fs::read_to_string(file.path()).unwrap(), output)
}

fn is_traced() -> bool {
    std::env::var_os(TRACED).is_some()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command whose first process is behind a filter: a filter belongs to a thread, and its children inherit it.
fn behind(rule: Rule, action: Action, arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || {
        nix::sys::prctl::set_no_new_privs().unwrap();
        Filter::new(&[rule], action).unwrap().install().unwrap();
        output(Command::new(&arguments[0]).args(&arguments[1..]).stdin(Stdio::null()))
    };
    thread::spawn(run).join().unwrap()
}

#[test]
fn a_refused_ptrace_is_told_in_one_line() {
    for (errno, remedy) in [(Errno::EPERM, "behind a seccomp filter"), (Errno::ENOSYS, "has no ptrace()")] {
        let output = behind(
            Rule::call(libc::SYS_ptrace),
            Action::Refuse(errno),
            &[TRACE, "--", "sh", "-c", "echo ran"],
        );
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains(&format!("{errno:?}")) && said.contains(remedy), "{said}");
        assert_eq!(text(&output.stdout), "", "what cannot be traced is not run");
    }
}

#[test]
fn a_filter_that_kills_kills_under_us_too() {
    let command = ["chroot", "/nonexistent", "true"];
    let rule = Rule::call(libc::SYS_chroot);
    let alone = behind(rule, Action::Kill, &command);
    assert_eq!(alone.status.signal(), Some(libc::SIGSYS));
    let output = behind(rule, Action::Kill, &[&[TRACE, "--"], &command[..]].concat());
    assert_eq!(output.status.code(), Some(128 + libc::SIGSYS));
    assert!(text(&output.stderr).contains("is killed by SIGSYS"), "{}", text(&output.stderr));
}

#[test]
fn a_thousand_processes_are_told_each_once() {
    let (told, output) = story("i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done; exit 3");
    assert_eq!(output.status.code(), Some(3));
    let count = |part: &str| told.lines().filter(|line| line.contains(part)).count();
    let counts =
        ["is created by", "executes /bin/true", "ends with status 0", "ends with status 3"].map(count);
    assert_eq!(counts, [1000, 1000, 1000, 1], "{told}");
}

#[test]
fn a_child_goes_on_although_its_creator_was_killed() {
    // One that forks all the time is killed at any moment. Its last child may stop when nobody is left who tells of it. The
    // substitution ends with the last of them.
    let once = "x=$( (while :; do (:); done) & /bin/true; kill -KILL $! )";
    let line = format!("i=0; while [ $i -lt 100 ]; do {once}; i=$((i+1)); done");
    let file = Kept::new();
    let output = trace(&["--wait", "--format", "jsonl", "-o", file.path(), "--", "sh", "-c", &line]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let story = fs::read_to_string(file.path()).unwrap();
    let records = story.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut created, mut ended) = (vec![], vec![]);
    for record in records {
        match record["event"].as_str() {
            Some("begin") => created.push(record["pid"].as_i64()),
            Some("process") => created.push(record["child"].as_i64()),
            Some("end") => ended.push(record["pid"].as_i64()),
            _ => {}
        }
    }
    created.sort_unstable();
    ended.sort_unstable();
    assert!(created.len() > 300, "{story}");
    assert_eq!(created, ended);
}

#[test]
fn a_thread_that_executes_takes_its_process_along() {
    if is_traced() {
        // The thread of a test is not the first of its process.
        panic!("{}", Command::new("/bin/echo").arg("executed").exec());
    }
    let (told, output) = story_of_test("a_thread_that_executes_takes_its_process_along");
    assert!(text(&output.stdout).ends_with("executed\n"), "{output:?}");
    assert!(told.contains("executes /bin/echo executed") && told.contains("ends with status 0"), "{told}");
}

#[test]
fn another_name_is_told_from_then_on() {
    if is_traced() {
        let _ = nix::unistd::chroot("/nonexistent");
        nix::sys::prctl::set_name(c"renamed").unwrap();
        let _ = nix::unistd::chroot("/nonexistent");
        return;
    }
    let (told, _) = story_of_test("another_name_is_told_from_then_on");
    let names: Vec<bool> = told
        .lines()
        .filter(|line| line.contains("root directory"))
        .map(|line| line.contains(" renamed "))
        .collect();
    assert_eq!(names, [false, true], "{told}");
}

#[test]
fn a_program_of_32_bits_is_told_as_such() {
    if cfg!(not(target_arch = "x86_64")) {
        return eprintln!("skip: no such program for this machine");
    }
    // elf(5): a header, one segment, and exit(7) as i386 has it.
    let header: [u32; 13] =
        [0x464c_457f, 0x0001_0101, 0, 0, 0x0003_0002, 1, 0x0804_8054, 52, 0, 0, 0x0020_0034, 1, 0];
    let segment: [u32; 8] = [1, 0, 0x0804_8000, 0x0804_8000, 96, 96, 5, 4096];
    let code = [0x31, 0xc0, 0x40, 0xb3, 7, 0xcd, 0x80, 0, 0, 0, 0, 0];
    let words = header.into_iter().chain(segment).flat_map(u32::to_le_bytes);
    let program = Kept::new();
    fs::write(program.path(), words.chain(code).collect::<Vec<u8>>()).unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    if Command::new(program.path()).status().ok().and_then(|status| status.code()) != Some(7) {
        return eprintln!("skip: this kernel runs no program of 32 bits");
    }
    let output = trace(&["--width", "400", "--", program.path()]);
    assert_eq!(output.status.code(), Some(7));
    assert!(text(&output.stderr).contains("runs a program of 32 bits"), "{}", text(&output.stderr));
}

#[test]
fn every_byte_goes_through() {
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut trace = Command::new(TRACE);
    trace.args(["-o", "/dev/null", "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut trace = trace.spawn().unwrap();
    let mut input = trace.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = thread::spawn(move || input.write_all(&sent));
    let output = finish(trace);
    writer.join().unwrap().unwrap();
    assert!(output.status.success() && output.stdout == bytes);
}

#[test]
fn a_closed_standard_error_is_no_reason_to_fail() {
    let line = format!("{TRACE} -- sh -c 'echo out; exit 3' 2>&-");
    let output = output(Command::new("sh").args(["-c", &line]));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), b"out\n".as_slice()));
}

#[test]
fn who_is_traced_traces_nobody() {
    let output = trace(&["-o", "/dev/null", "--", TRACE, "--", "true"]);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("ns-trace itself is traced, by process"), "{said}");
    // Each of the two would wait for the other.
    let line = format!("{TRACE} -p $(awk '/TracerPid/ {{ print $2 }}' /proc/$$/status)");
    let (_, output) = story(&line);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("traces ns-trace itself"), "{said}");
}

/// The same by an ordinary user. None, and said, where root cannot become one.
fn trace_as_ordinary_user(arguments: &[&str]) -> Option<Output> {
    if !nix::unistd::geteuid().is_root() {
        return Some(trace(arguments));
    }
    if !is_there("setpriv") {
        eprintln!("skip: setpriv is not installed");
        return None;
    }
    // Where nobody else finds it.
    let copy = Kept::new();
    fs::copy(TRACE, copy.path()).unwrap();
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups", copy.path()];
    Some(output(Command::new("setpriv").args(user).args(arguments)))
}

#[test]
fn an_ordinary_user_is_told_that_set_user_id_programs_gain_nothing() {
    let line = "grep NoNewPrivs /proc/self/status";
    for (options, value, said) in [
        (&[][..], "1", "no_new_privs is set"),
        (&["--every-call"], "0", "is traced without CAP_SYS_PTRACE: set-user-ID programs"),
    ] {
        let arguments = [options, &["--", "sh", "-c", line]].concat();
        let Some(output) = trace_as_ordinary_user(&arguments) else { return };
        assert_eq!(text(&output.stdout), format!("NoNewPrivs:\t{value}\n"), "{output:?}");
        let story = text(&output.stderr).replace("\n    ", " ");
        assert_eq!(story.matches("set-user-ID").count(), 1, "{story}");
        assert!(story.contains(said), "{story}");
    }
}

/// As pasta does, whose children open sockets of another network namespace for it.
#[test]
fn what_a_child_opens_in_a_table_that_it_shares_is_told_of_its_creator() {
    if !is_there("perl") {
        return eprintln!("skip: perl is not installed");
    }
    let (clone, exit) = (libc::SYS_clone, libc::SYS_exit_group);
    let flags = libc::CLONE_FILES | libc::SIGCHLD;
    let line = format!(
        "$us = $$; $child = syscall({clone}, {flags}, 0, 0, 0, 0); \
         if ($child == 0) {{ open($file, q(>), qq(/proc/$us/oom_score_adj)); syscall({exit}, fileno $file) }} \
         waitpid($child, 0); open($file, q(>&=), $? >> 8); syswrite($file, 7)"
    );
    let (told, output) = story(&format!("exec perl -e '{line}'"));
    assert!(told.contains("perl writes \"7\" to /proc/"), "{told}{output:?}");
}

#[test]
fn a_key_of_the_terminal_reaches_the_program_once() {
    if !is_there("setsid") {
        return eprintln!("skip: setsid is not installed");
    }
    let terminal = nix::pty::openpty(None, None).unwrap();
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    let traps = "trap 'n=$((n+1)); echo caught $n.' INT; trap 'echo changed.' WINCH";
    let line = format!("{traps}; echo ready.; while :; do read x; test \"$x\" = end && exit 5; done");
    // A shell cannot catch what was ignored when it began, as SIGINT is of a job in the background.
    let mut command = Command::new("env");
    command.args(["--default-signal=INT", "setsid", "--ctty", "--wait"]);
    command.args([TRACE, "-o", "/dev/null", "--", "sh", "-c", &line]);
    let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let mut keys = File::from(terminal.master.try_clone().unwrap());
    let mut screen = Input::new(File::from(terminal.master.try_clone().unwrap()));
    screen.up_to("ready.");
    // A signal that comes right before the shell's read(2) is handled after it: a line ends that.
    keys.write_all(b"\x03\n").unwrap();
    screen.up_to("caught 1.");
    let size = rustix::termios::Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&terminal.master, size).unwrap();
    keys.write_all(b"\n").unwrap();
    screen.up_to("changed.");
    keys.write_all(b"\x03\n").unwrap();
    screen.up_to("caught 2.");
    keys.write_all(b"end\n").unwrap();
    assert_eq!(finish(child).status.code(), Some(5));
    // It would stand before the echo of what was typed last.
    let rest = screen.up_to("end");
    assert!(!rest.contains("caught"), "{rest}");
}
