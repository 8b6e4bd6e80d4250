//! Three namespaces, one after another, that read alike.

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step, cause};
use nix::unistd::getpid;
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, NsHandle, NsId, Outcome, Value, Witness};

use crate::office::{end, member};

pub(crate) const TWINS: Claim = Claim::holds(
    "twins",
    "Three namespaces, each made when the one before was gone, can have one and the same inode number.",
)
.cause("the end of the one before")
.notes(&[18]);
pub(crate) const HELD: Claim = Claim::holds(
    "held",
    "No namespace gets the inode number of one that is held open: the descriptor tells two from each other.",
)
.cause("open(ns/uts)")
.notes(&[18]);

pub(crate) const HANDLE: Claim = Claim::holds(
    "handle",
    "A file handle names a namespace and does not keep it: when that is gone, open_by_handle_at() gives ESTALE.",
)
.cause("exit(0)")
.notes(&[19])
.needs(&[Need::Probe(namespaces_have_handles)]);

/// In this many, made in a row, three neighbours are looked for: another process of this machine may come between.
const MANY: usize = 32;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Make UTS namespaces in a row, and look for three neighbours with one inode number: keeping all of them, \
               and letting each go before the next.",
        calls: &["clone3(CLONE_NEWUTS)", "fstat(\"/proc/PID/ns/uts\")", "ioctl(uts, NS_GET_ID)"],
        by_hand: &["for n in 1 2 3; do unshare --user --map-root-user --uts readlink /proc/self/ns/uts; done"],
    })?;
    let (kept, let_go) = (in_a_row(true)?, in_a_row(cause(false, true))?);
    if let Some(three) = alike(&let_go) {
        let first = three[0].serial;
        let rows = three.iter().zip(["first", "second", "third"]).map(|(made, which)| {
            let later = made.serial.zip(first).map(|(serial, first)| {
                Value::Text(if serial == first { "the first's" } else { "another" }.into())
            });
            vec![which.into(), made.id.into(), later.unwrap_or("this kernel gives none".into())]
        });
        lab.table("Three in a row", &["namespace", "reads", "its NS_GET_ID"], rows.collect())?;
    }
    let found = |made: &[Made]| Fact::outside("three in a row that read alike", alike(made).is_some());
    lab.claim(TWINS).without(found(&kept)).with(found(&let_go)).shows(|three| *three == true)?;
    lab.claim(HELD).without(found(&let_go)).with(found(&kept)).shows(|three| *three == false)?;

    if lab.can_ask(&[HANDLE])? {
        lab.step(Step {
            goal: "Note the file handle of a namespace, and open it again by that: while its member lives, and later.",
            calls: &["name_to_handle_at(\"/proc/PID/ns/uts\")", "open_by_handle_at(FD_NSFS_ROOT, …)"],
            by_hand: &[],
        })?;
        lab.claim(HANDLE)
            .without(open_again(false)?)
            .with(open_again(cause(true, false))?)
            .shows(|opened| *opened == "ESTALE")?;
    }
    Ok(())
}

fn open_again(ends: bool) -> Result<Fact> {
    let mut member = member(Kind::Uts, |_| Ok(()))?;
    let handle = NsHandle::of(member.pid(), Kind::Uts)?;
    if ends {
        end(&mut member)?;
    }
    Ok(Fact::outside("open_by_handle_at()", Outcome::of(handle.open())?))
}

fn namespaces_have_handles() -> ns_core::Result<Option<Missing>> {
    let opened = Outcome::of(NsHandle::of(getpid(), Kind::Uts).and_then(|handle| handle.open()))?;
    Ok((opened != Outcome::Done)
        .then(|| Missing::new(format!("file handles of namespaces: {opened}"), "run Linux 6.18 or newer")))
}

struct Made {
    id: NsId,
    serial: Option<u64>,
}

fn alike(made: &[Made]) -> Option<&[Made]> {
    made.windows(3).find(|three| three.iter().all(|it| it.id == three[0].id))
}

fn in_a_row(keep: bool) -> Result<Vec<Made>> {
    let mut kept = Vec::new();
    let mut made = Vec::new();
    for _ in 0..MANY {
        let child = Child::spawn("child", Namespaces::UTS, Witness::stay)?;
        let file = NsFile::of(Some(child.pid()), Kind::Uts)?;
        made.push(Made { id: file.id()?, serial: file.serial().ok() });
        kept.extend(keep.then_some(file));
        // Here the child ends and, if its file was not kept, its namespace.
    }
    made.first().context("none was made")?;
    Ok(made)
}
