//! The ID maps of the container's user namespace.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use nix::unistd::{User, getegid, geteuid};
use ns_core::idmap::{Extent, IdMap, IdMaps};
use ns_core::{Capability, Child, Errno, Kind, Named, NsFile, Pid, mount, process};

/// The IDs of the container.
#[derive(Debug, Clone)]
pub(crate) enum Ids {
    /// One range, as given.
    Range(Extent),
    /// All that the caller may map.
    All,
}

impl FromStr for Ids {
    type Err = String;

    fn from_str(text: &str) -> Result<Ids, String> {
        const FORM: &str = "give INSIDE:OUTSIDE:LENGTH, such as 0:1000:1, or auto; the user of COMMAND is -u's, such as \
                            -u 1000";
        if text == "auto" {
            return Ok(Ids::All);
        }
        let numbers: Vec<u32> =
            text.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| FORM.to_string())?;
        let [inside, outside, length] = *numbers else { return Err(FORM.into()) };
        let extent = Extent { inside, outside, length };
        IdMap::new(vec![extent]).map_err(|error| error.to_string())?;
        if inside != 0 {
            return Err("the container starts as its root, so INSIDE is 0, such as 0:1000:1".into());
        }
        Ok(Ids::Range(extent))
    }
}

impl Ids {
    /// Whether this is only the caller's own ID, which every user may map without privilege.
    fn is_own(&self, uid: u32) -> bool {
        matches!(self, Ids::Range(Extent { outside, length: 1, .. }) if *outside == uid)
    }
}

/// Writes the ID maps of `init`, which waits for them.
pub(super) fn map(ids: Option<&Ids>, init: Pid) -> Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let privileged =
        process::is_capable(Capability::CAP_SETUID) && process::is_capable(Capability::CAP_SETGID);
    // This comes first, since no other remedy helps then.
    let needs_a_program = !privileged && ids.is_some_and(|ids| !ids.is_own(uid));
    ensure!(
        !needs_a_program || !has_no_new_privileges(),
        "newuidmap may not map them, since no_new_privs is set and set-user-ID programs gain no privilege; run it \
         from a terminal without it (grep NoNewPrivs /proc/self/status), or leave --user out"
    );
    let (users, groups) = match ids {
        // Every user may map their own ID without privilege.
        None => return Ok(IdMaps::own(0, uid, gid).write_for(Some(init))?),
        Some(ids) if ids.is_own(uid) && !privileged => {
            return Ok(IdMaps::own(0, uid, gid).write_for(Some(init))?);
        }
        Some(Ids::Range(extent)) => (vec![*extent], vec![*extent]),
        // Root needs no subordinate IDs: the usual 65536 IDs are mapped to themselves.
        Some(Ids::All) if privileged => {
            let usual = vec![Extent { inside: 0, outside: 0, length: 65_536 }];
            (usual.clone(), usual)
        }
        Some(Ids::All) => (with_subordinates(uid, "/etc/subuid")?, with_subordinates(gid, "/etc/subgid")?),
    };
    if privileged {
        let maps = IdMaps { users: IdMap::new(users)?, groups: IdMap::new(groups)?, deny_setgroups: false };
        return Ok(maps.write_for(Some(init))?);
    }
    // Set-user-ID programs of Debian, which look the range up in /etc/subuid. A set-user-ID helper of this project would be
    // one more program that must have no vulnerability.
    run("newuidmap", init, &users)?;
    run("newgidmap", init, &groups)
}

/// Makes the directory that `init` has open as descriptor `number` an idmapped mount: it shows files of user N as those of
/// the container's user N. The files do not change. Only root may do this.
///
/// Returns a warning if it is not possible: then the files belong to nobody inside.
pub(super) fn map_owners(init: &Child, number: i64) -> Result<Option<String>> {
    let tree = init.take_descriptor(i32::try_from(number).unwrap_or(-1))?;
    let users = NsFile::of(Some(init.pid()), Kind::User)?;
    let why = match mount::map_owners(tree.as_fd(), &users) {
        Ok(()) => return Ok(None),
        Err(error) => match error.errno() {
            Some(Errno::EPERM) => {
                "only root may map their owners; create ROOTFS again as yourself, or give an archive"
            }
            Some(Errno::EINVAL | Errno::ENOSYS) => {
                "its filesystem cannot map owners on this kernel; copy it to another filesystem, or give an archive"
            }
            _ => return Err(error.into()),
        },
    };
    Ok(Some(format!("the files of ROOTFS belong to nobody in the container: {why}")))
}

/// Maps `own` to 0, and from 1 on the range that `file` gives to the caller.
fn with_subordinates(own: u32, file: &str) -> Result<Vec<Extent>> {
    let uid = geteuid();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let given = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let mut number = || fields.next()?.parse().ok();
        (who == name || who == uid.to_string()).then_some((number()?, number()?))
    });
    let Some((outside, length)) = given else {
        let option = if file.ends_with("uid") { "--add-subuids" } else { "--add-subgids" };
        bail!(
            "{file} gives {name} no range; to get one: sudo usermod {option} 100000-165535 {name}; or leave --user out"
        );
    };
    let extents = vec![Extent::one(0, own), Extent { inside: 1, outside, length }];
    IdMap::new(extents.clone())?;
    Ok(extents)
}

/// Whether no_new_privs is set, as in the terminals of some snaps and editors: then execve(2) adds no privilege.
fn has_no_new_privileges() -> bool {
    rustix::thread::no_new_privs().unwrap_or(false)
}

fn run(program: &str, init: Pid, extents: &[Extent]) -> Result<()> {
    let mut command = Command::new(program);
    command.arg(init.to_string());
    for Extent { inside, outside, length } in extents {
        command.args([inside, outside, length].map(u32::to_string));
    }
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{program} is missing; to get it: sudo apt install uidmap; or leave --user out")
        }
        output => output.named(|| format!("execve({program:?})"))?,
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}; ranges that you may map are in /etc/subuid and /etc/subgid",
        complaint.trim().lines().next().unwrap_or(program)
    );
    Ok(())
}
