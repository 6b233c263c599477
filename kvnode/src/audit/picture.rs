//! Draws a violation as text for a terminal and as SVG for a report.
//!
//! Time runs to the right but is not to scale: each distinct moment is one step, because what matters is what comes
//! before what, and real histories mix microseconds with seconds. The true times stand beside each operation.
//! Deciding operations are marked; the others that overlap the window are context. It decides nothing.

use std::fmt::Write;

use super::checker::Violation;
use super::history::{Completion, Kind, Operation};

/// Columns of the text drawing; beside it stand about 60 columns of labels.
const TEXT_COLUMNS: usize = 60;
/// Pixels of the SVG drawing's time axis.
const SVG_WIDTH: usize = 720;
/// Pixels left of it for labels.
const SVG_LABELS: usize = 330;
/// Pixels of one row.
const SVG_ROW: usize = 22;

/// One operation, placed.
struct Row<'a> {
    operation: &'a Operation,
    deciding: bool,
    start: usize,
    /// None if it never ended.
    end: Option<usize>,
}

/// The violation as lines of text, each ended by a newline.
#[must_use]
pub fn text(violation: &Violation) -> String {
    let (rows, width) = place(violation, TEXT_COLUMNS);
    let mut out = format!("{violation}\n");
    let (from, to) = violation.window;
    let _ = writeln!(out, "window {} to {} ms; * marks the operations that decide", millis(from), millis(to));
    for row in &rows {
        let mark = if row.deciding { '*' } else { ' ' };
        let bar = bar(row, width);
        let _ = writeln!(out, "{mark} {} {bar}", label(row.operation));
    }
    out
}

fn bar(row: &Row<'_>, width: usize) -> String {
    let (end, last) = match (row.end, row.operation.completion) {
        (Some(end), Completion::NotApplied { .. }) => (end, '╳'),
        (Some(end), _) => (end, '┤'),
        (None, _) => (width, '→'),
    };
    let body = end.saturating_sub(row.start + 1);
    format!("{}├{}{last}", " ".repeat(row.start), "─".repeat(body))
}

/// The violation as a complete SVG document.
#[must_use]
pub fn svg(violation: &Violation) -> String {
    let (rows, width) = place(violation, SVG_WIDTH);
    let (total, height) = (SVG_LABELS + width + 20, (rows.len() + 2) * SVG_ROW);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{height}\" font-family=\"monospace\" font-size=\"12\">\n"
    );
    let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
    let _ = writeln!(out, "<text x=\"8\" y=\"{}\">{}</text>", SVG_ROW - 6, escape(&violation.to_string()));
    for (number, row) in rows.iter().enumerate() {
        draw_row(&mut out, row, (number + 1) * SVG_ROW, width);
    }
    out.push_str("</svg>\n");
    out
}

fn draw_row(out: &mut String, row: &Row<'_>, y: usize, width: usize) {
    let fill = match (row.deciding, row.operation.completion) {
        (false, _) => "#d0d0d0",
        (true, Completion::Ok { .. }) => "#d1495b",
        (true, Completion::NotApplied { .. }) => "#8d96a3",
        (true, Completion::Unknown) => "#edae49",
    };
    let x = SVG_LABELS + row.start;
    let length = row.end.unwrap_or(width).saturating_sub(row.start).max(2);
    let text = escape(&label(row.operation));
    let _ = writeln!(out, "<text x=\"8\" y=\"{}\" xml:space=\"preserve\">{text}</text>", y + SVG_ROW - 7);
    let height = SVG_ROW - 6;
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"{}\" width=\"{length}\" height=\"{height}\" rx=\"3\" fill=\"{fill}\"/>",
        y + 3
    );
}

/// Gives every operation its steps on an axis of at most `columns`, and the axis's length.
fn place(violation: &Violation, columns: usize) -> (Vec<Row<'_>>, usize) {
    let deciding = violation.operations.iter().map(|operation| (operation, true));
    let mut all: Vec<_> = deciding.chain(violation.context.iter().map(|operation| (operation, false))).collect();
    all.sort_by_key(|(operation, _)| (operation.invoked_at, operation.completed_at()));
    let mut moments: Vec<u64> = all
        .iter()
        .flat_map(|(operation, _)| [Some(operation.invoked_at), operation.completed_at()])
        .flatten()
        .collect();
    moments.sort_unstable();
    moments.dedup();
    let step = |at: u64| {
        let rank = moments.partition_point(|&moment| moment < at);
        rank * columns / moments.len().max(1)
    };
    let row = |(operation, deciding): (_, bool)| {
        let operation: &Operation = operation;
        Row { operation, deciding, start: step(operation.invoked_at), end: operation.completed_at().map(step) }
    };
    (all.into_iter().map(row).collect(), columns)
}

fn label(operation: &Operation) -> String {
    let what = match operation.kind {
        Kind::Get { observed: Some(value) } => format!("get = {}", value.0),
        Kind::Get { observed: None } => "get = absent".to_owned(),
        Kind::Put { value } => format!("put {}", value.0),
        Kind::Delete => "delete".to_owned(),
    };
    let (outcome, end) = match operation.completion {
        Completion::Ok { at } => ("ok", millis(at)),
        Completion::NotApplied { at } => ("refused", millis(at)),
        Completion::Unknown => ("unknown", "…".to_owned()),
    };
    format!("client {:<3} {what:<18} {outcome:<8} {:>11}-{end:<11}", operation.client.0, millis(operation.invoked_at))
}

/// Nanoseconds as milliseconds with three decimals.
fn millis(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000, nanos / 1_000 % 1_000)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::checker::{Failure, check};
    use super::super::history::{ClientId, ValueId};
    use super::*;

    fn violation() -> Box<Violation> {
        let op = |client, kind, from: u64, completion| Operation {
            client: ClientId(client),
            key: "<k>".into(),
            kind,
            invoked_at: from * 1_000_000,
            completion,
        };
        let ok = |at: u64| Completion::Ok { at: at * 1_000_000 };
        let put = |id| Kind::Put { value: ValueId(id) };
        let operations = [
            op(1, put(7), 1, ok(4)),
            op(2, put(8), 5, ok(9)),
            op(4, put(9), 6, Completion::Unknown),
            op(3, Kind::Get { observed: Some(ValueId(7)) }, 12, ok(15)),
        ];
        match check(&operations) {
            Err(Failure::Violation(violation)) => violation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_shows_what_came_before_what() {
        insta::assert_snapshot!(text(&violation()), @r#"
        key "<k>" is not linearizable: no order explains what was seen (3 operations decide it)
        window 1.000 to 15.000 ms; * marks the operations that decide
        * client 1   put 7              ok             1.000-4.000       ├───────┤
        * client 2   put 8              ok             5.000-9.000                        ├────────────────┤
          client 4   put 9              unknown        6.000-…                                    ├──────────────────────────────────→
        * client 3   get = 7            ok            12.000-15.000                                                ├────────┤
        "#);
    }

    #[test]
    fn svg_is_escaped_and_closed() {
        let drawn = svg(&violation());
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
        assert!(drawn.contains("&lt;k&gt;") && !drawn.contains("<k>"), "{drawn}");
        assert_eq!(drawn.matches("<rect ").count(), 5, "a ground and four bars");
    }
}
