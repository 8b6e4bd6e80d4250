//! What surrounds the command: its variables, its working directory, and the user that it runs as. The command line goes
//! before the image's configuration, and that before the defaults.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use ns_core::{Errno, Error, Named, Result};

use super::layers::Config;
use super::order::Order;
use super::place;
use super::root::Rootfs;
use super::setting::Account;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) struct Surroundings {
    pub(super) variables: BTreeMap<String, String>,
    /// Relative to the root.
    pub(super) directory: Option<PathBuf>,
    pub(super) user: Option<User>,
    /// Whether a ROOTFS is given.
    pub(super) has_rootfs: bool,
}

/// A user of the container, by IDs.
pub(super) struct User {
    uid: Uid,
    gid: Gid,
    /// As it was typed.
    name: String,
}

impl Surroundings {
    /// To be called inside the new root, since names of users are those of its /etc/passwd.
    ///
    /// # Errors
    /// [`Error::Input`] for a user or group that the container does not have.
    pub(super) fn of(order: &Order, config: &Config) -> Result<Surroundings> {
        let asked = &order.asked;
        let mut variables = BTreeMap::from([
            ("PATH".into(), PATH.into()),
            ("HOME".into(), "/root".into()),
            ("HOSTNAME".into(), asked.hostname.clone()),
        ]);
        let user = asked.account.as_ref().map(|account| user(account, &mut variables)).transpose()?;
        let set = config.environment.iter().chain(&asked.env).filter_map(|it| it.split_once('='));
        variables.extend(set.map(|(name, value)| (name.to_string(), value.to_string())));
        let has_rootfs = matches!(order.rootfs, Rootfs::Given(_));
        let configured = config.directory.as_ref().map(PathBuf::from);
        Ok(Surroundings { variables, directory: asked.workdir.clone().or(configured), user, has_rootfs })
    }
}

impl User {
    /// Becomes this user, without its capabilities and groups.
    pub(super) fn become_it(&self) -> Result<()> {
        let User { uid, gid, name } = self;
        let no_such = |errno| match errno {
            // setuid(2): the ID is not mapped in this user namespace.
            Errno::EINVAL => Error::Input(format!(
                "-u {name}: the container has no ID for user {uid} and group {gid}; to map more: --user auto"
            )),
            errno => Error::Call { call: format!("setuid({uid}), setgid({gid})"), errno },
        };
        match setgroups(&[]) {
            // Where an ordinary user has mapped one ID, groups stay as they are (user_namespaces(7)).
            Ok(()) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno).named(|| "setgroups()".into()),
        }
        setgid(*gid).map_err(no_such)?;
        setuid(*uid).map_err(no_such)
    }

    pub(super) fn uid(&self) -> Uid {
        self.uid
    }
}

/// Looks an account up as Docker does: an ID needs no line in /etc/passwd.
fn user(account: &Account, variables: &mut BTreeMap<String, String>) -> Result<User> {
    let name = match &account.group {
        Some(group) => format!("{}:{group}", account.user),
        None => account.user.clone(),
    };
    let unknown = |what: &str, file: &str| {
        Error::Input(format!("-u {name}: {file} of ROOTFS has no such {what}; add it there, or give its ID"))
    };
    let line = line_of("/etc/passwd", &account.user);
    let field = |at: usize| line.as_ref().and_then(|line| line.get(at));
    let id_of = |text: Option<&String>| text.and_then(|text| text.parse::<u32>().ok());
    let uid = id_of(Some(&account.user))
        .or_else(|| id_of(field(2)))
        .ok_or_else(|| unknown("user", "/etc/passwd"))?;
    let gid = match &account.group {
        None => id_of(field(3)).unwrap_or(0),
        Some(group) => id_of(Some(group))
            .or_else(|| id_of(line_of("/etc/group", group)?.get(2)))
            .ok_or_else(|| unknown("group", "/etc/group"))?,
    };
    variables.insert("HOME".into(), field(5).cloned().unwrap_or_else(|| "/".into()));
    Ok(User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), name })
}

/// The fields of the line of `file` whose name or ID is `key`: passwd(5), group(5).
fn line_of(file: &str, key: &str) -> Option<Vec<String>> {
    /// No list of users is longer.
    const LONGEST: u64 = 1 << 20;
    let mut text = Vec::new();
    place::regular_file(file).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    lines.find(|fields| {
        fields.first().is_some_and(|it| it == key) || fields.get(2).is_some_and(|it| it == key)
    })
}

/// Creates a working directory in the new root, unless it exists; but none in a `--bind`, which is the host's.
///
/// # Errors
/// [`Error::Input`] if it cannot be created.
pub(super) fn make_directory(root: BorrowedFd<'_>, path: &Path) -> Result<()> {
    match place::made(root, path) {
        // It leads to another mount. If it does not exist there, chdir(2) says so.
        Ok(_) | Err(rustix::io::Errno::XDEV) => Ok(()),
        Err(errno) => {
            let call = format!("--workdir: mkdir /{}", path.display());
            let error = Error::Call { call, errno: Errno::from_raw(errno.raw_os_error()) };
            Err(Error::Input(format!("{error}; give another directory")))
        }
    }
}
