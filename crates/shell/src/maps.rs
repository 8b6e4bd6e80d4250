//! The maps of a user namespace, as they are typed.

use std::str::FromStr;

use nix::unistd::{getegid, geteuid};
use ns_core::idmap::{Extent, IdMap, IdMaps};
use ns_core::{Capability, Result, process};

/// One line of a map, as it is typed: INSIDE:OUTSIDE:LENGTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range(pub Extent);

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let form = || format!("give INSIDE:OUTSIDE:LENGTH, such as 0:{}:1", geteuid());
        let numbers: Vec<u32> =
            text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| form())?;
        let [inside, outside, length] = *numbers else { return Err(form()) };
        let extent = Extent { inside, outside, length };
        IdMap::new(vec![extent]).map_err(|error| error.to_string())?;
        Ok(Range(extent))
    }
}

/// What a setgroups file says (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setgroups {
    /// setgroups(2) fails in the namespace for ever.
    Deny,
    /// It is a matter of CAP_SETGID.
    Allow,
}

impl FromStr for Setgroups {
    type Err = String;

    fn from_str(text: &str) -> Result<Setgroups, String> {
        match text {
            "deny" => Ok(Setgroups::Deny),
            "allow" => Ok(Setgroups::Allow),
            _ => Err("give deny or allow".into()),
        }
    }
}

/// Both maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    users: Vec<Extent>,
    groups: Vec<Extent>,
    setgroups: Setgroups,
}

impl Maps {
    /// No range maps the caller's own ID to 0. Without a word on setgroups it is denied to whom the kernel wants to deny it.
    pub(crate) fn new(users: &[Extent], groups: &[Extent], setgroups: Option<Setgroups>) -> Maps {
        let or_own = |ranges: &[Extent], own: u32| match ranges {
            [] => vec![Extent::one(0, own)],
            ranges => ranges.to_vec(),
        };
        let is_privileged = process::is_capable(Capability::CAP_SETGID);
        let usual = if is_privileged { Setgroups::Allow } else { Setgroups::Deny };
        Maps {
            users: or_own(users, geteuid().as_raw()),
            groups: or_own(groups, getegid().as_raw()),
            setgroups: setgroups.unwrap_or(usual),
        }
    }

    pub(crate) fn ids(&self) -> Result<IdMaps> {
        Ok(IdMaps {
            users: IdMap::new(self.users.clone())?,
            groups: IdMap::new(self.groups.clone())?,
            deny_setgroups: self.setgroups == Setgroups::Deny,
        })
    }

    /// The caller's own user ID there.
    fn own(&self) -> Option<u32> {
        let uid = geteuid().as_raw();
        let range = self.users.iter().find(|it| (it.outside..it.outside + it.length).contains(&uid))?;
        Some(range.inside + (uid - range.outside))
    }

    /// Whether user 0 of the namespace is another than the caller.
    pub(crate) fn has_another_root(&self) -> bool {
        let has_root = |ranges: &[Extent]| ranges.iter().any(|it| it.inside == 0);
        self.own() != Some(0) && has_root(&self.users) && has_root(&self.groups)
    }

    pub(crate) fn who(&self) -> String {
        let uid = geteuid();
        match self.own() {
            _ if self.has_another_root() => {
                let outside = self.users.iter().find(|it| it.inside == 0).map_or(0, |it| it.outside);
                format!("You are user 0 there, who is user {outside} outside.")
            }
            Some(own) => format!("You are user {own} there; outside you are user {uid}."),
            None => format!("You are not mapped: user 65534 there, and user {uid} outside."),
        }
    }

    /// The lines that write them for the process whose PID is in the variable `$!`.
    pub(crate) fn by_hand(&self) -> Vec<String> {
        let map = |ranges: &[Extent], file: &str| {
            let lines: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            format!("printf '%s\\n' '{}' > /proc/$!/{file}", lines.join("' '"))
        };
        let deny = (self.setgroups == Setgroups::Deny).then(|| "echo deny > /proc/$!/setgroups".to_string());
        deny.into_iter().chain([map(&self.users, "uid_map"), map(&self.groups, "gid_map")]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_as_typed() {
        assert_eq!("0:1000:1".parse(), Ok(Range(Extent::one(0, 1000))));
        for bad in ["", "0", "0:1", "0:1:0", "0:1:2:3", "a:b:c", "-1:0:1", "0:4294967295:1", "4294967295:0:2"]
        {
            assert!(bad.parse::<Range>().is_err_and(|why| !why.contains('\n')), "{bad:?}");
        }
    }
}
