//! What every experiment promises, `cgroup-ns` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_cgroup-ns"))
}
