//! `ipc-ns shell`: a shell with IPC objects of its own.

use anyhow::Result;
use lesson::shell::{Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Objects>(
    "ipc-ns shell",
    "a shell in a new IPC namespace",
    &[
        ("ipc-ns shell", "no queue, no segment, no semaphore of anybody else"),
        ("ipc-ns shell -- ipcs", "a command there"),
        ("ipc-ns shell --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Objects {}

impl Options for Objects {
    fn plan(&self) -> Result<Plan> {
        Ok(Plan::created(Namespaces::IPC)
            .try_it("ipcmk -Q", "a queue that nobody outside sees; the first ID is 0", "id: 0")
            .try_it("ipcs -q", "that queue alone; on another terminal it is not listed", "0x")
            .try_it("cat /proc/sys/kernel/msgmax", "a limit of this namespace alone", "8192"))
    }
}
