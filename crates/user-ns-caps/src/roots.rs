//! The root *directory*, which user_namespaces(7) lists as isolated. Then the user IDs that a process can change to.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::user::{as_user, in_z};
use lesson::{Claim, Row, Step, first, hand, inside, right, wrong};
use nix::unistd::{Uid, setresuid};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, namespace, root};

const ROOT_DIRECTORY: Claim =
    Claim::refuted("root-directory", "User namespaces isolate the root directory.", "may-chroot")
        .factor("CLONE_NEWUSER")
        .notes(&[109])
        .core(&[Row::inside("root dir. changed", CHANGED)])
        .asks(
            "A process calls unshare(CLONE_NEWUSER). What happens to its root directory?",
            &[
                right("it stays the same directory"),
                wrong(
                    "it is isolated: the namespace has its own",
                    "user_namespaces(7) lists it among what they isolate",
                ),
                wrong(
                    "it becomes a private copy, as with mounts",
                    "a new mount namespace does begin as a copy",
                ),
            ],
        );
const MAY_CHROOT: Claim = Claim::holds(
    "may-chroot",
    "unshare(CLONE_NEWUSER) leaves the root directory unchanged, and allows the caller to call chroot().",
)
.factor("CLONE_NEWUSER")
.notes(&[109])
.core(&[Row::inside("chroot()", CHROOT)])
.asks(
    "An ordinary user calls unshare(CLONE_NEWUSER), and then chroot(\"/etc\"). What happens?",
    &[
        right("it succeeds, for this process"),
        wrong("EPERM: only root of the host may call it", "outside, it requires CAP_SYS_CHROOT"),
        wrong("EPERM: it requires a mount namespace too", "pivot_root() does require one"),
        wrong("EACCES: /etc belongs to the host's root", "the host's root is not mapped inside"),
    ],
);

const CHANGED: &str = "root directory changed";
const CHROOT: &str = "chroot(\"/etc\")";

pub(crate) const CHANGE_ROOT: Step = Step {
    title: "Compare the root directory before and after unshare(CLONE_NEWUSER). Then call chroot().",
    calls: &["stat(\"/proc/self/root\")", "unshare(CLONE_NEWUSER)", "chroot(\"/etc\")"],
    by_hand: &[
        hand("stat -c %d:%i /; unshare -Ur stat -c %d:%i /").prints("<device and inode>\n<device and inode>"),
        hand("unshare -Ur /sbin/chroot / true; echo $?; /sbin/chroot / true").prints("0\nEPERM"),
    ],
    claims: &[ROOT_DIRECTORY, MAY_CHROOT],
    run: |lab| {
        let seen = lab.arms(Namespaces::NONE, Namespaces::USER, look_and_change)?;
        lab.judge(ROOT_DIRECTORY, seen.clone()).shows(inside(CHANGED).is("yes"))?;
        lab.judge(MAY_CHROOT, seen)
            .in_both_arms(inside(CHANGED).is("no"))
            .shows(inside(CHROOT).from("EPERM").to("OK"))
    },
};

const CHROOTED: Claim =
    Claim::holds("chrooted", "After chroot(\"/etc\"), unshare(CLONE_NEWUSER) fails with EPERM.")
        .factor("chroot()")
        .notes(&[109])
        .more(&[76]);

pub(crate) const CREATE_IN_A_CHROOT: Step = Step {
    title: "Call chroot(), and then unshare(CLONE_NEWUSER).",
    calls: &["chroot(\"/etc\")", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("unshare -Urm sh -c 'mount --rbind / /mnt; /sbin/chroot /mnt unshare --user true'")
        .prints("EPERM")],
    claims: &[CHROOTED],
    run: |lab| {
        lab.compare(CHROOTED, false, true, unshare_in_a_chroot)?
            .shows(inside("unshare(CLONE_NEWUSER)").is("EPERM"))
    },
};

const NOBODY_ELSE: Claim = Claim::holds(
    "nobody-else",
    "setresuid() to a user ID without a mapping fails with EINVAL, even with all capabilities.",
)
.factor("a user ID that the map lacks")
.more(&[76]);

pub(crate) const BECOME_ANOTHER: Step = Step {
    title: "In a namespace whose only map line is `0 0 1`, call setresuid() for user 0, then for user 1.",
    calls: &["setresuid(0, 0, 0)", "setresuid(1, 1, 1)"],
    by_hand: &[hand("unshare -Ur setpriv --reuid 1 true").prints("EINVAL")],
    claims: &[NOBODY_ELSE],
    run: |lab| lab.compare(NOBODY_ELSE, 0, 1, become_user)?.shows(first().is("EINVAL")),
};

fn look_and_change(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let own_root = || -> ns_core::Result<(u64, u64)> {
            let found =
                std::fs::metadata("/proc/self/root/.").named(|| "stat(\"/proc/self/root/.\")".into())?;
            Ok((found.dev(), found.ino()))
        };
        let before = own_root()?;
        namespace::unshare(namespaces)?;
        me.report(CHANGED, own_root()? != before)?;
        me.report(CHROOT, Outcome::of(root::chroot(Path::new("/etc")))?)
    })?;
    Ok(user.facts()?)
}

fn unshare_in_a_chroot(changes: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let mut child = Child::spawn("creator", Namespaces::NONE, move |me| {
            if changes {
                root::chroot(Path::new("/etc"))?;
            }
            me.report("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
        })?;
        child.pass_on(me)
    })
}

fn become_user(uid: u32) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let user = Uid::from_raw(uid);
        let call = format!("setresuid({uid}, {uid}, {uid})");
        let answer = Outcome::of(setresuid(user, user, user).named(|| call.clone()))?;
        me.report(call, answer)
    })
}
