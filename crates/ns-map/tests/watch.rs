//! `--watch`: what appears and goes is told soon, and who reads no more ends it.

mod common;

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};

use common::{MAP, Shell};

struct Watch {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Watch {
    /// Begins to watch, and returns once it has looked for the first time.
    fn start(options: &[&str]) -> Watch {
        let mut command = Command::new(MAP);
        command.arg("--watch").args(options).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert!(first.contains("what changes follows"), "{first}");
        Watch { child, lines: Some(lines) }
    }

    /// Whether there is something to read.
    fn has_a_line(&self) -> bool {
        let Some(lines) = &self.lines else { return false };
        let mut fds = [PollFd::new(lines.get_ref().as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
    }

    /// Reads until a line has all of `words`.
    fn until(&mut self, words: &[&str]) -> String {
        let late = Instant::now() + PATIENCE;
        let mut told = String::new();
        loop {
            let line = self.line(late);
            let line =
                line.unwrap_or_else(|| panic!("{words:?}: not told within {PATIENCE:?}, but:\n{told}"));
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
            told += &line;
        }
    }

    /// The next line, if it comes in time.
    fn line(&mut self, late: Instant) -> Option<String> {
        let lines = self.lines.as_mut().expect("it is read");
        let mut fds = [PollFd::new(lines.get_ref().as_fd(), PollFlags::POLLIN)];
        if lines.buffer().is_empty() && !ns_core::poll_until(&mut fds, Some(late)).unwrap() {
            return None;
        }
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it has ended");
        Some(line)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A machine under load is slow.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMES: usize = 20;
/// A tick, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_namespace_that_appears_and_goes_is_told_soon() {
    let mut watch = Watch::start(&["--filter", "kind=uts"]);
    let (mut times, mut ended) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let began = Instant::now();
        let mut shell = Shell::start();
        let Some(pid) = shell.ask("echo $$") else {
            return eprintln!("skip: no user namespace can be created here");
        };
        let link = std::fs::read_link(format!("/proc/{pid}/ns/uts")).unwrap();
        let inode = link.to_string_lossy().into_owned();
        // Its number may have been that of another test's namespace shortly before; its processes are unshare(1) and sh.
        let ours = [format!("({pid})"), format!("({})", shell.pid())];
        let is_ours = |line: &str| ours.iter().any(|process| line.contains(process));
        while !is_ours(&watch.until(&[&inode, "appears"])) {}
        times.push(began.elapsed());
        drop(shell);
        // Or the number is at once that of another test's, and this is told of that one.
        let line = watch.until(&[&inode, "is gone"]);
        if is_ours(&line) {
            assert!(line.contains("was of"), "{line}");
            ended += 1;
        }
    }
    assert!(ended > 0, "none of {TIMES} was told to be gone");
    times.sort_unstable();
    let [median, most] = [times[TIMES / 2], times[TIMES - 1]];
    eprintln!("from unshare(1) to the line: median {median:?}, most {most:?}");
    assert!(median < SOON, "{median:?}");
}

#[test]
fn a_reader_that_goes_ends_it() {
    let mut watch = Watch::start(&[]);
    drop(watch.lines.take());
    let ended = ns_core::until("the end", || Ok(watch.child.try_wait().ok().flatten()));
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[test]
fn changes_are_data_too() {
    let mut command = Command::new(MAP);
    command.args(["--watch", "--json", "--filter", "kind=uts"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    let mut watch = Watch { lines: Some(lines), child };
    // It says nothing of its first look. So namespaces are made until it tells of one.
    let told = ns_core::until("a line", || {
        let mut shell = Shell::start();
        let is_there = shell.ask("echo there").is_some();
        drop(shell);
        Ok((!is_there || watch.has_a_line()).then_some(is_there))
    });
    if !told.unwrap() {
        return eprintln!("skip: no user namespace can be created here");
    }
    let change: serde_json::Value = serde_json::from_str(&watch.until(&[])).unwrap();
    assert_eq!(change["kind"], "uts");
    let words = ["appears", "goes", "gains-process", "loses-last-process"];
    assert!(words.iter().any(|word| change["change"] == *word), "{change}");
    assert!(change["after"].as_f64().is_some(), "{change}");
    let document = include_str!("../../../docs/ns-map.md");
    for word in words.iter().chain(&["after", "change"]) {
        assert!(document.contains(&format!("`{word}`")), "docs/ns-map.md lacks {word}");
    }
}
