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

/// Who reported it, whether from inside, what it was, and which occurrence of that it is in its arm.
type Key<'a> = (&'a str, bool, &'a str, usize);

/// Pairs the facts of two arms: the first of a name with the first of that name, and so on. Where the arms call the
/// reporter by other names, a fact is paired with one of the other arm that has none. What one arm alone reports comes
/// last.
pub(super) fn pair([control, treatment]: [&Arm; 2], names: &mut Shown) -> Vec<Seen> {
    let (control, treatment) = (keyed(&control.facts), keyed(&treatment.facts));
    let mut others: Vec<Option<usize>> =
        control.iter().map(|(key, _)| treatment.iter().position(|(other, _)| other == key)).collect();
    for at in 0..control.len() {
        if others[at].is_none() {
            let (_, inside, what, _) = control[at].0;
            let is_alike = |(other, _): &(Key<'_>, &Fact)| (other.1, other.2) == (inside, what);
            others[at] =
                (0..treatment.len()).find(|it| is_alike(&treatment[*it]) && !others.contains(&Some(*it)));
        }
    }
    let controls: Vec<String> = control.iter().map(|(_, fact)| names.value(&fact.value)).collect();
    let treatments: Vec<String> = treatment.iter().map(|(_, fact)| names.value(&fact.value)).collect();
    let alone = (0..treatment.len()).filter(|at| !others.contains(&Some(*at)));
    let both = others.iter().enumerate().map(|(at, other)| (Some(at), *other));
    let rows = both.chain(alone.map(|at| (None, Some(at))));
    rows.map(|(at, other)| {
        let facts = [at.map(|at| control[at].1), other.map(|at| treatment[at].1)];
        let value = |at: Option<usize>, values: &[String]| at.map(|at| values[at].clone());
        let (control, treatment) = (value(at, &controls), value(other, &treatments));
        let what = facts.iter().flatten().next().map_or_else(String::new, |fact| printable(&fact.what));
        Seen { who: whoever(facts), what, differs: control != treatment, control, treatment }
    })
    .collect()
}

/// Who reported a fact: the one and the other, where the arms call them by other names.
fn whoever([control, treatment]: [Option<&Fact>; 2]) -> String {
    match (control, treatment) {
        (Some(one), Some(other)) if one.who != other.who => {
            format!("{} / {}", printable(&one.who), who(other))
        }
        (one, other) => one.or(other).map_or_else(String::new, who),
    }
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

/// Who reported it, and from where. The experiment itself is outside.
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
        let (control, treatment) =
            (arm(&[("a", 1), ("a", 2), ("b", 3)]), arm(&[("c", 9), ("a", 1), ("a", 5)]));
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

    #[test]
    fn facts_are_paired_though_the_arms_have_other_processes() {
        let (mut control, treatment) = (arm(&[("a", 1)]), arm(&[("a", 2)]));
        control.facts[0].who = "plain child".into();
        let seen = pair([&control, &treatment], &mut Shown::new(false));
        assert_eq!((seen.len(), seen[0].who.as_str()), (1, "plain child / init, inside"));
    }
}
