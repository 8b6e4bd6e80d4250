//! The hostname and the NIS domain name: uts_namespaces(7).

use crate::error::{Error, Named, Result};
use crate::{Kind, host};

/// The most bytes that either name may have.
pub const LONGEST: usize = 64;

/// The hostname, by uname(2).
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The NIS domain name, by uname(2).
pub fn domain_name() -> String {
    rustix::system::uname().domainname().to_string_lossy().into_owned()
}

/// The kernel's release, such as `6.12.48+deb13-amd64`, by uname(2).
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// What the kernel calls the hardware, such as `x86_64`, by uname(2).
pub fn machine() -> String {
    rustix::system::uname().machine().to_string_lossy().into_owned()
}

/// The kernel's version as numbers, (6, 12) for 6.12.48; (0, 0) where the release does not begin with two.
pub fn kernel_version() -> (u32, u32) {
    parse_version(&release()).unwrap_or((0, 0))
}

/// The two numbers that a release such as `6.12.48+deb13-amd64` begins with; `None` where it does not.
pub fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Sets the hostname by sethostname(2), once we have left the UTS namespace that we were started in.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace that owns the UTS namespace; EINVAL for more than 64 bytes.
/// [`Error::WouldChangeHost`], without a call.
pub fn set_hostname(name: &str) -> Result<()> {
    let call = || format!("sethostname({name:?})");
    host::require_left(Kind::Uts, call)?;
    nix::unistd::sethostname(name).named(call)
}

/// Sets the NIS domain name by setdomainname(2), once we have left the UTS namespace that we were started in.
///
/// # Errors
/// As [`set_hostname`].
pub fn set_domain_name(name: &str) -> Result<()> {
    let call = || format!("setdomainname({name:?})");
    host::require_left(Kind::Uts, call)?;
    rustix::system::setdomainname(name.as_bytes()).named(call)
}

/// Sets the hostname by writing to /proc/sys/kernel/hostname, once we have left the UTS namespace that we were started in.
///
/// # Errors
/// As [`set_hostname`].
pub fn write_hostname(name: &str) -> Result<()> {
    let call = || format!("echo {name} > /proc/sys/kernel/hostname");
    host::require_left(Kind::Uts, call)?;
    std::fs::write("/proc/sys/kernel/hostname", name).named(call)
}

/// A name that the kernel takes and a terminal bears: 1 to 64 letters, digits, dots and hyphens (hostname(7)).
///
/// # Errors
/// [`Error::Input`], which says the rule.
pub fn check_name(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    if (1..=LONGEST).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::Input(format!(
        "hostname '{}': give 1 to {LONGEST} letters, digits, dots or hyphens",
        crate::printable(name)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_gives_its_version() {
        assert_eq!(parse_version("6.12.48+deb13-amd64"), Some((6, 12)));
        assert_eq!(parse_version("6.18-rc1"), Some((6, 18)));
        assert_eq!(parse_version("moon"), None);
    }

    #[test]
    fn names_that_hurt_are_refused() {
        for name in ["", "a b", "a/b", "\x1b[2J", "é", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name(&"x".repeat(64)).is_ok());
        assert!(check_name("lab-1.example").is_ok());
    }

    proptest::proptest! {
        #[test]
        fn every_release_gives_its_version(major: u32, minor: u32, rest in "([^0-9].*)?") {
            proptest::prop_assert_eq!(parse_version(&format!("{major}.{minor}{rest}")), Some((major, minor)));
        }

        #[test]
        fn a_name_is_taken_or_refused_in_one_line(name: String) {
            let _ = parse_version(&name);
            if let Err(refusal) = check_name(&name) {
                proptest::prop_assert!(!refusal.to_string().chars().any(crate::is_deceptive));
            }
        }
    }
}
