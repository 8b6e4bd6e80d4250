//! What is known of this thread's own namespaces without a look: which of them it has left.

use std::cell::Cell;

use super::Namespaces;

thread_local! {
    static LEFT: Cell<Namespaces> = const { Cell::new(Namespaces::NONE) };
}

/// To be called after each setns(2), which may lead back, and first in each child: nothing is known any more of these kinds.
pub(crate) fn has_moved(namespaces: Namespaces) {
    LEFT.set(LEFT.get().difference(namespaces));
}

/// To be called where the kernel has moved this thread out of its namespaces of these kinds.
pub(crate) fn has_left(namespaces: Namespaces) {
    LEFT.set(LEFT.get() | namespaces);
}

/// What `body` gives, which runs in this memory in another process: that one may move, and this thread does not.
pub(crate) fn kept<T>(body: impl FnOnce() -> T) -> T {
    let left = LEFT.get();
    let result = body();
    LEFT.set(left);
    result
}

/// Whether this thread is known to have left the namespace of its start. If not, the kernel has to be asked.
pub(crate) fn is_known_to_have_left(namespaces: Namespaces) -> bool {
    LEFT.get().contains(namespaces)
}
