//! Tests for some machines only: as root, with busybox, with an engine. A test that cannot run is reported as ignored, with
//! the reason and the remedy.

mod deprived;
mod docker_save;
mod network;
mod owners;
#[path = "../plain/mod.rs"]
mod plain;
mod terminal;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A test, under the name of its function.
macro_rules! tests {
    ($($module:ident :: $name:ident,)*) => {
        [$((concat!(stringify!($module), "::", stringify!($name)), $module::$name as Test)),*]
    };
}

type Test = fn() -> Result<Completion, Failed>;

fn main() -> ExitCode {
    let tests = tests![
        deprived::root_keeps_the_capabilities_that_it_has,
        network::a_failure_on_the_way_to_a_link_ends,
        network::nobody_without_the_capability_holds_the_link_up,
        network::a_lock_that_is_held_is_waited_for_and_told,
        network::a_container_reaches_a_server_beyond_the_host_only_by_translation,
        network::a_host_that_does_not_forward_is_asked_to,
        network::the_rule_is_gone_after_sigkill_too,
        network::name_servers_are_those_of_the_host,
        owners::a_range_of_ids_shows_the_owners_mapped,
        owners::what_belongs_to_the_range_already_is_left_as_it_is,
        owners::an_ordinary_user_cannot_have_them_mapped,
        owners::no_new_privs_is_told_to_whom_it_keeps_from_a_range,
        owners::an_ordinary_user_has_the_same_container,
        terminal::a_busybox_shell_has_job_control,
        terminal::this_machines_shell_has_job_control,
        terminal::a_debian_shell_has_job_control,
        terminal::a_new_size_is_passed_on,
        terminal::the_terminal_is_set_back_however_it_ends,
        terminal::as_a_job_of_a_shell_it_can_be_stopped_and_fetched,
        terminal::in_the_background_it_is_not_stopped,
        terminal::what_is_typed_and_not_read_hinders_nobody,
        terminal::nothing_is_left_when_the_terminal_is_gone,
        docker_save::a_saved_image_runs_as_the_engine_runs_it,
    ];
    let trials = tests.into_iter().map(|(name, test)| Trial::ignorable_test(name, test)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
