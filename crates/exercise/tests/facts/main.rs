//! Every fact against live processes: with one value, and with another.
//!
//! Each check makes its own children from the only thread, which no test harness of Rust allows: so this is a plain
//! program that prints a line a check. It runs as root and as an ordinary user.

use std::process::ExitCode;

use ns_core::{cleanup, host, signals};

mod cgroups;
mod ended;
mod files;
mod identity;
mod ipc;
mod kept;
mod mounts;
mod namespaces;
mod network;
#[path = "../../../ns-core/tests/plain/mod.rs"]
mod plain;
mod privileges;
mod processes;
mod scene;
mod settings;
mod spent;

fn main() -> ExitCode {
    signals::start_afresh().and_then(|()| host::remember()).expect("a procfs at /proc");
    let checks = [
        namespaces::CHECKS,
        kept::CHECKS,
        identity::CHECKS,
        privileges::CHECKS,
        processes::CHECKS,
        mounts::CHECKS,
        files::CHECKS,
        network::CHECKS,
        ipc::CHECKS,
        settings::CHECKS,
        cgroups::CHECKS,
        ended::CHECKS,
    ]
    .concat();
    let ended = plain::run(&checks);
    if cleanup::finish().is_err() { ExitCode::FAILURE } else { ended }
}
