//! A claim: a sentence about the kernel, and what this kernel is expected to say to it.

use transcript::{ClaimHead, DeclaredAnswer, Expectation, Kernel};

use crate::core_claim::{Answer, Row};
use crate::requirement::Requirement;

/// A sentence about the kernel that can turn out to be false.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Its name within the experiment: lower-case words and hyphens.
    pub id: &'static str,
    /// The sentence.
    pub text: &'static str,
    /// What one arm has and the other lacks, as short as it can be named.
    pub factor: &'static str,
    /// What the kernel is expected to say.
    pub expect: Expect,
    /// The numbers of the study notes' claims that it answers (docs/claims.md).
    pub notes: &'static [u16],
    /// The numbers of the further behaviours that it shows (docs/claims.md).
    pub more: &'static [u16],
    /// What it requires of the machine, besides what the experiment does.
    pub requires: &'static [Requirement],
    /// Its rows on the one screen, if it is one of the few that the lesson is about.
    pub core: &'static [Row],
    /// What its control and its treatment are, where that is not what the experiment's arms are.
    pub arms: [&'static str; 2],
    /// The question whose answer it is.
    pub question: &'static str,
    /// The answers to choose from.
    pub answers: &'static [Answer],
}

impl Claim {
    /// A sentence that holds.
    pub const fn holds(id: &'static str, text: &'static str) -> Claim {
        Claim {
            id,
            text,
            factor: "",
            expect: Expect::Holds,
            notes: &[],
            more: &[],
            requires: &[],
            core: &[],
            arms: ["", ""],
            question: "",
            answers: &[],
        }
    }

    /// A sentence of the notes that is wrong or too strong; the claim called `correction` says it right.
    pub const fn refuted(id: &'static str, text: &'static str, correction: &'static str) -> Claim {
        Claim { expect: Expect::Refuted { correction }, ..Claim::holds(id, text) }
    }

    /// A sentence that holds since a kernel, and is refuted before.
    pub const fn holds_since(id: &'static str, text: &'static str, kernel: Kernel) -> Claim {
        Claim { expect: Expect::HoldsSince(kernel), ..Claim::holds(id, text) }
    }

    /// A sentence that holds or not, for the reason given.
    pub const fn varies(id: &'static str, text: &'static str, why: &'static str) -> Claim {
        Claim { expect: Expect::Varies(why), ..Claim::holds(id, text) }
    }

    /// Names the factor: what the treatment has and the control lacks.
    #[must_use]
    pub const fn factor(mut self, factor: &'static str) -> Claim {
        self.factor = factor;
        self
    }

    /// Names the notes' claims that it answers.
    #[must_use]
    pub const fn notes(mut self, numbers: &'static [u16]) -> Claim {
        self.notes = numbers;
        self
    }

    /// Names the further behaviours that it shows.
    #[must_use]
    pub const fn more(mut self, numbers: &'static [u16]) -> Claim {
        self.more = numbers;
        self
    }

    /// Names what it requires of the machine.
    #[must_use]
    pub const fn requires(mut self, requires: &'static [Requirement]) -> Claim {
        self.requires = requires;
        self
    }

    /// Makes it one of the few that the lesson is about, which run by default. `rows` are its rows on the one screen: a
    /// label each and the fact that stands there.
    #[must_use]
    pub const fn core(mut self, rows: &'static [Row]) -> Claim {
        self.core = rows;
        self
    }

    /// Says what its control and its treatment are, in a word or two, where they are not what the experiment's are.
    #[must_use]
    pub const fn arms(mut self, control: &'static str, treatment: &'static str) -> Claim {
        self.arms = [control, treatment];
        self
    }

    /// Gives it a question in a teacher's words, and the answers to choose from: one right, which a verdict as expected
    /// proves, and others with why people think so.
    #[must_use]
    pub const fn asks(mut self, question: &'static str, answers: &'static [Answer]) -> Claim {
        self.question = question;
        self.answers = answers;
        self
    }

    /// What a transcript says of it, where the experiment's arms are called so.
    pub(crate) fn head(&self, arms: [&'static str; 2]) -> ClaimHead {
        let arms = if self.arms == ["", ""] { arms } else { self.arms };
        ClaimHead {
            id: self.id.into(),
            text: self.text.into(),
            factor: self.factor.into(),
            expect: self.expect.into(),
            notes: self.notes.into(),
            more: self.more.into(),
            core: !self.core.is_empty(),
            arms: arms.map(String::from),
            question: (!self.question.is_empty()).then(|| self.question.into()),
            answers: self.answers.iter().map(DeclaredAnswer::from).collect(),
        }
    }
}

/// What the kernel is expected to say to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// That it is so.
    Holds,
    /// That it is not so: the notes' sentence is too strong.
    Refuted {
        /// The id of the claim that says it right.
        correction: &'static str,
    },
    /// That it is so from this kernel on, and not before.
    HoldsSince(Kernel),
    /// Either, for this reason.
    Varies(&'static str),
}

impl From<Expect> for Expectation {
    fn from(expect: Expect) -> Expectation {
        match expect {
            Expect::Holds => Expectation::Holds,
            Expect::Refuted { correction } => Expectation::Refuted { correction: correction.into() },
            Expect::HoldsSince(kernel) => Expectation::HoldsSince(kernel),
            Expect::Varies(why) => Expectation::Varies { why: why.into() },
        }
    }
}
