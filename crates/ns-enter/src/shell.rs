//! `ns-enter TARGET`: a shell in the namespaces of any process.

use anyhow::Result;
use lesson::shell::{Kinds, Options, Plan, Shell, Target};

pub(crate) const SHELL: Shell = Shell::of::<Entered>(
    "ns-enter shell",
    "a shell in the namespaces of a process, a container or another shell",
    &[
        ("ns-enter uts-demo", "those of the shell that is called uts-demo"),
        ("sudo ns-enter web -- ip addr", "a command in those of a container of Docker or podman"),
        ("sudo ns-enter 4899 --only net", "the network of a process, and the own files"),
        ("ns-enter 4899 --by-hand", "the same by nsenter(1)"),
    ],
)
.implied();

#[derive(Debug, clap::Args)]
struct Entered {
    /// A PID, or the name of a shell or of a container
    #[arg(value_name = "PID|NAME")]
    target: String,

    /// These kinds alone, such as net,uts [default: all that are not yours, with its root and working directory]
    #[arg(long, value_name = "KINDS")]
    only: Option<Kinds>,

    /// Its cgroups too, with their limits
    #[arg(long)]
    cgroup: bool,
}

impl Options for Entered {
    fn plan(&self) -> Result<Plan> {
        let mut target = Target::find(&self.target)?;
        if let Some(Kinds(kinds)) = self.only {
            target = target.only(kinds);
        }
        if self.cgroup {
            target = target.with_cgroups();
        }
        let cgroup = if self.cgroup { "its cgroups" } else { "your own cgroups: --cgroup joins its" };
        Ok(Plan::entered(target)
            .try_it("ls -l /proc/self/ns", "the namespaces that you are in, of each kind", "uts")
            .try_it("id", "who you are there", "uid=")
            .try_it("cat /proc/self/cgroup", cgroup, ":"))
    }
}
