//! Does the audit find what is left on purpose?

use std::process::Command;

use anyhow::{Context, Result};

use crate::console::Console;

/// Commands that leave something, what is to be found of it, and what has to be there for it.
const LEAKERS: &[(&str, &str, &str)] = &[
    ("an orphan", "setsid sleep 300 & exit 0", "process"),
    ("an orphan without an environment", "env -i setsid sleep 300 & exit 0", "process"),
    (
        "a cgroup",
        "mkdir \"$(awk '$3 ~ /^cgroup/ { print $2; exit }' /proc/self/mounts)/left-$INCEPTION_AUDIT\"",
        "new: cgroup",
    ),
    ("a mount", "mount -t tmpfs left /mnt", "new: mount"),
    ("a temporary file", "touch \"$TMPDIR/left\"", "temporary file"),
    ("a System V queue", "ipcmk -Q", "new: msg"),
    ("shared memory", "touch /dev/shm/left", "new: shared memory"),
    (
        "a link, with its address",
        "ip link add left type veth peer name right; ip address add 192.0.2.7/24 dev left",
        "new: link left",
    ),
    (
        "a hostname",
        "hostname left-behind || echo left-behind > /proc/sys/kernel/hostname",
        "new: setting /proc/sys/kernel/hostname",
    ),
    ("a core file", "cd \"$TMPDIR\"; sh -c 'kill -SEGV $$'; exit 0", "temporary file"),
];

/// Runs each leaker in a box of its own, and looks whether it is found.
///
/// # Errors
/// When the audit cannot be started.
pub(super) fn run(console: &mut Console<'_>) -> Result<u8> {
    let own = std::env::current_exe().context("readlink(\"/proc/self/exe\")")?;
    let mut missed = 0;
    let tidy = ("nothing", "exit 0", "");
    for (what, script, wanted) in LEAKERS.iter().chain([&tidy]) {
        let mut audit = Command::new(&own);
        audit.args(["audit", "--settle", "1", "--", "sh", "-c", script]);
        let said = audit.output().context("cannot start the audit")?;
        let found = String::from_utf8_lossy(&said.stdout).into_owned();
        // The one thing that outlives the box, the audit and the leaker.
        for cgroup in found.lines().filter_map(|line| line.strip_prefix("new: cgroup ")) {
            std::fs::remove_dir(cgroup).with_context(|| format!("rmdir {cgroup}"))?;
        }
        let is_found = match wanted {
            &"" => said.status.code() == Some(0),
            wanted => said.status.code() == Some(1) && found.contains(wanted),
        };
        if *what == "a core file" && !is_found && core_files_go_elsewhere() {
            console.say(format_args!("skip: {what}: core_pattern sends it elsewhere"))?;
            continue;
        }
        console.say(format_args!("{} {what}", if is_found { "found" } else { "MISSED" }))?;
        if !is_found {
            missed += 1;
            console.show(&found)?;
            console.show(&String::from_utf8_lossy(&said.stderr))?;
        }
    }
    Ok(u8::from(missed > 0))
}

fn core_files_go_elsewhere() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/core_pattern").is_ok_and(|it| it.starts_with(['|', '/']))
}
