//! Who typed the command, and where that user's state is kept.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User, getegid, geteuid, setegid};
use ns_core::process;

/// A user, as whom files are opened.
pub(crate) struct InvokingUser {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    home: Option<PathBuf>,
}

impl InvokingUser {
    /// Who typed the command. sudo (and pkexec) say whom they act for.
    pub(crate) fn find() -> Result<InvokingUser> {
        let named = ["SUDO_UID", "PKEXEC_UID"].iter().find_map(std::env::var_os);
        let behind = named.and_then(|uid| uid.to_str()?.parse().ok()).filter(|_| geteuid().is_root());
        let uid = behind.map_or_else(geteuid, Uid::from_raw);
        let known = User::from_uid(uid).ok().flatten();
        // root's HOME may still be the user's, or be root's under sudo -H: only one's own counts.
        let home = match behind {
            Some(_) => known.as_ref().map(|user| user.dir.clone()),
            None => std::env::var_os("HOME")
                .map(PathBuf::from)
                .or_else(|| known.as_ref().map(|user| user.dir.clone())),
        };
        Ok(InvokingUser { uid, gid: known.map_or_else(getegid, |user| user.gid), home })
    }

    /// The XDG base directory for state. A relative one is to be ignored.
    pub(crate) fn state(&self) -> Result<PathBuf> {
        let own = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home =
            || self.home.clone().filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
        own.or_else(home).context("cannot keep the score: neither XDG_STATE_HOME nor HOME says where")
    }

    /// Does `body` with this user's rights: what root could be led to by a link, the user must be allowed to write.
    pub(crate) fn act<T>(&self, body: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.uid == geteuid() {
            return body();
        }
        let group = getegid();
        setegid(self.gid).with_context(|| format!("setegid({})", self.gid))?;
        let done = process::with_effective_user(self.uid.as_raw(), || Ok(body()));
        setegid(group).with_context(|| format!("setegid({group})"))?;
        done?
    }
}
