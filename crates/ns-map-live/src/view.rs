//! The screen: rows of namespaces, one of them opened, the latest changes, and how each change is found.

use std::time::Instant;

use map::words::{because, limits};
use map::{Group, Namespace};
use ns_core::printable;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use crate::browser::{Browser, Opened};
use crate::cells::{cell, cut};
use crate::keys::LIST;
use crate::news::Mark;
use crate::palette::Palette;
use crate::rows::Row;

/// From this width on, rows and an opened namespace stand side by side.
const WIDE: u16 = 120;

/// Draws all that is shown at the moment `now`.
pub(crate) fn draw(frame: &mut Frame<'_>, browser: &mut Browser, palette: Palette, now: Instant) {
    let all = frame.area();
    let mut screen = Painter { frame, palette, plain: browser.plain };
    if browser.lists_keys {
        return screen.keys(all, browser);
    }
    let messages = messages(browser, all);
    let said = u16::try_from(messages.len()).unwrap_or(0).min(all.height / 2);
    let [head, foot] = [u16::from(all.height >= 4), u16::from(all.height >= 2)];
    let told = told_in(all.height);
    let middle = all.height - head - foot - said - told;
    let mut y = all.y;
    let mut part = |height: u16| {
        let part = Rect { y, height, ..all };
        y += height;
        part
    };
    let (head, middle, told) = (part(head), part(middle), part(told));
    let (said, foot) = (part(said), part(foot));
    screen.head(head, browser);
    match &browser.opened {
        None => screen.rows(middle, browser),
        Some(opened) if all.width < WIDE => screen.details(middle, browser, opened),
        Some(_) => {
            let width = middle.width * 3 / 5;
            screen.rows(Rect { width, ..middle }, browser);
            let x = middle.x + width;
            let bar = if browser.plain { "|" } else { "│" };
            for y in middle.top()..middle.bottom() {
                screen.line(Rect { x, y, width: 2, height: 1 }, vec![Span::styled(bar, palette.faint())]);
            }
            let right = Rect { x: x + 2, width: middle.width - width - 2, ..middle };
            if let Some(opened) = &browser.opened {
                screen.details(right, browser, opened);
            }
        }
    }
    screen.told(told, browser, now);
    for (at, line) in (said.top()..said.bottom()).zip(messages) {
        screen.line(Rect { y: at, height: 1, ..said }, vec![Span::styled(line, palette.bad())]);
    }
    screen.foot(foot, browser);
}

/// How many lines the changes get on a screen of so many.
fn told_in(height: u16) -> u16 {
    match height {
        0..16 => 0,
        16..30 => 4,
        30..50 => 7,
        _ => 11,
    }
}

/// What is to be said, in lines that fit.
fn messages(browser: &Browser, all: Rect) -> Vec<String> {
    let fault = browser.typing.as_ref().and_then(|typing| typing.fault.as_ref());
    let Some(text) = fault.or(browser.message.as_ref()) else { return Vec::new() };
    let lines = textwrap::wrap(text, usize::from(all.width.max(1)));
    lines.into_iter().map(std::borrow::Cow::into_owned).collect()
}

struct Painter<'a, 'b> {
    frame: &'a mut Frame<'b>,
    palette: Palette,
    /// Whether our own signs are ASCII.
    plain: bool,
}

impl Painter<'_, '_> {
    /// A line at the top of `area`.
    fn line(&mut self, area: Rect, mut spans: Vec<Span<'_>>) {
        if self.plain {
            // What says that a text is cut.
            spans.iter_mut().for_each(|span| span.content = span.content.replace('…', "~").into());
        }
        if area.height > 0 {
            self.frame.render_widget(Line::from(spans), Rect { height: 1, ..area });
        }
    }

    fn head(&mut self, area: Rect, browser: &Browser) {
        let title = Span::styled("ns-map  ", self.palette.heading());
        self.line(area, vec![title, Span::raw(browser.summary.clone())]);
    }

    fn rows(&mut self, area: Rect, browser: &mut Browser) {
        let has_heads = area.height >= 5;
        browser.fit(usize::from(area.height) - usize::from(has_heads));
        let shown: Vec<Row> = browser.rows.iter().skip(browser.top).take(browser.page).cloned().collect();
        let width = usize::from(area.width);
        let columns = Columns::of(&shown, width);
        let mut y = area.y;
        if has_heads {
            let last = if browser.cgroups { "limits, made or kept by" } else { "made or kept by" };
            let heads = columns.set(["", browser.shape.word(), "processes", "first process", last]);
            self.line(Rect { y, ..area }, vec![Span::styled(heads.concat(), self.palette.faint())]);
            y += 1;
        }
        if shown.is_empty() {
            let why = if browser.choice.filter.is_empty() {
                "no namespace is found"
            } else {
                "none meets the filter"
            };
            self.line(Rect { y, ..area }, vec![Span::styled(why, self.palette.faint())]);
        }
        for (at, row) in shown.iter().enumerate() {
            let Some(namespace) = browser.namespace(row) else { continue };
            let area = Rect { y: y + u16::try_from(at).unwrap_or(0), ..area };
            let is_selected = browser.top + at == browser.at;
            let spans = self.row(browser, row, namespace, &columns);
            let style = if is_selected { Style::new().reversed() } else { Style::new() };
            self.line(area, spans.into_iter().map(|span| span.patch_style(style)).collect());
        }
    }

