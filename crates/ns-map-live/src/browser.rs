//! What is shown, where in it the person is, and what each key changes.

use std::time::{Duration, Instant};

use map::{Choice, Filter, Map, Namespace, words};
use ns_core::NsId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::details::Details;
use crate::keys::{Action, action};
use crate::news::News;
use crate::rows::{Row, Shape, rows};

/// The details of a namespace are looked at again after this time, and when the map says that it has changed.
const AGAIN: Duration = Duration::from_secs(1);

/// What is asked of who runs the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Quit,
    Interrupt,
    Stop,
    Redraw,
    /// A look at once: what is to be seen is something else now.
    Look,
    /// A shell in the namespaces of this process.
    Shell(i32),
}

/// A line that is being typed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Typing {
    pub(crate) text: String,
    /// What was wrong with it.
    pub(crate) fault: Option<String>,
}

/// A namespace that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) details: Details,
    /// The first line that is shown.
    pub(crate) top: usize,
    looked: Instant,
    /// What the map said of it then.
    was: Option<(usize, Option<i32>)>,
}

/// All that is shown.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) map: Map,
    pub(crate) choice: Choice,
    pub(crate) shape: Shape,
    pub(crate) cgroups: bool,
    pub(crate) plain: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) news: News,
    pub(crate) summary: String,
    /// The place of the selected row.
    pub(crate) at: usize,
    /// The first row that is shown.
    pub(crate) top: usize,
    /// How many rows the last drawing had room for.
    pub(crate) page: usize,
    pub(crate) opened: Option<Opened>,
    pub(crate) typing: Option<Typing>,
    pub(crate) lists_keys: bool,
    /// What is to be said until the next key.
    pub(crate) message: Option<String>,
    /// How a change is found.
    pub(crate) pace: String,
    /// The caller's namespaces.
    own: Vec<NsId>,
    selected: Option<NsId>,
    has_looked: bool,
}

impl Browser {
    /// Of nothing yet. `own` are the caller's namespaces; with `plain`, only ASCII is drawn.
    pub(crate) fn new(choice: Choice, shape: Shape, cgroups: bool, own: Vec<NsId>, plain: bool) -> Browser {
        Browser {
            map: Map::default(),
            choice,
            shape,
            cgroups,
            plain,
            rows: Vec::new(),
            news: News::default(),
            summary: String::new(),
            at: 0,
            top: 0,
            page: 1,
            opened: None,
            typing: None,
            lists_keys: false,
            message: None,
            pace: String::new(),
            own,
            selected: None,
            has_looked: false,
        }
    }

    /// Takes what a look at `now` has found.
    pub(crate) fn take(&mut self, after: Map, now: Instant) {
        let mut before = std::mem::replace(&mut self.map, after);
        for gone in self.news.gone() {
            before.namespaces.remove(&gone.id);
        }
        // All of the first look is as it is.
        if self.has_looked {
            self.news.compare(&before, &self.map, now);
        }
        self.has_looked = true;
        let shown = self.map.namespaces.values().filter(|namespace| self.choice.takes(namespace)).count();
        self.summary = words::summary(&self.map, shown);
        for gone in self.news.gone() {
            self.map.namespaces.insert(gone.id, gone.clone());
        }
        self.arrange();
        self.look_again(now);
    }

    /// Sets the rows anew. The selected namespace stays selected; where it is gone, the row in its place is.
    fn arrange(&mut self) {
        self.rows = rows(&self.map, &self.choice, self.shape, self.plain);
        let place = self.selected.and_then(|id| self.rows.iter().position(|row| row.id == id));
        self.go_to(place.unwrap_or(self.at));
    }

    fn go_to(&mut self, at: usize) {
        self.at = at.min(self.rows.len().saturating_sub(1));
        self.selected = self.rows.get(self.at).map(|row| row.id);
    }

    fn look_again(&mut self, now: Instant) {
        let Some(opened) = &mut self.opened else { return };
        let id = opened.details.id;
        let (is, is_gone) = (state_of(self.map.namespaces.get(&id)), self.news.is_gone(id));
        let has_changed = is != opened.was || (is_gone && opened.details.first.is_ok());
        if has_changed || now.duration_since(opened.looked) >= AGAIN {
            opened.details = Details::of(&self.map, id, &self.own, is_gone);
            (opened.was, opened.looked) = (is, now);
        }
    }

    /// The namespace of a row.
    pub(crate) fn namespace(&self, row: &Row) -> Option<&Namespace> {
        self.map.namespaces.get(&row.id)
    }

