//! Who may call chroot(2), with what, and what is not allowed in a chroot.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::{Capability, Child, Fact, Named, Namespaces, Outcome, namespace, process, root};

use crate::jail::{JAIL, OUTSIDE, Wall, make_directory, prisoner};

pub(crate) const PRIVILEGED: Claim =
    Claim::holds("privileged", "chroot() without CAP_SYS_CHROOT is refused: EPERM.")
        .cause("CAP_SYS_CHROOT given up")
        .more(&[89]);
pub(crate) const USER_NAMESPACE: Claim =
    Claim::holds("user-namespace", "Who has no capability may call chroot() in a user namespace of its own.")
        .cause("CLONE_NEWUSER")
        .notes(&[109])
        .more(&[89]);
pub(crate) const NO_USER_NAMESPACE: Claim = Claim::holds(
    "no-user-namespace",
    "Nobody can make a user namespace in a chroot: EPERM. After pivot_root() one can.",
)
.cause("chroot() instead of pivot_root()")
.notes(&[109])
.more(&[76]);
pub(crate) const SEARCH: Claim = Claim::holds(
    "search",
    "chroot() wants a directory that the caller may search: ENOTDIR for a file, EACCES without x permission.",
)
.cause("another path")
.more(&[89]);

const CLOSED: &str = "/mnt/closed";
const LOOP: &str = "/mnt/loop";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Call chroot() with the capability, without it, and without it in a new user namespace.",
        calls: &["capset()", "chroot(\"/mnt/jail\")", "unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "unshare -Ur setpriv --bounding-set -sys_chroot /sbin/chroot / true",
            "unshare -Ur /sbin/chroot / true && echo OK",
        ],
    })?;
    lab.claim(PRIVILEGED)
        .without(call_chroot(Some(Capability::CAP_MKNOD), Namespaces::NONE)?)
        .with(call_chroot(Some(cause(Capability::CAP_SYS_CHROOT, Capability::CAP_MKNOD)), Namespaces::NONE)?)
        .shows(|answer| *answer == "EPERM")?;
    lab.claim(USER_NAMESPACE)
        .without(call_chroot(None, Namespaces::NONE)?)
        .with(call_chroot(None, Namespaces::USER)?)
        .shows(|answer| *answer == "OK")?;

    lab.step(Step {
        goal: "Make a user namespace from behind either wall.",
        calls: &["unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "unshare -Urm sh -c 'mount --rbind / /mnt; /sbin/chroot /mnt unshare --user true'",
            "unshare -Urm sh -c 'mount --rbind / /mnt; cd /mnt; /sbin/pivot_root . .; umount -l .; unshare --user true && echo OK'",
        ],
    })?;
    lab.claim(NO_USER_NAMESPACE)
        .without(make_a_user_namespace(Wall::PivotRoot)?)
        .with(make_a_user_namespace(cause(Wall::Chroot, Wall::PivotRoot))?)
        .shows(|answer| *answer == "EPERM")?;

    lab.step(Step {
        goal: "Call chroot() on what is no directory, or may not be searched.",
        calls: &["chroot(path)"],
        by_hand: &["unshare -Ur /sbin/chroot /etc/hostname true"],
    })?;
    let long = "x".repeat(300);
    let paths = [
        ("a directory", JAIL),
        ("a file", OUTSIDE),
        ("a directory of mode 0000", CLOSED),
        ("nothing", "/mnt/nothing"),
        ("a symbolic link to itself", LOOP),
        ("a name of 300 letters", long.as_str()),
    ];
    let mut rows = Vec::new();
    for (what, path) in paths {
        let answer = chroot_to(&[(what, path)])?.first().map_or("?".into(), |fact| fact.value.clone());
        rows.push(vec![what.into(), answer]);
    }
    lab.table("chroot() without CAP_DAC_OVERRIDE, where the path leads to", &["path", "answer"], rows)?;
    let good = [("a directory", JAIL), ("a directory of mode 0000", JAIL)];
    let bad = [("a file", OUTSIDE), ("a directory of mode 0000", CLOSED)];
    let answers = |expected: [&'static str; 2]| {
        move |seen: &Observation| seen.facts().iter().map(|fact| fact.value.to_string()).eq(expected)
    };
    lab.claim(SEARCH)
        .without(chroot_to(&good[..1])?)
        .with(chroot_to(&cause(bad, good))?)
        .shows(answers(["ENOTDIR", "EACCES"]))?;
    Ok(())
}

/// `None` gives up all capabilities.
fn call_chroot(give_up: Option<Capability>, namespaces: Namespaces) -> Result<Vec<Fact>> {
    prisoner(move |me| {
        match give_up {
            Some(capability) => process::drop_capability(capability)?,
            None => process::drop_all_capabilities()?,
        }
        let mut child = Child::spawn("caller", namespaces, |me| {
            me.saw("chroot()", Outcome::of(root::chroot(Path::new(JAIL)))?)
        })?;
        me.tell(child.hear()?)
    })
}

fn make_a_user_namespace(wall: Wall) -> Result<Vec<Fact>> {
    prisoner(move |me| {
        wall.put_up()?;
        me.saw("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
    })
}

fn chroot_to(paths: &[(&str, &str)]) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (what, path) in paths {
        facts.extend(prisoner(|me| {
            make_directory(CLOSED)?;
            fs::set_permissions(CLOSED, fs::Permissions::from_mode(0o000)).named(|| "chmod()".into())?;
            symlink(LOOP, LOOP).named(|| "symlink()".into())?;
            // They would search any directory.
            process::drop_capability(Capability::CAP_DAC_OVERRIDE)?;
            process::drop_capability(Capability::CAP_DAC_READ_SEARCH)?;
            me.saw(format!("chroot() to {what}"), Outcome::of(root::chroot(Path::new(path)))?)
        })?);
    }
    Ok(facts)
}
