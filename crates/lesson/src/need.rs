//! What an experiment or a claim needs of the machine.

use ns_core::probe::{self, Missing};
use ns_core::{Capability, Kind, Result};

/// Something that not every machine or user has. Whether it is there is found out by trying.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// A capability in the user namespace of whoever asks. A claim asks on the stage: where that has a user namespace of
    /// its own, everybody has all of them, and what takes the machine's root is to be asked by a probe.
    Capability(Capability),
    /// A kind of namespace.
    Namespace(Kind),
    /// A program, and Debian's package that has it.
    Program(&'static str, &'static str),
    /// A machine to throw away, for what changes the whole machine or may break it.
    ThrowAway,
    /// Whatever this function finds missing.
    Probe(fn() -> Result<Option<Missing>>),
}

impl Need {
    /// What is missing of it here; `None` if nothing is.
    ///
    /// # Errors
    /// When the probe could not be made, which says nothing about the need.
    pub fn missing(&self) -> Result<Option<Missing>> {
        match self {
            Need::Capability(capability) => Ok(probe::capability(*capability)),
            Need::Namespace(kind) => Ok(probe::kind(*kind)),
            Need::Program(name, package) => Ok(probe::program(name, package)),
            Need::ThrowAway => probe::throw_away(),
            Need::Probe(probe) => probe(),
        }
    }
}
