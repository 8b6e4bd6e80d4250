//! `docker-view --pid N`: shows any process of this machine, and what it most likely is.

use std::ffi::OsString;
use std::io::{self, Write};

use anyhow::{Context, Result};
use lesson::render::{Layout, Renderer, tone};
use lesson::status::AS_EXPECTED;
use lesson::{Settings, Transcript};
use ns_core::{Errno, Fact, Kind, NsId, Outcome, Pid, Value, namespace};
use owo_colors::{OwoColorize, Style};
use transcript::{Actor, Event, Table};

use crate::capabilities;
use crate::interfaces::interfaces;
use crate::judgement::judge;
use crate::limits::limits;
use crate::process::{self, Process, shortened};
use crate::sentences;

/// Options that replace the experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct Processes {
    /// Show these processes of this machine instead: what they most likely are, and which namespaces they share.
    #[arg(long = "pid", value_name = "PID", num_args = 1.., allow_negative_numbers = true)]
    pids: Vec<OsString>,
}

/// Shows the processes that --pid names, if it names any.
pub(crate) fn instead(asked: &Processes, settings: &Settings) -> Option<Result<u8>> {
    (!asked.pids.is_empty()).then(|| look(asked, settings))
}

fn look(asked: &Processes, settings: &Settings) -> Result<u8> {
    let pids: Vec<Pid> = asked.pids.iter().map(|text| process::parse(text)).collect::<Result<_>>()?;
    // All are read before any is shown: if one has ended, there is an error and no partial answer.
    let processes: Vec<Process> = pids.into_iter().map(Process::look_at).collect::<Result<_>>()?;
    let ours = namespace::of(None)?;
    let is_short = settings.format == Transcript::Text && !settings.look.is_long(&settings.steps);
    if is_short && settings.record.is_none() {
        return tell(&processes, &ours, settings);
    }
    let first = namespace::of(Some(Pid::from_raw(1))).ok();
    let mut events = Vec::new();
    for process in &processes {
        show(process, &ours, first.as_deref(), &mut events);
    }
    write(lesson::open(settings)?, &events)?;
    Ok(AS_EXPECTED)
}

/// Describes each process in sentences.
fn tell(processes: &[Process], ours: &[NsId], settings: &Settings) -> Result<u8> {
    let layout = settings.screen.layout();
    let told: Vec<String> = processes.iter().map(|process| in_sentences(process, ours, layout)).collect();
    let mut stdout = settings.stdout()?;
    match stdout.write_all(told.join("\n").as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the output")
        }
        _ => Ok(AS_EXPECTED),
    }
}

fn in_sentences(process: &Process, ours: &[NsId], layout: Layout) -> String {
    let (what, why) = sentences::judged(&judge(process, &own_kinds(process, ours)));
    let mut said = layout.wrap(&sentences::who(process), "", "");
    said += &format!("\n{}\n", layout.wrap(&what, "", "").trim_end().style(tone::strong()));
    said.extend(why.iter().map(|line| layout.wrap(line, "  ", "    ")));
    said.push('\n');
    let links = interfaces(process.pid).map_err(|error| why_not(&error).to_string());
    for (about, text) in sentences::paragraphs(process, ours, &limits(process), links.as_deref()) {
        let paragraph = layout.wrap(&text, &format!("{about:<12}"), "            ");
        said += &paragraph.replacen(about, &about.style(tone::heading()).to_string(), 1);
    }
    let more = format!("docker-view --pid {} --verbose", process.pid);
    said + &format!("\nIn tables: {}\n", more.style(tone::code(Style::new())))
}

/// The kinds of its namespaces that are not ours.
fn own_kinds(process: &Process, ours: &[NsId]) -> Vec<Kind> {
    process.namespaces.iter().filter(|id| !ours.contains(id)).map(|id| id.kind).collect()
}

fn show(process: &Process, ours: &[NsId], first: Option<&[NsId]>, events: &mut Vec<Event>) {
    let elsewhere: Vec<NsId> = process.namespaces.iter().filter(|id| !ours.contains(id)).copied().collect();
    let pids = if process.pids.is_empty() { vec![process.pid.as_raw()] } else { process.pids.clone() };
    events.push(Event::Actor(Actor {
        label: format!("{},", process.command),
        pids,
        elsewhere,
        pid_namespaces: Vec::new(),
    }));
    events.push(namespaces(process, ours, first));
    events.push(privileges(process));
    events.push(files(process));
    events.push(cgroups(process));
    events.push(network(process));
    let judged = judge(process, &own_kinds(process, ours));
    let mut fact = |what: &str, value: Value| events.push(Event::Saw(Fact::outside(what, value)));
    fact("most likely", judged.what.into());
    for evidence in judged.evidence {
        fact("since", Value::Name(evidence));
    }
    for option in judged.options {
        fact("as if by", Value::Name(option));
    }
}

