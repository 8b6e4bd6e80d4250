//! The root *directory*, which user_namespaces(7) names among the things that are isolated; and who else one may become.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::unistd::{Uid, setresuid};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, namespace, root};

use crate::person::{as_user, in_z, tell_all_of};

pub(crate) const ROOT_DIRECTORY: Claim =
    Claim::refuted("root-directory", "User namespaces isolate the root directory.", "may-chroot")
        .cause("CLONE_NEWUSER")
        .notes(&[109]);
pub(crate) const MAY_CHROOT: Claim = Claim::holds(
    "may-chroot",
    "A new user namespace leaves the root directory as it is, and lets its member call chroot().",
)
.cause("CLONE_NEWUSER")
.notes(&[109]);
pub(crate) const CHROOTED: Claim = Claim::holds(
    "chrooted",
    "A process whose root directory was changed by chroot() cannot make a user namespace: EPERM.",
)
.cause("chroot()")
.notes(&[109])
.more(&[76]);
pub(crate) const NOBODY_ELSE: Claim = Claim::holds(
    "nobody-else",
    "With all capabilities one can become no user whom the map does not have: setuid() gives EINVAL.",
)
.cause("a user ID that the map lacks")
.more(&[76]);

const SAME: &str = "the root directory changed";
const CHROOT: &str = "chroot(\"/etc\")";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the root directory before and after unshare(CLONE_NEWUSER), and change it.",
        calls: &["stat(\"/proc/self/root\")", "unshare(CLONE_NEWUSER)", "chroot(\"/etc\")"],
        by_hand: &[
            "stat -c %d:%i /; unshare -Ur stat -c %d:%i /",
            "unshare -Ur sh -c 'chroot / true; echo $?'; chroot / true",
        ],
    })?;
    let outside = look_and_change(Namespaces::NONE)?;
    let inside = look_and_change(Namespaces::USER)?;
    lab.claim(ROOT_DIRECTORY)
        .without(outside.clone())
        .with(inside.clone())
        .shows(|seen| seen.inside(SAME).is_some_and(|it| *it == true))?;
    lab.claim(MAY_CHROOT).without(outside).with(inside).shows(|seen| {
        seen.inside(SAME).is_some_and(|it| *it == false) && seen.inside(CHROOT).is_some_and(|it| *it == "OK")
    })?;

    lab.step(Step {
        goal: "Change the root directory first, and then make a user namespace.",
        calls: &["chroot(\"/etc\")", "unshare(CLONE_NEWUSER)"],
        by_hand: &["unshare -Urm sh -c 'mount --rbind / /mnt; chroot /mnt unshare --user true'"],
    })?;
    lab.claim(CHROOTED)
        .without(unshare_in_a_chroot(false)?)
        .with(unshare_in_a_chroot(cause(true, false))?)
        .shows(|answer| *answer == "EPERM")?;

    lab.step(Step {
        goal: "In a namespace whose map has the line `0 0 1` alone, become user 0, and become user 1.",
        calls: &["setresuid(0, 0, 0)", "setresuid(1, 1, 1)"],
        by_hand: &["unshare -Ur setpriv --reuid 1 true"],
    })?;
    lab.claim(NOBODY_ELSE)
        .without(become_user(0)?)
        .with(become_user(cause(1, 0))?)
        .shows(|answer| *answer == "EINVAL")?;
    Ok(())
}

fn look_and_change(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut user = as_user("user", move |me| {
        let own_root = || -> ns_core::Result<(u64, u64)> {
            let found =
                std::fs::metadata("/proc/self/root/.").named(|| "stat(\"/proc/self/root/.\")".into())?;
            Ok((found.dev(), found.ino()))
        };
        let before = own_root()?;
        namespace::unshare(namespaces)?;
        me.saw(SAME, own_root()? != before)?;
        me.saw(CHROOT, Outcome::of(root::chroot(Path::new("/etc")))?)
    })?;
    Ok(user.hear_all()?)
}

fn unshare_in_a_chroot(changes: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let child = Child::spawn("maker", Namespaces::NONE, move |me| {
            if changes {
                root::chroot(Path::new("/etc"))?;
            }
            me.saw("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
        })?;
        tell_all_of(child, me)
    })
}

fn become_user(uid: u32) -> Result<Vec<Fact>> {
    in_z(Namespaces::NONE, move |me| {
        let user = Uid::from_raw(uid);
        let call = format!("setresuid({uid}, {uid}, {uid})");
        let answer = Outcome::of(setresuid(user, user, user).named(|| call.clone()))?;
        me.saw(call, answer)
    })
}
