//! Controllers that the root of v2 enables for its children: changed only where the machine is thrown away after, and set
//! back all the same.

use std::path::{Path, PathBuf};

use super::layout::v2_root;
use crate::error::{Named, Result};
use crate::probe;

/// Controllers of v2 that the root of the hierarchy enables for its children; those that it did not before are taken back when this
/// is dropped.
#[derive(Debug)]
pub struct EnabledControllers {
    file: PathBuf,
    added: Vec<String>,
}

impl EnabledControllers {
    /// Writes `+CONTROLLER` to the root's `cgroup.subtree_control` for each of `controllers`, which the root, unlike
    /// any other cgroup, may do with members.
    ///
    /// # Errors
    /// [`crate::Error::Unmet`] unless the machine is one to throw away; EACCES without the right to write; EINVAL for a
    /// controller that v2 lacks here.
    pub fn in_the_root(controllers: &[&str]) -> Result<EnabledControllers> {
        probe::require(probe::throw_away()?)?;
        let file = v2_root()?.join("cgroup.subtree_control");
        let before = std::fs::read_to_string(&file).named(|| format!("cat {}", file.display()))?;
        let mut enabled = EnabledControllers { file, added: Vec::new() };
        for controller in controllers {
            if !before.split_whitespace().any(|own| own == *controller) {
                write(&enabled.file, &format!("+{controller}"))?;
                enabled.added.push((*controller).into());
            }
        }
        Ok(enabled)
    }
}

impl Drop for EnabledControllers {
    fn drop(&mut self) {
        for controller in &self.added {
            let _ = write(&self.file, &format!("-{controller}"));
        }
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).named(|| format!("echo {text} > {}", file.display()))
}
