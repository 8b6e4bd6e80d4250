//! What is said of a requirement: a sentence made of the state.

use ns_core::{Kind, NsId};

use crate::assign::Assignment;
use crate::candidate::Changes;
use crate::expect::{Expect, Then};
use crate::model::{THIS_MACHINE, YOU};
use crate::process::Process;
use crate::seen::Seen;
use crate::snapshot::in_words;
use crate::view::{Ask, View};

/// Whether a requirement is met.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    /// It is met.
    pub(crate) met: bool,
    /// The machine shows now what it asks for.
    pub(crate) now: bool,
}

impl Verdict {
    /// Of a requirement that the machine shows `now`, or showed `before`.
    pub(crate) fn of(then: Option<Then>, now: bool, before: bool) -> Verdict {
        let met = match then {
            None => now,
            Some(Then::Gone) => before && !now,
        };
        Verdict { met, now }
    }
}

/// The sentence of one requirement.
pub(crate) fn sentence(
    view: &View,
    ask: &Ask,
    chosen: &Assignment<'_>,
    changes: &Changes,
    verdict: Verdict,
) -> String {
    let requirement = &ask.requirement;
    if requirement.then == Some(Then::Gone) && verdict.met {
        return format!("{}: it was there, and is gone", requirement.of);
    }
    let Some(subject) = chosen.subject(&requirement.of) else {
        return nobody(view, ask, changes.apart.as_ref());
    };
    let who = chosen.process(&requirement.of).map_or_else(|| THIS_MACHINE.into(), who);
    let seen = view.see(ask, subject);
    let mut said = say(view, ask, &who, &seen);
    if let (Some(other), false) = (requirement.expect.other(), verdict.now) {
        said += &match chosen.subject(other) {
            None => format!("; no process is {other} yet"),
            Some(_) if matches!(requirement.expect, Expect::SameAs(_)) => {
                format!("; the task wants the same as {}", whom(other))
            }
            Some(_) => format!("; the task wants another than {}", whom(other)),
        };
    }
    if verdict.now && requirement.then == Some(Then::Gone) {
        said += "; in the end it is to be gone";
    } else if !verdict.now && !matches!(seen, Seen::Unreadable(_)) {
        said += &wanted(&requirement.expect, &seen);
    }
    said
}

/// A process, by its PID and its program.
pub(crate) fn who(process: &Process) -> String {
    format!("PID {} ({})", process.subject.pid, process.name)
}

fn whom(other: &str) -> &str {
    if other == YOU { "yours" } else { other }
}

/// What is said where no process is the subject. `apart` is the nearest that is in a namespace of its own.
fn nobody(view: &View, ask: &Ask, apart: Option<&Process>) -> String {
    if let Some(process) = apart {
        let seen = view.see(ask, process.subject);
        return say(view, ask, &who(process), &seen) + &wanted(&ask.requirement.expect, &seen);
    }
    let fact = &ask.requirement.fact;
    match (&ask.requirement.expect, kin(fact)) {
        (Expect::New(true), Some(Kin::Member(kind))) => {
            let kind = in_words(kind);
            format!("no process is in a new {kind} namespace: all that started since are in yours")
        }
        (Expect::Is(value), _) => format!("no process yet whose {fact} is {value}"),
        (Expect::IsNot(value), _) => format!("no process yet whose {fact} is not {value}"),
        (Expect::AtLeast(least), _) => format!("no process yet whose {fact} is at least {least}"),
        (Expect::AtMost(most), _) => format!("no process yet whose {fact} is at most {most}"),
        (Expect::Has(words), _) => format!("no process yet whose {fact} has {}", words.join(", ")),
        (Expect::Lacks(words), _) => format!("no process yet whose {fact} lacks {}", words.join(", ")),
        (Expect::Contains(text), _) => format!("no process yet whose {fact} contains {text}"),
        (Expect::Exists(true), _) => format!("no process yet that has {fact}"),
        (Expect::Exists(false), _) => format!("no process yet that lacks {fact}"),
        (Expect::New(_), _) => format!("no process yet whose {fact} is as the task says"),
        (Expect::SameAs(other), _) => format!("no process yet whose {fact} is that of {}", whom(other)),
        (Expect::DiffersFrom(other), _) => {
            format!("no process yet whose {fact} is not that of {}", whom(other))
        }
    }
}

/// What a process reads, after `who` it is.
fn say(view: &View, ask: &Ask, who: &str, seen: &Seen) -> String {
    if let (Expect::New(_), Seen::Namespace(id), Some(kin)) =
        (&ask.requirement.expect, seen, kin(&ask.requirement.fact))
    {
        let kind = in_words(id.kind);
        let which = which(view, *id);
        return match kin {
            Kin::Member(_) => format!("{who} is in {which} {kind} namespace"),
            Kin::Parent => format!("{who}: the parent of its {kind} namespace is {which} one"),
            Kin::Held => format!("{which} {kind} namespace is mounted there"),
        };
    }
    let phrase = ask.fact.phrase(seen);
    let is_unchanged = matches!(ask.requirement.expect, Expect::Is(_)) && *seen == view.see(ask, view.own);
    let phrase = match (is_unchanged && ask.requirement.of != THIS_MACHINE, phrase.split_once(" is ")) {
        (true, Some((what, value))) if matches!(seen, Seen::Text(_)) => format!("{what} is still {value}"),
        _ => phrase,
    };
    format!("{who}: {phrase}")
}

fn which(view: &View, id: NsId) -> &'static str {
    match (view.is_new(id), view.is_own(id)) {
        (true, _) => "a new",
        (_, true) => "your",
        _ => "an old",
    }
}

/// How a namespace belongs to a process.
enum Kin {
    Member(Kind),
    Parent,
    Held,
}

/// How a fact's namespace belongs to its subject, where a sentence of our own says so.
fn kin(fact: &str) -> Option<Kin> {
    let mut words = fact.split_whitespace();
    match (words.next()?, words.next()?, words.next()) {
        ("namespace", kind, None) => Kind::from_link(kind).map(Kin::Member),
        ("parent", "namespace", Some(_)) => Some(Kin::Parent),
        ("held", _, Some(_)) => Some(Kin::Held),
        _ => None,
    }
}

/// What the task says instead of what is `seen`.
fn wanted(expect: &Expect, seen: &Seen) -> String {
    match expect {
        Expect::Is(wanted) => format!("; the task says {wanted}"),
        Expect::IsNot(_) => "; the task wants another".into(),
        Expect::AtLeast(least) => format!("; the task says at least {least}"),
        Expect::AtMost(most) => format!("; the task says at most {most}"),
        Expect::Has(words) => {
            let has = |word: &&String| matches!(seen, Seen::Set(own) if own.contains(*word));
            let lacking: Vec<_> = words.iter().filter(|word| !has(word)).map(String::as_str).collect();
            format!("; the task wants {} too", lacking.join(", "))
        }
        Expect::Lacks(words) => {
            let has = |word: &&String| matches!(seen, Seen::Set(own) if own.contains(*word));
            let left: Vec<_> = words.iter().filter(has).map(String::as_str).collect();
            let words = if left.is_empty() { words.iter().map(String::as_str).collect() } else { left };
            format!("; the task wants it without {}", words.join(", "))
        }
        Expect::Contains(text) => format!("; the task wants '{text}' in it"),
        Expect::Exists(false) => "; the task wants none".into(),
        Expect::New(true) => "; the task wants a new one".into(),
        Expect::New(false) => "; the task wants one from before".into(),
        Expect::Exists(true) | Expect::SameAs(_) | Expect::DiffersFrom(_) => String::new(),
    }
}