    fn row(
        &self,
        browser: &Browser,
        row: &Row,
        namespace: &Namespace,
        columns: &Columns,
    ) -> Vec<Span<'static>> {
        let mark = browser.news.mark_of(row.id);
        let name = format!("{}{} {}", row.branch, row.id.kind, row.id.ino);
        let sign = mark.map_or("", Mark::sign);
        let first = namespace.first.as_ref();
        let first = first.map(|it| printable(&format!("{} ({}) of {}", it.command, it.pid, it.user)));
        let (count, first) = match (mark, first) {
            (Some(Mark::Gone), first) => {
                (String::new(), first.map_or("gone".into(), |it| format!("gone: was of {it}")))
            }
            (_, first) => (namespace.members.to_string(), first.unwrap_or_else(|| "-".into())),
        };
        let mut known: Vec<String> = Vec::new();
        if browser.cgroups {
            known.extend(namespace.cgroup.as_ref().map(limits).filter(|words| !words.is_empty()));
        }
        known.extend(because(&Group { namespaces: vec![namespace] }, usize::MAX));
        let style = match mark {
            Some(mark) => self.palette.marked(mark),
            // It stands there for what is below it.
            None if !browser.choice.takes(namespace) => self.palette.faint(),
            None => Style::new(),
        };
        let cells = columns.set([sign, &name, &count, &first, &known.join("; ")]);
        let [sign, name, rest @ ..] = cells;
        let rest = rest.concat();
        let of_rest = if mark == Some(Mark::Changed) { Style::new() } else { style };
        vec![Span::styled(sign, style), Span::styled(name, style), Span::styled(rest, of_rest)]
    }

    fn details(&mut self, area: Rect, browser: &Browser, opened: &Opened) {
        const NAMES: usize = 11;
        let details = &opened.details;
        let mark = browser.news.mark_of(details.id);
        let style = mark.map_or(self.palette.heading(), |mark| self.palette.marked(mark));
        let title = format!("{}  {}", details.id, mark.map_or("", Mark::sign));
        self.line(area, vec![Span::styled(title, style)]);
        let room = usize::from(area.width).saturating_sub(NAMES).max(10);
        let mut y = area.y + 1;
        let mut last = "";
        for line in &details.lines[opened.top.min(details.lines.len())..] {
            let name = if line.name == last { "" } else { &line.name };
            last = &line.name;
            let style = if line.typed { self.palette.typed() } else { Style::new() };
            for (at, part) in textwrap::wrap(&line.text, room).into_iter().enumerate() {
                if y >= area.bottom() {
                    return;
                }
                let name = cell(if at == 0 { name } else { "" }, NAMES);
                let spans =
                    vec![Span::styled(name, self.palette.faint()), Span::styled(part.into_owned(), style)];
                self.line(Rect { y, height: 1, ..area }, spans);
                y += 1;
            }
        }
    }

    /// The latest changes of what is shown.
    fn told(&mut self, area: Rect, browser: &Browser, now: Instant) {
        if area.height == 0 {
            return;
        }
        let width = usize::from(area.width);
        let sign = if browser.plain { "-" } else { "─" };
        let title = format!("{} changes ", sign.repeat(2));
        let rule = sign.repeat(width.saturating_sub(title.width()));
        self.line(area, vec![Span::styled(title + &rule, self.palette.faint())]);
        let mut told = browser.news.told().filter(|it| browser.choice.takes(&it.namespace)).peekable();
        if told.peek().is_none() {
            let nothing = Span::styled("nothing has changed since the start", self.palette.faint());
            return self.line(Rect { y: area.y + 1, height: 1, ..area }, vec![nothing]);
        }
        for (y, told) in (area.y + 1..area.bottom()).zip(told) {
            let age = now.duration_since(told.at).as_secs();
            let age = if age < 100 { format!("{age:>3} s ago") } else { format!("{:>3} min ago", age / 60) };
            let words = cut(&format!("{} {}", told.mark.sign(), told.words), width.saturating_sub(12));
            let spans = vec![
                Span::styled(cell(&age, 12), self.palette.faint()),
                Span::styled(words, self.palette.marked(told.mark)),
            ];
            self.line(Rect { y, height: 1, ..area }, spans);
        }
    }

    fn foot(&mut self, area: Rect, browser: &Browser) {
        if area.height == 0 {
            return;
        }
        let width = usize::from(area.width);
        if let Some(typing) = &browser.typing {
            // Of a long line its end.
            let skipped = (typing.text.width() + 3).saturating_sub(width);
            let text: String = typing.text.chars().skip(skipped).collect();
            let column = (2 + text.width()).min(width.saturating_sub(1));
            self.line(area, vec![Span::styled("/ ", self.palette.heading()), Span::raw(printable(&text))]);
            let x = area.x + u16::try_from(column).unwrap_or(0);
            return self.frame.set_cursor_position(Position { x, y: area.y });
        }
        let typed = browser.choice.filter.to_string();
        let filter = if typed.is_empty() { "filter" } else { typed.as_str() };
        let is_open = browser.opened.is_some();
        let all: &[(&str, &str)] = if is_open {
            &[("?", "keys"), ("Esc", "back"), ("Enter", "shell"), ("q", "quit")]
        } else {
            &[("?", "keys"), ("Enter", "open"), ("/", filter), ("q", "quit")]
        };
        let mut spans = Vec::new();
        let mut used = 0;
        for (key, what) in all {
            let what = format!(" {}  ", cut(what, width / 3));
            used += key.width() + what.width();
            spans.extend([Span::styled(*key, self.palette.heading()), Span::raw(what)]);
        }
        let pace = browser.pace.as_str();
        if used + pace.width() <= width {
            spans.push(Span::raw(" ".repeat(width - used - pace.width())));
            spans.push(Span::styled(pace, self.palette.faint()));
        }
        self.line(area, spans);
    }

    fn keys(&mut self, area: Rect, browser: &Browser) {
        let width = LIST.iter().map(|(keys, _)| keys.width()).max().unwrap_or(0) + 3;
        self.line(area, vec![Span::styled("ns-map: keys", self.palette.heading())]);
        let rows = (area.y + 1..area.bottom()).zip(LIST);
        let mut y = area.y + 1;
        for (at, (keys, what)) in rows {
            let spans = vec![Span::styled(cell(keys, width), self.palette.typed()), Span::raw(*what)];
            self.line(Rect { y: at, height: 1, ..area }, spans);
            y = at + 1;
        }
        let marks = [Mark::New, Mark::Changed, Mark::Gone].into_iter().zip(["new", "changed", "gone"]);
        let marks = marks.flat_map(|(mark, word)| {
            [Span::styled(mark.sign(), self.palette.marked(mark)), Span::raw(format!(" {word}   "))]
        });
        let marks: Vec<Span<'_>> = [Span::raw("of the last 5 seconds:  ")].into_iter().chain(marks).collect();
        for (skipped, spans) in [(1, marks), (2, vec![Span::styled(&*browser.pace, self.palette.faint())])] {
            if y + skipped < area.bottom() {
                self.line(Rect { y: y + skipped, height: 1, ..area }, spans);
            }
        }
    }
}

