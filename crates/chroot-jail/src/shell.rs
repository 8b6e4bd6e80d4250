//! `chroot-jail shell`: a shell with another root directory.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::Namespaces;

pub(crate) const SHELL: Shell = Shell::of::<Root>(
    "chroot-jail shell",
    "a shell with another root directory",
    &[
        ("chroot-jail shell", "a root with the machine's programs, and nothing else of it"),
        ("chroot-jail shell rootfs", "a directory with a root filesystem"),
        ("chroot-jail shell -- ls /", "a command there"),
        ("chroot-jail shell --by-hand", "the same by unshare(1), mount(8) and chroot(8)"),
        ("scripts/rootfs busybox rootfs", "create a root filesystem"),
    ],
);

#[derive(Debug, clap::Args)]
struct Root {
    /// The directory that becomes the root [default: a small one, with the machine's programs]
    #[arg(value_name = "ROOTFS")]
    rootfs: Option<PathBuf>,
}

impl Options for Root {
    fn plan(&self) -> Result<Plan> {
        let plan = Plan::created(Namespaces::MNT);
        let plan = match &self.rootfs {
            None => plan.change(Change::SmallRoot).change(Change::Root(None)).try_it(
                "ls /",
                "the machine's programs and settings; no home, no var",
                "usr",
            ),
            Some(path) => {
                let directory = std::fs::canonicalize(path);
                let directory = directory.map_err(|error| {
                    anyhow::anyhow!(
                        "ROOTFS {}: {error}; to make one: scripts/rootfs busybox DIRECTORY",
                        path.display()
                    )
                })?;
                ensure!(
                    directory.is_dir(),
                    "ROOTFS {} is no directory; give the directory of a root filesystem",
                    path.display()
                );
                plan.change(Change::Root(Some(directory))).try_it("ls /", "that directory is the root", "")
            }
        };
        Ok(plan.try_it("cd ../../..; pwd", "/: .. of the root is the root", "/").try_it(
            "ls /proc | wc -l",
            "0: the machine's procfs is not in it",
            "0",
        ))
    }
}
