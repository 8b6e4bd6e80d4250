//! Who learns.

use anyhow::{Context, Result, ensure};
use clap::Args;
use exercise::Learner;
use nix::unistd::User;

use crate::classroom::InvokingUser;

/// Who learns, as the command line has it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Who {
    /// The name that a teacher knows you by [default: $INCEPTION_STUDENT, else your login name]
    #[arg(long, value_name = "NAME")]
    student: Option<String>,

    /// The word of your class: with it, the values are the class's [default: $INCEPTION_CLASS]
    #[arg(long, value_name = "WORD")]
    class: Option<String>,
}

impl Who {
    /// The learner.
    ///
    /// # Errors
    /// In one line, when a name cannot be kept.
    pub(crate) fn learner(&self, user: &InvokingUser) -> Result<Learner> {
        let login =
            User::from_uid(user.uid).ok().flatten().map_or_else(|| user.uid.to_string(), |it| it.name);
        let student = said(self.student.as_deref(), "INCEPTION_STUDENT")?.unwrap_or_else(|| login.clone());
        let class = said(self.class.as_deref(), "INCEPTION_CLASS")?.unwrap_or_default();
        Ok(Learner { student, class, uid: user.uid.as_raw(), gid: user.gid.as_raw(), user: login })
    }
}

fn said(option: Option<&str>, variable: &str) -> Result<Option<String>> {
    let word = match (option, std::env::var_os(variable)) {
        (Some(option), _) => option.to_string(),
        (None, Some(value)) => value
            .into_string()
            .ok()
            .with_context(|| format!("{variable} is no UTF-8; set it to a plain name"))?,
        (None, None) => return Ok(None),
    };
    let is_plain = word.len() <= 100 && !word.chars().any(char::is_control);
    ensure!(is_plain, "'{}' is no name; take at most 100 bytes, in one line", ns_core::printable(&word));
    Ok(Some(word).filter(|word| !word.is_empty()))
}
