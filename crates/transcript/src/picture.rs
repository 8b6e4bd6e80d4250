//! How a table can be drawn.

use serde::{Deserialize, Serialize};

/// How the rows of a table can be drawn. The picture shows what stands in the table, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Picture {
    /// A heat map: so many columns name a row, and each of the others is an answer, one of a few.
    Heat(usize),
    /// A tree of cgroups: its path from the top, `a/b`; what the other columns say stands with it.
    Tree,
    /// Veth links and bridges. The columns are: a network namespace, a device in it, its addresses, the bridge that it
    /// is a port of, and its other end as `namespace/device`. What is not there is empty.
    Links,
    /// A timeline. The columns are: a clock, and what it reads outside and inside, in nanoseconds; others may follow.
    Clocks,
    /// Bands from one range to another. The columns are: a map, the first ID inside, the first outside, and how many.
    Bands,
}
