//! `user-ns-map shell`: a shell in a user namespace with maps of one's choice.

use anyhow::Result;
use lesson::shell::{Options, Plan, Range, Setgroups, Shell};
use ns_core::Namespaces;
use ns_core::idmap::Extent;

pub(crate) const SHELL: Shell = Shell::of::<Maps>(
    "user-ns-map shell",
    "a shell in a new user namespace, with your maps",
    &[
        ("user-ns-map shell", "you are root there"),
        ("user-ns-map shell --map-uid 7:1000:1", "user 1000 is 7 there"),
        ("user-ns-map shell -- id", "a command there"),
        ("user-ns-map shell --by-hand", "the same by unshare(1) and echo"),
    ],
);

#[derive(Debug, clap::Args)]
struct Maps {
    /// Map user IDs: INSIDE:OUTSIDE:LENGTH; may be repeated [default: you are 0]
    #[arg(long, value_name = "MAP")]
    map_uid: Vec<Range>,

    /// Map group IDs, in the same way
    #[arg(long, value_name = "MAP")]
    map_gid: Vec<Range>,

    /// Whether setgroups() is allowed there: deny or allow [default: deny for an ordinary user]
    #[arg(long, value_name = "WORD")]
    setgroups: Option<Setgroups>,
}

impl Options for Maps {
    fn plan(&self) -> Result<Plan> {
        let extents = |ranges: &[Range]| ranges.iter().map(|range| range.0).collect::<Vec<Extent>>();
        let (users, groups) = (extents(&self.map_uid), extents(&self.map_gid));
        // What the kernel would refuse without saying which line.
        for map in [&users, &groups].into_iter().filter(|map| !map.is_empty()) {
            ns_core::idmap::IdMap::new(map.clone())?;
        }
        let first = users.first().copied().unwrap_or(Extent::one(0, nix::unistd::geteuid().as_raw()));
        Ok(Plan::created(Namespaces::USER)
            .mapped(&users, &groups, self.setgroups)
            .try_it(
                "tr -s ' ' < /proc/self/uid_map",
                "inside, outside, count: which user IDs there are which of yours",
                first.to_string(),
            )
            .try_it("id", "who you are there; what is not mapped is 65534", "uid=")
            .try_it("cat /proc/self/setgroups", "deny: setgroups() fails there for ever", self.setgroups()))
    }
}

impl Maps {
    fn setgroups(&self) -> &'static str {
        let is_privileged = ns_core::process::is_capable(ns_core::Capability::CAP_SETGID);
        match self.setgroups {
            Some(Setgroups::Deny) => "deny",
            None if !is_privileged => "deny",
            _ => "allow",
        }
    }
}
