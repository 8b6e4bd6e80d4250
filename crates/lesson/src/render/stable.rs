//! Names for what differs from run to run, by order of appearance, so that two runs read alike.

use std::collections::HashMap;

use ns_core::Value;

/// PIDs of a new PID namespace count from 1 and are the same in every run; those of a running system are above this.
const LAST_STABLE_PID: i32 = 99;

/// What the flags begin with, by which namespaces are counted.
const NAMESPACE: &str = "CLONE_NEW";

/// How values are shown within one experiment: as they are, or by names that are the same in every run.
#[derive(Debug)]
pub struct Shown(Option<Names>);

impl Shown {
    /// `stable` puts names in the place of what differs from run to run, by order of appearance.
    pub fn new(stable: bool) -> Shown {
        Shown(stable.then(Names::default))
    }

    /// Whether names stand in the place of what differs.
    pub fn is_stable(&self) -> bool {
        self.0.is_some()
    }

    /// Forgets the namespaces, at the beginning of a step: those of the step before are gone, and the kernel gives their
    /// numbers to others. So a namespace has one name within a step.
    pub fn begin_step(&mut self) {
        if let Some(names) = &mut self.0 {
            names.given.retain(|(kind, _), _| !kind.starts_with(NAMESPACE));
            names.counts.retain(|kind, _| !kind.starts_with(NAMESPACE));
        }
    }

    /// A value as it is shown.
    pub fn value(&mut self, value: &Value) -> String {
        match &mut self.0 {
            Some(names) => names.show(value),
            None => value.to_string(),
        }
    }
}

/// Gives every volatile value a name: the same value the same name.
#[derive(Debug, Default)]
struct Names {
    given: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    /// What to show in the place of `value`.
    fn show(&mut self, value: &Value) -> String {
        match value {
            Value::Pid(pid) => self.pid(*pid),
            Value::Namespace(id) => {
                // By its flag, since "pid" alone is what processes are counted by.
                let number = self.number(id.kind.flag(), id.ino.to_string());
                format!("{}:[<{}>]", id.kind, number + 1)
            }
            Value::Name(name) => format!("<name {}>", letters(self.number("name", name.clone()))),
            Value::Nanoseconds(time) => format!("<time {}>", letters(self.number("time", time.to_string()))),
            Value::Count(count) => format!("<count {}>", letters(self.number("count", count.to_string()))),
            Value::List(values) => values.iter().map(|value| self.show(value)).collect::<Vec<_>>().join(" "),
            Value::Text(_) | Value::Number(_) | Value::Outcome(_) | Value::ExitStatus(_) => value.to_string(),
        }
    }

    /// What to show in the place of a process ID.
    fn pid(&mut self, pid: i32) -> String {
        if pid <= LAST_STABLE_PID {
            return pid.to_string();
        }
        format!("<pid {}>", letters(self.number("pid", pid.to_string())))
    }

    fn number(&mut self, kind: &'static str, value: String) -> usize {
        let count = self.counts.entry(kind).or_default();
        *self.given.entry((kind, value)).or_insert_with(|| {
            *count += 1;
            *count - 1
        })
    }
}

/// A, B, … Z, AA, AB, …
fn letters(mut number: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(number % 26).unwrap_or_default()));
        if number < 26 {
            return letters.iter().rev().collect();
        }
        number = number / 26 - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::{Kind, NsId};

    #[test]
    fn a_namespace_keeps_its_name_within_a_step() {
        let namespace = |ino| Value::Namespace(NsId { kind: Kind::Uts, dev: 4, ino });
        let mut shown = Shown::new(true);
        let names = |shown: &mut Shown| [7, 8, 7].map(|ino| shown.value(&namespace(ino)));
        assert_eq!(names(&mut shown), ["uts:[<1>]", "uts:[<2>]", "uts:[<1>]"]);
        assert_eq!(shown.value(&Value::Pid(812)), "<pid A>");
        shown.begin_step();
        assert_eq!(shown.value(&namespace(8)), "uts:[<1>]");
        assert_eq!(shown.value(&Value::Pid(813)), "<pid B>");
    }

    #[test]
    fn names_follow_the_order_of_appearance() {
        let mut names = Names::default();
        assert_eq!(names.show(&Value::Pid(31415)), "<pid A>");
        assert_eq!(names.show(&Value::Pid(27182)), "<pid B>");
        assert_eq!(names.show(&Value::Pid(31415)), "<pid A>");
        assert_eq!(names.show(&Value::Pid(1)), "1");
        let id = |kind, ino| Value::Namespace(NsId { kind, dev: 4, ino });
        assert_eq!(names.show(&id(Kind::Uts, 4026532201)), "uts:[<1>]");
        assert_eq!(names.show(&id(Kind::Net, 4026532201)), "net:[<1>]");
        assert_eq!(names.show(&id(Kind::Uts, 4026531838)), "uts:[<2>]");
        assert_eq!(names.show(&id(Kind::Pid, 4026531836)), "pid:[<1>]");
    }

    #[test]
    fn letters_do_not_run_out() {
        assert_eq!(letters(0), "A");
        assert_eq!(letters(25), "Z");
        assert_eq!(letters(26), "AA");
        assert_eq!(letters(27), "AB");
        assert_eq!(letters(702), "AAA");
    }
}
