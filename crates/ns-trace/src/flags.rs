//! The names of flags.

use ns_core::Kind;

/// A flag and its name.
pub(crate) type Named = (u64, &'static str);

/// Kinds by the flag that creates one, in the order in which the kernel does.
const KINDS: [(Kind, u64, &str); 8] = [
    (Kind::User, libc::CLONE_NEWUSER as u64, "CLONE_NEWUSER"),
    (Kind::Mnt, libc::CLONE_NEWNS as u64, "CLONE_NEWNS"),
    (Kind::Uts, libc::CLONE_NEWUTS as u64, "CLONE_NEWUTS"),
    (Kind::Ipc, libc::CLONE_NEWIPC as u64, "CLONE_NEWIPC"),
    (Kind::Pid, libc::CLONE_NEWPID as u64, "CLONE_NEWPID"),
    (Kind::Cgroup, libc::CLONE_NEWCGROUP as u64, "CLONE_NEWCGROUP"),
    (Kind::Net, libc::CLONE_NEWNET as u64, "CLONE_NEWNET"),
    (Kind::Time, libc::CLONE_NEWTIME as u64, "CLONE_NEWTIME"),
];

/// Flags of clone(2) and unshare(2) that create no namespace.
const CLONE: [Named; 12] = [
    (libc::CLONE_VM as u64, "CLONE_VM"),
    (libc::CLONE_FS as u64, "CLONE_FS"),
    (libc::CLONE_FILES as u64, "CLONE_FILES"),
    (libc::CLONE_SIGHAND as u64, "CLONE_SIGHAND"),
    (libc::CLONE_PIDFD as u64, "CLONE_PIDFD"),
    (libc::CLONE_VFORK as u64, "CLONE_VFORK"),
    (libc::CLONE_PARENT as u64, "CLONE_PARENT"),
    (libc::CLONE_THREAD as u64, "CLONE_THREAD"),
    (libc::CLONE_SYSVSEM as u64, "CLONE_SYSVSEM"),
    (libc::CLONE_PTRACE as u64, "CLONE_PTRACE"),
    (0x1_0000_0000, "CLONE_CLEAR_SIGHAND"),
    (0x2_0000_0000, "CLONE_INTO_CGROUP"),
];

/// mount(2), less what propagation(flags) tells.
pub(crate) const MOUNT: [Named; 23] = [
    (libc::MS_RDONLY, "MS_RDONLY"),
    (libc::MS_NOSUID, "MS_NOSUID"),
    (libc::MS_NODEV, "MS_NODEV"),
    (libc::MS_NOEXEC, "MS_NOEXEC"),
    (libc::MS_SYNCHRONOUS, "MS_SYNCHRONOUS"),
    (libc::MS_REMOUNT, "MS_REMOUNT"),
    (libc::MS_MANDLOCK, "MS_MANDLOCK"),
    (libc::MS_DIRSYNC, "MS_DIRSYNC"),
    (256, "MS_NOSYMFOLLOW"),
    (libc::MS_NOATIME, "MS_NOATIME"),
    (libc::MS_NODIRATIME, "MS_NODIRATIME"),
    (libc::MS_BIND, "MS_BIND"),
    (libc::MS_MOVE, "MS_MOVE"),
    (libc::MS_REC, "MS_REC"),
    (libc::MS_SILENT, "MS_SILENT"),
    (libc::MS_UNBINDABLE, "MS_UNBINDABLE"),
    (libc::MS_PRIVATE, "MS_PRIVATE"),
    (libc::MS_SLAVE, "MS_SLAVE"),
    (libc::MS_SHARED, "MS_SHARED"),
    (libc::MS_RELATIME, "MS_RELATIME"),
    (1 << 23, "MS_I_VERSION"),
    (libc::MS_STRICTATIME, "MS_STRICTATIME"),
    (1 << 25, "MS_LAZYTIME"),
];

/// umount2(2).
pub(crate) const UMOUNT: [Named; 4] = [
    (libc::MNT_FORCE as u64, "MNT_FORCE"),
    (libc::MNT_DETACH as u64, "MNT_DETACH"),
    (libc::MNT_EXPIRE as u64, "MNT_EXPIRE"),
    (libc::UMOUNT_NOFOLLOW as u64, "UMOUNT_NOFOLLOW"),
];

/// mount_setattr(2) and fsmount(2).
pub(crate) const ATTRIBUTES: [Named; 8] = [
    (0x1, "MOUNT_ATTR_RDONLY"),
    (0x2, "MOUNT_ATTR_NOSUID"),
    (0x4, "MOUNT_ATTR_NODEV"),
    (0x8, "MOUNT_ATTR_NOEXEC"),
    (0x10, "MOUNT_ATTR_NOATIME"),
    (0x80, "MOUNT_ATTR_NODIRATIME"),
    (0x10_0000, "MOUNT_ATTR_IDMAP"),
    (0x20_0000, "MOUNT_ATTR_NOSYMFOLLOW"),
];

/// open_tree(2).
pub(crate) const OPEN_TREE: [Named; 4] = [
    (1, "OPEN_TREE_CLONE"),
    (libc::AT_RECURSIVE as u64, "AT_RECURSIVE"),
    (libc::AT_EMPTY_PATH as u64, "AT_EMPTY_PATH"),
    (libc::AT_SYMLINK_NOFOLLOW as u64, "AT_SYMLINK_NOFOLLOW"),
];

/// seccomp(2).
pub(crate) const SECCOMP: [Named; 5] = [
    (1, "SECCOMP_FILTER_FLAG_TSYNC"),
    (2, "SECCOMP_FILTER_FLAG_LOG"),
    (4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
    (8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
    (16, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"),
];

/// PR_SET_SECUREBITS of prctl(2): capabilities(7).
pub(crate) const SECURE_BITS: [Named; 8] = [
    (1, "SECBIT_NOROOT"),
    (2, "SECBIT_NOROOT_LOCKED"),
    (4, "SECBIT_NO_SETUID_FIXUP"),
    (8, "SECBIT_NO_SETUID_FIXUP_LOCKED"),
    (16, "SECBIT_KEEP_CAPS"),
    (32, "SECBIT_KEEP_CAPS_LOCKED"),
    (64, "SECBIT_NO_CAP_AMBIENT_RAISE"),
    (128, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"),
];

/// The names of the bits of `word`; what has none is a number at the end.
pub(crate) fn names(word: u64, table: &[Named]) -> Vec<String> {
    let known = table.iter().filter(|(bits, _)| word & bits == *bits);
    let mut names: Vec<String> = known.clone().map(|(_, name)| (*name).to_string()).collect();
    let rest = known.fold(word, |rest, (bits, _)| rest & !bits);
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names
}

/// The mask of all flags that create a namespace.
pub(crate) fn all_namespaces() -> u64 {
    KINDS.iter().fold(0, |mask, (_, flag, _)| mask | flag)
}

/// The single flags that create a namespace.
pub(crate) fn each_namespace() -> impl Iterator<Item = u64> {
    KINDS.into_iter().map(|(_, flag, _)| flag)
}

/// The kinds whose flags are in `word`, as /proc/PID/ns calls them.
pub(crate) fn kinds(word: u64) -> Vec<String> {
    let asked = KINDS.iter().filter(|(_, flag, _)| word & flag != 0);
    asked.map(|(kind, ..)| kind.link().to_string()).collect()
}

/// All flags in `word`, as clone(2), unshare(2) and setns(2) have them.
pub(crate) fn of_clone(word: u64) -> Vec<String> {
    let kinds = KINDS.iter().map(|(_, flag, name)| (*flag, *name));
    let table: Vec<Named> = kinds.chain(CLONE).collect();
    names(word, &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_name_stays_a_number() {
        assert_eq!(names(0x1 | 0x4000_0000, &ATTRIBUTES), ["MOUNT_ATTR_RDONLY", "0x40000000"]);
        assert_eq!(names(0, &ATTRIBUTES), [""; 0]);
    }

    #[test]
    fn kinds_stand_in_the_order_in_which_the_kernel_creates_them() {
        let word = (libc::CLONE_NEWPID | libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64;
        assert_eq!(kinds(word), ["user", "mnt", "pid"]);
        assert_eq!(of_clone(word), ["CLONE_NEWUSER", "CLONE_NEWNS", "CLONE_NEWPID"]);
    }
}
