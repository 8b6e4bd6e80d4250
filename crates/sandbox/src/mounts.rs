//! Restrictions of mounts: nosuid, noexec, nodev.

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use lesson::user::in_z;
use lesson::{Claim, Step, hand, inside};
use ns_core::mount::{Restriction, Tree};
use ns_core::{Fact, Named, Namespaces, Outcome};
use rustix::fs::{Mode, OFlags, open};

use crate::no_new_privs::execute;
use crate::program::{self, NET_RAW, PROGRAM};
use crate::user::{CAN_GAIN, DEV_NULL};

/// The mount point for a copy of the mount of /dev/null.
const NULL: &str = "/mnt/null";
const EXECVE: &str = "execve(\"/mnt/program\")";
const OPEN: &str = "open(\"/mnt/null\")";

const NOSUID: Claim = Claim::holds(
    "nosuid",
    "On a nosuid mount, execve() succeeds, and ignores the file capabilities of the program.",
)
.factor("MS_NOSUID")
.more(&[128])
.requires(CAN_GAIN);

const NOEXEC: Claim = Claim::holds(
    "noexec",
    "execve() of a program on a noexec mount fails with EACCES, although its mode allows execution.",
)
.factor("MS_NOEXEC")
.more(&[128])
.requires(&[program::ROOM]);

const NODEV: Claim = Claim::holds(
    "nodev",
    "open() of a device on a nodev mount fails with EACCES, although its mode allows it.",
)
.factor("MS_NODEV")
.more(&[128])
.requires(DEV_NULL);

pub(crate) const RESTRICT: Step = Step {
    title: "In Z, execute a program on a nosuid mount, then on a noexec mount. Open a device on a nodev mount.",
    calls: &[
        "fsmount(\"tmpfs\", MOUNT_ATTR_NOSUID)",
        "fsmount(\"tmpfs\", MOUNT_ATTR_NOEXEC)",
        "execve(\"/mnt/program\")",
        "mount_setattr(\"/dev/null\", MOUNT_ATTR_NODEV)",
        "open(\"/mnt/null\", O_RDWR)",
    ],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs -o nosuid none /mnt; cp /usr/bin/grep /mnt; /usr/sbin/setcap cap_net_raw=ep /mnt/grep; setpriv --securebits=+noroot setpriv /mnt/grep CapEff /proc/self/status'").prints("CapEff: 0000000000000000"), hand("unshare -Urm sh -c 'mount -t tmpfs -o noexec none /mnt; cp /usr/bin/true /mnt; stat -c %A /mnt/true; /mnt/true'").prints("-rwxr-xr-x\nEACCES"), hand("unshare -Urm sh -c 'mount -t tmpfs none /mnt; touch /mnt/null; mount --bind /dev/null /mnt/null; mount -o remount,bind,nosuid,noexec,nodev /mnt/null; stat -c %A /mnt/null; echo > /mnt/null'").prints("crw-rw-rw-\nEACCES"), ],
    claims: &[NOSUID, NOEXEC, NODEV],
    run: |lab| {
        let nosuid: &[Restriction] = &[Restriction::NoSuid];
        lab.compare(NOSUID, &[][..], nosuid, |restrictions| execute(restrictions, false))?
            .shows(inside(NET_RAW).is("no"))?;
        let noexec: &[Restriction] = &[Restriction::NoExec];
        lab.compare(NOEXEC, &[][..], noexec, try_to_execute)?
            .shows(inside(EXECVE).from("OK").to("EACCES"))?;
        lab.compare(NODEV, None, Some(Restriction::NoDev), open_null)?
            .shows(inside(OPEN).from("OK").to("EACCES"))
    },
};

fn try_to_execute(restrictions: &'static [Restriction]) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        program::put(restrictions)?;
        let answer = match program::executed(Path::new(PROGRAM), program::give_up_all)? {
            Ok(_) => Outcome::Done,
            Err(refused) => refused,
        };
        me.report(EXECVE, answer)
    })
}

fn open_null(restriction: Option<Restriction>) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        let null = Tree::copy_of(Path::new("/dev/null"))?;
        if let Some(restriction) = restriction {
            null.restrict(restriction)?;
        }
        Tree::new_filesystem("tmpfs", &[], &[])?.attach(Path::new("/mnt"))?;
        File::create(NULL).named(|| format!("open(\"{NULL}\", O_CREAT)"))?;
        null.attach(Path::new(NULL))?;
        let opened = open(NULL, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).named(|| OPEN.into());
        me.report(OPEN, Outcome::of(opened)?)
    })
}
