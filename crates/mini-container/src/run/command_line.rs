//! The command line of `mini-container run`.

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};
use lesson::{Help, complain};
use ns_core::{Signal, cleanup, host, signals};

use super::asked::Asked;
use super::refusal::explain_all;
use super::{launcher, sealed};

/// The exit status of runtimes when the container could not be created, so that no command has run.
const NOT_MADE: u8 = 125;

const HELP: Help = Help {
    name: "mini-container run",
    about: "run a command in a container, whose changes are gone when it ends",
    examples: &[
        ("mini-container run rootfs sh", "a shell in a directory"),
        ("mini-container run debian.tar -- apt-get --version", "in an archive, unpacked into memory"),
        ("docker save debian > image.tar; mini-container run image.tar bash", "in an image"),
        ("mini-container run --memory-max 64M --pids-max 20 rootfs sh", "with limits"),
        ("mini-container run --user auto debian.tar bash", "with several users"),
        ("scripts/rootfs busybox rootfs", "create a root filesystem"),
    ],
    after: "Exit status: that of the command, or 128 + N if signal N ended it. 125: the container\n\
            could not be created, or its output could not be written. 126: the command cannot\n\
            be run. 127: the command was not found.",
};

/// The long description, as in a manual page.
const DESCRIPTION: &str = "\
    Runs COMMAND in new namespaces of all eight kinds, or fewer if the kernel lacks time or cgroup namespaces. It has its \
    own root filesystem, few capabilities and a seccomp filter. An ordinary user can run it too. \
    The command gets standard input, output and error as they are if they are pipes. A terminal is replaced by a new \
    one, and a file by a pipe. What the command writes to its files stays in memory, and is gone when the container \
    ends. ROOTFS is a directory, which does not change; a tar archive; or an image. An image is what docker-save(1) \
    writes, or an archive of an OCI layout, as skopeo(1) and podman-save(1) write it. Archives and layers may be \
    compressed by gzip(1). They are unpacked into memory. An archive is refused if it needs more memory than there is, \
    or if it is damaged; the digests of layers are compared. It is also refused if a name leads out of it, or if it \
    contains a device. \
    Of an image's configuration, the variables (Env) and the working directory (WorkingDir) are used. Entrypoint and Cmd \
    are not, since COMMAND is given, nor is User: COMMAND starts as the container's root.";

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
            // With a limit of 0 on the size of files, writing the copy then fails with EFBIG instead of SIGXFSZ.
            signals::block(&[Signal::SIGXFSZ])?;
            sealed::become_a_copy().map_err(explain_all)?;
            signals::start_afresh()?;
            host::remember()?;
            launcher::run(&asked)
        });
    // What the container leaves, such as its cgroup, is removed before this process ends.
    let finished = cleanup::finish();
    let ended = ended.and_then(|status| finished.map(|()| status).map_err(Into::into));
    ExitCode::from(ended.unwrap_or_else(|error| {
        complain("mini-container", &error);
        NOT_MADE
    }))
}
