//! What no namespace holds: the clock, the kernel's code, swap, devices. Only the initial user namespace counts there.
//!
//! Every call is one that changes nothing when it is allowed.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::{
    Capability, Child, Errno, Fact, Named, Namespaces, Outcome, Spawn, Witness, mount, namespace, unowned,
    uts,
};

use crate::person::{in_z, stay_root, tell_all_of};

pub(crate) const UNOWNED: Claim = Claim::holds(
    "unowned",
    "The clock, modules, swap and device nodes belong to no namespace: all capabilities inside give EPERM.",
)
.cause("things that the machine has one of")
.notes(&[126]);
pub(crate) const WHITEOUT: Claim = Claim::holds(
    "whiteout",
    "One device node may be made inside: the character device 0:0, overlayfs's whiteout; 1:3, /dev/null, may not.",
)
.cause("0:0 as the device")
.notes(&[126]);
pub(crate) const NO_DEVICE: Claim =
    Claim::refuted("no-device", "Only the initial user namespace can create a device.", "whiteout")
        .cause("0:0 as the device")
        .notes(&[126]);
pub(crate) const REAL_ROOT: Claim = Claim::holds(
    "real-root",
    "The machine's root, who may do all that, may do none of it in a user namespace: EPERM, though still user 0.",
)
.cause("CLONE_NEWUSER")
.notes(&[123, 126])
.needs(&[
    Need::Capability(Capability::CAP_SYS_ADMIN),
    Need::Capability(Capability::CAP_SYS_TIME),
    Need::Capability(Capability::CAP_SYS_MODULE),
    Need::Capability(Capability::CAP_MKNOD),
    Need::Probe(the_first_namespace),
]);

const DEEDS: &[&str] = &[
    "settimeofday(NULL, NULL)",
    "delete_module(\"no_such_module\")",
    "swapoff(\"no such file\")",
    "mknod(S_IFCHR, 1:3)",
];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "As A's root, who has all capabilities, change what A's own namespaces hold, then what the machine has one of.",
        calls: &[
            "settimeofday(NULL, NULL)",
            "delete_module(\"no_such_module\")",
            "swapoff(\"no such file\")",
            "mknod(\"/tmp/device\", S_IFCHR, 1:3)",
        ],
        by_hand: &[
            "unshare -Ur date --set=now; unshare -Ur /sbin/swapoff /no; unshare -Ur mknod /tmp/null c 1 3",
        ],
    })?;
    let refused = |seen: &Observation| seen.facts().iter().all(|fact| fact.value == "EPERM");
    lab.claim(UNOWNED).without(in_a(false)?).with(in_a(cause(true, false))?).shows(refused)?;

    lab.step(Step {
        goal: "As Z's root, make two device nodes in a tmpfs of Z's own.",
        calls: &["mknod(\"/tmp/device\", S_IFCHR, 1:3)", "mknod(\"/tmp/device\", S_IFCHR, 0:0)"],
        by_hand: &[
            "unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mknod null c 1 3; mknod whiteout c 0 0; ls -l'",
        ],
    })?;
    let null = make_node(1, 3)?;
    let (major, minor) = cause((0, 0), (1, 3));
    let whiteout = make_node(major, minor)?;
    lab.claim(WHITEOUT).without(null.clone()).with(whiteout.clone()).shows(|answer| *answer == "OK")?;
    lab.claim(NO_DEVICE).without(null).with(whiteout).shows(|answer| *answer == "EPERM")?;

    if lab.can_ask(&[REAL_ROOT])? {
        lab.step(Step {
            goal: "As the machine's root, ask for the same, before and after unshare(CLONE_NEWUSER).",
            calls: &["unshare(CLONE_NEWUSER)", "settimeofday(NULL, NULL)", "…"],
            by_hand: &["sudo /sbin/swapoff /no; sudo unshare -Ur /sbin/swapoff /no"],
        })?;
        lab.claim(REAL_ROOT)
            .without(as_root(Namespaces::NONE)?)
            .with(as_root(Namespaces::USER)?)
            .shows(refused)?;
    }
    Ok(())
}

/// As A's root, whose namespaces hold a hostname, mounts and a network.
fn in_a(of_the_machine: bool) -> Result<Vec<Fact>> {
    let held = Namespaces::UTS | Namespaces::MNT | Namespaces::NET;
    in_z(held, move |me| {
        namespace::unshare(held | Namespaces::USER)?;
        stay_root(Namespaces::USER)?;
        if of_the_machine {
            return ask_for_the_machine(me);
        }
        me.saw("sethostname(\"mine\")", Outcome::of(uts::set_hostname("mine"))?)?;
        me.saw("mount(tmpfs)", Outcome::of(mount::mount("tmpfs", Path::new("/tmp")))?)?;
        me.saw("socket(SOCK_RAW)", Outcome::of(unowned::open_raw_socket())?)
    })
}

fn ask_for_the_machine(me: &mut Witness) -> ns_core::Result<()> {
    // On a filesystem of our own, so that nothing but the device is in question.
    mount::mount("tmpfs", Path::new("/tmp"))?;
    let answers = [
        unowned::set_no_time(),
        unowned::remove_no_module(),
        unowned::swap_off_nothing(),
        unowned::make_device(Path::new("/tmp/device"), 1, 3),
    ];
    for (deed, answer) in DEEDS.iter().zip(answers) {
        let answer = Outcome::of(answer)?;
        // A kernel that was built without modules or without swap says so to everybody.
        if answer != Outcome::Failed(Errno::ENOSYS) {
            me.saw(*deed, answer)?;
        }
    }
    Ok(())
}

fn make_node(major: u64, minor: u64) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        mount::mount("tmpfs", Path::new("/tmp"))?;
        let path = Path::new("/tmp/device");
        me.saw(
            format!("mknod(S_IFCHR, {major}:{minor})"),
            Outcome::of(unowned::make_device(path, major, minor))?,
        )?;
        let found = std::fs::symlink_metadata(path).named(|| "lstat()".into());
        me.saw("it is there", found.is_ok())
    })
}

/// As the root that we are, with mounts of our own around.
fn as_root(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut root = Spawn::new("root").namespaces_always(Namespaces::MNT).run(move |me| {
        mount::make_private()?;
        let child = Child::spawn("root", Namespaces::NONE, move |me| {
            if namespaces.contains(Namespaces::USER) {
                // To mount in there it needs mounts that are its own.
                namespace::unshare(namespaces | Namespaces::MNT)?;
                stay_root(namespaces)?;
            }
            ask_for_the_machine(me)
        })?;
        tell_all_of(child, me)
    })?;
    Ok(root.hear_all()?)
}

/// Whether this root is the machine's, and not that of a user namespace: it may set no time.
fn the_first_namespace() -> ns_core::Result<Option<ns_core::probe::Missing>> {
    Ok(match Outcome::of(unowned::set_no_time())? {
        Outcome::Done => None,
        refused => Some(ns_core::probe::Missing::new(
            format!("the machine's own root: settimeofday(NULL, NULL) gives {refused}"),
            "run as root in no container and no user namespace",
        )),
    })
}
