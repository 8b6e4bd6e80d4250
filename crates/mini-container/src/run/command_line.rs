//! What may be asked of `mini-container run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};
use lesson::{Help, complain};
use ns_core::{host, janitor, signals, uts};

use super::identity::Ids;
use super::limits::{Bytes, Cpus};
use super::{launcher, sealed};

/// The container that is asked for.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// At most this much memory: bytes, or with K, M, G
    #[arg(long, value_name = "SIZE")]
    pub(super) memory_max: Option<Bytes>,

    /// At most so many processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) pids_max: Option<u32>,

    /// At most so much of a processor: 0.5 is half of one
    #[arg(long, value_name = "CPUS")]
    pub(super) cpu_max: Option<Cpus>,

    /// A link to the host and to the other containers, on a bridge (needs root)
    #[arg(long)]
    pub(super) net: bool,

    /// Its hostname
    #[arg(long, value_name = "NAME", default_value = "container", value_parser = hostname)]
    pub(super) hostname: String,

    /// A root filesystem that nothing can be written to
    #[arg(long)]
    pub(super) read_only: bool,

    /// Whose IDs it has: INSIDE:OUTSIDE:LENGTH, or auto for all that you may map [default: yours alone, as root]
    #[arg(long, value_name = "MAP")]
    pub(super) user: Option<Ids>,

    /// The root filesystem: a directory, a tar archive, or an image (docker save, OCI)
    #[arg(value_name = "ROOTFS")]
    pub(super) rootfs: PathBuf,

    /// The command to run in it, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(super) command: Vec<OsString>,
}

/// What runtimes exit with when the container could not be made: then no command has run.
const NOT_MADE: u8 = 125;

const HELP: Help = Help {
    name: "mini-container run",
    about: "run a command in a container, and forget what it writes",
    examples: &[
        ("mini-container run rootfs sh", "a shell in a directory"),
        ("mini-container run debian.tar -- apt-get --version", "in an archive, unpacked into memory"),
        ("docker save debian > image.tar; mini-container run image.tar bash", "in an image"),
        ("mini-container run --memory-max 64M --pids-max 20 rootfs sh", "with limits"),
        ("mini-container run --user auto debian.tar bash", "with more users than one"),
        ("scripts/rootfs busybox rootfs", "how to get one"),
    ],
    after: "Exit status: the command's; 128 + N if signal N ended it; 125 no container could be made,\n\
            126 the command cannot be run, 127 there is no such command.",
};

/// What a manual page has to say besides.
const DESCRIPTION: &str = "\
    Runs COMMAND in namespaces of its own, all eight, and in a root filesystem of its own, with few capabilities and a \
    filter for its system calls. An ordinary user may do so too. What is written stays in memory, and is gone with the \
    container. ROOTFS is a directory, which stays as it is; a tar archive; or an image: what docker-save(1) writes, or \
    an archive of an OCI layout, as skopeo(1) and podman-save(1) write it. Archives and layers may be compressed by \
    gzip(1). They are unpacked into memory, and refused where there is none left; where they are damaged (the layers' \
    digests are compared); where a name leads out of them, and where they hold devices. Of an image's configuration, \
    its variables (Env) and its working directory (WorkingDir) count. Its Entrypoint and Cmd do not, since COMMAND is \
    given, nor does its User: COMMAND begins as the container's root.";

/// The command line.
pub(crate) fn command() -> Command {
    HELP.lead(Asked::augment_args(Command::new("run")).long_about(DESCRIPTION))
}

/// Runs the container that this process's arguments ask for.
pub(crate) fn main() -> ExitCode {
    let top = Help { name: "mini-container", ..HELP };
    let asked = top.parse(Command::new("mini-container").subcommand_required(true).subcommand(command()));
    let matches = match asked {
        Ok(matches) => matches,
        Err(status) => return ExitCode::from(if status == 0 { 0 } else { NOT_MADE }),
    };
    let ended = matches
        .subcommand()
        .ok_or_else(|| anyhow::anyhow!("say what to run"))
        .and_then(|(_, matches)| Ok(Asked::from_arg_matches(matches)?))
        .and_then(|asked| {
            sealed::become_a_copy()?;
            signals::start_afresh()?;
            host::remember()?;
            launcher::run(&asked)
        });
    // What the container left, such as its cgroup, is gone before we are.
    let finished = janitor::finish();
    let ended = ended.and_then(|status| finished.map(|()| status).map_err(Into::into));
    ExitCode::from(ended.unwrap_or_else(|error| {
        complain("mini-container", &error);
        NOT_MADE
    }))
}

fn hostname(text: &str) -> Result<String, ns_core::Error> {
    uts::check_name(text).map(|()| text.into())
}
