//! Network namespaces with their devices, and the veth pairs and bridges that join them.

use lesson::render::Shown;
use ns_core::Value;
use pages::{Anchor, Canvas, Face, LINE, MARGIN, Picture, width};

use super::table::Table;

const GAP: i32 = 14;
const PAD: i32 = 12;
/// What a veth pair takes from one row of namespaces to the next.
const PAIR: i32 = 46;

/// A network namespace.
#[derive(Debug)]
struct Place {
    name: String,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    /// As the table has it: bridges and other ends are named so.
    key: String,
    bridge: String,
    /// As `namespace/device`.
    other_end: String,
    /// As it is shown.
    name: String,
    addresses: Vec<String>,
}

/// Where a device was drawn: the middle of its upper and of its lower edge.
#[derive(Debug)]
struct Spot {
    place: usize,
    key: String,
    x: i32,
    top: i32,
    bottom: i32,
}

pub(super) fn draw(table: Table<'_>, names: &mut Shown) -> Picture {
    let mut places = places(table, names);
    let description = description(&places);
    // What most pairs lead to stands above the others, as a host does above its containers.
    let reached = |place: &Place| {
        let ends =
            |device: &&Device| device.other_end.split_once('/').is_some_and(|(other, _)| other != place.name);
        place.devices.iter().filter(ends).count()
    };
    let most = places.iter().map(reached).max().unwrap_or(0);
    let above = places.iter().position(|place| reached(place) == most).unwrap_or(0);
    places.swap(0, above);
    places[1..].sort_by_key(|place| place.name.clone());

    let mut canvas = Canvas::new();
    let mut spots = Vec::new();
    let widths: Vec<i32> = places.iter().map(Place::width).collect();
    let below: i32 = widths[1..].iter().map(|width| width + GAP).sum::<i32>() - GAP;
    let across = widths[0].max(below);

    let bottom = places[0].draw(&mut canvas, 0, MARGIN + (across - widths[0]) / 2, MARGIN, true, &mut spots);
    let mut x = MARGIN + (across - below.max(0)) / 2;
    for (at, place) in places.iter().enumerate().skip(1) {
        place.draw(&mut canvas, at, x, bottom + PAIR, false, &mut spots);
        x += widths[at] + GAP;
    }
    for (at, place) in places.iter().enumerate() {
        for device in &place.devices {
            lay(&mut canvas, &places, &spots, (at, device));
        }
    }
    canvas.finish(table.title, description)
}

/// A veth pair, once for both of its ends, and what leads from a port to its bridge.
fn lay(canvas: &mut Canvas, places: &[Place], spots: &[Spot], (at, device): (usize, &Device)) {
    let find = |place: usize, key: &str| spots.iter().find(|it| it.place == place && it.key == key);
    let Some(spot) = find(at, &device.key) else { return };
    if let Some(bridge) = find(at, &device.bridge) {
        canvas.line((spot.x, bridge.bottom), (spot.x, spot.top), "port");
    }
    let Some((place, key)) = device.other_end.split_once('/') else { return };
    let Some(there) = places.iter().position(|it| it.name == place) else { return };
    let Some(end) = find(there, key) else { return };
    if (there, key) <= (at, device.key.as_str()) {
        return;
    }
    // Down from the place above to one below; between two that stand beside each other, or within one, underneath.
    let is_down = at == 0 && there != 0;
    let [from, to] = [(spot.x, spot.bottom), (end.x, if is_down { end.top } else { end.bottom })];
    let (first, second) = if is_down {
        (from.1 + PAIR / 2, to.1 - PAIR / 2)
    } else {
        let lowest = from.1.max(to.1) + 22;
        (lowest, lowest)
    };
    let data = format!("M{} {}C{} {first} {} {second} {} {}", from.0, from.1, from.0, to.0, to.0, to.1);
    canvas.path(&data, "cable");
    for (x, y) in [from, to] {
        canvas.circle(x, y, 4, "plug");
    }
}

impl Place {
    fn is_bridge(&self, device: &Device) -> bool {
        self.devices.iter().any(|port| port.bridge == device.key)
    }

    fn rows(&self) -> [Vec<&Device>; 2] {
        let (bridges, others) = self.devices.iter().partition(|device| self.is_bridge(device));
        [bridges, others]
    }

    fn title(&self) -> String {
        format!("net: {}", self.name)
    }

