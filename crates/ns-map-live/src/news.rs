//! What has changed lately: marks on namespaces, those that are gone, and a list of changes in words.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use map::{Map, Namespace, What, changes, words};
use ns_core::NsId;

/// A change is marked for so long.
pub(crate) const LASTS: Duration = Duration::from_secs(5);
/// So many of those that are gone are shown: more would hide those that are there.
const MOST_GONE: usize = 10;
/// So many changes are remembered.
const MOST: usize = 50;

/// What has become of a namespace lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    New,
    /// Its processes, or what keeps it.
    Changed,
    Gone,
}

impl Mark {
    /// What stands beside a namespace.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Mark::New => "+",
            Mark::Changed => "~",
            Mark::Gone => "-",
        }
    }
}

/// A change in words.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) mark: Mark,
    pub(crate) namespace: Namespace,
    pub(crate) words: String,
}

/// What has changed lately.
#[derive(Debug, Default)]
pub(crate) struct News {
    marks: BTreeMap<NsId, (Mark, Instant)>,
    gone: BTreeMap<NsId, Namespace>,
    told: VecDeque<Told>,
}

impl News {
    /// Notes what has changed from `before` to `after`, two looks, of which the second was taken `now`; and forgets what is
    /// no news any more.
    pub(crate) fn compare(&mut self, before: &Map, after: &Map, now: Instant) {
        self.marks.retain(|_, (_, since)| now.duration_since(*since) < LASTS);
        let first = before.first_of_all();
        for (id, namespace) in &after.namespaces {
            if before.namespaces.get(id).is_some_and(|old| is_other(old, namespace, first)) {
                self.mark(*id, Mark::Changed, now);
            }
        }
        for change in changes(before, after) {
            let namespace = change.namespace;
            let mark = match change.what {
                What::Appears => Mark::New,
                What::Goes => Mark::Gone,
                What::GainsProcess | What::LosesLastProcess => Mark::Changed,
            };
            self.mark(namespace.id, mark, now);
            if mark == Mark::Gone {
                self.gone.insert(namespace.id, namespace.clone());
            }
            self.told.push_front(Told {
                at: now,
                mark,
                namespace: namespace.clone(),
                words: words::change(&change),
            });
        }
        self.told.truncate(MOST);
        // The kernel uses a number again, so one that is gone may be there.
        self.gone.retain(|id, _| self.marks.contains_key(id) && !after.namespaces.contains_key(id));
        let mut since: Vec<(Instant, NsId)> =
            self.gone.keys().filter_map(|id| Some((self.marks.get(id)?.1, *id))).collect();
        since.sort_unstable();
        for (_, id) in &since[..since.len().saturating_sub(MOST_GONE)] {
            self.gone.remove(id);
        }
    }

    /// What is new stays so while more becomes of it.
    fn mark(&mut self, id: NsId, mark: Mark, now: Instant) {
        match self.marks.get(&id) {
            Some((Mark::New, _)) if mark == Mark::Changed => {}
            _ => drop(self.marks.insert(id, (mark, now))),
        }
    }

    pub(crate) fn mark_of(&self, id: NsId) -> Option<Mark> {
        self.marks.get(&id).map(|(mark, _)| *mark)
    }

    pub(crate) fn is_gone(&self, id: NsId) -> bool {
        self.mark_of(id) == Some(Mark::Gone)
    }

    /// Those that are gone, as they were.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Namespace> {
        self.gone.values()
    }

    /// The changes, the newest first.
    pub(crate) fn told(&self) -> impl Iterator<Item = &Told> {
        self.told.iter()
    }
}

/// Whether a namespace's first process is another, or what keeps it; and how many processes are in it. In those of the
/// first process of all they come and go without end, and are not counted.
fn is_other(old: &Namespace, new: &Namespace, first: Option<i32>) -> bool {
    let is_initial = new.lowest.is_some() && new.lowest == first;
    old.lowest != new.lowest || old.kept_by != new.kept_by || (!is_initial && old.members != new.members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::Kind;

    fn id(ino: u64) -> NsId {
        NsId { kind: Kind::Net, dev: 4, ino }
    }

    /// A map of network namespaces: inode number and processes.
    fn map(namespaces: &[(u64, usize)]) -> Map {
        let mut map = Map::default();
        for (ino, members) in namespaces {
            let namespace = map.at(id(*ino));
            namespace.members = *members;
            namespace.lowest = i32::try_from(*ino).ok();
        }
        map
    }

    #[test]
    fn what_is_new_changed_or_gone_is_marked_for_a_while() {
        let (began, mut news) = (Instant::now(), News::default());
        let (before, after) = (map(&[(1, 9), (2, 1), (3, 1)]), map(&[(1, 8), (2, 2), (4, 1)]));
        news.compare(&before, &after, began);
        let marks = [1, 2, 3, 4].map(|ino| news.mark_of(id(ino)));
        assert_eq!(marks, [None, Some(Mark::Changed), Some(Mark::Gone), Some(Mark::New)]);
        assert_eq!(news.gone().map(|it| it.id.ino).collect::<Vec<_>>(), [3]);
        news.compare(&after, &after, began + LASTS);
        assert_eq!([2, 3, 4].map(|ino| news.mark_of(id(ino))), [None; 3]);
        assert_eq!(news.gone().count(), 0);
        // What was told is still told.
        assert_eq!(news.told().map(|it| it.namespace.id.ino).collect::<Vec<_>>(), [4, 3]);
    }

    #[test]
    fn of_many_that_are_gone_some_stay() {
        let (began, mut news) = (Instant::now(), News::default());
        let many: Vec<_> = (1..100).map(|ino| (ino, 1)).collect();
        news.compare(&map(&many), &map(&many[..50]), began);
        news.compare(&map(&many[..50]), &map(&many[..45]), began + Duration::from_secs(1));
        let shown: Vec<_> = news.gone().map(|it| it.id.ino).collect();
        assert_eq!((shown.len(), &shown[..5]), (MOST_GONE, [46, 47, 48, 49, 50].as_slice()));
    }

    #[test]
    fn a_number_that_is_used_again_is_new() {
        let (began, mut news) = (Instant::now(), News::default());
        let (with, without) = (map(&[(1, 1), (2, 1)]), map(&[(1, 1)]));
        news.compare(&with, &without, began);
        news.compare(&without, &with, began);
        assert_eq!(news.mark_of(id(2)), Some(Mark::New));
        assert_eq!(news.gone().count(), 0);
    }
}