    /// Rows from the first that is shown on, so that the selected one is among so many.
    pub(crate) fn fit(&mut self, page: usize) {
        self.page = page.max(1);
        let last = self.rows.len().saturating_sub(self.page);
        self.top = self.top.clamp((self.at + 1).saturating_sub(self.page), self.at).min(last);
    }

    /// Takes a key.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        self.message = None;
        if self.typing.is_some() {
            return self.type_key(key);
        }
        let action = action(key)?;
        if self.lists_keys && !matches!(action, Action::Interrupt | Action::Stop) {
            self.lists_keys = false;
            // Any key closes the list of keys, and those that quit do no more.
            if matches!(action, Action::Back | Action::Quit | Action::Keys | Action::Enter) {
                return None;
            }
        }
        match action {
            Action::Up => self.move_by(-1),
            Action::Down => self.move_by(1),
            Action::PageUp => self.move_by(-(self.page as isize)),
            Action::PageDown => self.move_by(self.page as isize),
            Action::First => self.move_by(isize::MIN / 2),
            Action::Last => self.move_by(isize::MAX / 2),
            Action::Enter if self.opened.is_some() => return self.shell(),
            Action::Enter | Action::Open => self.open(),
            Action::Back if self.opened.is_none() => return Some(Wish::Quit),
            Action::Back => self.opened = None,
            Action::Shell => return self.shell(),
            Action::Filter => {
                self.typing = Some(Typing { text: self.choice.filter.to_string(), fault: None });
            }
            Action::Shape => {
                self.shape = self.shape.next();
                self.top = 0;
                self.arrange();
            }
            Action::Cgroups => {
                self.cgroups = !self.cgroups;
                return Some(Wish::Look);
            }
            Action::Newest => self.find_newest(),
            Action::Keys => self.lists_keys = true,
            Action::Redraw => return Some(Wish::Redraw),
            Action::Quit => return Some(Wish::Quit),
            Action::Interrupt => return Some(Wish::Interrupt),
            Action::Stop => return Some(Wish::Stop),
        }
        None
    }

    fn move_by(&mut self, by: isize) {
        match &mut self.opened {
            Some(opened) => {
                let last = opened.details.lines.len().saturating_sub(1);
                opened.top = opened.top.saturating_add_signed(by).min(last);
            }
            None => self.go_to(self.at.saturating_add_signed(by)),
        }
    }

    fn open(&mut self) {
        if let (None, Some(id)) = (&self.opened, self.selected) {
            self.show(Details::of(&self.map, id, &self.own, self.news.is_gone(id)));
        }
    }

    /// Shows a namespace as it was just looked at.
    pub(crate) fn show(&mut self, details: Details) {
        let was = state_of(self.map.namespaces.get(&details.id));
        self.opened = Some(Opened { details, top: 0, looked: Instant::now(), was });
    }

    fn shell(&mut self) -> Option<Wish> {
        let first = match (&self.opened, self.selected) {
            (Some(opened), _) => opened.details.first.clone(),
            (None, Some(id)) if self.news.is_gone(id) => Err(format!("{id} is gone")),
            (None, Some(id)) => {
                let first = self.map.namespaces.get(&id).and_then(|namespace| namespace.lowest);
                first.ok_or_else(|| format!("no process is in {id}, whose namespaces a shell could enter"))
            }
            (None, None) => Err("no namespace is shown".into()),
        };
        match first {
            Ok(pid) => return Some(Wish::Shell(pid)),
            Err(why) => self.message = Some(why),
        }
        None
    }

    fn find_newest(&mut self) {
        let place_of = |id: NsId| self.rows.iter().position(|row| row.id == id);
        let place = self.news.told().find_map(|told| place_of(told.namespace.id));
        match place {
            Some(at) => {
                self.opened = None;
                self.go_to(at);
            }
            None => self.message = Some("nothing that is shown has changed since the start".into()),
        }
    }

    fn type_key(&mut self, key: KeyEvent) -> Option<Wish> {
        let typing = self.typing.as_mut()?;
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Wish::Interrupt),
            KeyCode::Char('u') if is_control => typing.text.clear(),
            KeyCode::Char(typed) if !is_control => typing.text.push(typed),
            KeyCode::Backspace => drop(typing.text.pop()),
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => match typing.text.parse::<Filter>() {
                Err(fault) => typing.fault = Some(fault.to_string()),
                Ok(filter) => {
                    self.choice.filter = filter;
                    self.typing = None;
                    self.opened = None;
                    self.arrange();
                    return Some(Wish::Look);
                }
            },
            _ => {}
        }
        None
    }
}

/// What of the map makes the details others.
fn state_of(namespace: Option<&Namespace>) -> Option<(usize, Option<i32>)> {
    namespace.map(|namespace| (namespace.members, namespace.lowest))
}
