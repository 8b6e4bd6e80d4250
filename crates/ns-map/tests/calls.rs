//! How many system calls a map takes, as strace(1) counts them.

mod common;

use std::fs;
use std::process::{Command, Stdio};

use common::{MAP, Shell};

/// At most so many for each process, and besides for each namespace.
const A_PROCESS: usize = 12;
const A_NAMESPACE: usize = 4;
/// What a program of ours takes to start, to find its names of users, and to write.
const BESIDES: usize = 400;

#[test]
fn a_process_takes_twelve_calls_and_a_namespace_four() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&log).arg(MAP).arg("--list").stderr(Stdio::null());
    // In namespaces of their own, so that there are some.
    let mut shells: Vec<Shell> = (0..5).map(|_| Shell::start()).collect();
    shells.iter_mut().for_each(|shell| drop(shell.ask("echo there")));
    let list = match strace.output() {
        Ok(output) if output.status.success() => output.stdout,
        other => return eprintln!("skip: strace cannot run ns-map here: {other:?}"),
    };
    let log = fs::read_to_string(log).unwrap();
    let calls = log.lines().count();
    // Others work on this machine at the same time, so those are counted that this run has seen.
    let processes = log.lines().filter(|line| line.contains("/ns\", O_RDONLY")).count();
    let namespaces = String::from_utf8_lossy(&list).lines().count();
    assert!(processes > 5 && namespaces > 5, "{processes} processes, {namespaces} namespaces");
    let most = A_PROCESS * processes + A_NAMESPACE * namespaces + BESIDES;
    assert!(calls <= most, "{calls} calls for {processes} processes and {namespaces} namespaces, not {most}");
}
