//! The interface in a real terminal: its keys, what appears while it runs, and how it leaves the terminal, whatever ends it.

#[path = "../../inception/tests/classroom/desk.rs"]
#[allow(dead_code, reason = "the classroom's tests use the rest")]
mod desk;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::LazyLock;

use desk::{Desk, Person};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = "ns-map-live";
const SIZE: (u16, u16) = (80, 24);

type Check = fn() -> Result<Completion, Failed>;

const CHECKS: &[(&str, Check)] = &[
    ("what_another_process_makes_is_marked_and_opened", what_another_process_makes_is_marked_and_opened),
    ("a_shell_opens_there_and_leads_back", a_shell_opens_there_and_leads_back),
    ("a_filter_is_typed_and_keys_are_listed", a_filter_is_typed_and_keys_are_listed),
    ("a_signal_gives_the_terminal_back", a_signal_gives_the_terminal_back),
    ("a_stopped_one_goes_on", a_stopped_one_goes_on),
    ("a_small_terminal_is_drawn", a_small_terminal_is_drawn),
    ("sigkill_leaves_nothing", sigkill_leaves_nothing),
    ("sigkill_with_an_open_shell_leaves_nothing", sigkill_with_an_open_shell_leaves_nothing),
    ("without_a_terminal_one_line_says_so", without_a_terminal_one_line_says_so),
    ("ns_map_hands_over", ns_map_hands_over),
    ("alone_ns_map_shows_its_table_and_says_what_is_missing", alone_ns_map_shows_its_table),
];

fn main() -> ExitCode {
    let trial = |(name, check): &(&str, Check)| {
        let check = *check;
        Trial::ignorable_test(*name, move || match *NO_TMUX {
            Some(why) => Ok(Completion::ignored_with(why)),
            None => check(),
        })
    };
    libtest_mimic::run(&Arguments::from_args(), CHECKS.iter().map(trial).collect()).exit_code()
}

/// Why nothing can be tried here, if tmux is missing.
static NO_TMUX: LazyLock<Option<&str>> = LazyLock::new(|| {
    let tried = Command::new("tmux").arg("-V").output();
    tried.is_err().then_some("tmux is missing: apt install tmux")
});

/// Where the programs are.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_ns-map-live")).parent().expect("it is in a directory").into()
}

/// A desk at which the interface runs.
fn desk(line: &[&str]) -> Result<Desk, Failed> {
    let desk = Desk::new(&Person { is_stranger: false, programs: programs() });
    desk.open_sized(SIZE, line);
    desk.shows("quit", 1)?;
    Ok(desk)
}

/// A process that enters user and UTS namespaces of its own when it is told to, and ends with this value.
struct Elsewhere {
    child: Child,
    input: ChildStdin,
}

