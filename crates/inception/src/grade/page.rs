//! The class as a page that needs no other file. What it looks like stands in page.html and page.css.

use anyhow::{Context, Result};
use minijinja::value::Serde;
use minijinja::{Value as Safe, context};
use pages::{COLOURS, lines};
use serde::Serialize;

use super::class::Class;
use super::hardest::{self, Exercise, Requirement};
use super::marks::Mark;
use super::results::Student;

/// What the template shows.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    class: String,
    deadline: Option<String>,
    students: Vec<Row>,
    exercises: Vec<Exercise>,
    hardest: Vec<Requirement>,
    /// A line for each file that is no hand-in.
    others: Vec<String>,
}

/// A student.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    points: f64,
    of: f64,
    cells: Vec<Cell>,
    flags: Vec<String>,
}

/// What became of an exercise.
#[derive(Debug, Serialize)]
struct Cell {
    /// Nothing, if it was not begun.
    points: Option<f64>,
    done: bool,
    late: bool,
    hints: usize,
    saw_solution: bool,
}

impl Page {
    /// The page of a class.
    pub(super) fn of(students: &[Student<'_>], class: &Class, others: &[String]) -> Page {
        let marks: Vec<_> = students.iter().map(|student| student.marks.clone()).collect();
        let attempts: Vec<_> = students.iter().map(Student::attempts).collect();
        Page {
            class: lines(class.class.as_deref().unwrap_or_default()),
            deadline: class.deadline.map(|deadline| deadline.format("%Y-%m-%d %H:%M UTC").to_string()),
            students: students.iter().map(Row::of).collect(),
            exercises: hardest::exercises(&marks, &attempts),
            hardest: hardest::requirements(&attempts),
            others: others.iter().map(|line| lines(line)).collect(),
        }
    }

    /// The page in HTML.
    ///
    /// # Errors
    /// When the template is at fault.
    pub(super) fn html(&self) -> Result<String> {
        let mut environment = pages::environment()?;
        environment.add_template("page.html", include_str!("page.html")).context("page.html")?;
        let css = [COLOURS, include_str!("page.css")].concat();
        let context = context! { css => Safe::from_safe_string(css), ..Safe::from(Serde(self)) };
        environment.get_template("page.html")?.render(context).context("page.html")
    }
}

impl Row {
    fn of(student: &Student<'_>) -> Row {
        Row {
            name: lines(student.name),
            points: student.points(),
            of: student.of(),
            cells: student.marks.iter().map(Cell::of).collect(),
            flags: student.flags.iter().map(|flag| lines(&flag.text)).collect(),
        }
    }
}

impl Cell {
    fn of(mark: &Mark<'_>) -> Cell {
        let best = mark.best.as_ref();
        Cell {
            points: (mark.attempts > 0).then_some(mark.points),
            done: best.is_some(),
            late: best.is_some_and(|best| best.days_late > 0),
            hints: best.map_or(0, |best| best.hints),
            saw_solution: best.is_some_and(|best| best.saw_solution),
        }
    }
}
