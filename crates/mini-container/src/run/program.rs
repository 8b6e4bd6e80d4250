//! The command: its environment, its terminal, and the errors when it cannot be run.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use elf::abi;
use elf::endian::AnyEndian;
use elf::file::{FileHeader, parse_ident};
use elf::segment::SegmentTable;
use nix::unistd::{AccessFlags, access, chdir, execve, setsid};
use ns_core::{Errno, Error, Named, Result, c_string, process, signals};

use super::layers::Config;
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

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes the command. If this returns, it failed: the exit status and the error.
pub(super) fn become_it(
    command: &[OsString],
    hostname: &str,
    config: &Config,
    terminal: Option<&Terminal>,
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
            // As execvp(3) does, try the next directory of PATH.
            Err(Errno::ENOENT) if !path.is_symlink() && !path.exists() => {}
            Err(errno) => refused = refused.or(Some((path, errno))),
            Ok(never) => match never {},
        }
    }
    why(name, search, refused)
}

/// The preparations before execve(2).
fn prepare(
    command: &[OsString],
    variables: &BTreeMap<String, String>,
    config: &Config,
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
    let environment = variables.iter().map(|(name, value)| c_string(format!("{name}={value}")));
    let environment = environment.collect::<Result<_>>()?;
    if let Some(directory) = &config.directory {
        // Relative to the root, which is the working directory.
        chdir(directory.as_str())
            .named(|| format!("the image's working directory: chdir(\"{directory}\")"))?;
    }
    root::must_be_inside()?;
    // Last: descriptors that this process has open, or has inherited, lead outside (CVE-2024-21626).
    process::close_on_exec_from(3)?;
    Ok((arguments, environment))
}

/// The environment: defaults, overridden by the image's configuration.
fn variables(hostname: &str, config: &Config, at_a_terminal: bool) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("PATH".into(), PATH.into()),
        ("HOME".into(), "/root".into()),
        ("HOSTNAME".into(), hostname.into()),
    ]);
    // Of the host's environment only TERM, since the rest may contain secrets.
    let kind = std::env::var("TERM").ok().filter(|_| at_a_terminal);
    variables.extend(kind.map(|kind| ("TERM".into(), kind)));
    let configured = config.environment.iter().filter_map(|it| it.split_once('='));
    variables.extend(configured.map(|(name, value)| (name.to_string(), value.to_string())));
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

/// The exit status and the error, with a remedy.
fn why(name: &OsStr, search: &str, refused: Option<(PathBuf, Errno)>) -> (i32, Error) {
    let name = if name.is_empty() { "the empty name".into() } else { name.to_string_lossy() };
    let Some((path, errno)) = refused else {
        let hint = if name.contains('/') {
            "ROOTFS has no such file".into()
        } else {
            format!("ROOTFS has no such file in {search}")
        };
        return (
            NOT_FOUND,
            Error::Input(format!("{name}: not found; {hint}: install it there, or give its path")),
        );
    };
    let found = path.display();
    match errno {
        // The file exists, so its interpreter or loader is missing.
        Errno::ENOENT => {
            if ends_with_carriage_return(&path) {
                let why = "its first line ends with a carriage return (CR LF, as on Windows), which the kernel takes for \
                           a part of the interpreter's name";
                let remedy = format!("to remove them: sed -i 's/\\r$//' {found}");
                return (NOT_FOUND, Error::Input(format!("{found}: {why}; {remedy}")));
            }
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
        // EACCES is about this file, or about its interpreter.
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

/// The interpreter of a file: the program after `#!`, or the loader that an ELF file names.
fn interpreter(path: &Path) -> Option<String> {
    let head = head(path);
    let name = match head.strip_prefix(b"#!") {
        Some(line) => {
            line.split(|byte| *byte == b'\n').next()?.trim_ascii().split(|byte| *byte == b' ').next()?
        }
        None => loader(&head)?,
    };
    Some(ns_core::printable(&String::from_utf8_lossy(name)))
}

/// Whether a script's first line names its interpreter without an argument, and ends with CR LF.
fn ends_with_carriage_return(path: &Path) -> bool {
    let head = head(path);
    let line = head.strip_prefix(b"#!").and_then(|line| line.split(|byte| *byte == b'\n').next());
    let line = line.map(<[u8]>::trim_ascii_start).unwrap_or_default();
    line.ends_with(b"\r") && !line.trim_ascii_end().contains(&b' ')
}

/// The ELF header of a file with these first bytes (elf(5)).
fn header(head: &[u8]) -> Option<FileHeader<AnyEndian>> {
    // All of it, since parse_ident panics at fewer bytes.
    let (ident, tail) = head.split_at_checked(abi::EI_NIDENT)?;
    FileHeader::parse_tail(parse_ident(ident).ok()?, tail).ok()
}

/// The name in the segment PT_INTERP of an ELF file with these first bytes. It is not found if it is further behind.
pub(super) fn loader(head: &[u8]) -> Option<&[u8]> {
    let header = header(head)?;
    let segments = head.get(usize::try_from(header.e_phoff).ok()?..)?;
    let segments = SegmentTable::new(header.endianness, header.class, segments);
    let mut segments = segments.iter().take(header.e_phnum.into());
    let named = segments.find(|segment| segment.p_type == abi::PT_INTERP)?;
    let name = head.get(usize::try_from(named.p_offset).ok()?..)?;
    name.get(..usize::try_from(named.p_filesz).ok()?)?.split(|byte| *byte == 0).next()
}

/// What a file is that execve(2) rejects with ENOEXEC.
fn no_program(path: &Path) -> String {
    let Some(header) = header(&head(path)) else {
        return "is not a program: it begins neither with an ELF header nor with #!".into();
    };
    // Rust's names, as in std::env::consts::ARCH.
    let name = match header.e_machine {
        abi::EM_386 => "x86".into(),
        abi::EM_MIPS => "mips".into(),
        abi::EM_PPC64 => "powerpc64".into(),
        abi::EM_S390 => "s390x".into(),
        abi::EM_ARM => "arm".into(),
        abi::EM_X86_64 => "x86_64".into(),
        abi::EM_AARCH64 => "aarch64".into(),
        abi::EM_RISCV => "riscv64".into(),
        abi::EM_LOONGARCH => "loongarch64".into(),
        other => format!("machine {other} of elf(5)"),
    };
    format!("is a program for {name}, and this machine is {}; get ROOTFS for it", std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_header_names_no_loader_or_one_that_is_there() {
        let head = head(Path::new("/proc/self/exe"));
        assert!(loader(&head).is_some_and(|name| name.starts_with(b"/") && !name.contains(&0)));
        for length in 0..head.len().min(1024) {
            let _ = loader(&head[..length]);
        }
        for at in 0..head.len().min(1024) {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = head.clone();
                damaged[at] = byte;
                let _ = loader(&damaged);
            }
        }
    }
}