impl Elsewhere {
    /// Still in those of its parent.
    fn new() -> Result<Elsewhere, Failed> {
        let inside = "hostname of-the-test; readlink /proc/self/ns/uts; exec cat";
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("read -r _; exec unshare --user --map-root-user --uts sh -c '{inside}'"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or("it has a pipe")?;
        Ok(Elsewhere { child, input })
    }

    /// Takes its UTS namespace alone: of all that others make meanwhile nothing is shown.
    fn filter(&self) -> String {
        format!("kind=uts pid={}", self.child.id())
    }

    /// Has it enter them. The inode number of the UTS namespace; none where user namespaces are not to be had.
    fn enter(&mut self) -> Option<String> {
        self.input.write_all(b"\n").ok()?;
        let mut link = String::new();
        BufReader::new(self.child.stdout.take()?).read_line(&mut link).ok()?;
        let uts: String = link.chars().filter(char::is_ascii_digit).collect();
        (!uts.is_empty()).then_some(uts)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NO_USERS: &str = "no user namespace can be created here";

/// Ends it by the key, and looks at the terminal.
fn quits(desk: &Desk) -> Result<Completion, Failed> {
    desk.press("q");
    desk.shows("exit status 0", 1)?;
    desk.settings_are_back()?;
    Ok(Completion::Completed)
}

/// The PID of a program of this desk.
fn pid_of(desk: &Desk, name: &str) -> Result<Pid, Failed> {
    let mut found = None;
    desk.until(&format!("{name} runs"), |_| {
        found = desk.processes().into_iter().find(|(_, own)| own == name).map(|(pid, _)| Pid::from_raw(pid));
        found.is_some()
    })?;
    found.ok_or_else(|| "it runs".into())
}

fn what_another_process_makes_is_marked_and_opened() -> Result<Completion, Failed> {
    let mut elsewhere = Elsewhere::new()?;
    let desk = desk(&[PROGRAM, "--filter", &elsewhere.filter()])?;
    desk.shows("none meets the filter", 1)?;
    let Some(uts) = elsewhere.enter() else { return Ok(Completion::ignored_with(NO_USERS)) };
    let (row, told) = (format!("uts {uts}"), format!("uts:[{uts}]"));
    let is_row = |line: &str, sign: &str| line.starts_with(sign) && line.contains(&row);
    desk.until("it is told, and marked as new", |screen| {
        screen.contains(&format!("+ {told} appears")) && screen.lines().any(|line| is_row(line, "+"))
    })?;
    desk.press("n");
    desk.press("Enter");
    desk.until("its hostname is read", |screen| {
        screen.contains(&told)
            && screen.contains("hostname   of-the-test")
            && screen.contains("nsenter --target")
    })?;
    desk.press("Left");
    desk.until("the rows are back", |screen| screen.lines().any(|line| is_row(line, "")))?;
    desk.press("Right");
    desk.shows("hostname   of-the-test", 1)?;
    drop(elsewhere);
    desk.shows("nothing refers to it any more", 1)?;
    quits(&desk)
}

fn a_shell_opens_there_and_leads_back() -> Result<Completion, Failed> {
    if !programs().join("ns-enter").is_file() {
        return Ok(Completion::ignored_with("ns-enter is missing: cargo build -p ns-enter"));
    }
    let mut elsewhere = Elsewhere::new()?;
    let Some(uts) = elsewhere.enter() else { return Ok(Completion::ignored_with(NO_USERS)) };
    let desk = desk(&[PROGRAM])?;
    desk.press("/");
    desk.type_line(&elsewhere.filter());
    desk.shows(&format!("uts {uts}"), 1)?;
    for key in ["G", "Enter"] {
        desk.press(key);
    }
    desk.shows("hostname   of-the-test", 1)?;
    desk.press("Enter");
    desk.shows("[ns-enter]", 1)?;
    desk.type_line("hostname | tr a-z A-Z");
    desk.shows("OF-THE-TEST", 1)?;
    desk.type_line("exit");
    desk.shows("isolates", 1)?;
    quits(&desk)
}

fn a_filter_is_typed_and_keys_are_listed() -> Result<Completion, Failed> {
    let desk = desk(&[PROGRAM])?;
    desk.press("/");
    desk.type_line("net");
    desk.shows("'net' is no condition", 1)?;
    desk.press("Escape");
    desk.until("the line is gone", |screen| !screen.contains("is no condition"))?;
    desk.press("/");
    desk.type_line("kind=net");
    desk.until("other kinds are gone", |screen| screen.contains("net ") && !screen.contains("uts "))?;
    desk.press("?");
    desk.shows("the newest change", 1)?;
    desk.press("?");
    desk.shows("/ kind=net", 1)?;
    quits(&desk)
}

fn a_signal_gives_the_terminal_back() -> Result<Completion, Failed> {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let desk = desk(&[PROGRAM])?;
        kill(pid_of(&desk, PROGRAM)?, signal)?;
        desk.shows(&format!("exit status {}", 128 + signal as i32), 1)?;
        desk.settings_are_back()?;
        if desk.visible().contains("by user namespace") {
            return Err(format!("after {signal} the screen is that of the interface").into());
        }
    }
    Ok(Completion::Completed)
}

fn a_stopped_one_goes_on() -> Result<Completion, Failed> {
    let desk = Desk::new(&Person { is_stranger: false, programs: programs() });
    desk.open_sized(SIZE, &["/bin/bash", "--norc", "-i"]);
    desk.type_line(env!("CARGO_BIN_EXE_ns-map-live"));
    for by_a_key in [true, false] {
        desk.shows("q quit", 1)?;
        if by_a_key {
            desk.press("C-z");
        } else {
            kill(pid_of(&desk, PROGRAM)?, Signal::SIGTSTP)?;
        }
        desk.until("it is stopped", |screen| screen.contains("Stopped") && !screen.contains("q quit"))?;
        desk.type_line("clear; fg");
    }
    desk.shows("q quit", 1)?;
    desk.press("q");
    desk.until("it has ended", |screen| !screen.contains("q quit"))?;
    desk.type_line("exit 0");
    desk.shows("exit status 0", 1)?;
    desk.settings_are_back()?;
    Ok(Completion::Completed)
}

fn a_small_terminal_is_drawn() -> Result<Completion, Failed> {
    let desk = desk(&[PROGRAM])?;
    desk.resize_to(20, 5);
    let fits = |screen: &str| {
        let lines: Vec<&str> = screen.lines().collect();
        lines.first().is_some_and(|line| line.starts_with("ns-map"))
            && lines.last().is_some_and(|line| line.starts_with("? keys"))
            && lines.len() == 5
    };
    desk.until("five lines of 20 columns", |_| fits(desk.visible().trim_end()))?;
    desk.resize_to(200, 60);
    desk.shows("made or kept by", 1)?;
    quits(&desk)
}

fn sigkill_leaves_nothing() -> Result<Completion, Failed> {
    let desk = desk(&[PROGRAM])?;
    kill(pid_of(&desk, PROGRAM)?, Signal::SIGKILL)?;
    desk.until("it is gone", |_| desk.processes().iter().all(|(_, name)| name != PROGRAM))?;
    desk.hang_up();
    desk.is_left_clean(&[])?;
    Ok(Completion::Completed)
}

fn sigkill_with_an_open_shell_leaves_nothing() -> Result<Completion, Failed> {
    if !programs().join("ns-enter").is_file() {
        return Ok(Completion::ignored_with("ns-enter is missing: cargo build -p ns-enter"));
    }
    let mut elsewhere = Elsewhere::new()?;
    let Some(uts) = elsewhere.enter() else { return Ok(Completion::ignored_with(NO_USERS)) };
    let desk = Desk::new(&Person { is_stranger: false, programs: programs() });
    // Whoever started it does not touch the terminal.
    let line = format!(
        "{} --list --filter '{}'; echo its status: $?; until read -r it; do sleep 0.1; done; echo $it read",
        env!("CARGO_BIN_EXE_ns-map-live"),
        elsewhere.filter()
    );
    desk.file("line", &line);
    desk.open_sized(SIZE, &["/bin/sh", &desk.folder().join("line").display().to_string()]);
    desk.shows(&format!("uts {uts}"), 1)?;
    desk.press("s");
    desk.shows("[ns-enter]", 1)?;
    kill(pid_of(&desk, PROGRAM)?, Signal::SIGKILL)?;
    desk.shows("its status: 137", 1)?;
    desk.settings_come_back()?;
    // What is typed is for who was in the foreground before, who could not read from the background.
    desk.type_line("hello");
    desk.shows("hello read", 1)?;
    desk.shows("exit status 0", 1)?;
    desk.until("it and the shell are gone", |_| {
        desk.processes().iter().all(|(_, name)| ![PROGRAM, "ns-enter", "bash"].contains(&name.as_str()))
    })?;
    Ok(Completion::Completed)
}

fn without_a_terminal_one_line_says_so() -> Result<Completion, Failed> {
    let desk = Desk::new(&Person { is_stranger: false, programs: programs() });
    let output = desk.run(&[PROGRAM]);
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(2) || said.lines().count() != 1 || !said.contains("a terminal") {
        return Err(format!("{:?}: {said}", output.status).into());
    }
    Ok(Completion::Completed)
}

fn ns_map_hands_over() -> Result<Completion, Failed> {
    if !programs().join("ns-map").is_file() {
        return Ok(Completion::ignored_with("ns-map is missing: cargo build -p ns-map"));
    }
    let desk = desk(&["ns-map", "--live", "--filter", "kind=net"])?;
    desk.shows("/ kind=net", 1)?;
    quits(&desk)
}

fn alone_ns_map_shows_its_table() -> Result<Completion, Failed> {
    let map = programs().join("ns-map");
    if !map.is_file() {
        return Ok(Completion::ignored_with("ns-map is missing: cargo build -p ns-map"));
    }
    let desk = Desk::new(&Person { is_stranger: false, programs: programs() });
    let alone = desk.folder().join("ns-map");
    std::fs::copy(map, &alone)?;
    desk.open_sized(SIZE, &[&alone.display().to_string(), "--live"]);
    desk.until("the table and the line", |screen| {
        screen.contains("processes") && screen.contains("ns-map-live has keys and details, and is missing")
    })?;
    // The key would end the desk's shell too.
    kill(pid_of(&desk, "ns-map")?, Signal::SIGINT)?;
    desk.shows("exit status 130", 1)?;
    Ok(Completion::Completed)
}
