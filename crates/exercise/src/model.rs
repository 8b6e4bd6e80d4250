//! An exercise, as its file has it.

use std::collections::BTreeMap;

use crate::expect::{Expect, Then};
use crate::need::Need;
use crate::values::{Draw, Values};

/// An exercise. Its texts still have `{name}` where a learner's value will stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Exercise {
    /// The name of its file, without `.toml`.
    pub name: String,
    /// What it is about, in at most 50 characters.
    pub title: String,
    /// How hard it is, from 1 to 10.
    pub level: u8,
    /// The experiment that explains it.
    pub lesson: String,
    /// What the machine must have.
    pub needs: Vec<Need>,
    /// Files that the learner gets, each copied into the directory of the attempt.
    pub files: Vec<Handout>,
    /// How long it takes, in minutes.
    pub minutes: u32,
    /// What is to be done.
    pub task: String,
    /// What the kernel did: for afterwards.
    pub explanation: String,
    /// What is drawn for each learner.
    pub values: BTreeMap<String, Draw>,
    /// What the machine must show, in the order of the file; at least one.
    pub requirements: Vec<Requirement>,
    /// What a teacher's copy says to type.
    pub solution: Option<String>,
    /// Likely mistakes: in a teacher's copy.
    pub near_misses: Vec<NearMiss>,
}

/// A file that the learner gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handout {
    /// Its path from the top of the checkout.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Something that the machine must show.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// What it is called; unique in its exercise.
    pub name: String,
    /// Which process is looked at: the same words are the same process.
    pub of: String,
    /// What is looked at, as [`crate::Fact::parse`] reads it.
    pub fact: String,
    /// What that must read.
    pub expect: Expect,
    /// What is to follow then.
    pub then: Option<Then>,
    /// From the idea to the command.
    pub hints: Vec<String>,
}

/// A likely mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NearMiss {
    /// What is wrong with it.
    pub what: String,
    /// What is typed.
    pub steps: String,
    /// The requirement that is not met then.
    pub fails: String,
}

/// The subject that is the learner's own namespaces.
pub(crate) const THIS_MACHINE: &str = "this machine";
/// The value that is the directory in which the learner may make cgroups.
pub(crate) const CGROUP: &str = "cgroup";
/// As the other process of a comparison: the checker's own view.
pub(crate) const YOU: &str = "you";

impl Exercise {
    /// The requirement called `name`.
    pub fn requirement(&self, name: &str) -> Option<&Requirement> {
        self.requirements.iter().find(|requirement| requirement.name == name)
    }

    /// The same with a learner's values in all of its texts.
    ///
    /// # Errors
    /// The first name that stands for nothing.
    pub(crate) fn fill(&self, values: &Values) -> Result<Exercise, String> {
        let requirement = |it: &Requirement| {
            Ok(Requirement {
                name: it.name.clone(),
                of: it.of.clone(),
                fact: values.fill(&it.fact)?,
                expect: it.expect.fill(values)?,
                then: it.then,
                hints: it.hints.iter().map(|hint| values.fill(hint)).collect::<Result<_, _>>()?,
            })
        };
        let near_miss = |it: &NearMiss| {
            Ok(NearMiss {
                what: values.fill(&it.what)?,
                steps: values.fill(&it.steps)?,
                fails: it.fails.clone(),
            })
        };
        Ok(Exercise {
            title: values.fill(&self.title)?,
            task: values.fill(&self.task)?,
            explanation: values.fill(&self.explanation)?,
            requirements: self.requirements.iter().map(requirement).collect::<Result<_, String>>()?,
            solution: self.solution.as_deref().map(|steps| values.fill(steps)).transpose()?,
            near_misses: self.near_misses.iter().map(near_miss).collect::<Result<_, String>>()?,
            ..self.clone()
        })
    }
}
