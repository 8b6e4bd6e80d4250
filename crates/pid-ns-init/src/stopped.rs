//! A stopped init, and which signal of a member resumes it.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::Claim;
use nix::unistd::getpid;
use ns_core::Signal::SIGSTOP;
use ns_core::{Child, Errno, Fact, Named, Namespaces, Outcome, Reporter, Signal, process, signals};

use crate::sender::{UNTRACED, check_sent};

pub(crate) const RESUMED: Claim = Claim::holds(
    "resumed",
    "SIGCONT from a member resumes a stopped init, even if init has no handler for it.",
)
.factor("SIGCONT instead of SIGTERM")
.notes(&[90])
.requires(&[UNTRACED]);

/// The state of a stopped init after a member sends it `signal`. Init has no handler for it.
///
/// kill(2) with SIGCONT wakes the process before it returns. So the state can be read right after it.
pub(crate) fn after_a_members(signal: Signal) -> Result<Vec<Fact>> {
    let (here, there) = UnixDatagram::pair().named(|| "socketpair(AF_UNIX, SOCK_DGRAM)".into())?;
    for end in [&here, &there] {
        end.set_read_timeout(Some(Duration::from_secs(10))).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
    }
    let mut init = Child::spawn("init", Namespaces::PID, move |me| {
        let init = getpid();
        let _member = Child::spawn("member", Namespaces::NONE, move |me| {
            there.recv(&mut [0; 1]).named(|| "recv()".into())?;
            let answer = match signals::send(init, Some(signal))? {
                Outcome::Failed(errno) => errno as i32,
                _ => 0,
            };
            there.send(&answer.to_ne_bytes()).named(|| "send()".into())?;
            Reporter::stay(me)
        })?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    init.fact()?; // the member is there
    init.signal(SIGSTOP)?;
    let stopped = init.next("after SIGSTOP from outside")?;
    here.send(b"?").named(|| "send()".into())?;
    let mut answer = [0; size_of::<i32>()];
    here.recv(&mut answer).named(|| "recv()".into())?;
    let answer = i32::from_ne_bytes(answer);
    check_sent(signal, if answer == 0 { Outcome::Done } else { Outcome::Failed(Errno::from_raw(answer)) })?;
    let state = if process::state(init.pid())? == 'T' { "stopped" } else { "runs" };
    Ok(vec![stopped, Fact::outside("init afterwards", state)])
}
