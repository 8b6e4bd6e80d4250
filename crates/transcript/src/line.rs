//! A line of a transcript is an event.

use crate::event::{Event, SCHEMA};
use observation::printable;
use serde::Deserialize;

/// The event in a line.
///
/// # Errors
/// Why there is none, or that it is of another version of the schema than ours.
pub(crate) fn event(line: &[u8]) -> Result<Event, String> {
    /// What a line of another version has in common with ours.
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    let event = serde_json::from_slice(line);
    let version = match &event {
        Ok(Event::Begin { schema, .. }) => *schema,
        Ok(_) => SCHEMA,
        Err(_) => serde_json::from_slice(line).map_or(SCHEMA, |Versioned { schema }| schema),
    };
    if version != SCHEMA {
        return Err(format!(
            "an event of version {version}, and this program reads {SCHEMA}: take both from one build"
        ));
    }
    event.map_err(|error| format!("no event ({error}): {}", beginning_of(line)))
}

fn beginning_of(line: &[u8]) -> String {
    const ENOUGH: usize = 40;
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * ENOUGH)]);
    printable(&text.chars().take(ENOUGH).collect::<String>())
}
