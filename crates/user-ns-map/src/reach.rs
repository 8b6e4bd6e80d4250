//! What root inside can change: what its user namespace owns.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Row, Step, every, hand, right, wrong};
use ns_core::idmap::IdMaps;
use ns_core::{Child, Fact, Namespaces, Outcome, Spawn, mount, uts};

use crate::maps;
use crate::user::User;

const ELSEWHERE: Claim = Claim::holds(
    "elsewhere",
    "sethostname() and mount() by root inside fail with EPERM in namespaces that its user namespace does not own.",
)
.factor("CLONE_NEWUSER")
.notes(&[114]);
const ITS_OWN: Claim = Claim::holds(
    "its-own",
    "sethostname() and a tmpfs mount() by root inside succeed in namespaces that its user namespace owns.",
)
.factor("CLONE_NEWUTS|CLONE_NEWNS")
.notes(&[114])
.arms("parent's UTS", "its own UTS")
.core(&[Row::inside("sethostname()", "sethostname(\"inside\")")])
.asks(
    "Root in a new user namespace, still in its parent's UTS namespace, sets the hostname. What happens?",
    &[
        right("EPERM: its user namespace does not own that UTS namespace"),
        wrong("the host gets the new hostname", "root may set the hostname, and getuid() returns 0"),
        wrong(
            "the hostname changes inside only",
            "a user namespace seems to isolate all that root may change",
        ),
    ],
);

pub(crate) const CHANGE_WHAT_IS_OWNED: Step = Step {
    title: "Let root inside set the hostname and mount a tmpfs: in its parent's UTS and mount namespaces, then in new ones.",
    calls: &["sethostname(\"inside\")", "mount(\"tmpfs\", \"/tmp\", \"tmpfs\")"],
    by_hand: &[
        hand("unshare --user --map-root-user hostname inside")
            .prints("hostname: you must be root to change the host name"),
        hand("unshare --user --map-root-user --uts sh -c 'hostname inside; hostname'").prints("inside"),
    ],
    claims: &[ELSEWHERE, ITS_OWN],
    run: |lab| {
        let user = Namespaces::USER;
        lab.compare(ELSEWHERE, Namespaces::NONE, user, set_hostname_and_mount)?.shows(every().is("EPERM"))?;
        lab.compare(ITS_OWN, user, user | Namespaces::UTS | Namespaces::MNT, set_hostname_and_mount)?
            .shows(every().from("EPERM").to("OK"))
    },
};

fn set_hostname_and_mount(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut user = User::Ordinary.child("user", Namespaces::NONE, move |me| {
        // These namespaces are around both arms, and protect the hostname and the mounts of the machine.
        let around = Namespaces::USER | Namespaces::UTS | Namespaces::MNT;
        let mut owner = Spawn::new("owner").namespaces(around).maps(maps).run(move |me| {
            mount::make_private()?;
            let mut child = Child::spawn("root inside", namespaces, move |me| {
                if namespaces.contains(Namespaces::USER) {
                    IdMaps::own(0, 0, 0).write_for(None)?;
                }
                me.report("sethostname(\"inside\")", Outcome::of(uts::set_hostname("inside"))?)?;
                me.report("mount(tmpfs)", Outcome::of(mount::mount("tmpfs", Path::new("/tmp")))?)
            })?;
            child.pass_on(me)
        })?;
        owner.pass_on(me)
    })?;
    Ok(user.facts()?)
}
