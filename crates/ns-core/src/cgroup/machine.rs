//! What changes the cgroups of the whole machine: done only where it is thrown away after, and undone all the same.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::Layout;
use crate::error::{Error, Named, Result};
use crate::{Kind, host, probe};

/// The mount option that makes the root of a cgroup namespace a boundary (cgroup-v2.rst, "Model of Delegation").
const OPTION: &str = "nsdelegate";

/// Whether the v2 hierarchy is mounted with `nsdelegate`, as systemd mounts it. There is one answer for the machine.
///
/// # Errors
/// When /proc is no procfs.
pub fn nsdelegate() -> Result<bool> {
    Ok(options()?.iter().any(|option| option == OPTION))
}

/// `nsdelegate` set or cleared for the whole machine; as it was before once this is dropped.
#[derive(Debug)]
pub struct Nsdelegate {
    before: bool,
}

impl Nsdelegate {
    /// Mounts v2 anew with the option, or without.
    ///
    /// # Errors
    /// [`Error::Input`] unless the machine is one to throw away ([`probe::throw_away`]); EPERM without CAP_SYS_ADMIN;
    /// [`Error::WouldChangeHost`], without a call, where the mount would lose its other flags outside as well. In a
    /// cgroup namespace other than the first the kernel takes the option and ignores it.
    pub fn set(on: bool) -> Result<Nsdelegate> {
        let before = nsdelegate()?;
        remount(on)?;
        Ok(Nsdelegate { before })
    }
}

impl Drop for Nsdelegate {
    fn drop(&mut self) {
        // Drop has no one to tell.
        let _ = remount(self.before);
    }
}

fn remount(on: bool) -> Result<()> {
    probe::require(probe::throw_away()?)?;
    host::require_left(Kind::Mnt, || "mount -o remount".into())?;
    let point = root()?;
    // An option that is left out is cleared.
    let mut options = options()?;
    options.retain(|option| option != OPTION);
    if on {
        options.push(OPTION.into());
    }
    let data = options.join(",");
    mount(None::<&str>, &point, None::<&str>, MsFlags::MS_REMOUNT, Some(data.as_str()))
        .named(|| format!("mount -o remount,{data} {}", point.display()))
}

/// The options that v2 itself takes (cgroup-v2.rst, "Mounting"); mountinfo shows others beside them.
const OPTIONS: &[&str] = &[
    OPTION,
    "favordynmods",
    "memory_hugetlb_accounting",
    "memory_localevents",
    "memory_recursiveprot",
    "pids_localevents",
];

/// Those with which v2 is mounted. There is one set for the machine.
pub(crate) fn options() -> Result<Vec<String>> {
    let mounts = crate::mount::list(None)?;
    let found = mounts.into_iter().find(|mount| mount.fs_type == "cgroup2");
    let names = found.into_iter().flat_map(|mount| mount.super_options.into_keys());
    let mut names: Vec<String> = names.filter(|name| OPTIONS.contains(&name.as_str())).collect();
    names.sort();
    Ok(names)
}

/// Controllers of v2 that the root of the hierarchy hands down; those that it did not before are taken back when this
/// is dropped.
#[derive(Debug)]
pub struct HandedDown {
    file: PathBuf,
    added: Vec<String>,
}

impl HandedDown {
    /// Writes `+CONTROLLER` to the root's `cgroup.subtree_control` for each of `controllers`, which the root, unlike
    /// any other cgroup, may do with members.
    ///
    /// # Errors
    /// [`Error::Input`] unless the machine is one to throw away; EACCES without the right to write; EINVAL for a
    /// controller that v2 lacks here.
    pub fn by_the_root(controllers: &[&str]) -> Result<HandedDown> {
        probe::require(probe::throw_away()?)?;
        let file = root()?.join("cgroup.subtree_control");
        let before = std::fs::read_to_string(&file).named(|| format!("cat {}", file.display()))?;
        let mut handed = HandedDown { file, added: Vec::new() };
        for controller in controllers {
            if !before.split_whitespace().any(|own| own == *controller) {
                write(&handed.file, &format!("+{controller}"))?;
                handed.added.push((*controller).into());
            }
        }
        Ok(handed)
    }
}

impl Drop for HandedDown {
    fn drop(&mut self) {
        for controller in &self.added {
            let _ = write(&self.file, &format!("-{controller}"));
        }
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).named(|| format!("echo {text} > {}", file.display()))
}

/// Where v2 is mounted.
fn root() -> Result<PathBuf> {
    let layout = Layout::detect()?;
    let point = layout.v2_mount().map(Path::to_path_buf);
    point.ok_or_else(|| Error::Input("cgroup v2 is not mounted".into()))
}
