//! `@name@ shell`: a shell with a /dev/shm of its own.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Memory>(
    "@name@ shell",
    "a shell in a new mount namespace",
    &[
        ("@name@ shell", "what is mounted there stays there"),
        ("@name@ shell -- findmnt /dev/shm", "a command there"),
        ("@name@ shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Memory {}

impl Options for Memory {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::created(Namespaces::MNT)
            .try_it("mount -t tmpfs tmpfs /dev/shm; ls -A /dev/shm | wc -l", "an empty one", "0")
            .try_it("touch /dev/shm/file; ls /dev/shm", "a file that nobody outside sees", "file")
            .try_it("umount /dev/shm; ls /dev/shm/file", "it was in the tmpfs alone", "No such file"))
    }
}
