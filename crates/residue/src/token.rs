//! What tells one run from all others.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};

/// The environment variable that holds a run's token.
pub const VARIABLE: &str = "INCEPTION_AUDIT";

/// A word that no other run has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(
    /// Sixteen hexadecimal digits.
    pub String,
);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When /dev/urandom cannot be read.
    pub fn new() -> Result<Token> {
        let mut bytes = [0; 8];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.context("cannot read /dev/urandom")?;
        Ok(Token(format!("{:016x}", u64::from_ne_bytes(bytes))))
    }
}
