//! Colours that can be told apart on white and on black.

use plotters::style::RGBColor;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(0x76, 0x7d, 0x86);
/// Lines of the grid, drawn faintly.
pub(super) const GRID: RGBColor = RGBColor(0x8c, 0x95, 0x9f);

/// How a server's line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) width: u32,
    pub(super) dashed: bool,
}

/// The same server looks the same in every plot.
const LOOKS: [(&str, Look); 11] = [
    ("towpath", look(0xe4, 0x57, 0x1e).wide()),
    ("towpath-redis", look(0xc9, 0x8a, 0x1b).wide()),
    ("floor", look(0x8c, 0x95, 0x9f).dashed()),
    ("floor-coalesced", look(0x9c, 0x7f, 0x5c).dashed()),
    ("axum", look(0x2b, 0x7b, 0xd6)),
    ("node-ws", look(0x1f, 0x9d, 0x55)),
    ("socket-io", look(0x14, 0xa3, 0xa8)),
    ("nchan", look(0x93, 0x5f, 0xd0)),
    ("channels-daphne", look(0xc9, 0x4b, 0x8c)),
    ("channels-uvicorn", look(0xd6, 0x8f, 0xb0)),
    ("channels-redis", look(0xa0, 0x5a, 0x2c)),
];

/// For servers that are not in the list.
const OTHERS: [Look; 4] = [
    look(0x7a, 0x8f, 0x1f),
    look(0xb0, 0x4a, 0x3a),
    look(0x4f, 0x8f, 0xa8),
    look(0xa8, 0x78, 0x4f),
];

const fn look(red: u8, green: u8, blue: u8) -> Look {
    Look {
        colour: RGBColor(red, green, blue),
        width: 2,
        dashed: false,
    }
}

impl Look {
    const fn wide(self) -> Self {
        Self { width: 4, ..self }
    }

    const fn dashed(self) -> Self {
        Self {
            dashed: true,
            ..self
        }
    }

    /// The look of a server that stands at `place` in its plot.
    pub(super) fn of(server: &str, place: usize) -> Self {
        let known = LOOKS.iter().find(|(name, _)| *name == server);
        let other = || OTHERS.get(place % OTHERS.len()).copied();
        known
            .map(|(_, look)| *look)
            .or_else(other)
            .unwrap_or(look(0x7a, 0x8f, 0x1f))
    }
}
