//! The keys, and what each does.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    /// Opens a namespace; of an open one, a shell there.
    Enter,
    Open,
    Back,
    Shell,
    Filter,
    Shape,
    Cgroups,
    Newest,
    Keys,
    Redraw,
    Quit,
    Interrupt,
    Stop,
}

/// What the list of keys says, in its order.
pub(crate) const LIST: &[(&str, &str)] = &[
    ("up down, j k", "the row above, the row below"),
    ("PgUp PgDn, g G", "a page, the first row, the last row"),
    ("Enter, right", "open the namespace: who is in it, what it holds"),
    ("left, Esc", "back to the rows"),
    ("s, Enter there", "a shell in the namespaces of its first process"),
    ("n", "the newest change"),
    ("/", "filter: kind=net members>1"),
    ("t", "by user namespace, by PID namespace, list"),
    ("c", "cgroups and their limits, on and off"),
    ("Ctrl-L", "draw the screen anew"),
    ("q, Esc", "quit"),
];

/// What a key asks for in the list and in the details; none if it is no key of these.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Interrupt),
            KeyCode::Char('z') => Some(Action::Stop),
            KeyCode::Char('l') => Some(Action::Redraw),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Action::Up,
        KeyCode::Down | KeyCode::Char('j') => Action::Down,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Action::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Enter => Action::Enter,
        KeyCode::Right | KeyCode::Char('l') => Action::Open,
        KeyCode::Left | KeyCode::Char('h') | KeyCode::Esc => Action::Back,
        KeyCode::Char('s') => Action::Shell,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('t') => Action::Shape,
        KeyCode::Char('c') => Action::Cgroups,
        KeyCode::Char('n') => Action::Newest,
        KeyCode::Char('?') => Action::Keys,
        KeyCode::Char('q') => Action::Quit,
        _ => return None,
    })
}
