//! The exercises that can be handed in.

use std::collections::BTreeMap;

use anyhow::Result;
use lesson::complain;

use crate::exercise::Library;

/// What marking has to know of an exercise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    /// As lists show it.
    pub(super) title: String,
    /// 1 to 10.
    pub(super) level: u8,
    /// How long it takes, as its author says.
    pub(super) minutes: u32,
}

/// By the exercise's name.
pub(super) type Catalogue = BTreeMap<String, About>;

/// The exercises of a library. One whose file is broken is named on standard error.
///
/// # Errors
/// As [`Library::all`].
pub(super) fn catalogue(library: &Library) -> Result<Catalogue> {
    let (exercises, faults) = library.all()?;
    for fault in faults {
        complain("inception", &fault.into());
    }
    let about =
        |it: exercise::Exercise| (it.name, About { title: it.title, level: it.level, minutes: it.minutes });
    Ok(exercises.into_iter().map(about).collect())
}
