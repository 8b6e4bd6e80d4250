//! Keys that the kernel keeps for a user: keyrings(7), user-keyring(7).

use ns_core::{Errno, Kind, Named, host, sys, until};

/// Adds a key of type `user` to the caller's user keyring, and returns its serial number.
///
/// # Errors
/// EPERM or ENOSYS where a seccomp filter forbids it; EDQUOT. A key outlives its creator. So in the user namespace in
/// which this process was started, this fails ([`ns_core::Error::WouldChangeHost`]).
pub(crate) fn add(description: &str) -> ns_core::Result<i32> {
    let call = || format!("add_key(\"user\", {description:?}, KEY_SPEC_USER_KEYRING)");
    host::require_left(Kind::User, call)?;
    let description = sys::c_string(description)?;
    with_a_keyring(|| sys::add_user_key(&description), call)
}

/// The serial number of the key of that description, if the caller's user keyring has one.
///
/// # Errors
/// Those of keyctl(2), other than ENOKEY.
pub(crate) fn find(description: &str) -> ns_core::Result<Option<i32>> {
    match sys::find_user_key(&sys::c_string(description)?) {
        Ok(serial) => Ok(Some(serial)),
        Err(Errno::ENOKEY) => Ok(None),
        Err(errno) => {
            Err(errno).named(|| format!("keyctl(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, {description:?})"))
        }
    }
}

/// The serial number of the caller's user keyring.
///
/// # Errors
/// Those of keyctl(2).
pub(crate) fn user_keyring() -> ns_core::Result<i32> {
    with_a_keyring(sys::user_keyring, || "keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING)".into())
}

/// Makes a call that creates the user keyring of a new user namespace if there is none. While the kernel collects the
/// keyrings of many other namespaces, it may answer ENOKEY for a moment: then the call is made again.
fn with_a_keyring(make: impl Fn() -> Result<i32, Errno>, call: impl Fn() -> String) -> ns_core::Result<i32> {
    until("the user keyring", || match make() {
        Err(Errno::ENOKEY) => Ok(None),
        answer => answer.map(Some).named(&call),
    })
}
