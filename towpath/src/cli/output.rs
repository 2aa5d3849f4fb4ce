//! What a command prints: columns for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;
use towpath_layer_core::Delivery;

/// Writes a line to standard output. A reader that went away is no error.
///
/// # Errors
///
/// What writing says, a broken pipe excepted.
pub(super) fn line(text: &str) -> io::Result<()> {
    line_for_reader(text).map(|_| ())
}

/// Writes a line to standard output. Returns whether its reader is still there.
///
/// # Errors
///
/// As [`line`].
pub(super) fn line_for_reader(text: &str) -> io::Result<bool> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// Writes a value as JSON.
///
/// # Errors
///
/// As [`line`].
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> io::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Writes what became of a message for a group.
///
/// # Errors
///
/// As [`line`].
pub(super) fn delivery(delivery: &Delivery, as_json: bool) -> io::Result<()> {
    let Delivery {
        nodes,
        delivered,
        dropped,
        certain,
    } = delivery;
    if as_json {
        return json(&serde_json::json!({
            "nodes": nodes,
            "delivered": delivered,
            "dropped": dropped,
            "certain": certain,
        }));
    }
    let doubt = if *certain {
        ""
    } else {
        "; nodes still announce their members"
    };
    line(&format!(
        "delivered to {delivered} of {nodes} nodes with members{doubt}"
    ))
}

/// Writes rows in columns as wide as their widest cell; the columns from
/// `numbers` on are flush right.
///
/// # Errors
///
/// As [`line`].
pub(super) fn table<const N: usize>(rows: &[[String; N]], numbers: usize) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column < numbers {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
