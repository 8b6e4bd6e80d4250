//! What a file is that is to be executed: an ELF file (elf(5)) or a script (execve(2)).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use elf::abi;
use elf::endian::AnyEndian;
use elf::file::{FileHeader, parse_ident};
use elf::segment::SegmentTable;

/// How many bytes of a file are looked at.
const HEAD: usize = 4096;

/// The first bytes of a file.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let regular = std::fs::metadata(path).is_ok_and(|it| it.mode() & libc::S_IFMT == libc::S_IFREG);
    if regular {
        // All in one read(2).
        bytes.reserve(HEAD);
        let _ = File::open(path).and_then(|file| file.take(HEAD as u64).read_to_end(&mut bytes));
    }
    bytes
}

/// The interpreter of a file: the program after `#!`, or the loader that an ELF file names.
pub(super) fn interpreter(path: &Path) -> Option<String> {
    let head = head(path);
    let name = match head.strip_prefix(b"#!") {
        Some(line) => {
            line.split(|byte| *byte == b'\n').next()?.trim_ascii().split(|byte| *byte == b' ').next()?
        }
        None => loader(&head)?,
    };
    Some(ns_core::printable(&String::from_utf8_lossy(name)))
}

/// A script's first line after `#!`, if it ends with CR LF, as on Windows.
pub(super) fn first_line_with_carriage_return(path: &Path) -> Option<Vec<u8>> {
    let head = head(path);
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(line.trim_ascii_start().strip_suffix(b"\r")?.to_vec())
}

/// The warning that the interpreter of a script gets an argument with a carriage return, which it cannot read. The kernel
/// executes it all the same: execve(2), "Interpreter scripts".
pub(super) fn carriage_return_in_argument(path: &Path) -> Option<String> {
    let line = first_line_with_carriage_return(path)?;
    line.contains(&b' ').then(|| carriage_return(path, "the argument"))
}

pub(super) fn carriage_return(path: &Path, of_what: &str) -> String {
    let found = path.display();
    format!(
        "{found}: its first line ends with a carriage return (CR LF, as on Windows), which the kernel takes for a part \
         of {of_what}; to remove them: sed -i 's/\\r$//' {found}"
    )
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
pub(super) fn no_program(path: &Path) -> String {
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
