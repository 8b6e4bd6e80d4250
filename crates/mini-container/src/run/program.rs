//! The command: its environment, its terminal, and the errors when it cannot be run.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use nix::unistd::{AccessFlags, access, chdir, execve, fchown, setsid};
use ns_core::{Errno, Error, Named, Result, c_string, process, signals};

use super::executable::{
    carriage_return, carriage_return_in_argument, first_line_with_carriage_return, interpreter, no_program,
};
use super::surroundings::Surroundings;
use super::{root, streams};

/// The container could not be prepared for the command.
const NOT_MADE: i32 = 125;
/// The command was found, and cannot be run.
const NOT_RUNNABLE: i32 = 126;
/// The command was not found.
const NOT_FOUND: i32 = 127;

/// A terminal for the command.
pub(super) struct Terminal {
    pub(super) terminal: OwnedFd,
    /// Which of standard input, output and error it replaces.
    pub(super) stands_for: [bool; 3],
}

/// Executes the command. If this returns, it failed: the exit status and the error.
pub(super) fn become_it(
    command: &[OsString],
    surroundings: &Surroundings,
    terminal: Option<&Terminal>,
) -> (i32, Error) {
    let (arguments, environment) = match prepare(command, surroundings, terminal) {
        Ok(prepared) => prepared,
        Err(error) => return (NOT_MADE, error),
    };
    let name = &command[0];
    let search = surroundings.variables["PATH"].as_str();
    let mut refused = None;
    for path in candidates(name, search) {
        let Ok(c_path) = c_string(&path) else { continue };
        if let Some(line) = carriage_return_in_argument(&path) {
            lesson::complain("mini-container", &anyhow!(line));
        }
        match execve(&c_path, &arguments, &environment) {
            // As execvp(3) does, try the next directory of PATH.
            Err(Errno::ENOENT) if !path.is_symlink() && !path.exists() => {}
            Err(errno) => refused = refused.or(Some((path, errno))),
            Ok(never) => match never {},
        }
    }
    match refused {
        None => (NOT_FOUND, not_found(name, search, surroundings.has_rootfs)),
        Some((path, errno)) => why(&path, errno),
    }
}

/// The preparations before execve(2).
fn prepare(
    command: &[OsString],
    surroundings: &Surroundings,
    terminal: Option<&Terminal>,
) -> Result<(Vec<CString>, Vec<CString>)> {
    // A new session, so that no terminal of the host sends it signals or accepts input from it.
    setsid().named(|| "setsid()".into())?;
    if let Some(Terminal { terminal, stands_for }) = terminal {
        // Without a keyboard, no user could answer at /dev/tty, so there is no controlling terminal then.
        if stands_for[0] {
            rustix::process::ioctl_tiocsctty(terminal).named(|| "ioctl(TIOCSCTTY)".into())?;
        }
        for number in (0..3).filter(|number| stands_for[*number]) {
            streams::put_at(terminal.as_fd(), number)?;
        }
    }
    signals::start_afresh()?;
    // Ignored signals would stay ignored across execve(2).
    signals::reset_ignored()?;
    let arguments = command.iter().map(c_string).collect::<Result<_>>()?;
    let environment = environment(surroundings, terminal.is_some())?;
    if let Some(user) = &surroundings.user {
        if let Some(Terminal { terminal, .. }) = terminal {
            // So that it can open /dev/tty and /dev/console.
            fchown(terminal, Some(user.uid()), None).named(|| "fchown(terminal)".into())?;
        }
        user.become_it()?;
    }
    if let Some(directory) = &surroundings.directory {
        // Relative to the root, which is the working directory.
        let path = if directory.as_os_str().is_empty() { Path::new("/") } else { directory };
        chdir(path).named(|| format!("the working directory: chdir(\"{}\")", directory.display()))?;
    }
    root::must_be_inside()?;
    // Last: descriptors that this process has open, or has inherited, lead outside (CVE-2024-21626).
    process::close_on_exec_from(3)?;
    Ok((arguments, environment))
}

fn environment(surroundings: &Surroundings, at_a_terminal: bool) -> Result<Vec<CString>> {
    let variables = &surroundings.variables;
    let all = variables.iter().map(|(name, value)| c_string(format!("{name}={value}")));
    // Of the host's environment only TERM, since the rest may contain secrets.
    let kind = std::env::var("TERM").ok().filter(|_| at_a_terminal && !variables.contains_key("TERM"));
    all.chain(kind.map(|kind| c_string(format!("TERM={kind}")))).collect()
}

fn candidates(name: &OsStr, search: &str) -> Vec<PathBuf> {
    if name.is_empty() {
        return Vec::new();
    }
    if name.as_bytes().contains(&b'/') {
        return vec![name.into()];
    }
    search.split(':').map(|directory| Path::new(directory).join(name)).collect()
}

/// The error that no file has this name.
fn not_found(name: &OsStr, search: &str, has_rootfs: bool) -> Error {
    let name = if name.is_empty() { "the empty name".into() } else { name.to_string_lossy() };
    let in_search = if name.contains('/') { String::new() } else { format!(" in {search}") };
    Error::Input(if name.starts_with('-') {
        format!("{name}: not found; options stand before ROOTFS and COMMAND: mini-container run {name} …")
    } else if has_rootfs {
        format!("{name}: not found; ROOTFS has no such file{in_search}: install it there, or give its path")
    } else {
        format!(
            "{name}: not found{in_search}; no ROOTFS is given, and an image is given as a file: docker save IMAGE > \
             image.tar; mini-container run image.tar …"
        )
    })
}

/// The exit status and the error if a file was found and execve(2) failed, with a remedy.
fn why(path: &Path, errno: Errno) -> (i32, Error) {
    let found = path.display();
    match errno {
        // The file exists, so its interpreter or loader is missing.
        Errno::ENOENT => {
            if first_line_with_carriage_return(path).is_some() {
                return (NOT_FOUND, Error::Input(carriage_return(path, "the interpreter's name")));
            }
            let needs = interpreter(path).unwrap_or_else(|| "its interpreter".into());
            (
                NOT_FOUND,
                Error::Input(format!(
                    "{found}: needs {needs}, which ROOTFS lacks; copy it there, or take a static program"
                )),
            )
        }
        Errno::ENOEXEC => (NOT_RUNNABLE, Error::Input(format!("{found}: {}", no_program(path)))),
        Errno::EACCES if path.is_dir() => (NOT_RUNNABLE, Error::Input(format!("{found}: is a directory"))),
        // EACCES is about this file, or about its interpreter.
        Errno::EACCES if access(path, AccessFlags::X_OK).is_ok() => {
            let needs = interpreter(path).unwrap_or_else(|| "something".into());
            if needs.starts_with("/proc/") || path.starts_with("/proc") {
                let what = "a program of the host may not be executed; give one of ROOTFS";
                return (NOT_RUNNABLE, Error::Input(format!("{found}: needs {needs}: {what}")));
            }
            let what = format!("{found}: needs {needs}, which may not be executed; chmod +x it in ROOTFS");
            (NOT_RUNNABLE, Error::Input(what))
        }
        Errno::EACCES => (
            NOT_RUNNABLE,
            Error::Input(format!("{found}: may not be executed; chmod +x it in ROOTFS, and see who owns it")),
        ),
        errno => (NOT_RUNNABLE, Error::Call { call: format!("execve(\"{found}\")"), errno }),
    }
}
