//! What is said where no cgroup can be made, and to whom one is given.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use ns_core::cgroup::{self, CgroupParent, CgroupRequest, Layout, Version};
use ns_core::cleanup::TemporaryDirectory;
use ns_core::probe::Unmet;

use crate::plain::Ending::{self, Passed};
use crate::plain::{Answer, Check};
use crate::processes::Waiting;

pub(crate) const CHECKS: &[Check] = &[
    ("what_is_lacking_is_one_line", what_is_lacking_is_one_line),
    ("a_user_without_a_cgroup_is_told_what_is_refused", a_user_without_a_cgroup_is_told_what_is_refused),
    ("a_delegated_cgroup_is_a_place_for_its_user", a_delegated_cgroup_is_a_place_for_its_user),
];

fn what_is_lacking_is_one_line() -> Answer {
    for want in [
        CgroupRequest::ControllerV2("nonsense"),
        CgroupRequest::Controller("no\nsense"),
        CgroupRequest::V1("nonsense"),
    ] {
        let Err(missing) = CgroupParent::find(want)? else { return Err("a place for nonsense".into()) };
        assert!(matches!(&missing, Unmet::Controller { .. }), "{missing:?}");
        assert!(!missing.to_string().contains('\n'), "{missing}");
    }
    let layout = Layout::detect()?;
    for hierarchy in layout.hierarchies() {
        for controller in hierarchy.controllers() {
            let other = match hierarchy.version() {
                Version::V1 => CgroupRequest::ControllerV2(controller),
                Version::V2 => CgroupRequest::V1(controller),
            };
            let Err(missing) = CgroupParent::find_in(&layout, other)? else { return Err("on both".into()) };
            assert!(matches!(&missing, Unmet::Controller { name, .. } if name == controller), "{missing:?}");
        }
    }
    Ok(Passed)
}

fn a_user_without_a_cgroup_is_told_what_is_refused() -> Answer {
    skip_unless_root!();
    let program = Program::open_to_all()?;
    let seen = Waiting::running(&program.as_nobody("find-v2"))?.output()?;
    assert!(seen.starts_with("no cgroup that we may write to: ") && seen.contains("EACCES"), "{seen}");
    assert!(!seen.contains('\n'));
    Ok(Passed)
}

/// What `systemd-run --user --scope -p Delegate=yes` does: a user is given a cgroup, and starts in it.
fn a_delegated_cgroup_is_a_place_for_its_user() -> Answer {
    skip_unless_root!();
    let place = place!(CgroupRequest::AnyV2);
    let delegated = place.create("delegated")?;
    for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        std::os::unix::fs::chown(delegated.path().join(file), Some(65534), Some(65534))?;
    }
    let program = Program::open_to_all()?;
    let mut process = Waiting::running(&program.as_nobody("delegated"))?;
    delegated.join(process.pid())?;
    assert_eq!(process.output()?, delegated.path().display().to_string());
    assert_eq!(cgroup::walk(delegated.path())?.len(), 1, "it took its own away again");
    // One that may not write the common ancestor's cgroup.procs could make cgroups, and move nobody there.
    fs::set_permissions(delegated.path().join("cgroup.procs"), fs::Permissions::from_mode(0o444))?;
    let mut process = Waiting::running(&program.as_nobody("find-v2"))?;
    delegated.join(process.pid())?;
    let seen = process.output()?;
    assert!(seen.contains("echo PID > ") && seen.contains("EACCES"), "{seen}");
    Ok(Passed)
}

/// A copy of this program that other users can run: where it was built need not be open to them.
struct Program {
    directory: TemporaryDirectory,
}

impl Program {
    fn open_to_all() -> Result<Program, Box<dyn Error>> {
        let directory = TemporaryDirectory::new("program")?;
        fs::copy(std::env::current_exe()?, directory.path().join("cgroup"))?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Program { directory })
    }

    /// The command that runs it as an ordinary user.
    fn as_nobody(&self, role: &str) -> String {
        let program = self.directory.path().join("cgroup");
        format!(
            "exec setpriv --reuid 65534 --regid 65534 --clear-groups '{}' role-{role} </dev/null",
            program.display()
        )
    }
}
