//! What a run leaves behind, on a machine where others work too: nothing is a run's because it is new.
//!
//! A process is a run's if it has the run's token in its environment, which children inherit, or if it has become a
//! child of ours. We are a subreaper, so an orphan comes to us even if it cleared its environment. A cgroup or a
//! temporary directory is ours by its name, inception-PID-STARTTIME-N-PURPOSE, and left behind if that owner is gone.
//!
//! For tests, and for the programs that audit and kill: the one place that looks.

mod machine;
mod named;
mod processes;
mod run;
mod settle;
mod token;

pub use machine::Machine;
pub use named::{Named, all_cgroups, cgroups_of, started_now};
pub use processes::{Process, adopt, of_run, pids_of_run, wait_as_init};
pub use run::Run;
pub use settle::{SETTLE, settled};
pub use token::{Token, VARIABLE};
