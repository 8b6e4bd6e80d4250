//! A shell in a container, at a terminal: job control, sizes, settings, and the end of the terminal.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};

use crate::plain::{self, Directory, PATIENCE, PROGRAM, rootfs};
use promises::Terminal;

/// A job that prints what happens to it. Its output differs from its input, which the terminal echoes.
const JOB: &str = "sh -c 'trap \"echo continued $((6*7))\" CONT; trap \"echo interrupted $((6*7)); exit 3\" INT; \
                   echo started $((6*7)); while :; do sleep 1000 & wait $!; kill $!; done'\n";

/// Job control at a shell, and the expected output.
fn use_job_control(terminal: &mut Terminal) {
    terminal.types("echo ready $((6*7))\n");
    terminal.shows("ready 42\r\n");
    terminal.types("readlink /proc/self/fd/0\n");
    terminal.shows("/dev/pts/0\r\n");
    terminal.types(JOB);
    terminal.shows("started 42\r\n");
    terminal.types("\u{1a}"); // ^Z
    terminal.shows("Stopped");
    // The shell runs again, and so does this session.
    terminal.types("echo status $?\n");
    terminal.shows("status 1");
    terminal.types("bg\n");
    terminal.shows("continued 42\r\n");
    terminal.types("jobs\n");
    terminal.shows("Running");
    // A job in the background does not receive ^C.
    terminal.types("echo first $((6*7))\n");
    terminal.shows("first 42\r\n");
    terminal.types("\u{3}");
    // Input typed before ^C takes effect is lost: the terminal discards it.
    terminal.shows("\n");
    terminal.types("jobs\n");
    terminal.shows("Running");
    terminal.types("kill -STOP %1\n");
    terminal.asks_until("jobs", "Stopped");
    terminal.types("fg\n");
    // Printed after it is in the foreground.
    terminal.shows("continued 42\r\n");
    terminal.types("\u{3}");
    terminal.shows("interrupted 42\r\n");
    terminal.types("echo status $?\n");
    terminal.shows("status 3\r\n");
}

/// Runs all steps in a shell that is the container's command.
fn shell(before_it: &[&str], program: &str, rootfs: &str, options: &[&str], command: &[&str]) {
    let mut terminal = Terminal::with(&[before_it, &[program, "run"], options, &[rootfs], command].concat());
    let settings = terminal.settings_before();
    use_job_control(&mut terminal);
    terminal.types("exit 5\n");
    let (status, settings_after) = terminal.ends();
    assert_eq!(status, Some(5));
    assert_eq!(settings_after, settings, "the terminal is set as it was");
}

const ORDINARY: [&str; 6] = ["setpriv", "--reuid", "64321", "--regid", "64321", "--clear-groups"];

/// As the user who runs the tests, and if that is root, also as an ordinary user.
fn shell_as_everyone(rootfs: &str, options: &[&str], command: &[&str]) {
    shell(&[], PROGRAM, rootfs, options, command);
    if nix::unistd::geteuid().is_root() {
        let here = Directory::new("program");
        plain::copy_program(PROGRAM, &here.at("program"));
        shell(&ORDINARY, here.at("program").to_str().unwrap(), rootfs, &[], command);
    }
}

/// A root filesystem with this machine's busybox under all its names.
fn busybox(name: &str) -> Result<Directory, Completion> {
    let Ok(list) = Command::new("/bin/busybox").arg("--list").output() else {
        return Err(Completion::ignored_with("/bin/busybox is missing: apt install busybox"));
    };
    let rootfs = Directory::new(name);
    for directory in ["bin", "dev", "etc", "proc", "root", "sys", "tmp"] {
        fs::create_dir(rootfs.at(directory)).unwrap();
    }
    plain::install(&rootfs.0, Path::new("/bin/busybox"));
    for name in String::from_utf8_lossy(&list.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", rootfs.at("bin").join(name)).unwrap();
    }
    Ok(rootfs)
}

