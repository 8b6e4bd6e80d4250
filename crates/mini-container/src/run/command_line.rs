//! What may be asked of `mini-container run`.

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};
use lesson::{Help, complain};
use ns_core::{Signal, cleanup, host, signals};

use super::asked::Asked;
use super::refusal::explain_all;
use super::{launcher, sealed};

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
    after: "Exit status: the command's; 128 + N if signal N ended it. 125 no container could be made,\n\
            or its output could not be passed on; 126 the command cannot be run; 127 there is none.",
};

/// What a manual page has to say besides.
const DESCRIPTION: &str = "\
    Runs COMMAND in namespaces of its own, of all eight kinds (a time and a cgroup namespace only where the kernel has \
    them). It has a root filesystem of its own, few capabilities and a filter for its system calls. An ordinary user \
    may do so too. Standard input, output and error are handed over where they are pipes. Instead of a terminal it \
    gets one of its own, and files are passed on to it by pipes. What is written stays in memory, and is gone with the \
    container. ROOTFS is a directory, which stays as it is; a tar archive; or an image. An image is what \
    docker-save(1) writes, or an archive of an OCI layout, as skopeo(1) and podman-save(1) write it. Archives and \
    layers may be compressed by gzip(1). They are unpacked into memory, and refused where there is none left. They are \
    refused where they are damaged (the layers' digests are compared), where a name leads out of them, and where they \
    hold devices. Of an image's configuration, its variables (Env) and its working directory (WorkingDir) count. Its \
    Entrypoint and Cmd do not, since COMMAND is given, nor does its User: COMMAND begins as the container's root.";

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
            // Where files may have no size, the copy cannot be written, and that is to be said and not to kill.
            signals::block(&[Signal::SIGXFSZ])?;
            sealed::become_a_copy().map_err(explain_all)?;
            signals::start_afresh()?;
            host::remember()?;
            launcher::run(&asked)
        });
    // What the container left, such as its cgroup, is gone before we are.
    let finished = cleanup::finish();
    let ended = ended.and_then(|status| finished.map(|()| status).map_err(Into::into));
    ExitCode::from(ended.unwrap_or_else(|error| {
        complain("mini-container", &error);
        NOT_MADE
    }))
}
