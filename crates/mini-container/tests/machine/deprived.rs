//! Root without some of its capabilities, as in a container.

use std::process::{Command, Stdio};

use libtest_mimic::{Completion, Failed};

use crate::plain::{PROGRAM, rootfs, said};

pub(crate) fn root_keeps_the_capabilities_that_it_has() -> Result<Completion, Failed> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Completion::ignored_with("needs root, to drop capabilities from: sudo"));
    }
    for gone in ["-kill", "-mknod,-chown", "-audit_write"] {
        let output = Command::new("setpriv")
            .args(["--bounding-set", gone, PROGRAM, "explain", "--all", "--format", "jsonl"])
            .stdin(Stdio::null())
            .output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        let end = told.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(0), "{gone}: {end}");
        // In a new user namespace it has all of them again.
        let rootfs = rootfs("deprived");
        let output = Command::new("setpriv")
            .args(["--bounding-set", gone, PROGRAM, "run"])
            .arg(&rootfs.0)
            .args(["sh", "-c", "cat /proc/self/status"])
            .stdin(Stdio::null())
            .output()?;
        assert!(said(&output).contains("CapEff:\t00000000a80425fb"), "{gone}: {output:?}");
    }
    Ok(Completion::Completed)
}