pub(crate) fn a_busybox_shell_has_job_control() -> Result<Completion, Failed> {
    let rootfs = match busybox("busybox") {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    shell_as_everyone(rootfs.0.to_str().unwrap(), &[], &["sh"]);
    Ok(Completion::Completed)
}

pub(crate) fn this_machines_shell_has_job_control() -> Result<Completion, Failed> {
    let rootfs = rootfs("jobs");
    shell_as_everyone(rootfs.0.to_str().unwrap(), &[], &["sh", "-i"]);
    Ok(Completion::Completed)
}

/// A Debian root filesystem of `scripts/rootfs debian`, at the path in MINI_CONTAINER_DEBIAN.
pub(crate) fn a_debian_shell_has_job_control() -> Result<Completion, Failed> {
    let Ok(rootfs) = std::env::var("MINI_CONTAINER_DEBIAN") else {
        let remedy = "scripts/rootfs debian /tmp/debian; export MINI_CONTAINER_DEBIAN=/tmp/debian";
        return Ok(Completion::ignored_with(format!("a Debian is missing: {remedy}")));
    };
    shell_as_everyone(&rootfs, &["--user", "auto"], &["bash"]);
    Ok(Completion::Completed)
}

pub(crate) fn a_new_size_is_passed_on() -> Result<Completion, Failed> {
    let rootfs = match busybox("size") {
        Ok(rootfs) => rootfs,
        Err(skipped) => return Ok(skipped),
    };
    let mut terminal = Terminal::with(&[PROGRAM, "run", rootfs.0.to_str().unwrap(), "sh"]);
    terminal.types("stty size\n");
    terminal.shows("24 200\r\n");
    terminal.types("sh -c 'trap \"stty size; exit\" WINCH; echo waiting $((6*7)); sleep 1000 & wait'\n");
    terminal.shows("waiting 42\r\n");
    terminal.resize(50, 132);
    terminal.shows("50 132\r\n");
    terminal.types("exit 0\n");
    assert_eq!(terminal.ends().0, Some(0));
    Ok(Completion::Completed)
}

pub(crate) fn the_terminal_is_set_back_however_it_ends() -> Result<Completion, Failed> {
    let rootfs = rootfs("settings");
    for signal in ["TERM", "INT", "HUP"] {
        let path = rootfs.0.to_str().unwrap();
        let mut terminal =
            Terminal::with(&[PROGRAM, "run", path, "sh", "-c", "echo ready $((6*7)); exec sleep 1000"]);
        let settings = terminal.settings_before();
        terminal.shows("ready 42\r\n");
        assert_ne!(terminal.settings(), settings, "what is typed goes on byte by byte");
        kill(signal, terminal.pid());
        let (status, settings_after) = terminal.ends();
        assert!(status.is_some_and(|status| status > 128), "{signal}: {status:?}");
        assert_eq!(settings_after, settings, "{signal}");
    }
    Ok(Completion::Completed)
}

pub(crate) fn as_a_job_of_a_shell_it_can_be_stopped_and_fetched() -> Result<Completion, Failed> {
    let rootfs = rootfs("job");
    let mut terminal = Terminal::with(&["bash", "--norc", "--noediting", "-i"]);
    terminal.types(&format!("{PROGRAM} run {} sh -i\n", rootfs.0.display()));
    terminal.types("echo inside $((6*7)) $$\n");
    terminal.shows("inside 42 2\r\n");
    // ^Z is forwarded, and stops no process outside.
    terminal.types("\u{1a}");
    terminal.types("echo still $((6*7)) $$\n");
    terminal.shows("still 42 2\r\n");
    let launcher = child_of(terminal.pid());
    kill("STOP", launcher);
    terminal.shows("Stopped");
    terminal.types("echo outside $((6*7))\n");
    terminal.shows("outside 42\r\n");
    terminal.types("fg\n");
    terminal.shows("sh -i\r\n");
    // The keys are forwarded one by one again; otherwise ^C would end the launcher.
    until(|| !terminal.settings().contains("ISIG"), "keys that are passed on");
    terminal.types("\u{3}");
    terminal.shows("^C\r\n");
    terminal.types("echo back $((6*7)) $$\n");
    terminal.shows("back 42 2\r\n");
    terminal.types("exit 7\n");
    // Keys typed while the container still runs would be forwarded to it.
    terminal.shows("exit 7\r\n");
    terminal.shows("$ ");
    terminal.types("echo status $? $((6*7))\n");
    terminal.shows("status 7 42\r\n");
    terminal.types("exit 0\n");
    assert_eq!(terminal.ends().0, Some(0));
    Ok(Completion::Completed)
}

pub(crate) fn in_the_background_it_is_not_stopped() -> Result<Completion, Failed> {
    let rootfs = rootfs("background");
    let path = rootfs.0.display();
    let mut terminal = Terminal::with(&["bash", "--norc", "--noediting", "-i"]);
    for output in ["", ">/dev/null"] {
        terminal.types(&format!("{PROGRAM} run {path} sleep 0.1 {output} & wait; echo ended $? $((6*7))\n"));
        terminal.shows("ended 0 42\r\n");
    }
    // A shell does not notify a running job that it is in the foreground now.
    terminal.types(&format!("{PROGRAM} run {path} sh -i &\n"));
    terminal.shows("# ");
    terminal.types("echo outside $((6*7)) $(readlink /proc/self/ns/pid)\n");
    terminal.shows("outside 42 pid:");
    terminal.types("fg\n");
    terminal.shows("sh -i\r\n");
    until(|| !terminal.settings().contains("ISIG"), "keys that are passed on");
    terminal.types("echo inside $((6*7)) $$\n");
    terminal.shows("inside 42 2\r\n");
    terminal.types("exit 7\n");
    terminal.shows("exit 7\r\n");
    terminal.shows("$ ");
    terminal.types("exit $?\n");
    assert_eq!(terminal.ends().0, Some(7));
    Ok(Completion::Completed)
}

pub(crate) fn what_is_typed_and_not_read_hinders_nobody() -> Result<Completion, Failed> {
    let rootfs = rootfs("typed");
    let path = rootfs.0.to_str().unwrap();
    let mut terminal =
        Terminal::with(&[PROGRAM, "run", path, "sh", "-c", "echo ready $((6*7)); exec sleep 1000"]);
    terminal.shows("ready 42\r\n");
    // More input than all buffers hold. Even then the container can be ended.
    terminal.pastes(&"something long\n".repeat(100_000));
    kill("TERM", terminal.pid());
    assert_eq!(terminal.ends().0, Some(143));
    Ok(Completion::Completed)
}

pub(crate) fn nothing_is_left_when_the_terminal_is_gone() -> Result<Completion, Failed> {
    let rootfs = rootfs("gone");
    let path = rootfs.0.to_str().unwrap();
    // As the session leader, as a job of the leader, and as a background job.
    for (case, started) in ["{} sh -i", "bash --norc -ic '{} sh -i; true'"].iter().enumerate() {
        let number = format!("{}{case}", 100_000 + std::process::id());
        let run = started.replace("{}", &format!("{PROGRAM} run {path}"));
        let mut terminal = Terminal::with(&["sh", "-c", &format!("exec {run}")]);
        terminal.types(&format!("sleep {number} & sh -c 'echo ready $((6*7)); exec sleep {number}'\n"));
        terminal.shows("ready 42\r\n");
        // The second prints its text before execve(2).
        until(|| how_many("sleep", &number) == 2, "two jobs");
        terminal.hangs_up().wait().unwrap();
        until(|| how_many("sleep", &number) + how_many(PROGRAM, path) == 0, &format!("the end of {run}"));
    }
    Ok(Completion::Completed)
}

/// Waits until the condition is true.
#[track_caller]
fn until(is_so: impl Fn() -> bool, what: &str) {
    let late = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < late, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap().success());
}

fn child_of(process: u32) -> u32 {
    let path = format!("/proc/{process}/task/{process}/children");
    fs::read_to_string(path).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// How many processes have this program's name and this argument.
fn how_many(program: &str, argument: &str) -> usize {
    let is_one = |line: Vec<u8>| {
        let line = String::from_utf8_lossy(&line).into_owned();
        line.starts_with(program) && line.split('\0').any(|it| it == argument)
    };
    let lines =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|it| fs::read(it.path().join("cmdline")).ok());
    lines.filter(|line| is_one(line.clone())).count()
}
