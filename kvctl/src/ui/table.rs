//! Rows under headings, columns as wide as they need, no frames: made to be read and to be cut by awk.
//!
//! Numbers are the caller's words already; nothing is sorted or shortened here.

use comfy_table::{ContentArrangement, Table, presets};

/// Draws rows under headings, without spaces at line ends.
#[must_use]
pub fn table<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Bytes in binary units with one decimal, for example `1.2 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A duration in its largest unit, for example `4m`.
#[must_use]
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let rows = [["a", "alive"], ["us-east-1b", "dead"]].map(|row| row.map(str::to_owned));
        insta::assert_snapshot!(table(["zone", "state"], &rows), @r"
        zone        state
        a           alive
        us-east-1b  dead
        ");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1_300_000, u64::MAX].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.2 MiB", "1638.3 PiB"]
        );
        assert_eq!([0, 59, 60, 7200, 200_000].map(age), ["0s", "59s", "1m", "2h", "2d"]);
    }
}
