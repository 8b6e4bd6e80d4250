//! An idmapped mount: it shows its files with other owners.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Requirement, Step, inside};
use ns_core::idmap::{IdMap, IdMaps};
use ns_core::mount::{Tree, map_owners};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, Spawn};

use crate::place::{DOOR, ELSEWHERE, trial};

// A tmpfs supports idmapped mounts since Linux 6.3, other filesystems earlier (mount_setattr(2)).
const OWNERS: Claim = Claim::holds_since(
    "id-mapped",
    "An idmapped mount shows a file of user 1000 as user 2000's; the file itself does not change.",
    Kernel(6, 3),
)
.factor("MOUNT_ATTR_IDMAP")
.more(&[75])
.requires(&[Requirement::Probe(two_users)]);

pub(crate) const MAP_OWNERS: Step = Step {
    title: "Create a file of user 1000 in a tmpfs. Mount a copy of the tmpfs through the ID map of a user namespace that \
            maps 1000 to 2000.",
    calls: &[
        "open_tree(\"/mnt/door\", OPEN_TREE_CLONE)",
        "mount_setattr(tree, MOUNT_ATTR_IDMAP, user namespace)",
        "move_mount(tree, \"/mnt/elsewhere\")",
        "stat()",
    ],
    by_hand: &[],
    claims: &[OWNERS],
    run: |lab| {
        lab.compare(OWNERS, false, true, copy_with_owners)?
            .in_both_arms(inside("owner in the original").is(OWNER))
            .shows(
                inside("owner in the copy").is(MAPPED)
                    & inside("mount_setattr()").from("not called").or("EINVAL").to("OK"),
            )
    },
};

const OWNER: u32 = 1000;
const MAPPED: u32 = 2000;

/// A process in a user namespace whose user 1000 is user 2000 in the caller's.
fn in_mapped_namespace() -> ns_core::Result<Child> {
    let map = || IdMap::one(OWNER, MAPPED);
    let maps = IdMaps { users: map(), groups: map(), deny_setgroups: false };
    Spawn::new("users").namespaces(Namespaces::USER).maps(maps).run(Reporter::stay)
}

/// Unmet if the caller's user namespace lacks these users, or if the caller may not map them.
fn two_users() -> ns_core::Result<Option<Unmet>> {
    match in_mapped_namespace() {
        Ok(_) => Ok(None),
        Err(error) => match error.refused() {
            Some(_) => Ok(Some(Unmet::new("an ID map with the users 1000 and 2000", "run as root: sudo …"))),
            None => Err(error),
        },
    }
}

/// The owner of a file in a mount, and in a copy of the mount, which is idmapped if `maps`.
fn copy_with_owners(maps: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let users = in_mapped_namespace()?;
        let users = NsFile::of(Some(users.pid()), Kind::User)?;
        let file = Path::new(DOOR).join("file");
        ns_core::mount::mount("tmpfs", Path::new(DOOR))?;
        fs::write(&file, "").named(|| "write()".into())?;
        chown(&file, Some(OWNER), Some(OWNER)).named(|| format!("chown({OWNER})"))?;
        let copy = Tree::copy_of(Path::new(DOOR))?;
        if maps {
            me.report("mount_setattr()", Outcome::of(map_owners(copy.as_fd(), &users))?)?;
        } else {
            me.report("mount_setattr()", "not called")?;
        }
        copy.attach(Path::new(ELSEWHERE))?;
        let owner = |path: &Path| fs::metadata(path).map(|found| found.uid()).named(|| "stat()".into());
        me.report("owner in the copy", owner(&Path::new(ELSEWHERE).join("file"))?)?;
        me.report("owner in the original", owner(&file)?)
    })
}
