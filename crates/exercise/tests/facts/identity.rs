//! Users and groups.

use nix::unistd::{getegid, geteuid, getgroups};
use ns_core::idmap::{self, IdMaps};
use ns_core::{Namespaces, Reporter, Spawn};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{look, plain_child, reads, says};

pub(crate) const CHECKS: &[Check] = &[
    ("ids_are_mapped_as_the_map_says", ids_are_mapped_as_the_map_says),
    ("a_map_that_is_not_written_is_absent", a_map_that_is_not_written_is_absent),
    ("in_our_own_user_namespace_ids_are_ours", in_our_own_user_namespace_ids_are_ours),
];

fn ids_are_mapped_as_the_map_says() -> Answer {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let maps = IdMaps::own(5, uid, gid);
    let child = Spawn::new("child").namespaces(Namespaces::USER).maps(maps).run(Reporter::stay)?;
    reads!(child.pid(),
        "uid map" => format!("5 {uid} 1"),
        "gid map" => format!("5 {gid} 1"),
        "setgroups" => "deny",
        "uid" => uid.to_string(),
        "gid" => gid.to_string(),
        "uid inside" => "5",
        "gid inside" => "5",
    );
    says!(child.pid(), "uid inside" => "inside, its user ID is 5");
    Ok(Passed)
}

fn a_map_that_is_not_written_is_absent() -> Answer {
    let child = Spawn::new("child").namespaces(Namespaces::USER).run(Reporter::stay)?;
    let (user, group) = idmap::overflow_ids()?;
    reads!(child.pid(),
        "uid map" => "absent",
        "gid map" => "absent",
        "setgroups" => "allow",
        "uid inside" => user.to_string(),
        "gid inside" => group.to_string(),
    );
    says!(child.pid(), "uid map" => "its uid_map is empty");
    Ok(Passed)
}

fn in_our_own_user_namespace_ids_are_ours() -> Answer {
    let child = plain_child()?;
    let groups = getgroups()?;
    reads!(child.pid(),
        "uid" => geteuid().to_string(),
        "uid inside" => geteuid().to_string(),
        "gid inside" => getegid().to_string(),
    );
    assert_eq!(look("groups", child.pid()).split_whitespace().count(), groups.len());
    Ok(Passed)
}
