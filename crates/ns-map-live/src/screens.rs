//! What the screen looks like, at the sizes that terminals have.

use std::time::{Duration, Instant};

use map::{Choice, Keeper, Map, Process};
use ns_core::{Kind, NsId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::style::Color;

use crate::browser::{Browser, Wish};
use crate::details::{Details, Line};
use crate::keys::LIST;
use crate::palette::Palette;
use crate::rows::Shape;
use crate::view::draw;

fn id(kind: Kind, ino: u64) -> NsId {
    NsId { kind, dev: 4, ino }
}

/// Puts a namespace on the map: its owner, and its first process.
fn put(map: &mut Map, id: NsId, owner: Option<NsId>, members: usize, first: Option<(i32, &str)>) {
    let namespace = map.at(id);
    namespace.members = members;
    namespace.lowest = first.map(|(pid, _)| pid);
    namespace.first =
        first.map(|(pid, command)| Process { pid, uid: 0, user: "root".into(), command: command.into() });
    if id.kind == Kind::User { namespace.parent = owner } else { namespace.owner = owner }
}

const INITIAL: NsId = NsId { kind: Kind::User, dev: 4, ino: 4026531837 };

/// A small machine: the initial namespaces, and one that is mounted.
fn machine() -> Map {
    let mut map = Map { processes: 120, unreadable: 3, ..Map::default() };
    put(&mut map, INITIAL, None, 120, Some((1, "systemd")));
    for (kind, ino) in
        [(Kind::Mnt, 4026531841), (Kind::Uts, 4026531838), (Kind::Net, 4026531840), (Kind::Pid, 4026531836)]
    {
        put(&mut map, id(kind, ino), Some(INITIAL), 120, Some((1, "systemd")));
    }
    let blue = id(Kind::Net, 4026532177);
    put(&mut map, blue, Some(INITIAL), 0, None);
    map.at(blue).kept_by = vec![Keeper::Mount { path: "/run/netns/blue".into(), pid: 1 }];
    map
}

/// The same, with what `unshare --user --uts` makes.
fn with_a_shell() -> Map {
    let mut map = machine();
    let user = id(Kind::User, 4026532454);
    put(&mut map, user, Some(INITIAL), 2, Some((2455, "sh")));
    put(&mut map, id(Kind::Uts, 4026532455), Some(user), 2, Some((2455, "sh")));
    map
}

struct Desk {
    browser: Browser,
    terminal: Terminal<TestBackend>,
    now: Instant,
}

impl Desk {
    fn new((width, height): (u16, u16), plain: bool) -> Desk {
        let mut browser = Browser::new(Choice::default(), Shape::Tree(Kind::User), false, Vec::new(), plain);
        browser.pace = "changes: within 60 ms".into();
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Desk { browser, terminal, now: Instant::now() }
    }

    fn take(&mut self, map: Map) {
        self.browser.take(map, self.now);
    }

    fn press(&mut self, keys: &str) -> Option<Wish> {
        let code = |key: char| if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
        let mut wish = None;
        for key in keys.chars() {
            wish = self.browser.press(KeyEvent::from(code(key))).or(wish);
        }
        wish
    }

    /// The lines of the screen, without blanks at their ends.
    fn screen(&mut self) -> Vec<String> {
        let Desk { browser, terminal, now } = self;
        terminal.draw(|frame| draw(frame, browser, Palette { coloured: true }, *now)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(buffer.area.width));
        let text = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
        text.map(|line| line.trim_end().to_string()).collect()
    }

    /// Opens a namespace with these details, which no kernel was asked for.
    fn open(&mut self, id: NsId, lines: &[(&'static str, &str)]) {
        let line = |(name, text): &(&'static str, &str)| Line {
            name: (*name).into(),
            text: (*text).into(),
            typed: false,
        };
        self.browser.show(Details { id, lines: lines.iter().map(line).collect(), first: Ok(2455) });
    }
}

#[test]
fn at_80_by_24_what_is_new_is_marked_and_told() {
    let mut desk = Desk::new((80, 24), false);
    desk.take(machine());
    desk.take(with_a_shell());
    desk.now += Duration::from_secs(2);
    let screen = desk.screen().join("\n");
    let expected = "\
ns-map  8 namespaces, 120 processes; 3 more could not be read{remedy}
  by user namespace    processes  first process             made or kept by
  user 4026531837            120  systemd (1) of root
  ├ net 4026531840           120  systemd (1) of root
  ├ mnt 4026531841           120  systemd (1) of root
  ├ pid 4026531836           120  systemd (1) of root
  ├ uts 4026531838           120  systemd (1) of root
  ├ net 4026532177             0  -                         mounted at /run/net…
+ └ user 4026532454            2  sh (2455) of root
+   └ uts 4026532455           2  sh (2455) of root









── changes ─────────────────────────────────────────────────────────────────────
  2 s ago   + uts:[4026532455] appears: sh (2455) of root, 2 processes
  2 s ago   + user:[4026532454] appears: sh (2455) of root, 2 processes

? keys  Enter open  / filter  q quit                       changes: within 60 ms";
    let remedy = if nix::unistd::geteuid().is_root() { "" } else { ": sudo ns-map shows" };
    let expected = expected.replace("{remedy}", remedy);
    assert!(screen.starts_with(expected.lines().next().unwrap()), "\n{screen}");
    let after = |text: &str| text.split_once('\n').unwrap().1.to_string();
    assert_eq!(after(&screen), after(&expected), "\n{screen}");
}

#[test]
fn at_200_by_60_an_open_namespace_stands_beside_the_rows() {
    let mut desk = Desk::new((200, 60), false);
    desk.take(with_a_shell());
    desk.open(
        id(Kind::Uts, 4026532455),
        &[
            ("by hand", "nsenter --target 2455 --uts sh"),
            ("by hand", "ns-enter 2455"),
            ("hostname", "inside"),
        ],
    );
    let screen = desk.screen();
    assert!(
        screen[1].contains("by user namespace") && screen[1].contains("│ uts:[4026532455]"),
        "{screen:#?}"
    );
    assert!(screen[2].ends_with("│ by hand    nsenter --target 2455 --uts sh"), "{screen:#?}");
    assert!(screen[3].ends_with("│            ns-enter 2455"), "{screen:#?}");
    assert!(screen[4].ends_with("│ hostname   inside"), "{screen:#?}");
    assert!(
        screen[7].contains("net 4026532177") && screen[7].contains("mounted at /run/netns/blue"),
        "{screen:#?}"
    );
    assert!(screen[48].starts_with("── changes ──"), "{screen:#?}");
    assert!(screen[59].starts_with("? keys  Esc back  Enter shell  q quit"), "{screen:#?}");
}

#[test]
fn what_is_gone_stays_for_a_while_and_the_selection_stays_in_its_place() {
    let mut desk = Desk::new((80, 24), true);
    desk.take(with_a_shell());
    desk.press("G");
    desk.take(machine());
    let screen = desk.screen();
    assert!(
        screen[8].starts_with("- ` user 4026532454") && screen[8].contains("gone: was of sh (2455)"),
        "{screen:#?}"
    );
    assert!(screen.iter().all(|line| line.is_ascii()), "{screen:#?}");
    assert_eq!(desk.press("s"), None);
    assert!(desk.screen()[22].contains("uts:[4026532455] is gone"));
    desk.now += crate::news::LASTS;
    desk.take(machine());
    let screen = desk.screen().join("\n");
    assert!(
        !screen.contains("  ` user 4026532454") && screen.contains("user:[4026532454] is gone"),
        "{screen}"
    );
    assert_eq!(desk.browser.at, desk.browser.rows.len() - 1);
}

#[test]
fn a_shell_is_asked_for_where_a_process_is() {
    let mut desk = Desk::new((80, 24), false);
    desk.take(with_a_shell());
    desk.press("G");
    assert_eq!(desk.press("s"), Some(Wish::Shell(2455)));
    // The mounted one has no process.
    desk.press("kk");
    assert_eq!(desk.press("s"), None);
    assert!(desk.screen()[22].starts_with("no process is in net:[4026532177]"));
}

#[test]
fn a_filter_is_typed_and_a_bad_one_gets_a_line() {
    let mut desk = Desk::new((80, 24), false);
    desk.take(with_a_shell());
    assert_eq!(desk.press("/net\n"), None);
    let screen = desk.screen();
    assert!(screen.iter().any(|line| line.starts_with("'net' is no condition")), "{screen:#?}");
    assert_eq!(screen[23], "/ net");
    desk.browser.press(KeyEvent::from(KeyCode::Esc));
    assert_eq!(desk.press("/kind=uts\n"), Some(Wish::Look));
    desk.take(with_a_shell());
    let screen = desk.screen();
    assert!(screen[0].contains("2 of 8 namespaces"), "{screen:#?}");
    assert!(screen[23].contains("/ kind=uts"), "{screen:#?}");
    let has = |what: &str| screen.iter().any(|line| line.contains(what));
    assert!(has("uts 4026532455") && has("user 4026531837") && !has("net 40265"), "{screen:#?}");
}

#[test]
fn the_keys_are_listed_and_any_of_those_that_close_them_closes_them() {
    for size in [(80, 24), (20, 5)] {
        let mut desk = Desk::new(size, false);
        desk.take(machine());
        desk.press("?");
        assert!(desk.screen()[0].starts_with("ns-map: keys"));
        assert_eq!(desk.press("q"), None);
        assert!(desk.screen()[0].starts_with("ns-map  6 names"));
        assert_eq!(desk.press("q"), Some(Wish::Quit));
    }
}

#[test]
fn the_document_has_all_keys() {
    let document = include_str!("../../../docs/ns-map.md");
    for (keys, _) in LIST {
        for key in keys.split([',', ' ']).filter(|key| key.len() == 1 || key.starts_with("Ctrl")) {
            let is_there = document.contains(&format!("`{key}`")) || document.contains(&format!("| {key} "));
            assert!(is_there, "docs/ns-map.md lacks the key {key}");
        }
    }
}

#[test]
fn any_size_is_drawn() {
    for width in [1, 5, 20, 39, 80, 119, 120, 300] {
        for height in [1, 2, 3, 5, 10, 16, 24, 100] {
            let mut desk = Desk::new((width, height), false);
            desk.take(machine());
            desk.take(with_a_shell());
            desk.screen();
            desk.browser.message = Some("a word ".repeat(30));
            desk.screen();
            desk.open(INITIAL, &[("uid_map", &"0 0 4294967295 ".repeat(20)), ("gid_map", "")]);
            desk.screen();
            desk.press("?");
            desk.screen();
            desk.press("q/kind");
            desk.screen();
        }
    }
    let mut desk = Desk::new((20, 5), false);
    desk.take(machine());
    desk.press("jj");
    assert_eq!(
        desk.screen(),
        [
            "ns-map  6 namespaces",
            "  user 40265…  120",
            "  ├ net 4026…  120",
            "  ├ mnt 4026…  120",
            "? keys  Enter open"
        ]
        .map(String::from)
    );
}

#[test]
fn of_ten_thousand_as_many_as_fit_are_drawn() {
    let mut map = machine();
    for ino in 0..10_000 {
        put(&mut map, id(Kind::Net, 4026540000 + ino), Some(INITIAL), 1, Some((5000, "worker")));
    }
    let mut desk = Desk::new((80, 24), false);
    desk.take(map);
    desk.press("G");
    let screen = desk.screen();
    assert!(screen[0].contains("10006 namespaces"), "{screen:#?}");
    assert!(screen[18].contains("net 4026532177"), "{screen:#?}");
    assert_eq!(desk.browser.top + desk.browser.page, desk.browser.rows.len());
    // To the first and to the last again: the whole of the rows is walked through, and none of it drawn twice.
    desk.press("gG");
    assert_eq!(desk.screen(), screen);
}

#[test]
fn without_colour_signs_say_the_same() {
    let mut desk = Desk::new((80, 24), false);
    desk.take(machine());
    desk.take(with_a_shell());
    let Desk { browser, terminal, now } = &mut desk;
    terminal.draw(|frame| draw(frame, browser, Palette { coloured: false }, *now)).unwrap();
    let cells = terminal.backend().buffer().content();
    assert!(cells.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    desk.screen();
    let cells = desk.terminal.backend().buffer().content();
    // Those of the fixed part of the 256, which no theme changes.
    assert!(cells.iter().all(|cell| matches!(cell.fg, Color::Reset | Color::Indexed(16..))));
    assert!(cells.iter().any(|cell| cell.fg != Color::Reset));
}
