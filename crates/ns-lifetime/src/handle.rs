//! The file handle of a namespace: a name that does not keep it.

use anyhow::Result;
use lesson::{Claim, Requirement, Step, first};
use nix::unistd::getpid;
use ns_core::probe::Unmet;
use ns_core::{Fact, Kind, NsHandle, Outcome};

use crate::member::{end, member};

const HANDLE: Claim = Claim::holds(
    "handle",
    "A file handle does not keep its UTS namespace: after its end, open_by_handle_at() fails with ESTALE.",
)
.factor("exit(0)")
.notes(&[19])
.requires(&[Requirement::Probe(namespaces_have_handles)]);

pub(crate) const OPEN_AGAIN: Step = Step {
    title: "Open a namespace by its file handle: while its only member runs, and after it has ended.",
    calls: &["name_to_handle_at(\"/proc/PID/ns/uts\")", "open_by_handle_at(FD_NSFS_ROOT, …)"],
    by_hand: &[],
    claims: &[HANDLE],
    run: |lab| lab.compare(HANDLE, false, true, open_again)?.shows(first().from("OK").to("ESTALE")),
};

fn open_again(ends: bool) -> Result<Fact> {
    let mut member = member(Kind::Uts, |_| Ok(()))?;
    let handle = NsHandle::of(member.pid(), Kind::Uts)?;
    if ends {
        end(&mut member)?;
    }
    Ok(Fact::outside("open_by_handle_at()", Outcome::of(handle.open())?))
}

fn namespaces_have_handles() -> ns_core::Result<Option<Unmet>> {
    let opened = Outcome::of(NsHandle::of(getpid(), Kind::Uts).and_then(|handle| handle.open()))?;
    Ok((opened != Outcome::Done)
        .then(|| Unmet::new(format!("file handles of namespaces: {opened}"), "run Linux 6.18 or newer")))
}
