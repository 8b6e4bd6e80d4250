//! What an experiment declares.

use anyhow::Result;
use ns_core::Namespaces;

use crate::lab::Lab;
use crate::need::Need;

/// A question to the kernel, and the claims that answer it.
#[derive(Debug)]
pub struct Experiment {
    /// The binary's name.
    pub name: &'static str,
    /// The question, in one line.
    pub question: &'static str,
    /// The section of the study notes that it answers.
    pub notes: &'static str,
    /// The manual pages that state the rules.
    pub man: &'static [&'static str],
    /// Examples for `--help`: a command line and what it is good for.
    pub examples: &'static [(&'static str, &'static str)],
    /// The namespaces that the experiment runs in, control included, so that the host sees nothing of it. Without
    /// CAP_SYS_ADMIN a user namespace is added.
    pub stage: Namespaces,
    /// What all of its claims need, besides the stage.
    pub needs: &'static [Need],
    /// Its claims, in the order in which they are judged.
    pub claims: &'static [Claim],
    /// Does it.
    pub run: fn(&mut Lab) -> Result<()>,
}

/// A sentence about the kernel that can turn out to be false.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Its name within the experiment: lower-case words and hyphens.
    pub id: &'static str,
    /// The sentence.
    pub text: &'static str,
    /// What one arm has and the other lacks, as short as it can be named.
    pub cause: &'static str,
    /// What the kernel is expected to say.
    pub expect: Expect,
    /// The numbers of the study notes' claims that it answers (docs/claims.md).
    pub notes: &'static [u16],
    /// The numbers of the further behaviours that it shows (docs/claims.md).
    pub more: &'static [u16],
    /// What it needs besides what the experiment needs.
    pub needs: &'static [Need],
    /// What people answer who have it wrong, each with why they think so.
    pub misconceptions: &'static [(&'static str, &'static str)],
}

impl Claim {
    /// A sentence that holds.
    pub const fn holds(id: &'static str, text: &'static str) -> Claim {
        Claim {
            id,
            text,
            cause: "",
            expect: Expect::Holds,
            notes: &[],
            more: &[],
            needs: &[],
            misconceptions: &[],
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

    /// Names the cause.
    #[must_use]
    pub const fn cause(mut self, cause: &'static str) -> Claim {
        self.cause = cause;
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

    /// Names what it needs.
    #[must_use]
    pub const fn needs(mut self, needs: &'static [Need]) -> Claim {
        self.needs = needs;
        self
    }

    /// Names what people predict who have it wrong: an answer and, in a sentence, why they think so. An answer reads as
    /// a fact of the arms does, `getpid() = 1`; [`crate::YES`] and [`crate::NO`] answer whether the sentence is so.
    #[must_use]
    pub const fn misconceptions(mut self, answers: &'static [(&'static str, &'static str)]) -> Claim {
        self.misconceptions = answers;
        self
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

/// A kernel by the first two numbers of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kernel(pub u32, pub u32);

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A part of an experiment, told before it is done.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What it is for, in a sentence.
    pub goal: &'static str,
    /// The system calls that it makes, as typed.
    pub calls: &'static [&'static str],
    /// The same by hand: shell commands.
    pub by_hand: &'static [&'static str],
}