    fn width(&self) -> i32 {
        let row = |devices: &Vec<&Device>| devices.iter().map(|it| it.width() + GAP).sum::<i32>() - GAP;
        let widest = self.rows().iter().map(row).max().unwrap_or(0);
        widest.max(width(&self.title())) + 2 * PAD
    }

    /// Draws it, with its name away from the lines, and says where it ends.
    fn draw(
        &self,
        canvas: &mut Canvas,
        at: usize,
        left: i32,
        top: i32,
        is_above: bool,
        spots: &mut Vec<Spot>,
    ) -> i32 {
        let [bridges, others] = self.rows();
        let tallest = |row: &[&Device]| row.iter().map(|it| it.height()).max().unwrap_or(0);
        let title = LINE + 8;
        let bridges_height = if bridges.is_empty() { 0 } else { tallest(&bridges) + 20 };
        let within = others.iter().any(|device| device.other_end.starts_with(&format!("{}/", self.name)));
        let arcs = if within { 22 } else { 0 };
        let height = title + bridges_height + tallest(&others) + arcs + PAD;
        let wide = self.width();
        canvas.rectangle(left, top, wide, height, "namespace");
        let base = if is_above { top + LINE } else { top + height - 8 };
        canvas.words(left + PAD, base, &self.title(), Anchor::Start, Face::Faint);

        let mut y = if is_above { top + title } else { top + PAD };
        for row in [bridges, others] {
            let is_bridges = row.first().is_some_and(|device| self.is_bridge(device));
            let mut x = left + PAD;
            for device in &row {
                // A bridge reaches over its ports.
                let across = if is_bridges && row.len() == 1 { wide - 2 * PAD } else { device.width() };
                let class = if is_bridges { "bridge" } else { "device" };
                canvas.rectangle(x, y, across, device.height(), class);
                let middle = x + across / 2;
                let mut line = y + 17;
                canvas.words(middle, line, &device.name, Anchor::Middle, Face::Strong);
                for address in &device.addresses {
                    line += LINE;
                    canvas.words(middle, line, address, Anchor::Middle, Face::Plain);
                }
                let (key, bottom) = (device.key.clone(), y + device.height());
                spots.push(Spot { place: at, key, x: middle, top: y, bottom });
                x += across + GAP;
            }
            if !row.is_empty() {
                y += tallest(&row) + 20;
            }
        }
        top + height
    }
}

impl Device {
    fn width(&self) -> i32 {
        let words = self.addresses.iter().chain([&self.name]);
        words.map(|text| width(text)).max().unwrap_or(0) + 18
    }

    fn height(&self) -> i32 {
        26 + LINE * i32::try_from(self.addresses.len()).unwrap_or(0)
    }
}

fn places(table: Table<'_>, names: &mut Shown) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for row in table.rows {
        let addresses = match &row[2] {
            Value::List(values) => values.iter().map(|value| names.value(value)).collect(),
            value => Vec::from([names.value(value)]),
        };
        let key = |at: usize| row[at].to_string();
        let device = Device {
            key: key(1),
            bridge: key(3),
            other_end: key(4),
            name: names.value(&row[1]),
            addresses: addresses.into_iter().filter(|address: &String| !address.is_empty()).collect(),
        };
        let name = key(0);
        match places.iter_mut().find(|place| place.name == name) {
            Some(place) => place.devices.push(device),
            None => places.push(Place { name, devices: vec![device] }),
        }
    }
    places
}

fn description(places: &[Place]) -> String {
    let name = |place: &Place, key: &str| {
        let device = place.devices.iter().find(|device| device.key == key);
        device.map_or_else(String::new, |device| device.name.clone())
    };
    let mut told = Vec::new();
    for place in places {
        for device in &place.devices {
            let mut line = format!("{} in {}", device.name, place.name);
            if !device.addresses.is_empty() {
                line += &format!(" has {}", device.addresses.join(" and "));
            }
            if !device.bridge.is_empty() {
                line += &format!(", is a port of {}", name(place, &device.bridge));
            }
            let other_end = device.other_end.split_once('/');
            if let Some(other) = other_end.and_then(|(there, _)| places.iter().find(|it| it.name == there)) {
                let key = other_end.map_or("", |(_, key)| key);
                line += &format!(", its other end is {} in {}", name(other, key), other.name);
            }
            told.push(line);
        }
    }
    format!("Network namespaces and what joins them. {}.", told.join("; "))
}
