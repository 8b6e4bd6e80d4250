//! Shapes and words on a canvas. Escaping is the svg crate's, and so is the syntax.

use ns_core::printable;
use svg::Node;
use svg::node::Text as Words;
use svg::node::element::{
    Circle, Definitions, Description, Element, Group, Line, Path, Rectangle, Style, Title,
};
use unicode_width::UnicodeWidthStr;

/// Words are set in a monospaced face of this size, so that their width is known without a font.
const ADVANCE_TENTHS: i32 = 78;
/// From one line of words to the next.
pub const LINE: i32 = 17;
/// What is left free around the whole.
pub const MARGIN: i32 = 8;

/// The colours of pictures and page, in the light and in the dark.
pub const COLOURS: &str = include_str!("colours.css");
const STYLE: &str = include_str!("picture.css");

/// How words are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// As text is.
    Plain,
    /// What is to be seen first.
    Strong,
    /// What is read last.
    Faint,
}

/// Where words stand from their point on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// They begin there.
    Start,
    /// They have it in their middle.
    Middle,
    /// They end there.
    End,
}

/// A picture in the making.
#[derive(Debug)]
pub struct Canvas {
    shapes: Group,
    right: i32,
    bottom: i32,
}

/// A finished picture.
#[derive(Debug, Clone)]
pub struct Picture {
    title: String,
    description: String,
    shapes: Group,
    width: i32,
    height: i32,
}

/// How wide words are.
pub fn width(text: &str) -> i32 {
    let columns = i32::try_from(printable(text).width()).unwrap_or(i32::MAX / ADVANCE_TENTHS);
    (columns * ADVANCE_TENTHS + 9) / 10
}

impl Default for Canvas {
    fn default() -> Canvas {
        Canvas::new()
    }
}

impl Canvas {
    /// An empty one.
    pub fn new() -> Canvas {
        Canvas { shapes: Group::new(), right: 0, bottom: 0 }
    }

    fn reach(&mut self, right: i32, bottom: i32) {
        (self.right, self.bottom) = (self.right.max(right), self.bottom.max(bottom));
    }

    /// A box; `class` says what of (picture.css).
    pub fn rectangle(&mut self, x: i32, y: i32, width: i32, height: i32, class: &str) {
        self.reach(x + width, y + height);
        let corner = if class.starts_with("cell") { 0 } else { 5 };
        let shape = Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height);
        self.shapes.append(shape.set("rx", corner).set("class", class));
    }

    /// A circle around a point.
    pub fn circle(&mut self, x: i32, y: i32, radius: i32, class: &str) {
        self.reach(x + radius, y + radius);
        self.shapes.append(Circle::new().set("cx", x).set("cy", y).set("r", radius).set("class", class));
    }

    /// A line from one point to another.
    pub fn line(&mut self, from: (i32, i32), to: (i32, i32), class: &str) {
        self.reach(from.0.max(to.0), from.1.max(to.1));
        let shape = Line::new().set("x1", from.0).set("y1", from.1).set("x2", to.0).set("y2", to.1);
        self.shapes.append(shape.set("class", class));
    }

    /// A shape of any form: `data` as in SVG's path, which does not reach past the other shapes.
    pub fn path(&mut self, data: &str, class: &str) {
        self.shapes.append(Path::new().set("d", data).set("class", class));
    }

    /// Words in one line, on the base line `y`. Control characters are shown and not obeyed.
    pub fn words(&mut self, x: i32, y: i32, text: &str, anchor: Anchor, face: Face) {
        let length = width(text);
        let (right, anchor) = match anchor {
            Anchor::Start => (x + length, "start"),
            Anchor::Middle => (x + length / 2, "middle"),
            Anchor::End => (x, "end"),
        };
        self.reach(right, y + 4);
        let class = match face {
            Face::Plain => "plain",
            Face::Strong => "strong",
            Face::Faint => "faint",
        };
        // Not svg's Text, which puts its words on a line of their own: here, blanks count.
        let mut shape = Element::new("text");
        shape.assign("x", x);
        shape.assign("y", y);
        shape.assign("class", class);
        if anchor != "start" {
            shape.assign("text-anchor", anchor);
        }
        shape.append(Words::new(printable(text)));
        self.shapes.append(shape);
    }

    /// The picture. Its title and description are for those who do not see it.
    pub fn finish(self, title: &str, description: String) -> Picture {
        Picture {
            title: printable(title),
            description: printable(&description),
            shapes: self.shapes,
            width: self.right + MARGIN,
            height: self.bottom + MARGIN,
        }
    }
}

impl Picture {
    /// For a page that has the styles: `id` is a word that no other picture on it has.
    pub fn inline(&self, id: &str) -> String {
        let (title, description) = (format!("{id}-title"), format!("{id}-description"));
        let mut picture = self.outer().set("aria-labelledby", format!("{title} {description}"));
        picture.append(Title::new(self.title.as_str()).set("id", title));
        picture.append(Description::new().set("id", description).add(Words::new(self.description.as_str())));
        picture.add(self.shapes.clone()).to_string()
    }

    /// For a file of its own.
    pub fn standalone(&self) -> String {
        self.standalone_with("")
    }

    /// The same, with more `style` than that of all pictures.
    pub fn standalone_with(&self, style: &str) -> String {
        let mut picture = self.outer();
        picture.append(Title::new(self.title.as_str()));
        picture.append(Description::new().add(Words::new(self.description.as_str())));
        picture.append(Definitions::new().add(Style::new(format!("{COLOURS}{STYLE}{style}"))));
        let paper = Rectangle::new().set("width", self.width).set("height", self.height).set("rx", 6);
        format!("{}\n", picture.add(paper.set("class", "paper")).add(self.shapes.clone()))
    }

    fn outer(&self) -> svg::Document {
        svg::Document::new()
            .set("class", "picture")
            .set("role", "img")
            .set("width", self.width)
            .set("height", self.height)
            .set("viewBox", (0, 0, self.width, self.height))
    }
}

/// The styles of pictures, for a page that holds some.
pub fn picture_style() -> &'static str {
    STYLE
}
