//! Whoever waits for a program has a deadline. What hangs is told with the processes of which it consists, and ended.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Many times what the slowest needs on a machine that is busy.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a program writes, and how it ends.
pub(crate) fn output(command: &mut Command) -> Output {
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

/// The same of one that runs: what it writes to pipes that nobody has taken.
pub(crate) fn finish(child: Child) -> Output {
    let pid = child.id() as i32;
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    if let Ok(output) = receiver.recv_timeout(DEADLINE) {
        return output.unwrap();
    }
    let hanging = family(pid);
    let told: Vec<String> = hanging.iter().map(|pid| about(*pid)).collect();
    for pid in hanging {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    panic!("it has not ended after {} s. What ran:\n{}", DEADLINE.as_secs(), told.join("\n"));
}

/// A process and all below it.
fn family(pid: i32) -> Vec<i32> {
    let children = ns_core::process::all_children(Pid::from_raw(pid)).unwrap_or_default();
    [pid].into_iter().chain(children.into_iter().flat_map(|child| family(child.as_raw()))).collect()
}

/// What it is, and where in the kernel it waits.
fn about(pid: i32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let status = read("status");
    let fields = ["Name:", "State:", "PPid:", "TracerPid:", "ShdPnd:"];
    let fields = status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    let fields: Vec<String> = fields.map(|line| line.replace('\t', " ")).collect();
    format!(
        "{pid}: {}; waits in {}; {}",
        fields.join(", "),
        read("wchan"),
        read("cmdline").replace('\0', " ")
    )
}
