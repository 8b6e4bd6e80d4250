//! A program that is no experiment.

use clap::{ArgMatches, Command};

use crate::help::Help;

/// The arguments of this process by `command`, which `help` leads. A program that was built with the feature `manual`, and is
/// asked for its manual page and completions, writes those instead. The page ends with the pages `see_also`.
///
/// # Errors
/// The exit status, when something else was done than to parse: as [`Help::parse`].
pub fn arguments(
    help: &Help,
    command: Command,
    #[cfg_attr(not(feature = "manual"), expect(unused_variables))] see_also: &[&str],
) -> Result<ArgMatches, u8> {
    #[cfg(feature = "manual")]
    if let Some(directory) = crate::manual::directory() {
        return Err(write_manual(help, command, see_also, &directory));
    }
    help.parse(command)
}

#[cfg(feature = "manual")]
fn write_manual(help: &Help, command: Command, see_also: &[&str], directory: &std::path::Path) -> u8 {
    use crate::status::{AS_EXPECTED, BROKEN};
    let mut more = clap_mangen::roff::Roff::new();
    crate::manual::see_also(&mut more, see_also);
    match crate::manual::write(help, command, &more, directory) {
        Ok(()) => AS_EXPECTED,
        Err(error) => {
            crate::help::complain(help.name, &error);
            BROKEN
        }
    }
}
