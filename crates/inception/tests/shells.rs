//! Shells of experiments, together: one enters another, two are connected, and the driver opens one by its number.

#[path = "built/mod.rs"]
mod built;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use promises::Terminal;

static PROGRAMS: LazyLock<PathBuf> =
    LazyLock::new(|| built::programs(Path::new(env!("CARGO_BIN_EXE_inception"))));

fn program(name: &str) -> String {
    PROGRAMS.join(name).display().to_string()
}

fn run(name: &str, arguments: &[&str]) -> Output {
    Command::new(program(name)).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A name that no other test gives.
fn name(of: &str) -> String {
    format!("{of}-{}", std::process::id())
}

/// What an experiment's shell is opened with at a terminal of its own; `None` where the machine refuses it.
fn open(program_name: &str, arguments: &[&str]) -> Option<Terminal> {
    let probe = run(program_name, &["shell", "--", "true"]);
    if probe.status.code() == Some(77) {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), &probe.stderr);
        return None;
    }
    let path = program(program_name);
    let mut command = Command::new("setsid");
    command.args(["--ctty", &path, "shell"]).args(arguments).env("SHELL", "/bin/sh").env_remove("ENV");
    let mut terminal = Terminal::of(&mut command);
    terminal.shows("] $ ");
    Some(terminal)
}

fn leaves(mut terminal: Terminal) {
    terminal.types("exit 3\n");
    assert_eq!(terminal.ends().0, Some(3));
}

const NAMESPACES: &str = "readlink /proc/self/ns/* | sort; pwd; id -u";

#[test]
fn ns_enter_goes_where_a_shell_is_by_its_name_and_by_hand() {
    let name = name("all");
    let Some(mut shell) = open("ns-compare", &["--name", &name]) else { return };
    let inside = shell.answers(NAMESPACES).replace("\r\n", "\n");
    let entered = run("ns-enter", &[&name, "--", "sh", "-c", NAMESPACES]);
    assert_eq!(out(&entered), inside, "{entered:?}");
    let script = out(&run("ns-enter", &[&name, "--by-hand", "--", "sh", "-c", NAMESPACES]));
    let by_hand = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(out(&by_hand), inside, "{script}");
    // One kind alone: the others are those of who enters.
    let own = std::fs::read_link("/proc/self/ns/uts").unwrap().display().to_string();
    let ask = ["--", "readlink", "/proc/self/ns/uts", "/proc/self/ns/net"];
    let some = out(&run("ns-enter", &[&[name.as_str(), "--only", "net"], &ask[..]].concat()));
    let lines: Vec<&str> = some.lines().collect();
    assert!(lines[0] == own && inside.contains(lines[1]), "{some}");
    // What is left in it ends with whoever has entered, and its status is passed on.
    let left = run("ns-enter", &[&name, "--", "sh", "-c", "setsid sleep 1000 & exit 7"]);
    assert_eq!(left.status.code(), Some(7));
    assert!(!shell.answers("ps ax").contains("sleep 1000"));
    leaves(shell);
    assert_eq!(run("ns-enter", &[&name, "--", "true"]).status.code(), Some(2), "it is gone");
}

/// When a process ends whose parent is in another process group of its session, the kernel hangs up the group if it is
/// orphaned and one of it is stopped (setpgid(2)). A script that begins a session is in such a group with all its commands.
#[test]
fn a_command_in_a_shell_hangs_up_nobody() {
    let probe = run("uts-demo", &["shell", "--", "true"]);
    if probe.status.code() == Some(77) {
        return eprintln!("skip: {}", String::from_utf8_lossy(&probe.stderr));
    }
    let script = "trap 'echo hung up' HUP
        sleep 1000 & kill -STOP $!
        until grep -q '^State:.T' /proc/$!/status; do :; done
        \"$1\" shell -- sh -c 'sleep 1000 & exit 7'
        echo $?
        kill -KILL $!";
    let mut session = Command::new("setsid");
    session.args(["--wait", "sh", "-c", script, "sh", &program("uts-demo")]).stdin(Stdio::null());
    assert_eq!(out(&session.output().unwrap()), "7\n");
}

#[test]
fn a_shell_may_be_entered_at_a_terminal() {
    let name = name("entered");
    let Some(shell) = open("uts-demo", &["--name", &name, "--hostname", "seen"]) else { return };
    let mut command = Command::new("setsid");
    command.args(["--ctty", &program("ns-enter"), &name]).env("SHELL", "/bin/sh").env_remove("ENV");
    let mut visitor = Terminal::of(&mut command);
    visitor.shows("] $ ");
    assert!(visitor.answers("hostname").contains("seen"));
    assert!(visitor.answers("hostname heard; hostname").contains("heard"));
    leaves(visitor);
    leaves(shell);
}

#[test]
fn two_shells_have_the_ends_of_a_veth_pair_until_one_ends() {
    let left = name("left");
    let Some(mut shell) = open("veth-pair", &["--name", &left]) else { return };
    assert!(!shell.answers("ip -br link").contains("a0"));
    let addresses =
        ["shell", "--peer", &left, "--", "sh", "-c", "ip -br addr | tr -s ' ' | cut -d ' ' -f 1,3"];
    let peer = run("veth-pair", &addresses);
    assert!(out(&peer).contains("b0@") && out(&peer).contains("10.0.0.2/24"), "{peer:?}");
    // Both ends go with the namespace of one, which the kernel takes apart later.
    let gone = ("ip link show a0 2>&1", "does not exist");
    shell.asks_until(gone.0, gone.1);
    let mut by_hand = addresses.to_vec();
    by_hand.insert(3, "--by-hand");
    let script = out(&run("veth-pair", &by_hand));
    let typed = Command::new("sh").args(["-c", &script]).output().unwrap();
    let indices = |text: String| text.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(indices(out(&typed)), indices(out(&peer)), "{script}");
    shell.asks_until(gone.0, gone.1);
    let Some(mut right) = open("veth-pair", &["--peer", &left]) else { return };
    assert!(shell.answers("ip -br addr show a0").contains("10.0.0.1/24"));
    assert!(right.answers("ip route get 10.0.0.1").contains("dev b0"));
    leaves(right);
    shell.asks_until(gone.0, gone.1);
    leaves(shell);
}

