//! What a check needs of the machine, or else is skipped for.

use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::probe::Unmet;

/// A place for what is wanted, or the reason for a skip.
macro_rules! place {
    ($want:expr) => {
        match CgroupParent::find($want)? {
            Ok(place) => place,
            Err(missing) => return Ok(Ending::Skipped(missing.to_string())),
        }
    };
}

macro_rules! skip_unless_root {
    () => {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Ending::Skipped("needs root, for namespaces and other users".into()));
        }
    };
}

macro_rules! any_place {
    () => {
        match crate::needs::find_any()? {
            Ok(place) => place,
            Err(missing) => return Ok(Ending::Skipped(missing.to_string())),
        }
    };
}

/// Whichever of the two this machine lets us make: v2, else v1.
pub(crate) fn find_any() -> ns_core::Result<Result<CgroupParent, Unmet>> {
    match CgroupParent::find(CgroupRequest::AnyV2)? {
        Ok(place) => Ok(Ok(place)),
        Err(missing) => Ok(CgroupParent::find(CgroupRequest::V1("memory"))?.or(Err(missing))),
    }
}
