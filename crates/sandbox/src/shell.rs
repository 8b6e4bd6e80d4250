//! `sandbox shell`: a shell that gives something up for good.

use std::str::FromStr;

use anyhow::Result;
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::Capability;

pub(crate) const SHELL: Shell = Shell::of::<GivenUp>(
    "sandbox shell",
    "a shell that gives up privileges or system calls for good",
    &[
        ("sandbox shell", "no_new_privs: sudo gives nothing any more"),
        ("sandbox shell --refuse mkdir,mount", "two calls fail with EPERM, by a seccomp filter"),
        ("sandbox shell --drop CAP_SYS_ADMIN -- mount -t tmpfs none /mnt", "root without a capability"),
        ("sandbox shell --drop CAP_KILL --by-hand", "the same by setpriv(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct GivenUp {
    /// Set no_new_privs [default where nothing else is asked for]
    #[arg(long)]
    no_new_privs: bool,

    /// Calls that a seccomp filter refuses, of kill, mkdir, mount, ptrace, sethostname, setns, socket, unshare
    #[arg(long, value_name = "CALLS", value_delimiter = ',', value_parser = call, visible_alias = "seccomp")]
    refuse: Vec<Call>,

    /// Capabilities that nothing gives back, such as CAP_KILL,CAP_CHOWN
    #[arg(long, value_name = "CAPABILITIES", value_delimiter = ',', value_parser = capability)]
    drop: Vec<Capability>,
}

/// A call that can be refused, and its numbers.
#[derive(Debug, Clone, Copy)]
struct Call {
    name: &'static str,
    numbers: &'static [libc::c_long],
}

#[cfg(target_arch = "x86_64")]
const MKDIR: &[libc::c_long] = &[libc::SYS_mkdir, libc::SYS_mkdirat];
#[cfg(not(target_arch = "x86_64"))]
const MKDIR: &[libc::c_long] = &[libc::SYS_mkdirat];

const CALLS: [Call; 8] = [
    Call { name: "kill", numbers: &[libc::SYS_kill] },
    Call { name: "mkdir", numbers: MKDIR },
    Call { name: "mount", numbers: &[libc::SYS_mount, libc::SYS_fsopen, libc::SYS_open_tree] },
    Call { name: "ptrace", numbers: &[libc::SYS_ptrace] },
    Call { name: "sethostname", numbers: &[libc::SYS_sethostname] },
    Call { name: "setns", numbers: &[libc::SYS_setns] },
    Call { name: "socket", numbers: &[libc::SYS_socket] },
    Call { name: "unshare", numbers: &[libc::SYS_unshare] },
];

fn call(text: &str) -> Result<Call, String> {
    let names = || CALLS.map(|call| call.name).join(", ");
    CALLS.into_iter().find(|call| call.name == text).ok_or_else(|| format!("choose from {}", names()))
}

fn capability(text: &str) -> Result<Capability, String> {
    let name = text.to_uppercase();
    let name = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
    Capability::from_str(&name).map_err(|_| "give names such as CAP_KILL; capabilities(7) lists all".into())
}

impl Options for GivenUp {
    fn plan(&self) -> Result<Plan> {
        let mut plan = Plan::default();
        if !self.drop.is_empty() {
            plan = plan.change(Change::Without(self.drop.clone())).try_it(
                "grep CapBnd /proc/self/status",
                "the bounding set: no program gets what it lacks",
                "CapBnd",
            );
        }
        if !self.refuse.is_empty() {
            let calls =
                self.refuse.iter().flat_map(|it| it.numbers.iter().map(|n| (it.name.to_string(), *n)));
            plan = plan.change(Change::Refuse(calls.collect())).try_it(
                "grep Seccomp: /proc/self/status",
                "2: a filter, for every program from here on",
                "2",
            );
        }
        if self.no_new_privs || self.drop.is_empty() && self.refuse.is_empty() {
            plan = plan.change(Change::NoNewPrivs);
            plan = plan
                .try_it("setpriv --dump | grep no_new_privs", "1: no execve() gives a privilege", "1")
                .try_it(
                    "setpriv --no-new-privs true; echo $?",
                    "0: it can be set again, and there is no way to unset it",
                    "0",
                );
        }
        Ok(plan.try_it(
            "grep NoNewPrivs /proc/self/status",
            "1 where a filter or --no-new-privs is set",
            "NoNewPrivs",
        ))
    }
}
