//! What a fact must read.

use std::collections::BTreeSet;

use ns_core::{NsId, probe};
use serde::Deserialize;

use crate::fact::Reads;
use crate::scalar::Scalar;
use crate::seen::Seen;
use crate::values::Values;

/// What a fact must read, by one of eleven comparators.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// This.
    Is(Scalar),
    /// Anything but this.
    IsNot(Scalar),
    /// A number that is no less.
    AtLeast(Scalar),
    /// A number that is no more.
    AtMost(Scalar),
    /// A set with these words, and maybe others.
    Has(Vec<String>),
    /// A set without any of these words.
    Lacks(Vec<String>),
    /// Text with this in it.
    Contains(String),
    /// Something, or nothing.
    Exists(bool),
    /// A namespace that did not exist when the attempt began; or one that did.
    New(bool),
    /// What another process reads.
    SameAs(String),
    /// Something else than what another process reads.
    DiffersFrom(String),
}

/// What is to follow once it is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is met no more: the process ended, the mount is gone.
    Gone,
}

/// What a comparison needs to know beside what was read.
pub(crate) struct Beside<'a> {
    /// Whether a namespace did not exist when the attempt began.
    pub(crate) is_new: &'a dyn Fn(NsId) -> bool,
    /// What the other process reads.
    pub(crate) other: Option<&'a Seen>,
}

impl Expect {
    /// The other process that it names.
    pub(crate) fn other(&self) -> Option<&str> {
        match self {
            Expect::SameAs(other) | Expect::DiffersFrom(other) => Some(other),
            _ => None,
        }
    }

    /// The same with its values.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub(crate) fn fill(&self, values: &Values) -> Result<Expect, String> {
        let scalar = |it: &Scalar| it.try_map(|text| values.fill(text));
        let words = |all: &[String]| all.iter().map(|word| values.fill(word)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Expect::Is(it) => Expect::Is(scalar(it)?),
            Expect::IsNot(it) => Expect::IsNot(scalar(it)?),
            Expect::AtLeast(it) => Expect::AtLeast(scalar(it)?),
            Expect::AtMost(it) => Expect::AtMost(scalar(it)?),
            Expect::Has(all) => Expect::Has(words(all)?),
            Expect::Lacks(all) => Expect::Lacks(words(all)?),
            Expect::Contains(text) => Expect::Contains(values.fill(text)?),
            other => other.clone(),
        })
    }

    /// Whether a fact that reads this sort of value can be compared so.
    pub(crate) fn suits(&self, reads: Reads) -> bool {
        let word = match self {
            Expect::Is(_) => "is",
            Expect::IsNot(_) => "is_not",
            Expect::AtLeast(_) => "at_least",
            Expect::AtMost(_) => "at_most",
            Expect::Has(_) => "has",
            Expect::Lacks(_) => "lacks",
            Expect::Contains(_) => "contains",
            Expect::Exists(_) => "exists",
            Expect::New(_) => "new",
            Expect::SameAs(_) => "same_as",
            Expect::DiffersFrom(_) => "differs_from",
        };
        Expect::suitable(reads).split(", ").any(|suitable| suitable == word)
    }

    /// The comparators for a sort of value, in words.
    pub(crate) fn suitable(reads: Reads) -> &'static str {
        match reads {
            Reads::Text => "is, is_not, contains, exists, same_as, differs_from",
            Reads::Number => "is, is_not, at_least, at_most, exists, same_as, differs_from",
            Reads::Either => "is, is_not, at_least, at_most, contains, exists, same_as, differs_from",
            Reads::Flag => "is, is_not, exists, same_as, differs_from",
            Reads::Set => "is, is_not, has, lacks, exists, same_as, differs_from",
            Reads::Namespace => "new, exists, same_as, differs_from",
        }
    }

    /// Whether `seen` is as it must be. What cannot be read is never.
    pub(crate) fn is_met(&self, seen: &Seen, beside: &Beside<'_>) -> bool {
        if matches!(seen, Seen::Unreadable(_)) {
            return false;
        }
        match self {
            Expect::Is(scalar) => is(seen, scalar),
            Expect::IsNot(scalar) => !is(seen, scalar),
            Expect::AtLeast(scalar) => compare(seen, scalar, |seen, least| seen >= least),
            Expect::AtMost(scalar) => compare(seen, scalar, |seen, most| seen <= most),
            Expect::Has(words) => words.iter().all(|word| has(seen, word)),
            Expect::Lacks(words) => !words.iter().any(|word| has(seen, word)),
            Expect::Contains(part) => matches!(seen, Seen::Text(text) if text.contains(part)),
            Expect::Exists(wanted) => *wanted != matches!(seen, Seen::Absent),
            Expect::New(wanted) => matches!(seen, Seen::Namespace(id) if (beside.is_new)(*id) == *wanted),
            Expect::SameAs(_) => beside.other.is_some_and(|other| seen == other),
            Expect::DiffersFrom(_) => beside.other.is_some_and(|other| differs(seen, other)),
        }
    }
}

