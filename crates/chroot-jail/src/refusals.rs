//! Who may call chroot(2), on which paths, and what is not allowed in a chroot.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Step, first, hand, inside, last};
use ns_core::{Capability, Child, Fact, Named, Namespaces, Outcome, namespace, process, root};

use crate::jail::{Confinement, JAIL, OUTSIDE, jailed, make_directory};

const PRIVILEGED: Claim = Claim::holds("privileged", "chroot() without CAP_SYS_CHROOT fails with EPERM.")
    .factor("CAP_SYS_CHROOT given up")
    .arms("no MKNOD", "no SYS_CHROOT")
    .more(&[89])
    .requires(&[Requirement::Capability(Capability::CAP_SYS_CHROOT)]);
const USER_NAMESPACE: Claim = Claim::holds(
    "user-namespace",
    "A process without capabilities can call chroot() in a new user namespace.",
)
.factor("CLONE_NEWUSER")
.arms("plain child", "CLONE_NEWUSER")
.notes(&[109])
.more(&[89]);

pub(crate) const CALL_WITHOUT_PRIVILEGE: Step = Step {
    title: "Call chroot() with CAP_SYS_CHROOT, without it, and without it in a new user namespace.",
    calls: &["capset()", "chroot(\"/mnt/jail\")", "unshare(CLONE_NEWUSER)"],
    by_hand: &[
        hand("unshare -Ur setpriv --bounding-set -sys_chroot /sbin/chroot / true").prints("EPERM"),
        hand("unshare -Ur /sbin/chroot / true && echo OK").prints("OK"),
    ],
    claims: &[PRIVILEGED, USER_NAMESPACE],
    run: |lab| {
        lab.compare(PRIVILEGED, Capability::CAP_MKNOD, Capability::CAP_SYS_CHROOT, |capability| {
            call_chroot(Some(capability), Namespaces::NONE)
        })?
        .shows(inside("chroot()").from("OK").to("EPERM"))?;
        lab.compare(USER_NAMESPACE, Namespaces::NONE, Namespaces::USER, |namespaces| {
            call_chroot(None, namespaces)
        })?
        .shows(inside("chroot()").from("EPERM").to("OK"))
    },
};

const NO_USER_NAMESPACE: Claim = Claim::holds(
    "no-user-namespace",
    "In a chroot, unshare(CLONE_NEWUSER) fails with EPERM; after pivot_root() it succeeds.",
)
.factor("chroot() instead of pivot_root()")
.arms("pivot_root()", "chroot()")
.notes(&[109])
.more(&[76])
.requires(&[Requirement::Unchrooted]);

pub(crate) const MAKE_A_USER_NAMESPACE: Step = Step {
    title: "Call unshare(CLONE_NEWUSER) after pivot_root(), and after chroot().",
    calls: &["unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("unshare -Urm sh -c 'mount --rbind / /mnt; /sbin/chroot /mnt unshare --user true'").prints("EPERM"), hand("unshare -Urm sh -c 'mount --rbind / /mnt; cd /mnt; /sbin/pivot_root . .; umount -l .; unshare --user true && echo OK'").prints("OK"), ],
    claims: &[NO_USER_NAMESPACE],
    run: |lab| {
        lab.compare(NO_USER_NAMESPACE, Confinement::PivotRoot, Confinement::Chroot, create_a_user_namespace)?
            .shows(inside("unshare(CLONE_NEWUSER)").from("OK").to("EPERM"))
    },
};

const SEARCH: Claim = Claim::holds(
    "search",
    "chroot() needs a directory with search permission: a file gives ENOTDIR, a directory of mode 0000 EACCES.",
)
.factor("another path")
.arms("a directory", "other paths")
.more(&[89]);

pub(crate) const CALL_ON_OTHER_PATHS: Step = Step {
    title: "Call chroot() on a file, on a directory without search permission, and on other paths.",
    calls: &["chroot(path)"],
    by_hand: &[hand("unshare -Ur /sbin/chroot /etc/hostname true").prints("ENOTDIR")],
    claims: &[SEARCH],
    run: |lab| {
        let long = "x".repeat(300);
        let paths = [
            GOOD,
            A_FILE,
            CLOSED_TO_ALL,
            ("a missing file", "/mnt/missing"),
            ("a symlink to itself", LOOP),
            ("a name of 300 characters", long.as_str()),
        ];
        let mut rows = Vec::new();
        for path in paths {
            let answer = chroot_to(&[path])?.first().map_or("?".into(), |fact| fact.value.clone());
            rows.push(vec![path.0.into(), answer]);
        }
        lab.table("chroot() without CAP_DAC_OVERRIDE, by kind of path", &["path", "answer"], rows)?;
        lab.compare(SEARCH, &[GOOD][..], &[A_FILE, CLOSED_TO_ALL], chroot_to)?
            .shows(first().from("OK").to("ENOTDIR") & last().from("OK").to("EACCES"))
    },
};

const CLOSED: &str = "/mnt/closed";
const LOOP: &str = "/mnt/loop";

/// What a path leads to, and the path.
type To<'a> = (&'a str, &'a str);

const GOOD: To<'_> = ("a directory", JAIL);
const A_FILE: To<'_> = ("a file", OUTSIDE);
const CLOSED_TO_ALL: To<'_> = ("a directory of mode 0000", CLOSED);

/// `None` gives up all capabilities.
fn call_chroot(give_up: Option<Capability>, namespaces: Namespaces) -> Result<Vec<Fact>> {
    jailed(move |me| {
        match give_up {
            Some(capability) => process::drop_capability(capability)?,
            None => process::drop_all_capabilities()?,
        }
        let mut child = Child::spawn("caller", namespaces, |me| {
            me.report("chroot()", Outcome::of(root::chroot(Path::new(JAIL)))?)
        })?;
        me.send(child.fact()?)
    })
}

fn create_a_user_namespace(confinement: Confinement) -> Result<Vec<Fact>> {
    jailed(move |me| {
        confinement.apply()?;
        me.report("unshare(CLONE_NEWUSER)", Outcome::of(namespace::unshare(Namespaces::USER))?)
    })
}

fn chroot_to(paths: &[To<'_>]) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (what, path) in paths {
        facts.extend(jailed(|me| {
            make_directory(CLOSED)?;
            fs::set_permissions(CLOSED, fs::Permissions::from_mode(0o000)).named(|| "chmod()".into())?;
            symlink(LOOP, LOOP).named(|| "symlink()".into())?;
            // With them, the caller can search any directory.
            process::drop_capability(Capability::CAP_DAC_OVERRIDE)?;
            process::drop_capability(Capability::CAP_DAC_READ_SEARCH)?;
            me.report(format!("chroot() to {what}"), Outcome::of(root::chroot(Path::new(path)))?)
        })?);
    }
    Ok(facts)
}
