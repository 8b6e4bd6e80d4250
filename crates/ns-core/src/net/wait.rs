//! Changes of links that are waited for.

use std::ops::ControlFlow;

use nix::errno::Errno;

use super::message::Unnamed;
use super::{Link, Netlink};
use crate::deadline::Deadline;
use crate::error::{Error, Result};

impl Netlink {
    /// Waits until a link carries packets: IFF_RUNNING, IFF_LOWER_UP and the operational state up (for lo and dummy
    /// `unknown`, since they have no carrier to speak of). Returns the link as it is then. Before Linux 6.8 its state may
    /// lag behind by a second, and IPv6's word (IF_READY) is taken instead: who wants the state itself waits with
    /// [`Netlink::wait_until_settled`].
    ///
    /// Why not send at once: setting a link up returns before the kernel has seen its carrier, and until then
    /// its queue drops what is sent. An ARP request lost so is sent again after 1 s. Wait for both ends of a veth pair,
    /// each by the [`Netlink`] of its own namespace.
    ///
    /// # Errors
    /// ENODEV if there is no such link, or no longer; [`Error::Deadline`] after 10 s, with the state that it was in.
    pub fn wait_until_running(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            if link.carries_packets() {
                return Ok(ControlFlow::Break(link));
            }
            let hint = match (link.up, link.kind.as_deref()) {
                (false, _) => " [it is not set up]",
                (true, Some("veth")) => " [is its peer set up?]",
                (true, Some("bridge")) => " [does one of its ports run?]",
                (true, _) => "",
            };
            Ok(ControlFlow::Continue(format!("{} to run: state {}{hint}", link.name, link.oper_state)))
        })
    }

    /// Waits until the kernel holds a link for unfit to carry packets, as a veth end whose peer was set down. Returns
    /// the link as it is then.
    ///
    /// IFF_LOWER_UP falls at once; IFF_RUNNING and the operational state follow a moment later.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_stopped(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            Ok(if link.running {
                ControlFlow::Continue(format!("{} to stop: state {}", link.name, link.oper_state))
            } else {
                ControlFlow::Break(link)
            })
        })
    }

    /// Waits until the operational state of a link agrees with its carrier, whichever that is: IFF_LOWER_UP changes at
    /// once, IFF_RUNNING and the operational state follow. Returns the link as it is then.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_settled(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            Ok(if link.state_is_settled() {
                ControlFlow::Break(link)
            } else {
                ControlFlow::Continue(format!("{} to settle: state {}", link.name, link.oper_state))
            })
        })
    }

    /// Waits until a bridge's port forwards. Returns the link as it is then.
    ///
    /// A port that runs forwards at once if its bridge is set up; a bridge that is down keeps it `disabled`.
    ///
    /// # Errors
    /// As [`Netlink::wait_until_running`].
    pub fn wait_until_forwarding(&self, index: u32) -> Result<Link> {
        self.wait_until(|| {
            let link = self.link_that_must_be(index)?;
            let state = link.port_state.as_deref().unwrap_or("port of no bridge");
            if state == "forwarding" && link.carries_packets() {
                return Ok(ControlFlow::Break(link));
            }
            let hint = if state == "disabled" { " [are it, its peer and its bridge set up?]" } else { "" };
            Ok(ControlFlow::Continue(format!("{} to forward: {state}{hint}", link.name)))
        })
    }

    /// Waits until there is no link of this index. The far end of a veth pair goes a moment after the near end's namespace.
    ///
    /// # Errors
    /// [`Error::Deadline`] after 10 s.
    pub fn wait_until_gone(&self, index: u32) -> Result<()> {
        self.wait_until(|| {
            Ok(match self.link_by_index(index)? {
                None => ControlFlow::Break(()),
                Some(link) => ControlFlow::Continue(format!("{} to go", link.name)),
            })
        })
    }

    /// Looks, and looks again at every event, until `look` breaks. It continues with what is waited for.
    fn wait_until<T>(&self, look: impl Fn() -> Result<ControlFlow<T, String>>) -> Result<T> {
        // Joined before the first look: what happens after the look rings, what happened before is seen by it.
        self.events.join()?;
        let seen = self.look_at_every_event(look);
        self.events.leave()?;
        seen
    }

    fn look_at_every_event<T>(&self, look: impl Fn() -> Result<ControlFlow<T, String>>) -> Result<T> {
        let deadline = Deadline::new();
        loop {
            let what = match look()? {
                ControlFlow::Break(seen) => return Ok(seen),
                ControlFlow::Continue(what) => what,
            };
            // Events about other links could ring for ever.
            deadline.check(&what)?;
            self.events.wait_for_one(deadline, &what)?;
        }
    }

    fn link_that_must_be(&self, index: u32) -> Result<Link> {
        self.link_by_index(index)?.ok_or_else(|| Error::Call {
            call: format!("ip link show {}", Unnamed(index)),
            errno: Errno::ENODEV,
        })
    }
}
