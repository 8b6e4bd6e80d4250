//! Keys: keyrings(7).

use std::ffi::CStr;

use nix::errno::Errno;

/// KEY_SPEC_USER_KEYRING, KEYCTL_GET_KEYRING_ID and KEYCTL_SEARCH of linux/keyctl.h.
const USER_KEYRING: libc::c_long = -4;
const GET_KEYRING_ID: libc::c_long = 0;
const SEARCH: libc::c_long = 10;

/// add_key(2) of an empty-handed key of type `user` to the user keyring.
///
/// # Errors
/// The kernel's: EPERM, ENOSYS, EDQUOT.
pub fn add_user_key(description: &CStr) -> Result<i32, Errno> {
    let (kind, payload) = (c"user", [0_u8]);
    // SAFETY: the kernel reads two strings that end in NUL and one byte, which all live through the call.
    let serial = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            USER_KEYRING,
        )
    };
    Errno::result(serial).map(|serial| serial as i32)
}

/// keyctl(KEYCTL_SEARCH) for a key of type `user` in the user keyring.
///
/// # Errors
/// The kernel's: ENOKEY where there is none.
pub fn find_user_key(description: &CStr) -> Result<i32, Errno> {
    let kind = c"user";
    // SAFETY: the kernel reads two strings that end in NUL and live through the call.
    let serial = unsafe {
        libc::syscall(libc::SYS_keyctl, SEARCH, USER_KEYRING, kind.as_ptr(), description.as_ptr(), 0)
    };
    Errno::result(serial).map(|serial| serial as i32)
}

/// keyctl(KEYCTL_GET_KEYRING_ID) of the user keyring, made if there is none.
///
/// # Errors
/// The kernel's.
pub fn user_keyring() -> Result<i32, Errno> {
    // SAFETY: this command takes integers only.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, USER_KEYRING, 1) };
    Errno::result(serial).map(|serial| serial as i32)
}