/// How wide the cells of a row are: sign, name, processes, first process, what else is known.
struct Columns([usize; 5]);

impl Columns {
    /// For these rows in so many columns.
    fn of(rows: &[Row], width: usize) -> Columns {
        let names =
            rows.iter().map(|row| row.branch.width() + row.id.kind.link().len() + 1 + digits(row.id.ino));
        let names = names.max().unwrap_or(0) + 1;
        let is_narrow = width < 50;
        let count = if is_narrow { 5 } else { 9 };
        let most = if is_narrow { width.saturating_sub(2 + count + 2) } else { width * 2 / 5 };
        let name = names.max(if is_narrow { 0 } else { 21 }).min(most);
        let left = width.saturating_sub(2 + name + count + 2);
        let first = if left < 30 { left } else { (left * 11 / 20).min(36) };
        Columns([2, name, count, first, left.saturating_sub(first + 1)])
    }

    fn set(&self, texts: [&str; 5]) -> [String; 5] {
        let [sign, name, count, first, last] = self.0;
        let [of_sign, of_name, of_count, of_first, of_last] = texts;
        // A number stands at the right.
        let number = cut(of_count, count);
        let number = format!("{}{number}  ", " ".repeat(count.saturating_sub(number.width())));
        let last = if last == 0 { String::new() } else { format!(" {}", cell(of_last, last)) };
        [cell(of_sign, sign), cell(of_name, name), number, cell(of_first, first), last]
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}
