//! Capabilities beyond the effective set: capabilities(7).

use std::path::Path;
use std::sync::OnceLock;

use caps::{CapSet, Capability};
use rustix::fs::XattrFlags;
use rustix::thread::CapabilitiesSecureBits;

use crate::error::{Named, Result};
use crate::{files, process};

/// The sets of the caller, each a mask with the bit 1 << N for capability N, and its securebits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sets {
    /// CapInh in proc_pid_status(5).
    pub inheritable: u64,
    /// CapPrm.
    pub permitted: u64,
    /// CapEff.
    pub effective: u64,
    /// CapBnd.
    pub bounding: u64,
    /// CapAmb.
    pub ambient: u64,
    /// prctl(PR_GET_SECUREBITS).
    pub securebits: u32,
}

/// The sets that the caller has now.
///
/// # Errors
/// When /proc is no procfs.
pub fn own() -> Result<Sets> {
    let status = process::status(None)?;
    let securebits =
        rustix::thread::capabilities_secure_bits().named(|| "prctl(PR_GET_SECUREBITS)".into())?.bits();
    Ok(Sets {
        inheritable: status.capinh,
        permitted: status.capprm,
        effective: status.capeff,
        bounding: status.capbnd.unwrap_or(0),
        ambient: status.capamb.unwrap_or(0),
        securebits,
    })
}

/// All that this kernel knows, as a mask: those up to /proc/sys/kernel/cap_last_cap.
///
/// # Errors
/// When /proc is no procfs.
pub fn all() -> Result<u64> {
    let last: u32 = files::number("/proc/sys/kernel/cap_last_cap")?;
    Ok(u64::MAX >> (63 - last.min(63)))
}

/// The capability that the bit `number` of a mask stands for, if this program knows it.
pub fn named(number: u32) -> Option<Capability> {
    static BY_BIT: OnceLock<Vec<Capability>> = OnceLock::new();
    let all = BY_BIT.get_or_init(|| caps::all().into_iter().collect());
    all.iter().find(|capability| u32::from(capability.index()) == number).copied()
}

/// Puts all that are permitted into the inheritable and the ambient set, as [`make_ambient`] does with one.
///
/// # Errors
/// As [`make_ambient`].
pub fn make_all_ambient() -> Result<()> {
    let permitted = own()?.permitted;
    // In any order: none depends on another.
    caps::all()
        .into_iter()
        .filter(|capability| permitted & capability.bitmask() != 0)
        .try_for_each(make_ambient)
}

/// Takes a capability out of the bounding set: no execve(2) gives it back.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn leave_bounding_set(capability: Capability) -> Result<()> {
    caps::drop(None, CapSet::Bounding, capability).named(|| format!("prctl(PR_CAPBSET_DROP, {capability})"))
}

/// Gives a capability up for every program that is executed from now on: it leaves the bounding and the inheritable set.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn lose(capability: Capability) -> Result<()> {
    leave_bounding_set(capability)?;
    caps::drop(None, CapSet::Inheritable, capability)
        .named(|| format!("capset(inheritable, without {capability})"))
}

/// Puts a capability that is permitted into the inheritable and the ambient set, so that it outlives execve(2).
///
/// # Errors
/// EPERM if it is not permitted.
pub fn make_ambient(capability: Capability) -> Result<()> {
    caps::raise(None, CapSet::Inheritable, capability)
        .named(|| format!("capset(inheritable: {capability})"))?;
    caps::raise(None, CapSet::Ambient, capability)
        .named(|| format!("prctl(PR_CAP_AMBIENT_RAISE, {capability})"))
}

/// Has the kernel treat the user 0 as any other from now on (SECBIT_NOROOT).
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn forget_root() -> Result<()> {
    rustix::thread::set_capabilities_secure_bits(CapabilitiesSecureBits::NO_ROOT)
        .named(|| "prctl(PR_SET_SECUREBITS, SECBIT_NOROOT)".into())
}

/// Gives the program at `path` a file capability: who executes it has it, permitted and effective (capabilities(7)). In a
/// user namespace it counts there and below, since the kernel writes down whose root gave it.
///
/// # Errors
/// EPERM without CAP_SETFCAP; EOPNOTSUPP where the filesystem has no such attributes.
pub fn give_to_file(path: &Path, capability: Capability) -> Result<()> {
    // struct vfs_cap_data of linux/capability.h: version 2 and the flag 'effective', then permitted and inheritable, first
    // their lower halves. All of it is little-endian.
    let mask = capability.bitmask();
    let words = [0x0200_0001, mask as u32, 0, (mask >> 32) as u32, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    rustix::fs::setxattr(path, "security.capability", &bytes, XattrFlags::empty())
        .named(|| format!("setxattr(\"{}\", \"security.capability\", {capability})", path.display()))
}
