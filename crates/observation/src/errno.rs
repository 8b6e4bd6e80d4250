//! An errno by its name.

use nix::errno::Errno;
use nix::libc;
use serde::{Deserialize, Deserializer, Serializer, de};

/// An errno by its name and its meaning: `EPERM (Operation not permitted)`.
pub fn in_words(errno: Errno) -> String {
    format!("{errno:?} ({})", errno.desc())
}

/// The errno of that name.
pub(crate) fn from_name(name: &str) -> Option<Errno> {
    (1..=libc::EHWPOISON).map(Errno::from_raw).find(|errno| format!("{errno:?}") == name)
}

/// For `#[serde(with = "…")]`.
pub(crate) fn serialize<S: Serializer>(errno: &Errno, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{errno:?}"))
}

/// For `#[serde(with = "…")]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Errno, D::Error> {
    let name = String::deserialize(deserializer)?;
    from_name(&name).ok_or_else(|| de::Error::custom(format!("no errno is called {name}")))
}