fn table(title: &str, columns: &[&str], rows: Vec<Vec<Value>>) -> Event {
    let columns = columns.iter().map(ToString::to_string).collect();
    Event::Table(Table { title: title.into(), columns, rows, picture: None })
}

fn name(text: impl Into<String>) -> Value {
    Value::Name(text.into())
}

fn namespaces(process: &Process, ours: &[NsId], first: Option<&[NsId]>) -> Event {
    let row = |kind: Kind| {
        let Some(id) = process.namespace(kind) else {
            return vec![kind.link().into(), "-".into(), "-".into(), "-".into()];
        };
        // Only root can read /proc/1/ns.
        let like_first = first.map_or("?".into(), |first| Value::from(first.contains(&id)));
        vec![kind.link().into(), id.into(), ours.contains(&id).into(), like_first]
    };
    let rows = Kind::ALL.into_iter().map(row).collect();
    table("Which namespaces does it share?", &["kind", "namespace", "with docker-view", "with PID 1"], rows)
}

fn privileges(process: &Process) -> Event {
    let seccomp = match process.seccomp {
        0 => "off",
        1 => "strict: only read, write and exit",
        _ => "a filter",
    };
    let rows = vec![
        vec!["user IDs: inside, outside, count".into(), name(process.uid_map.join("; "))],
        vec!["group IDs".into(), name(process.gid_map.join("; "))],
        vec!["effective capabilities".into(), name(capabilities::in_short(process.effective))],
        vec!["bounding set".into(), name(capabilities::in_short(process.bounding))],
        vec!["seccomp".into(), seccomp.into()],
        vec!["no_new_privs".into(), process.no_new_privs.into()],
    ];
    table("What may it do?", &["attribute", "value"], rows)
}

fn files(process: &Process) -> Event {
    let list = |paths: Vec<String>| if paths.is_empty() { name("none") } else { name(paths.join(" ")) };
    let root = process.root_mount().map_or_else(
        || "not visible to it: a chroot".to_string(),
        |mount| {
            let how = if process::is_read_only(mount) { "read-only" } else { "writable" };
            format!("{}, {how}", mount.fs_type)
        },
    );
    let rows = vec![
        vec!["root directory".into(), name(process.root.display().to_string())],
        vec!["mounted there".into(), name(root)],
        vec!["mounts".into(), Value::Count(i64::try_from(process.mounts.len()).unwrap_or(i64::MAX))],
        vec!["masked".into(), list(process.masked())],
        vec!["read-only".into(), list(process.read_only())],
    ];
    table("Which files does it see?", &["attribute", "value"], rows)
}

fn cgroups(process: &Process) -> Event {
    let path = process.cgroup("memory").map_or("-".into(), |it| name(shortened(&it.path)));
    let mut rows = vec![vec!["cgroup".into(), path, "-".into()]];
    for limit in limits(process) {
        let set_in = if limit.set_in == "-" { "-".into() } else { name(shortened(&limit.set_in)) };
        rows.push(vec![limit.what.into(), name(limit.value), set_in]);
    }
    table("What limits it?", &["what", "in effect", "set in"], rows)
}

fn network(process: &Process) -> Event {
    let rows = match interfaces(process.pid) {
        Ok(links) => links
            .into_iter()
            .map(|link| {
                let kind = link.kind.unwrap_or_else(|| "-".into());
                let (peer, bridge) = link.peer.map_or((None, None), |(peer, bridge)| (Some(peer), bridge));
                let shown = |text: Option<String>| text.map_or("-".into(), Value::Name);
                let iflink = link.iflink.map_or("-".into(), |index| Value::Count(i64::from(index)));
                vec![name(link.name), name(kind), iflink, shown(peer), shown(bridge)]
            })
            .collect(),
        Err(error) => vec![vec!["?".into(), why_not(&error), "-".into(), "-".into(), "-".into()]],
    };
    let columns = ["interface", "kind", "iflink", "peer here", "port of"];
    table("Which network is it on?", &columns, rows)
}

/// Why the links of a network namespace cannot be listed.
fn why_not(error: &ns_core::Error) -> Value {
    match error.errno() {
        Some(Errno::EPERM) => "needs root: sudo".into(),
        Some(errno) => Outcome::Failed(errno).into(),
        None => "?".into(),
    }
}

/// Shows events that are not a transcript. The reader of a pipe may close it before the end.
fn write(mut renderer: Box<dyn Renderer>, events: &[Event]) -> Result<()> {
    for event in events {
        match renderer.show(event) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            shown => shown.context("cannot write the output")?,
        }
    }
    Ok(())
}
