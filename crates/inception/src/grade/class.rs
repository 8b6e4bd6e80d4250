//! class.toml: how a class is marked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::catalogue::{About, Catalogue};

/// How long an exercise takes at least, for each minute that its file says: reading and typing is a tenth of it.
const LEAST_SECONDS_A_MINUTE: f64 = 6.0;
/// The levels of exercises.
const LEVELS: std::ops::RangeInclusive<u8> = 1..=10;

/// How a class is marked. Without a class.toml: an exercise counts as many points as its level, and nothing is late.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Class {
    /// The class word that the seeds are drawn with; without one, any is taken.
    pub(super) class: Option<String>,
    /// From when on work is late.
    #[serde(deserialize_with = "moment")]
    pub(super) deadline: Option<DateTime<Utc>>,
    /// Who is in the class; empty: who hands in.
    pub(super) students: Vec<String>,
    /// The exercises that count; empty: all.
    pub(super) exercises: Vec<String>,
    points: Points,
    penalty: Penalty,
    /// Seconds, by exercise: who is done sooner is flagged.
    least: BTreeMap<String, f64>,
}

/// What an exercise counts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Points {
    /// By level.
    level: BTreeMap<String, f64>,
    /// By name, which wins.
    exercise: BTreeMap<String, f64>,
}

/// What is taken off, each as a fraction of the exercise's points.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Penalty {
    /// For each day that has begun since the deadline.
    late_per_day: f64,
    /// For each hint.
    hint: f64,
    /// For a solution that was shown before it was done.
    solution: f64,
}

impl Class {
    /// Reads a class.toml.
    ///
    /// # Errors
    /// One line that names the file, what is wrong in it, and what to write instead.
    pub(super) fn read(path: &Path, catalogue: &Catalogue) -> Result<Class> {
        let text = fs::read_to_string(path).with_context(|| {
            format!("cannot read {}: name a class.toml that you may read", path.display())
        })?;
        Class::of(&text, catalogue).with_context(|| path.display().to_string())
    }

    fn of(text: &str, catalogue: &Catalogue) -> Result<Class> {
        let class: Class = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            anyhow!("line {line}: {}", error.message().replace('\n', ", "))
        })?;
        class.validate(catalogue)?;
        Ok(class)
    }

    fn validate(&self, catalogue: &Catalogue) -> Result<()> {
        let mut named = self.exercises.iter().chain(self.points.exercise.keys()).chain(self.least.keys());
        if let Some(name) = named.find(|name| !catalogue.contains_key(*name)) {
            let alike = |known: &String| strsim::jaro(known, name);
            let near = catalogue.keys().max_by(|a, b| alike(a).total_cmp(&alike(b)));
            bail!("no exercise is called {name:?}; the nearest is {:?}", near.map_or("", String::as_str));
        }
        for level in self.points.level.keys() {
            let known = level.parse().is_ok_and(|level| LEVELS.contains(&level));
            ensure!(known, "points.level: {level:?} is no level: write 1 to 10");
        }
        let numbers = self.points.level.iter().chain(&self.points.exercise).chain(&self.least);
        for (name, number) in numbers {
            ensure!(number.is_finite() && *number >= 0.0, "{name} = {number}: write a number from 0 on");
        }
        let Penalty { late_per_day, hint, solution } = self.penalty;
        for (name, part) in [("late_per_day", late_per_day), ("hint", hint), ("solution", solution)] {
            ensure!((0.0..=1.0).contains(&part), "penalty.{name} = {part}: write a fraction, 0 to 1");
        }
        Ok(())
    }

    /// Whether an exercise counts.
    pub(super) fn counts(&self, exercise: &str) -> bool {
        self.exercises.is_empty() || self.exercises.iter().any(|it| it == exercise)
    }

    /// The points for an exercise that is done in time.
    pub(super) fn points(&self, exercise: &str, about: &About) -> f64 {
        let by_level = || self.points.level.get(&about.level.to_string()).copied();
        self.points.exercise.get(exercise).copied().or_else(by_level).unwrap_or_else(|| about.level.into())
    }

    /// Seconds: who is done sooner is flagged.
    pub(super) fn least_seconds(&self, exercise: &str, about: &About) -> f64 {
        let usual = f64::from(about.minutes) * LEAST_SECONDS_A_MINUTE;
        self.least.get(exercise).copied().unwrap_or(usual)
    }

    /// How many days after the deadline `done` is, each counted when it begins.
    pub(super) fn days_late(&self, done: DateTime<Utc>) -> i64 {
        let late = self.deadline.map_or(0, |deadline| (done - deadline).num_milliseconds());
        if late <= 0 { 0 } else { (late - 1) / 86_400_000 + 1 }
    }

    /// What is left of 1 after all that is taken off.
    pub(super) fn left(&self, days_late: i64, hints: usize, saw_solution: bool) -> f64 {
        let Penalty { late_per_day, hint, solution } = self.penalty;
        let solution = if saw_solution { solution } else { 0.0 };
        // Both counts are small, so that a double holds them.
        let off = late_per_day * days_late as f64 + hint * hints as f64 + solution;
        (1.0 - off).max(0.0)
    }
}

