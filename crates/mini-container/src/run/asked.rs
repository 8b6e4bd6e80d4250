//! The options of `mini-container run`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use lesson::shell::Limits;
use ns_core::uts;

use super::binds::{Bind, bind};
use super::identity::Ids;
use super::reach::{Network, Reach, network};
use super::setting::{Account, account, path_inside, variable};
use super::words::Words;

/// The options that a user may give.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    pub(super) limits: Limits,

    /// Connect the container to the host and to other containers by a bridge; with =out to what the host reaches, too
    /// (needs root)
    #[arg(long, value_name = "REACH", num_args = 0..=1, require_equals = true, default_missing_value = "host")]
    net: Option<Reach>,

    /// As in Docker: none, or bridge, which is --net=out
    #[arg(long, value_name = "NETWORK", hide = true, conflicts_with = "net", value_parser = network)]
    network: Option<Network>,

    /// The hostname of the container
    #[arg(long, value_name = "NAME", default_value = "container", value_parser = hostname)]
    pub(super) hostname: String,

    /// Show a directory or file of the host at TARGET: what is written there stays
    #[arg(
        short = 'v', long, alias = "volume", value_name = "SOURCE:TARGET[:ro]",
        value_parser = OsStringValueParser::new().try_map(bind)
    )]
    pub(super) bind: Vec<Bind>,

    /// Set a variable of COMMAND
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<String>,

    /// The working directory, created if it does not exist
    #[arg(short, long, value_name = "DIR", value_parser = OsStringValueParser::new().try_map(|it| path_inside(&it)))]
    pub(super) workdir: Option<PathBuf>,

    /// Run COMMAND as this user of the container, who needs an ID there: --user auto
    #[arg(short = 'u', value_name = "USER[:GROUP]", value_parser = account)]
    pub(super) account: Option<Account>,

    /// Mount the root filesystem read-only
    #[arg(long)]
    pub(super) read_only: bool,

    /// Map user IDs: INSIDE:OUTSIDE:LENGTH, or auto for all that you may map [default: only yours, as root]
    #[arg(long, value_name = "MAP")]
    pub(super) user: Option<Ids>,

    /// As in Docker, and always so here: standard input is passed on
    #[arg(short = 'i', long = "interactive")]
    _interactive: bool,

    /// As in Docker: a terminal. One is passed on without -t too, if there is one
    #[arg(short, long)]
    pub(super) tty: bool,

    /// As in Docker, and always so here: nothing is left of the container
    #[arg(long = "rm")]
    _rm: bool,

    #[command(flatten)]
    pub(super) words: Words,
}

impl Asked {
    /// What the container is to reach over the network, if anything.
    pub(super) fn reach(&self) -> Option<Reach> {
        self.net.or(match self.network {
            Some(Network::Bridge) => Some(Reach::Out),
            Some(Network::None) | None => None,
        })
    }
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
                "--(memory-max|pids-max|cpu-max|net|network|hostname|read-only|user|bind|env|workdir)(=[a-zA-Z0-9.:/-]{0,9})?|-[a-zA-Z]|[0-9.:]{1,20}|auto|--|rootfs|.{0,9}",
                0..6,
            ),
        ) {
            let arguments = ["run".to_string()].into_iter().chain(arguments);
            if let Ok(matches) = Asked::augment_args(Command::new("run")).try_get_matches_from(arguments) {
                let _ = Asked::from_arg_matches(&matches).unwrap().words.divided(&[]);
            }
        }
    }
}
