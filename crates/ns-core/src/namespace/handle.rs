//! A name for a namespace that does not hold it: its file handle, open_by_handle_at(2).

use super::NsFile;
use crate::error::{Named, Result};
use crate::{Kind, Pid, files, sys};

/// The file handle of a namespace: it can be kept as bytes, and does not keep the namespace.
#[derive(Debug, Clone)]
pub struct NsHandle {
    bytes: Vec<u8>,
    path: String,
}

impl NsHandle {
    /// The handle of the namespace of `kind` that a process is a member of, by name_to_handle_at(2).
    ///
    /// # Errors
    /// EOPNOTSUPP before Linux 6.18. As [`super::of`].
    pub fn of(process: Pid, kind: Kind) -> Result<NsHandle> {
        let path = files::of(Some(process), &format!("ns/{kind}"));
        let call = || format!("name_to_handle_at(\"{path}\")");
        let bytes = sys::name_to_handle(&sys::c_string(&path)?).named(call)?;
        Ok(NsHandle { bytes, path })
    }

    /// Opens the namespace, if there still is one.
    ///
    /// # Errors
    /// ESTALE when it is gone; EPERM without CAP_SYS_ADMIN in the user namespace that owns it, unless the caller is a member.
    pub fn open(&self) -> Result<NsFile> {
        let path = format!("open_by_handle_at(the handle of {})", self.path);
        let fd = sys::open_nsfs_handle(&self.bytes).named(|| path.clone())?;
        Ok(NsFile { fd, path })
    }
}
