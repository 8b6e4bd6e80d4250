//! Ourselves, as a copy that nobody can write to.
//!
//! A container that runs `#!/proc/self/exe` has the kernel start *our* program once more, from inside, and can then
//! open its file. If the user outside may write it, so may the container's root (CVE-2019-5736). So what runs from here
//! on is a copy in memory, sealed against writing by anyone (memfd_create(2), fcntl(2) "File Sealing").

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

/// Becomes the copy, by execve(2), unless it is what runs already.
pub(super) fn become_a_copy() -> Result<()> {
    let mut ours = match File::open("/proc/self/exe") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("open /proc/self/exe: {error}: no procfs is mounted at /proc: mount -t proc proc /proc")
        }
        opened => opened.named(|| "open(\"/proc/self/exe\")".into())?,
    };
    // Asked of the file, not of an argument or a variable, which anybody can set.
    if fcntl_get_seals(&ours).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Since Linux 6.3 one says whether it is to be executed, which vm.memfd_noexec may require; before, EINVAL.
    let copy = memfd_create("mini-container", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("mini-container", flags))
        .named(|| "memfd_create(\"mini-container\", MFD_ALLOW_SEALING)".into())?;
    // Within the kernel, by copy_file_range(2) or sendfile(2).
    let mut target = File::from(copy.as_fd().try_clone_to_owned().named(|| "dup()".into())?);
    io::copy(&mut ours, &mut target).named(|| "copy this program into memory".into())?;
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

/// Seals a copy that is nowhere mapped. Another CPU may still hold a page of it, for example in its list of new pages.
/// Then the kernel waits 150 ms and fails with EBUSY. That goes by.
fn seal(copy: &OwnedFd) -> rustix::io::Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match fcntl_add_seals(copy, SEALS) {
            Err(Errno::BUSY) if Instant::now() < until => {}
            sealed => return sealed,
        }
    }
}
