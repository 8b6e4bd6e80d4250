//! What every experiment promises, `veth-pair` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_veth-pair"))
}
