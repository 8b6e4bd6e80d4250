//! This program as a copy that is sealed against writing.
//!
//! For a kernel that cannot keep a container from executing this program ([`super::programs`]). The container may open
//! this program's file then, so the file is a copy in memory, sealed against writing (memfd_create(2), fcntl(2) "File
//! Sealing").

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use ns_core::Named;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::Errno;

const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// Executes the copy by execve(2), unless it is running already.
pub(super) fn become_a_copy() -> Result<()> {
    let mut program = match File::open("/proc/self/exe") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("open /proc/self/exe: {error}: no procfs is mounted at /proc: mount -t proc proc /proc")
        }
        opened => opened.named(|| "open(\"/proc/self/exe\")".into())?,
    };
    if is_sealed(&program) {
        return Ok(());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // MFD_EXEC exists since Linux 6.3, and vm.memfd_noexec may require it. Before 6.3 it gives EINVAL.
    let copy = memfd_create("mini-container", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("mini-container", flags))
        .named(|| "memfd_create(\"mini-container\", MFD_ALLOW_SEALING)".into())?;
    // The kernel copies, by copy_file_range(2) or sendfile(2).
    let mut target = File::from(copy.as_fd().try_clone_to_owned().named(|| "dup()".into())?);
    io::copy(&mut program, &mut target).named(|| "copy this program into memory".into())?;
    seal(&copy).named(|| "fcntl(F_ADD_SEALS)".into())?;

    let arguments: Vec<CString> =
        std::env::args_os().map(|it| CString::new(it.into_vec())).collect::<Result<_, _>>()?;
    let environment: Vec<CString> = std::env::vars_os()
        .map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')))
        .collect::<Result<_, _>>()?;
    let path = CString::new(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
    nix::unistd::execve(&path, &arguments, &environment).named(|| "execve(the sealed copy)".into())?;
    Ok(())
}

/// Whether this process executes the copy.
pub(super) fn is_copy() -> bool {
    File::open("/proc/self/exe").is_ok_and(|program| is_sealed(&program))
}

/// The check is on the file, since anyone can set an argument or a variable.
fn is_sealed(program: &File) -> bool {
    fcntl_get_seals(program).is_ok_and(|seals| seals.contains(SEALS))
}

/// Seals a copy that is not mapped anywhere. Another CPU may still hold a reference to a page of it, in its batch of new
/// pages. Then the kernel waits 150 ms and fails with EBUSY, so this tries again.
fn seal(copy: &OwnedFd) -> rustix::io::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match fcntl_add_seals(copy, SEALS) {
            Err(Errno::BUSY) if Instant::now() < until => {}
            sealed => return sealed,
        }
    }
}
