//! What a claim rests on: each fact once, with what the control and the treatment reported of it.

use std::collections::HashMap;

use lesson::render::Shown;
use ns_core::{Fact, View, printable};
use serde::Serialize;
use transcript::Arm;

/// A fact of both arms.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    who: String,
    what: String,
    control: Option<String>,
    treatment: Option<String>,
    differs: bool,
}

/// Who saw what, and the how manieth time that is in its arm.
type Key<'a> = (&'a str, bool, &'a str, usize);

/// Pairs the facts of two arms: the first of a name with the first of that name, and so on. What one arm alone reports comes
/// after what both do.
pub(super) fn pair([control, treatment]: [&Arm; 2], names: &mut Shown) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut places = HashMap::new();
    for (key, fact) in keyed(&control.facts) {
        places.insert(key, seen.len());
        let value = Some(names.value(&fact.value));
        seen.push(Seen { who: who(fact), what: printable(&fact.what), control: value, treatment: None, differs: true });
    }
    for (key, fact) in keyed(&treatment.facts) {
        let value = Some(names.value(&fact.value));
        match places.get(&key) {
            Some(at) => {
                seen[*at].differs = seen[*at].control != value;
                seen[*at].treatment = value;
            }
            None => {
                seen.push(Seen { who: who(fact), what: printable(&fact.what), control: None, treatment: value, differs: true });
            }
        }
    }
    seen
}

fn keyed(facts: &[Fact]) -> Vec<(Key<'_>, &Fact)> {
    let mut times: HashMap<(&str, bool, &str), usize> = HashMap::new();
    let keyed = facts.iter().map(|fact| {
        let name = (fact.who.as_str(), fact.view == View::Inside, fact.what.as_str());
        let time = times.entry(name).or_default();
        *time += 1;
        ((name.0, name.1, name.2, *time), fact)
    });
    keyed.collect()
}

/// Who saw it, and from where. The experiment itself is outside.
pub(super) fn who(fact: &Fact) -> String {
    match (fact.who.as_str(), fact.view) {
        ("outside", View::Outside) => "outside".into(),
        (who, View::Outside) => format!("{}, outside", printable(who)),
        (who, View::Inside) => format!("{}, inside", printable(who)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Value;

    fn arm(facts: &[(&str, i64)]) -> Arm {
        let fact = |(what, number): &(&str, i64)| Fact {
            who: "init".into(),
            view: View::Inside,
            what: (*what).into(),
            value: Value::Number(*number),
        };
        Arm { effect: false, facts: facts.iter().map(fact).collect() }
    }

    #[test]
    fn each_fact_stands_once() {
        let (control, treatment) = (arm(&[("a", 1), ("a", 2), ("b", 3)]), arm(&[("c", 9), ("a", 1), ("a", 5)]));
        let seen = pair([&control, &treatment], &mut Shown::new(false));
        let rows: Vec<_> = seen
            .iter()
            .map(|it| (it.what.as_str(), it.control.as_deref(), it.treatment.as_deref(), it.differs))
            .collect();
        let expected = [
            ("a", Some("1"), Some("1"), false),
            ("a", Some("2"), Some("5"), true),
            ("b", Some("3"), None, true),
            ("c", None, Some("9"), true),
        ];
        assert_eq!(rows, expected);
        assert_eq!(seen[0].who, "init, inside");
    }
}
