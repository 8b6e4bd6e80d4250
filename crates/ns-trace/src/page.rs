//! The story as a page: a timeline of all processes, and below each what it did. One file, without a script.

use std::io;

use minijinja::context;
use ns_core::printable;
use pages::{Replacement, environment};

use crate::model::{Record, What};
use crate::sink::Sink;
use crate::timeline::{Lane, lanes};

/// Writes it once there are no more records. Until then what was there is left as it was.
pub(crate) struct Page {
    file: Option<Replacement>,
    records: Vec<Record>,
}

impl Page {
    pub(crate) fn new(file: Replacement) -> Page {
        Page { file: Some(file), records: Vec::new() }
    }
}

impl Sink for Page {
    fn take(&mut self, record: &Record) -> io::Result<()> {
        self.records.push(record.clone());
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let page = page(&self.records).map_err(io::Error::other)?;
        let write = |file: Replacement| file.replace(page.as_bytes()).map_err(io::Error::other);
        self.file.take().map_or(Ok(()), write)
    }
}

const TEMPLATE: &str = r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ command }}</title>
<style>
:root { color-scheme: light dark; --line: #8888; --life: #4682b466; --act: #1b5e9c; --no: #c0392b; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
h1 { font-size: 1.3em; } code { overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: .3em 0; }
summary { display: grid; grid-template-columns: 22em 1fr; gap: 1em; align-items: center; cursor: pointer; }
svg { width: 100%; height: 18px; display: block; }
.life { fill: var(--life); } .act { fill: var(--act); } .no { fill: var(--no); }
ol { list-style: none; padding: 0 0 0 1em; } li { margin: .2em 0; overflow-wrap: anywhere; }
time { display: inline-block; min-width: 6em; font-variant-numeric: tabular-nums; opacity: .7; }
.refused::before { content: "refused "; color: var(--no); font-weight: bold; }
.lesson { white-space: nowrap; opacity: .8; }
@media (max-width: 50em) { summary { grid-template-columns: 1fr; } }
</style>
</head>
<body>
<h1>What <code>{{ command }}</code> does</h1>
<p>{{ lanes|length }} processes, {{ count }} calls, {{ total }} ms. A bar is the life of a process; a mark is a call, a red one was refused.</p>
{% for lane in lanes %}
<details{% if loop.first %} open{% endif %}>
<summary><span style="padding-left: {{ lane.indent }}em"><strong>{{ lane.pid }}</strong>{% if lane.inner %} [{{ lane.inner }}]{% endif %} {{ lane.name }}{% if lane.end %}, {{ lane.end }}{% endif %}</span>
<svg viewBox="0 0 1000 18" preserveAspectRatio="none" role="img" aria-label="{{ lane.label }}"><rect class="life" x="{{ lane.x }}" y="4" width="{{ lane.width }}" height="10"/>{% for act in lane.acts %}<rect class="{{ act.class }}" x="{{ act.x }}" y="1" width="{{ act.width }}" height="16"><title>{{ act.text }}</title></rect>{% endfor %}</svg></summary>
<ol>
{% for act in lane.acts %}<li><time>{{ act.at }} ms</time> <span{% if act.class == "no" %} class="refused"{% endif %}>{{ act.text }}</span>{% if act.lessons %} <span class="lesson">→ {{ act.lessons }}</span>{% endif %}</li>
{% endfor %}</ol>
</details>
{% endfor %}
</body>
</html>"##;

fn page(records: &[Record]) -> Result<String, minijinja::Error> {
    let lanes = lanes(records);
    let end = lanes.iter().map(|lane| lane.ended).max().unwrap_or(0).max(1);
    let command = records.iter().find_map(|record| match &record.what {
        What::Begin(begun) if begun.command.is_empty() => Some(format!("process {}", begun.pid)),
        What::Begin(begun) => Some(printable(&begun.command.join(" "))),
        _ => None,
    });
    let count: usize = lanes.iter().map(|lane| lane.acts.len()).sum();
    let drawn: Vec<_> = lanes.iter().map(|lane| drawn(lane, end)).collect();
    let values = context! { command => command.unwrap_or_default(), count, total => milliseconds(end), lanes => drawn };
    environment()?.render_str(TEMPLATE, values)
}

fn drawn(lane: &Lane, end: u64) -> minijinja::Value {
    // A thousand units are the whole time.
    let place = |t: u64| t as f64 * 1000.0 / end as f64;
    let acts: Vec<_> = lane
        .acts
        .iter()
        .map(|act| {
            context! {
                x => format!("{:.2}", place(act.at)),
                width => format!("{:.2}", place(act.took).max(1.5)),
                class => if act.refused { "no" } else { "act" },
                text => printable(&act.text),
                at => milliseconds(act.at),
                lessons => act.lessons.join(", "),
            }
        })
        .collect();
    let (begun, ended) = (milliseconds(lane.begun), milliseconds(lane.ended));
    context! {
        pid => lane.pid,
        inner => lane.inner,
        name => printable(&lane.name),
        end => lane.end.clone(),
        indent => lane.depth,
        x => format!("{:.2}", place(lane.begun)),
        width => format!("{:.2}", place(lane.ended - lane.begun).max(1.0)),
        label => format!("process {} from {begun} to {ended} ms, {} calls", lane.pid, acts.len()),
        acts,
    }
}

fn milliseconds(t: u64) -> String {
    format!("{}.{:02}", t / 1000, t % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Act, Begin, Made};

    #[test]
    fn what_others_named_is_text_and_no_markup() {
        let command = vec!["<script>alert(1)</script>".to_string()];
        let begun = Begin { schema: 1, command, pid: 7, filter: true, no_new_privs: false };
        let made = Made {
            pid: 7,
            tid: None,
            name: "<b>".into(),
            call: "chroot".into(),
            result: None,
            errno: Some("EPERM".into()),
            took: 3,
            act: Act::Chroot { path: "\"><script>".into() },
        };
        let records = [Record { t: 0, what: What::Begin(begun) }, Record { t: 5, what: What::Call(made) }];
        let page = page(&records).unwrap();
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("18 chroot-jail") && page.contains("class=\"no\""), "{page}");
    }
}