#[test]
fn names_are_found_or_refused_in_one_line() {
    let name = name("twice");
    let Some(shell) = open("uts-demo", &["--name", &name]) else { return };
    for (program, arguments, status, said) in [
        ("uts-demo", vec!["shell", "--name", &name, "--", "true"], 2, "is open"),
        ("ns-enter", vec!["no-such-shell", "--", "true"], 2, "no shell and no running container"),
        ("ns-enter", vec!["4194304999", "--", "true"], 2, "no shell and no running container"),
        ("ns-enter", vec!["4194303", "--", "true"], 2, "no process has PID"),
        ("ns-enter", vec![&name, "--only", "nat", "--", "true"], 2, "choose from"),
        ("veth-pair", vec!["shell", "--peer", &name, "--", "true"], 2, "your own network namespace"),
        ("user-ns-map", vec!["shell", "--map-uid", "x", "--", "true"], 2, "give INSIDE:OUTSIDE:LENGTH"),
        ("user-ns-map", vec!["shell", "--map-uid", "0:1:1", "--map-uid", "0:2:1"], 2, "overlaps"),
        ("cgroup-mk", vec!["shell", "--memory-max", "much"], 2, "give a number of bytes"),
        ("cgroup-mk", vec!["shell", "--pids-max", "0"], 2, "0 is not in"),
        ("cgroup-mk", vec!["shell", "--cpu-max", "half"], 2, "give a number of processors"),
        ("time-ns", vec!["shell", "--boottime", "-99999d"], 2, "give an offset"),
        ("time-ns", vec!["shell", "--boottime", "-36500d", "--", "true"], 2, "would be negative"),
        ("pid-ns-init", vec!["shell", "--handle", "KILL"], 2, "no process can handle"),
        ("chroot-jail", vec!["shell", "/no/such/root"], 2, "scripts/rootfs"),
        ("mount-ns", vec!["shell", "--propagation", "wide"], 2, "private, slave or shared"),
        ("pid-ns-tree", vec!["shell", "--depth", "33"], 2, "33 is not in"),
        ("sandbox", vec!["shell", "--drop", "CAP_NONE"], 2, "capabilities(7)"),
        ("inception", vec!["shell", "99"], 2, "no demo is called"),
    ] {
        let output = run(program, &arguments);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{program} {arguments:?}: {line}");
        assert!(line.contains(said) && line.lines().count() == 1, "{program} {arguments:?}: {line:?}");
    }
    leaves(shell);
}

#[test]
fn the_driver_opens_a_shell_by_its_number() {
    let output = run("inception", &["shell", "16", "--hostname", "numbered", "--", "uname", "-n"]);
    if output.status.code() != Some(77) {
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "numbered\n"), "{output:?}");
    }
    let help = out(&run("inception", &["shell", "uts-demo", "--help"]));
    assert!(help.starts_with("uts-demo shell: "), "{help}");
}

#[test]
fn a_command_is_a_job_of_the_shell_that_starts_it() {
    let path = program("uts-demo");
    let mut command = Command::new("setsid");
    command.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]).env("PS1", "outer> ").env("TERM", "dumb");
    let mut terminal = Terminal::of(&mut command);
    terminal.shows("outer> ");
    terminal.types(&format!("{path} shell -- sh -c 'trap \"echo continued $((6*7))\" CONT; trap \"echo caught $((6*7)); exit 4\" INT; echo here $((6*7)); while :; do sleep 0.01; done'\n"));
    terminal.shows("here 42\r\n");
    terminal.types("\u{1a}"); // ^Z
    terminal.shows("Stopped");
    terminal.types("echo outside $((6*7))\n");
    terminal.shows("outside 42\r\n");
    terminal.types("fg\n");
    // Printed after it is in the foreground.
    terminal.shows("continued 42\r\n");
    terminal.types("\u{3}"); // ^C
    terminal.shows("caught 42\r\n");
    terminal.types("echo status $?\n");
    terminal.shows("status 4\r\n");
    // A shell in the foreground, which takes the terminal and gives it back.
    terminal.types(&format!("{path} shell -- true && SHELL=/bin/sh {path} shell\n"));
    terminal.shows("] $ ");
    terminal.types("exit 6\n");
    terminal.shows("outer> ");
    terminal.types("echo status $?\n");
    terminal.shows("status 6\r\n");
    terminal.types("exit 0\n");
    assert_eq!(terminal.ends().0, Some(0));
}

#[test]
fn nothing_is_left_when_the_terminal_hangs_up() {
    let name = name("hung-up");
    let Some(mut shell) = open("uts-demo", &["--name", &name]) else { return };
    shell.types("setsid sleep 1000 & nohup sleep 1000 >/dev/null & echo ready $((6*7))\n");
    shell.shows("ready 42");
    let mut program = shell.hangs_up();
    assert_eq!(program.wait().unwrap().code(), Some(129));
    let entered = run("ns-enter", &[&name, "--", "true"]);
    assert_eq!(entered.status.code(), Some(2), "{entered:?}");
}