/// A moment, as text or as TOML's own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Text(String),
    Toml(toml::value::Datetime),
}

fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = match Moment::deserialize(from)? {
        Moment::Text(text) => text,
        Moment::Toml(moment) => moment.to_string(),
    };
    let read = DateTime::parse_from_rfc3339(&text);
    let wrong = |_| {
        serde::de::Error::custom(format!(
            "deadline {text:?}: write it with its zone: 2026-12-18T23:59:00+01:00"
        ))
    };
    read.map(|moment| Some(moment.to_utc())).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let about = |level| About { title: "A hostname".into(), level, minutes: 3 };
        Catalogue::from([("own-hostname".into(), about(1)), ("pid-1".into(), about(2))])
    }

    fn fault(text: &str) -> String {
        format!("{:#}", Class::of(text, &catalogue()).unwrap_err())
    }

    #[test]
    fn points_are_those_of_the_exercise_or_of_its_level_or_its_level() {
        let class =
            Class::of("[points]\nlevel = { 2 = 5 }\nexercise = { own-hostname = 3 }", &catalogue()).unwrap();
        let points = |class: &Class, name: &str| class.points(name, &catalogue()[name]);
        assert_eq!((points(&class, "own-hostname"), points(&class, "pid-1")), (3.0, 5.0));
        assert_eq!(points(&Class::default(), "pid-1"), 2.0);
        assert_eq!(class.least_seconds("pid-1", &catalogue()["pid-1"]), 18.0);
    }

    #[test]
    fn a_day_is_late_when_it_begins() {
        for deadline in ["\"2026-12-18T23:59:00+01:00\"", "2026-12-18T22:59:00Z"] {
            let text = format!("deadline = {deadline}\n[penalty]\nlate_per_day = 0.4\nhint = 0.1");
            let class = Class::of(&text, &catalogue()).unwrap();
            let days = |time: &str| class.days_late(time.parse().unwrap());
            assert_eq!(days("2026-12-18T22:59:00Z"), 0);
            assert_eq!(days("2026-12-18T22:59:01Z"), 1);
            assert_eq!(days("2026-12-19T22:59:00Z"), 1);
            assert_eq!(days("2026-12-19T22:59:01Z"), 2);
            assert_eq!(class.left(0, 0, true), 1.0);
            assert!((class.left(1, 2, false) - 0.4).abs() < 1e-9);
            assert_eq!(class.left(3, 0, false), 0.0);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_a_remedy() {
        assert_eq!(
            fault("exercises = [\"pid-2\"]"),
            "no exercise is called \"pid-2\"; the nearest is \"pid-1\""
        );
        assert!(
            fault("class = \"a\"\ndeadline = \"tomorrow\"")
                .contains("line 2: deadline \"tomorrow\": write it")
        );
        assert!(fault("deadline = 2026-12-18").contains("with its zone"));
        assert!(
            fault("\n\nclas = 1").starts_with("line 3: unknown field `clas`"),
            "{}",
            fault("\n\nclas = 1")
        );
        assert!(fault("[points]\nlevel = { 11 = 1 }").contains("write 1 to 10"));
        assert!(fault("[points]\nlevel = { 1 = -1 }").contains("from 0 on"));
        assert!(fault("[penalty]\nhint = 2").contains("a fraction, 0 to 1"));
    }
}
