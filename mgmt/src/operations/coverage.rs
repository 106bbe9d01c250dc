//! What is carried out of what the published reference describes.

use crate::api::{CHAPTERS, Chapter, Handler, chapter_of};

/// How far one chapter of the reference is.
#[derive(Debug, Clone, Copy)]
pub struct Coverage {
    /// The chapter.
    pub chapter: &'static Chapter,
    /// How many of its operations are carried out.
    pub carried_out: usize,
    /// How many operations it has.
    pub declared: usize,
}

/// How far each chapter is, in the reference's order.
pub fn coverage() -> Vec<Coverage> {
    let operations = super::all();
    let of = |chapter: &'static Chapter| {
        let inside = operations.iter().filter(|operation| chapter_of(operation.declaration.section) == Some(chapter));
        let (mut carried_out, mut declared) = (0, 0);
        for operation in inside {
            declared += 1;
            carried_out += usize::from(!matches!(operation.handler, Handler::Planned));
        }
        Coverage { chapter, carried_out, declared }
    };
    CHAPTERS.iter().map(of).collect()
}

/// [`coverage`] as a Markdown table.
pub fn coverage_table() -> String {
    let rows = coverage();
    let mut table = "| section | chapter | carried out | of |\n|---|---|---|---|\n".to_owned();
    for Coverage { chapter, carried_out, declared } in &rows {
        table.push_str(&format!("| {} | {} | {carried_out} | {declared} |\n", chapter.number, chapter.title));
    }
    let carried_out: usize = rows.iter().map(|row| row.carried_out).sum();
    let declared: usize = rows.iter().map(|row| row.declared).sum();
    table.push_str(&format!("| | **all** | **{carried_out}** | **{declared}** |\n"));
    table
}
