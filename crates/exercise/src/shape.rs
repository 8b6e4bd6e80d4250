//! What a file of an exercise looks like, before anything of it is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::expect::{Expect, Then};
use crate::model::Requirement;
use crate::scalar::Scalar;
use crate::values::Draw;

/// A whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) title: String,
    pub(crate) level: Spanned<u8>,
    pub(crate) lesson: String,
    #[serde(default)]
    pub(crate) needs: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) files: Vec<Spanned<String>>,
    pub(crate) minutes: u32,
    pub(crate) task: String,
    pub(crate) explanation: String,
    #[serde(default)]
    pub(crate) values: BTreeMap<Spanned<String>, Draw>,
    #[serde(rename = "requirement")]
    pub(crate) requirements: Vec<Ask>,
    pub(crate) solution: Option<Solution>,
    #[serde(default, rename = "near_miss")]
    pub(crate) near_misses: Vec<Miss>,
}

/// `[[requirement]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) name: Spanned<String>,
    pub(crate) of: String,
    pub(crate) fact: Spanned<String>,
    pub(crate) is: Option<Scalar>,
    pub(crate) is_not: Option<Scalar>,
    pub(crate) at_least: Option<Scalar>,
    pub(crate) at_most: Option<Scalar>,
    pub(crate) has: Option<Words>,
    pub(crate) lacks: Option<Words>,
    pub(crate) contains: Option<String>,
    pub(crate) exists: Option<bool>,
    pub(crate) new: Option<bool>,
    pub(crate) same_as: Option<String>,
    pub(crate) differs_from: Option<String>,
    pub(crate) then: Option<Then>,
    #[serde(default)]
    pub(crate) hints: Vec<String>,
}

/// A list, or the one word of it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "write a list of words in quotes")]
pub(crate) enum Words {
    One(String),
    Many(Vec<String>),
}

/// `[solution]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Solution {
    pub(crate) steps: String,
}

/// `[[near_miss]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Miss {
    pub(crate) what: String,
    pub(crate) steps: String,
    pub(crate) fails: Spanned<String>,
}

impl Ask {
    /// The requirement.
    ///
    /// # Errors
    /// Where it has not exactly one comparator.
    pub(crate) fn requirement(self) -> Result<Requirement, String> {
        let list = |words| match words {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        };
        let mut expects: Vec<Expect> = [
            self.is.map(Expect::Is),
            self.is_not.map(Expect::IsNot),
            self.at_least.map(Expect::AtLeast),
            self.at_most.map(Expect::AtMost),
            self.has.map(list).map(Expect::Has),
            self.lacks.map(list).map(Expect::Lacks),
            self.contains.map(Expect::Contains),
            self.exists.map(Expect::Exists),
            self.new.map(Expect::New),
            self.same_as.map(Expect::SameAs),
            self.differs_from.map(Expect::DiffersFrom),
        ]
        .into_iter()
        .flatten()
        .collect();
        let name = self.name.into_inner();
        let (Some(expect), true) = (expects.pop(), expects.is_empty()) else {
            return Err(format!(
                "'{name}' needs exactly one of is, is_not, at_least, at_most, has, lacks, contains, exists, new, \
                 same_as, differs_from"
            ));
        };
        Ok(Requirement {
            name,
            of: self.of,
            fact: self.fact.into_inner(),
            expect,
            then: self.then,
            hints: self.hints,
        })
    }
}
