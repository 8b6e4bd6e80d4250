//! What the notes leave out: namespaces and chroot alone make no container.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, inside, right, wrong};
use ns_core::{Capability, Fact, process};

use super::container::in_a_container;
use super::privileges::{nest, set_no_new_privs};
use super::root::{climb, enter_an_empty_root, identity_of};
use crate::run::{capabilities, seccomp};

const NAMESPACES_AND_CHROOT: Claim = Claim::refuted(
    "namespaces-and-chroot",
    "Namespaces and chroot are what a container is built from: with them no way out is open.",
    "the-rest",
)
.factor("chroot()")
.notes(&[2])
.arms("namespaces", "+ chroot()")
.core(&[Row::inside("ways out, of three", "ways that are open")])
.asks(
    "The notes build a container from namespaces and chroot(). Which of three ways out are open then?",
    &[
        right("two: the old root directory, and every capability"),
        wrong("none", "the notes say that containers are based on these two, and name nothing else"),
        wrong("one: the old root directory", "root in a namespace is thought to have lost its capabilities"),
        wrong(
            "all three: it makes a user namespace too",
            "anyone may make one, but after chroot() the kernel refuses",
        ),
    ],
);
const THE_REST: Claim = Claim::holds(
    "the-rest",
    "It takes pivot_root(), fewer capabilities and a seccomp filter besides: then none of these ways is open.",
)
.factor("the other ingredients")
.notes(&[2])
.arms("+ chroot()", "+ the rest")
.core(&[Row::inside("ways out, of three", "ways that are open")])
.asks(
    "Which ingredients close the ways out that namespaces and chroot() leave open?",
    &[
        right("pivot_root(), fewer capabilities and a seccomp filter"),
        wrong("a user namespace", "its root is nobody outside, which is thought to be enough"),
        wrong("cgroups", "they complete the list that most tutorials give"),
        wrong("a read-only root filesystem", "what cannot be changed is thought to let nobody out"),
    ],
)
.requires(&[Requirement::Unchrooted]);

pub(crate) const TRY_WAYS_OUT: Step = Step {
    title: "Try three ways out of a container: of namespaces, of namespaces and chroot, and of all ingredients.",
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

/// How complete a container is.
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
            seccomp::filter()?;
        }
        let powerful = process::is_capable(Capability::CAP_SYS_ADMIN);
        // Who never left is there already.
        let reached = built == Built::OfNamespaces || climb()? == outside;
        // Last, since it changes who we are. A chrooted process may make none (user_namespaces(7), EPERM).
        let nests = nest().is_ok();
        me.report("ways that are open", [reached, powerful, nests].into_iter().filter(|it| *it).count())?;
        me.report("the old root was reached", reached)?;
        me.report("CAP_SYS_ADMIN", powerful)?;
        me.report("another user namespace can be made", nests)
    })
}
