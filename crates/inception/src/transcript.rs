//! A transcript in a file: what `inception run --format jsonl` wrote, line by line.

use std::io::{BufRead, BufReader, Read};

use anyhow::{Context, Result, ensure};

use crate::program::LONGEST_LINE;

/// Gives each line, its end included, to `take`. Gives how many there were.
///
/// # Errors
/// In one line that begins with `name`, and the number of the line: when the input cannot be read, is empty, or `take`
/// refuses a line.
pub(crate) fn each_line(
    name: &str,
    input: impl Read,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<usize> {
    let longest = u64::try_from(LONGEST_LINE)?;
    let mut input = BufReader::new(input);
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let length = input.by_ref().take(longest).read_until(b'\n', &mut line);
        if length.with_context(|| format!("cannot read {name}"))? == 0 {
            break;
        }
        number += 1;
        take(&line).with_context(|| format!("{name}: line {number}"))?;
    }
    ensure!(number > 0, "{name}: empty, and no transcript");
    Ok(number)
}
