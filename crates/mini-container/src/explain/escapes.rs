//! The ingredients that the notes do not name: namespaces and chroot() alone leave ways out.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, inside, right, wrong};
use ns_core::{Capability, Fact, process};

use super::container::in_a_container;
use super::privileges::{nest, set_no_new_privs};
use super::root::{climb, enter_an_empty_root, identity_of};
use crate::run::{capabilities, seccomp};

const NAMESPACES_AND_CHROOT: Claim = Claim::refuted(
    "namespaces-and-chroot",
    "A container is built from namespaces and chroot(): with these two, no way out is open.",
    "the-rest",
)
.factor("chroot()")
.notes(&[2])
.arms("namespaces", "+ chroot()")
.core(&[Row::inside("open ways out, of 3", "ways that are open")])
.asks(
    "The notes build a container from namespaces and chroot(). Which of three ways out are open then?",
    &[
        right("two: the old root directory, and every capability"),
        wrong("none", "the notes base containers on these two, and name nothing else"),
        wrong("one: the old root directory", "root in a namespace is thought to have no capabilities"),
        wrong(
            "all three: it creates a user namespace too",
            "every user may create one, but not after chroot()",
        ),
    ],
);
const THE_REST: Claim = Claim::holds(
    "the-rest",
    "With pivot_root(), fewer capabilities and a seccomp filter, none of the three ways out is open.",
)
.factor("the other ingredients")
.notes(&[2])
.arms("+ chroot()", "+ the rest")
.core(&[Row::inside("open ways out, of 3", "ways that are open")])
.asks(
    "Which ingredients close the ways out that namespaces and chroot() leave open?",
    &[
        right("pivot_root(), fewer capabilities and a seccomp filter"),
        wrong("a user namespace", "its root has no privilege outside, which is thought to be enough"),
        wrong("cgroups", "most tutorials list namespaces, chroot and cgroups"),
        wrong("a read-only root filesystem", "a process that cannot change files is thought to be confined"),
    ],
)
.requires(&[Requirement::Unchrooted]);

pub(crate) const TRY_WAYS_OUT: Step = Step {
    title: "Try three ways out of a container: one of namespaces, one of namespaces and chroot(), and one of all ingredients.",
    calls: &["chroot(\"door\")", "capget()", "unshare(CLONE_NEWUSER)"],
    by_hand: &[],
    claims: &[NAMESPACES_AND_CHROOT, THE_REST],
    run: |lab| {
        lab.compare(NAMESPACES_AND_CHROOT, Built::OfNamespaces, Built::AndChroot, ways_out)?
            .shows(inside("ways that are open").is(0))?;
        lab.compare(THE_REST, Built::AndChroot, Built::AndTheRest, ways_out)?
            .shows(inside("ways that are open").is(0))
    },
};

/// The ingredients of a container.
#[derive(Clone, Copy, PartialEq)]
enum Built {
    OfNamespaces,
    AndChroot,
    AndTheRest,
}

fn ways_out(built: Built) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        let whole = built == Built::AndTheRest;
        let outside = identity_of("/")?;
        if built != Built::OfNamespaces {
            enter_an_empty_root(whole)?;
        }
        if whole {
            capabilities::keep_few()?;
            set_no_new_privs()?;
            seccomp::filter()?.install()?;
        }
        let powerful = process::is_capable(Capability::CAP_SYS_ADMIN);
        // A process that has not left the old root is still in it.
        let reached = built == Built::OfNamespaces || climb()? == outside;
        // Last, since it changes the process's IDs. It fails with EPERM in a chroot (user_namespaces(7)).
        let nests = nest().is_ok();
        me.report("ways that are open", [reached, powerful, nests].into_iter().filter(|it| *it).count())?;
        me.report("the old root was reached", reached)?;
        me.report("CAP_SYS_ADMIN", powerful)?;
        me.report("a user namespace can be created", nests)
    })
}