fn differs(seen: &Seen, other: &Seen) -> bool {
    seen != other && !matches!(other, Seen::Unreadable(_))
}

fn is(seen: &Seen, scalar: &Scalar) -> bool {
    match seen {
        Seen::Text(text) => *text == scalar.to_string(),
        // A limit of a fraction of CPUs may have been rounded to the kernel's microseconds.
        Seen::Number(number) => scalar.number().is_some_and(|wanted| (number - wanted).abs() < 1e-6),
        Seen::Flag(flag) => flag.to_string() == scalar.to_string(),
        Seen::Set(words) => *words == set(&scalar.to_string()),
        Seen::Namespace(id) => id.to_string() == scalar.to_string(),
        Seen::Absent => scalar.to_string() == "none",
        Seen::Unreadable(_) => false,
    }
}

/// The words of a set: `none` is the empty one, and `all` is every capability of this kernel.
fn set(words: &str) -> BTreeSet<String> {
    match words.trim() {
        "none" => BTreeSet::new(),
        "all" => probe::deprived_of(0).iter().map(ToString::to_string).collect(),
        words => words.split_whitespace().map(String::from).collect(),
    }
}

fn compare(seen: &Seen, scalar: &Scalar, holds: fn(f64, f64) -> bool) -> bool {
    match (seen, scalar.number()) {
        (Seen::Number(seen), Some(number)) => holds(*seen, number),
        _ => false,
    }
}

fn has(seen: &Seen, word: &str) -> bool {
    match seen {
        Seen::Set(words) => words.contains(word),
        Seen::Text(text) => text.split_whitespace().any(|own| own == word),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use ns_core::Kind;

    use super::*;

    fn text(text: &str) -> Seen {
        Seen::Text(text.into())
    }

    fn words(words: &[&str]) -> Seen {
        Seen::Set(words.iter().map(|word| (*word).into()).collect())
    }

    fn met(expect: &Expect, seen: &Seen) -> bool {
        let is_new = |id: NsId| id.ino > 100;
        let other = text("vm");
        expect.is_met(seen, &Beside { is_new: &is_new, other: Some(&other) })
    }

    #[test]
    fn each_comparator_says_yes_and_no() {
        let scalar = |text: &str| Scalar::Text(text.into());
        let namespace = |ino| Seen::Namespace(NsId { kind: Kind::Uts, dev: 4, ino });
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
        for (expect, yes, no) in [
            (Expect::Is(scalar("fox")), text("fox"), text("vm")),
            (Expect::Is(scalar("20")), Seen::Number(20.0), Seen::Number(21.0)),
            (Expect::Is(Scalar::Whole(20)), text("20"), text("21")),
            (Expect::Is(Scalar::Flag(true)), Seen::Flag(true), Seen::Flag(false)),
            (Expect::Is(scalar("none")), words(&[]), words(&["CAP_CHOWN"])),
            (Expect::Is(scalar("b a")), words(&["a", "b"]), words(&["a"])),
            (Expect::IsNot(scalar("vm")), text("fox"), text("vm")),
            (Expect::AtLeast(scalar("64M")), Seen::Number(67_108_864.0), Seen::Number(67_108_863.0)),
            (Expect::AtMost(Scalar::Whole(20)), Seen::Number(20.0), Seen::Absent),
            (Expect::Has(list(&["ro"])), words(&["ro", "nosuid"]), words(&["rw"])),
            (Expect::Lacks(list(&["ro", "nodev"])), words(&["rw"]), words(&["nodev"])),
            (Expect::Contains("default".into()), text("a default route"), text("none")),
            (Expect::Exists(true), text("tmpfs"), Seen::Absent),
            (Expect::Exists(false), Seen::Absent, text("tmpfs")),
            (Expect::New(true), namespace(101), namespace(7)),
            (Expect::New(false), namespace(7), namespace(101)),
            (Expect::SameAs("you".into()), text("vm"), text("fox")),
            (Expect::DiffersFrom("you".into()), text("fox"), text("vm")),
        ] {
            assert!(met(&expect, &yes), "{expect:?} {yes:?}");
            assert!(!met(&expect, &no), "{expect:?} {no:?}");
            assert!(!met(&expect, &Seen::Unreadable("EACCES".into())), "{expect:?}");
        }
    }

    #[test]
    fn every_capability_is_all() {
        let all = set("all");
        assert!(all.contains("CAP_SYS_ADMIN") && all.len() > 30, "{all:?}");
        assert!(met(&Expect::Is(Scalar::Text("all".into())), &Seen::Set(all)));
    }
}
