//! Kinds of namespaces, as they are typed.

use std::str::FromStr;

use ns_core::{Kind, Namespaces};

/// Some kinds, as they are typed: `net,uts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(pub Namespaces);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Kinds, String> {
        let mut kinds = Namespaces::NONE;
        for word in text.split(',') {
            let kind = Kind::ALL.into_iter().find(|kind| kind.link() == word);
            let all = || Kind::ALL.map(Kind::link).join(", ");
            kinds |=
                Namespaces::only(kind.ok_or_else(|| format!("{word:?} is no kind; choose from {}", all()))?);
        }
        Ok(Kinds(kinds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_as_typed() {
        assert_eq!("net,uts".parse(), Ok(Kinds(Namespaces::NET | Namespaces::UTS)));
        for bad in ["", "net,", "nat", "NET"] {
            assert!(bad.parse::<Kinds>().is_err(), "{bad:?}");
        }
    }
}
