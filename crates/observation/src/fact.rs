//! A fact: who reported what, from which side.

use serde::{Deserialize, Serialize};

use crate::Value;

/// From which side of the namespace something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// By the experiment itself, which stays outside.
    Outside,
    /// By a child, which the factor is applied to.
    Inside,
}

impl View {
    /// The word that stands for it.
    pub const fn word(self) -> &'static str {
        match self {
            View::Outside => "outside",
            View::Inside => "inside",
        }
    }
}

/// Something that was observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The label of the process that reported it.
    pub who: String,
    /// From which side.
    pub view: View,
    /// What was looked at, as one would type it: `getpid()`.
    pub what: String,
    /// What it was.
    pub value: Value,
}

impl Fact {
    /// A fact seen by the experiment itself, from outside.
    pub fn outside(what: impl Into<String>, value: impl Into<Value>) -> Fact {
        Fact { who: "outside".into(), view: View::Outside, what: what.into(), value: value.into() }
    }

    /// A fact seen by the process called `who`, from inside.
    pub fn inside(who: impl Into<String>, what: impl Into<String>, value: impl Into<Value>) -> Fact {
        Fact { who: who.into(), view: View::Inside, what: what.into(), value: value.into() }
    }
}
