//! The name of a link, checked before the kernel sees it.

use std::fmt;

use crate::error::{Error, Result};

/// IFNAMSIZ of netdevice(7) is 16, with the final NUL.
const LONGEST: usize = 15;

/// A link's name: 1 to 15 bytes.
///
/// The kernel itself takes more: control characters and bytes above 127, which would then reach terminals; and `%`, in
/// which it counts (`veth%d` makes `veth0`). `all` and `default` it takes no longer: they are directories of
/// /proc/sys/net/ipv4/conf.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(String);

impl LinkName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`Error::Input`] in one line, with the rule that `name` breaks.
    pub fn new(name: &str) -> Result<LinkName> {
        match broken_rule(name) {
            None => Ok(LinkName(name.into())),
            Some(rule) => Err(Error::Input(format!(
                "link name \"{}\": {rule}; take 1 to {LONGEST} letters, digits, '-', '_' or '.'",
                shown(name)
            ))),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the kernel (dev_valid_name() and __dev_alloc_name()) or a terminal would take amiss.
fn broken_rule(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if name.len() > LONGEST {
        return Some(format!("it has {} bytes, and IFNAMSIZ leaves {LONGEST}", name.len()));
    }
    if [".", "..", "all", "default"].contains(&name) {
        return Some("it names a directory of /proc/sys/net or /sys/class/net".into());
    }
    let bad = name.chars().find(|c| !c.is_ascii_graphic() || "/:%".contains(*c))?;
    Some(match bad {
        '/' | ':' => format!("it has '{bad}'"),
        '%' => "it has '%', where the kernel would count".into(),
        c if c.is_whitespace() => "it has white space".into(),
        c if c.is_control() => "it has a control character".into(),
        _ => "it has a character that is not ASCII".into(),
    })
}

/// The name on one line, however long it is and whatever it holds.
fn shown(name: &str) -> String {
    let mut start: String = name.chars().take(32).flat_map(char::escape_default).collect();
    if name.chars().nth(32).is_some() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for name in ["lo", "eth0", "br-1a2b", "vethab12cd", "a", "a_b.c", "fifteen-bytes-x", "..."] {
            assert_eq!(LinkName::new(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_refusal_names_the_name_the_rule_and_the_remedy() {
        for (name, text) in [
            ("", "link name \"\": it is empty; take"),
            ("sixteen-bytes-xx", "it has 16 bytes, and IFNAMSIZ leaves 15; take"),
            ("a/b", "link name \"a/b\": it has '/'; take"),
            ("eth0:1", "it has ':'"),
            ("veth%d", "where the kernel would count"),
            ("a b", "white space"),
            ("a\u{a0}b", "\"a\\u{a0}b\": it has white space"),
            ("a\u{1b}[2J", "\"a\\u{1b}[2J\": it has a control character"),
            ("é", "not ASCII"),
            (".", "directory"),
            ("..", "directory"),
            ("all", "directory"),
            ("default", "directory"),
        ] {
            let error = LinkName::new(name).unwrap_err().to_string();
            assert!(error.contains(text), "{name:?}: {error}");
            assert!(error.ends_with("take 1 to 15 letters, digits, '-', '_' or '.'"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_name_is_taken_as_it_is_or_refused_in_one_printable_line(name in "\\PC{0,20}|.{0,40}|[a-z0-9./:%]{1,16}") {
            match LinkName::new(&name) {
                Ok(taken) => {
                    prop_assert_eq!(taken.as_str(), &name);
                    prop_assert!((1..=15).contains(&name.len()));
                    prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && !b"/:%".contains(&b)));
                }
                Err(error) => {
                    let text = error.to_string();
                    prop_assert!(text.len() < 600, "{}", text);
                    prop_assert!(text.chars().all(|c| c == '…' || c == ' ' || c.is_ascii_graphic()), "{}", text);
                }
            }
        }
    }
}
