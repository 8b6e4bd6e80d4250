//! Who runs an experiment, where and when.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use nix::unistd::{User, getuid};
use ns_core::uts;
use transcript::Origin;

use crate::settings::Settings;

/// What is known of it before the experiment enters namespaces of its own. Where names stand in the place of what
/// differs from run to run, it is no more than what the caller said.
pub(crate) fn of(settings: &Settings) -> Origin {
    let student = settings.student.clone().unwrap_or_default();
    if settings.look.stable {
        return Origin { student, ..Origin::default() };
    }
    let uid = getuid();
    let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let time = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Secs, true);
    Origin { user, host: uts::hostname(), time, student }
}
