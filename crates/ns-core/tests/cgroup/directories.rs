//! Temporary directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ns_core::cleanup::TemporaryDirectory;

use crate::owner::Owner;
use crate::plain::Ending::{self, Passed};
use crate::plain::{Answer, Check};

pub(crate) const CHECKS: &[Check] = &[
    ("a_temporary_directory_is_ours_alone_and_goes", a_temporary_directory_is_ours_alone_and_goes),
    ("a_mount_in_a_temporary_directory_is_not_entered", a_mount_in_a_temporary_directory_is_not_entered),
];

fn a_temporary_directory_is_ours_alone_and_goes() -> Answer {
    let directory = TemporaryDirectory::new("ours")?;
    let path = directory.path().to_path_buf();
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o7777, 0o700);
    fs::create_dir_all(path.join("a/b"))?;
    fs::write(path.join("a/b/file"), "x")?;
    std::os::unix::fs::symlink("/", path.join("a/root"))?;
    let other = TemporaryDirectory::new("ours")?;
    assert_ne!(other.path(), path);
    drop(directory);
    assert!(!path.exists() && other.path().exists() && Path::new("/proc").exists());
    assert!(TemporaryDirectory::new("../x").is_err());
    Ok(Passed)
}

fn a_mount_in_a_temporary_directory_is_not_entered() -> Answer {
    skip_unless_root!();
    let mut owner = Owner::start(&["unshare", "-m"], "mounted")?;
    let seen = owner.line()?;
    assert_eq!(seen, "the file on the mount is still there");
    owner.process.wait()?;
    assert_eq!(owner.leftovers()?, Vec::<String>::new());
    Ok(Passed)
}
