//! The options of `mini-container run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use ns_core::uts;

use super::identity::Ids;
use super::limits::Limits;

/// The options that a user may give.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(super) limits: Limits,

    /// Connect the container to the host and to other containers by a bridge (needs root)
    #[arg(long)]
    pub(super) net: bool,

    /// The hostname of the container
    #[arg(long, value_name = "NAME", default_value = "container", value_parser = hostname)]
    pub(super) hostname: String,

    /// Mount the root filesystem read-only
    #[arg(long)]
    pub(super) read_only: bool,

    /// Map user IDs: INSIDE:OUTSIDE:LENGTH, or auto for all that you may map [default: only yours, as root]
    #[arg(long, value_name = "MAP")]
    pub(super) user: Option<Ids>,

    /// The root filesystem: a directory, a tar archive, or an image (docker save, OCI)
    #[arg(value_name = "ROOTFS")]
    pub(super) rootfs: PathBuf,

    /// The command to run in the container, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<OsString>,
}

fn hostname(text: &str) -> Result<String, ns_core::Error> {
    uts::check_name(text).map(|()| text.into())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};

    use super::*;

    proptest::proptest! {
        #[test]
        fn any_command_line_is_taken_or_refused_in_one_line(
            arguments in proptest::collection::vec(
                "--(memory-max|pids-max|cpu-max|net|hostname|read-only|user)(=[a-zA-Z0-9.:-]{0,9})?|-[a-zA-Z]|[0-9.:]{1,20}|auto|rootfs|.{0,9}",
                0..6,
            ),
        ) {
            let arguments = ["run".to_string()].into_iter().chain(arguments);
            if let Ok(matches) = Asked::augment_args(Command::new("run")).try_get_matches_from(arguments) {
                let _ = Asked::from_arg_matches(&matches);
            }
        }
    }
}
