//! The command: what it is given, and why it could not be run.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, setsid};
use ns_core::{Errno, Error, Named, Result, Signal, c_string, process, signals};

use super::layers::Config;
use super::root;

/// The container is not ready for it.
const NOT_MADE: i32 = 125;
/// It was found, and cannot be run.
const NOT_RUNNABLE: i32 = 126;
/// It was not found.
const NOT_FOUND: i32 = 127;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Becomes the command. If it returns, why not, and the exit status that says so.
pub(super) fn become_it(
    command: &[OsString],
    hostname: &str,
    config: &Config,
    terminal: Option<&OwnedFd>,
) -> (i32, Error) {
    let variables = variables(hostname, config, terminal.is_some());
    let (arguments, environment) = match prepare(command, &variables, config, terminal) {
        Ok(prepared) => prepared,
        Err(error) => return (NOT_MADE, error),
    };
    let name = &command[0];
    let search = variables["PATH"].as_str();
    let mut refused = None;
    for path in candidates(name, search) {
        let Ok(c_path) = c_string(&path) else { continue };
        match execve(&c_path, &arguments, &environment) {
            // The next directory of PATH may have it, as execvp(3) says.
            Err(Errno::ENOENT) if !path.is_symlink() && !path.exists() => {}
            Err(errno) => refused = refused.or(Some((path, errno))),
            Ok(never) => match never {},
        }
    }
    why(name, search, refused)
}

/// All that has to be so before execve(2).
fn prepare(
    command: &[OsString],
    variables: &BTreeMap<String, String>,
    config: &Config,
    terminal: Option<&OwnedFd>,
) -> Result<(Vec<CString>, Vec<CString>)> {
    // A session of its own: no terminal of the host's sends it signals, or takes what it types.
    setsid().named(|| "setsid()".into())?;
    if let Some(terminal) = terminal {
        rustix::process::ioctl_tiocsctty(terminal).named(|| "ioctl(TIOCSCTTY)".into())?;
        let fd = terminal.as_fd();
        dup2_stdin(fd)
            .and_then(|()| dup2_stdout(fd))
            .and_then(|()| dup2_stderr(fd))
            .named(|| "dup2()".into())?;
    }
    signals::start_afresh()?;
    // Rust ignores it, and what is ignored stays so over execve(2).
    signals::reset(Signal::SIGPIPE)?;
    let arguments = command.iter().map(c_string).collect::<Result<_>>()?;
    let environment = variables.iter().map(|(name, value)| c_string(format!("{name}={value}")));
    let environment = environment.collect::<Result<_>>()?;
    if let Some(directory) = &config.directory {
        // Relative to the root, where we are.
        chdir(directory.as_str())
            .named(|| format!("the image's working directory: chdir(\"{directory}\")"))?;
    }
    root::must_be_inside()?;
    // Last: whatever we, or those who started us, have open leads outside (CVE-2024-21626).
    process::close_on_exec_from(3)?;
    Ok((arguments, environment))
}

/// The environment: a runtime's defaults, and in their place what an image says.
fn variables(hostname: &str, config: &Config, at_a_terminal: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PATH".into(), PATH.into()),
        ("HOME".into(), "/root".into()),
        ("HOSTNAME".into(), hostname.into()),
    ]);
    // Of the host's environment nothing, but what tells the terminal's kind: the rest may hold secrets.
    let kind = std::env::var("TERM").ok().filter(|_| at_a_terminal);
    variables.extend(kind.map(|kind| ("TERM".into(), kind)));
    let theirs = config.environment.iter().filter_map(|it| it.split_once('='));
    variables.extend(theirs.map(|(name, value)| (name.to_string(), value.to_string())));
    variables
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

/// Says why, in words that help.
fn why(name: &OsStr, search: &str, refused: Option<(PathBuf, Errno)>) -> (i32, Error) {
    let name = if name.is_empty() { "the empty name".into() } else { name.to_string_lossy() };
    let Some((path, errno)) = refused else {
        let hint = if name.contains('/') {
            "ROOTFS has no such file".into()
        } else {
            format!("ROOTFS has none in {search}")
        };
        return (
            NOT_FOUND,
            Error::Input(format!("{name}: not found; {hint}: install it there, or give its path")),
        );
    };
    let found = path.display();
    match errno {
        // The file is there, so it is something that the file names.
        Errno::ENOENT => {
            let needs = interpreter(&path).unwrap_or_else(|| "its interpreter".into());
            (
                NOT_FOUND,
                Error::Input(format!(
                    "{found}: needs {needs}, which ROOTFS lacks; copy it there, or take a static program"
                )),
            )
        }
        Errno::ENOEXEC => (NOT_RUNNABLE, Error::Input(format!("{found}: {}", no_program(&path)))),
        Errno::EACCES if path.is_dir() => (NOT_RUNNABLE, Error::Input(format!("{found}: is a directory"))),
        // Of two files it may be either.
        Errno::EACCES if access(&path, AccessFlags::X_OK).is_ok() => {
            let needs = interpreter(&path).unwrap_or_else(|| "something".into());
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

/// The first bytes of a file.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let regular = std::fs::metadata(path).is_ok_and(|it| it.mode() & libc::S_IFMT == libc::S_IFREG);
    if regular {
        let _ = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    }
    bytes
}

/// What a file needs to be run: the program after `#!`, or the loader that an ELF file names (elf(5), PT_INTERP).
fn interpreter(path: &Path) -> Option<String> {
    let head = head(path);
    let bytes = if let Some(line) = head.strip_prefix(b"#!") {
        line.split(|byte| *byte == b'\n').next()?.trim_ascii().split(|byte| *byte == b' ').next()?
    } else {
        // The name stands near the beginning, ends with a NUL, and is the only one that looks so.
        let at = head.windows(4).position(|it| it == b"/lib" || it == b"/sys")?;
        head[at..].split(|byte| *byte == 0).next()?
    };
    Some(ns_core::fact::printable(&String::from_utf8_lossy(bytes)))
}

/// What a file is that the kernel does not take for a program.
fn no_program(path: &Path) -> String {
    let head = head(path);
    // e_machine is a 16-bit number at 18, in the byte order that the sixth byte says (elf(5)).
    let machine = match head.as_slice() {
        [0x7f, b'E', b'L', b'F', _, order, ..] if head.len() >= 20 => {
            let bytes = [head[18], head[19]];
            if *order == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
        }
        _ => return "is no program: it begins neither with an ELF header nor with #!".into(),
    };
    let name = match machine {
        3 => "i386".into(),
        8 => "mips".into(),
        21 => "ppc64".into(),
        22 => "s390x".into(),
        40 => "arm".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv64".into(),
        258 => "loongarch64".into(),
        other => format!("machine {other} of elf(5)"),
    };
    format!("is a program for {name}, and this machine is {}; get ROOTFS for it", std::env::consts::ARCH)
}
