//! Which file a name stands for, as execvp(3) finds it.

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// The file that `name` stands for: a path, or the first executable file of that name in PATH. A directory that cannot be
/// searched has none, as for a shell.
///
/// # Errors
/// ENOENT where there is none; EACCES where there are, and none may be executed.
pub(crate) fn find(name: &OsStr) -> Result<PathBuf, Errno> {
    if name.is_empty() {
        return Err(Errno::ENOENT);
    }
    if name.as_bytes().contains(&b'/') {
        return executable(Path::new(name)).map(|()| name.into());
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    let mut refused = Errno::ENOENT;
    for directory in env::split_paths(&path) {
        let file = directory.join(name);
        match executable(&file) {
            Ok(()) => return Ok(file),
            Err(Errno::EACCES) if file.metadata().is_ok() => refused = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(refused)
}

fn executable(file: &Path) -> Result<(), Errno> {
    let about =
        file.metadata().map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::ENOENT)))?;
    let may = about.is_file() && about.permissions().mode() & 0o111 != 0;
    if may { Ok(()) } else { Err(Errno::EACCES) }
}

/// Texts as the kernel takes them. A NUL cannot be in any: they came from the kernel.
pub(crate) fn c_strings(texts: impl IntoIterator<Item = OsString>) -> Vec<CString> {
    texts.into_iter().filter_map(|text| CString::new(text.into_vec()).ok()).collect()
}

/// The environment, as execve(2) takes it.
pub(crate) fn environment() -> Vec<CString> {
    c_strings(env::vars_os().map(|(name, value)| [name, value].join(OsStr::new("="))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_path() {
        assert!(find(OsStr::new("sh")).is_ok_and(|path| path.is_absolute()));
        assert_eq!(find(OsStr::new("/bin/sh")), Ok("/bin/sh".into()));
        assert_eq!(find(OsStr::new("no-such-program")), Err(Errno::ENOENT));
        assert_eq!(find(OsStr::new("/nonexistent/sh")), Err(Errno::ENOENT));
        assert_eq!(find(OsStr::new("/etc/passwd")), Err(Errno::EACCES));
        assert_eq!(find(OsStr::new("/etc")), Err(Errno::EACCES));
        assert_eq!(find(OsStr::new("")), Err(Errno::ENOENT));
    }
}
