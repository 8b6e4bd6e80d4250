//! Sets of kinds of namespace, as the flags of clone3(2), unshare(2) and setns(2).

use nix::sched::CloneFlags;
use observation::Kind;

bitflags::bitflags! {
    /// A set of kinds: what a child is created in, what is unshared or entered.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Namespaces: u64 {
        /// CLONE_NEWCGROUP
        const CGROUP = libc::CLONE_NEWCGROUP as u64;
        /// CLONE_NEWIPC
        const IPC = libc::CLONE_NEWIPC as u64;
        /// CLONE_NEWNET
        const NET = libc::CLONE_NEWNET as u64;
        /// CLONE_NEWNS
        const MNT = libc::CLONE_NEWNS as u64;
        /// CLONE_NEWPID
        const PID = libc::CLONE_NEWPID as u64;
        /// CLONE_NEWTIME: lies inside clone(2)'s exit-signal byte, so clone3, unshare and setns alone can carry it.
        const TIME = libc::CLONE_NEWTIME as u64;
        /// CLONE_NEWUSER
        const USER = libc::CLONE_NEWUSER as u64;
        /// CLONE_NEWUTS
        const UTS = libc::CLONE_NEWUTS as u64;
    }
}

impl Namespaces {
    /// None: an ordinary child.
    pub const NONE: Namespaces = Namespaces::empty();

    /// Those that unshare(2) creates for the caller's next children, and not for the caller.
    pub(super) const OF_CHILDREN: Namespaces = Namespaces::PID.union(Namespaces::TIME);

    /// The set that holds `kind` alone.
    pub const fn only(kind: Kind) -> Namespaces {
        match kind {
            Kind::Cgroup => Namespaces::CGROUP,
            Kind::Ipc => Namespaces::IPC,
            Kind::Net => Namespaces::NET,
            Kind::Mnt => Namespaces::MNT,
            Kind::Pid => Namespaces::PID,
            Kind::Time => Namespaces::TIME,
            Kind::User => Namespaces::USER,
            Kind::Uts => Namespaces::UTS,
        }
    }

    /// The kinds in the set, in the order of [`Kind::ALL`].
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.contains(Namespaces::only(*kind)))
    }

    /// The flags as typed: `CLONE_NEWUSER|CLONE_NEWPID`, or `0`.
    pub fn as_typed(self) -> String {
        let flags: Vec<_> = self.kinds().map(Kind::flag).collect();
        if flags.is_empty() { "0".into() } else { flags.join("|") }
    }

    /// As nix takes them.
    pub(super) fn clone_flags(self) -> CloneFlags {
        // nix knows no CLONE_NEWTIME, but passes on what it is given.
        CloneFlags::from_bits_retain(self.bits() as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_as_typed() {
        assert_eq!((Namespaces::PID | Namespaces::USER).as_typed(), "CLONE_NEWPID|CLONE_NEWUSER");
        assert_eq!(Namespaces::NONE.as_typed(), "0");
    }
}
