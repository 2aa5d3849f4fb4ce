//! Drawing: panels side by side on logarithmic scales, one legend for all.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::combinators::BindKeyPoints as _;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Line;
use super::colour::{GRID, INK, Look};
use crate::report::format;

const HEIGHT: u32 = 520;
const TITLE_HEIGHT: u32 = 56;
/// The width of a panel that stands alone, and of one beside another.
const WIDTHS: [u32; 2] = [720, 520];
const LEGEND_WIDTH: u32 = 200;
const LEGEND_STEP: i32 = 28;
const FONT: &str = "Helvetica, Arial, sans-serif";
/// Where a scale of connections has labels.
const CONNECTIONS: [f64; 6] = [10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A picture of these panels, each a title and its lines.
pub(super) fn svg(title: &str, panels: &[(&str, Vec<Line<'_>>)]) -> Result<String> {
    let width = match panels {
        [_] => WIDTHS[0],
        _ => WIDTHS[1],
    };
    let charts_width = width * u32::try_from(panels.len())?;
    let mut svg = String::new();
    {
        let size = (charts_width + LEGEND_WIDTH, HEIGHT);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let (head, body) = root.split_vertically(TITLE_HEIGHT);
        let (charts, side) = body.split_horizontally(charts_width);
        head.draw_text(title, &text(26), (20, 14)).map_err(failed)?;
        let areas = charts.split_evenly((1, panels.len()));
        for (area, (title, lines)) in areas.iter().zip(panels) {
            panel(area, title, lines)?;
        }
        let lines = panels.first().map(|(_, lines)| lines.as_slice());
        legend(&side, lines.unwrap_or_default())?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> anyhow::Error {
    anyhow!("a plot cannot be drawn: {error}")
}

fn text(size: u32) -> TextStyle<'static> {
    (FONT, size).with_color(INK).into_text_style(&(1, 1))
}

fn panel(area: &Area<'_>, title: &str, lines: &[Line<'_>]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let across = padded(points().map(|(connections, _)| connections));
    let up = padded(points().map(|(_, figure)| figure));
    let (across_labels, up_labels) = (connections(&across), steps(&up));
    area.draw_text(title, &text(20), (20, 0)).map_err(failed)?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(34)
        .margin_right(20)
        .margin_bottom(8)
        .x_label_area_size(56)
        .y_label_area_size(78)
        .build_cartesian_2d(
            across.log_scale().with_key_points(across_labels),
            up.log_scale().with_key_points(up_labels),
        )
        .map_err(failed)?;
    chart
        .configure_mesh()
        .axis_style(INK.mix(0.6))
        .bold_line_style(GRID.mix(0.3))
        .light_line_style(TRANSPARENT)
        .label_style(text(18))
        .axis_desc_style(text(18))
        .x_desc("connections")
        .x_label_formatter(&|connections| format::grouped(*connections))
        .y_label_formatter(&|figure| label(*figure))
        .draw()
        .map_err(failed)?;
    // What was listed first is drawn last, over the others.
    for (place, line) in lines.iter().enumerate().rev() {
        let look = Look::of(line.server, place);
        let points = line.points.iter().copied();
        let style = look.colour.stroke_width(look.width);
        if look.dashed {
            let dashes = DashedLineSeries::new(points.clone(), 9, 5, style);
            chart.draw_series(dashes).map_err(failed)?;
        } else {
            let series = LineSeries::new(points.clone(), style);
            chart.draw_series(series).map_err(failed)?;
        }
        let dots = points.map(|point| Circle::new(point, look.width + 2, look.colour.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    Ok(())
}

/// The servers in the order of their last points, the highest first, as the lines end.
fn legend(area: &Area<'_>, lines: &[Line<'_>]) -> Result<()> {
    let end = |line: &Line<'_>| line.points.last().map_or(0.0, |(_, figure)| *figure);
    let mut order: Vec<(usize, &Line<'_>)> = lines.iter().enumerate().collect();
    order.sort_by(|(_, a), (_, b)| end(b).total_cmp(&end(a)));
    let style = text(18).pos(Pos::new(HPos::Left, VPos::Center));
    for (row, (place, line)) in (0..).zip(order) {
        let look = Look::of(line.server, place);
        let y = 44 + row * LEGEND_STEP;
        let stroke = look.colour.stroke_width(look.width);
        let swatch = [(10, y), (42, y)];
        if look.dashed {
            let dashes = DashedPathElement::new(swatch, 9, 5, stroke);
            area.draw(&dashes).map_err(failed)?;
        } else {
            let path = PathElement::new(swatch, stroke);
            area.draw(&path).map_err(failed)?;
        }
        let dot = Circle::new((26, y), look.width + 2, look.colour.filled());
        area.draw(&dot).map_err(failed)?;
        area.draw_text(line.server, &style, (52, y))
            .map_err(failed)?;
    }
    Ok(())
}

/// From a little below the least to a little above the most.
fn padded(figures: impl Iterator<Item = f64> + Clone) -> Range<f64> {
    let least = figures.clone().min_by(f64::total_cmp).unwrap_or(1.0);
    let most = figures.max_by(f64::total_cmp).unwrap_or(10.0);
    least / 1.3..most * 1.3
}

fn connections(range: &Range<f64>) -> Vec<f64> {
    let labels = CONNECTIONS.into_iter().chain([10_000.0]);
    labels.filter(|label| range.contains(label)).collect()
}

/// Labels at 1, 2 and 5 of each decade, or at 1 alone where that would be many.
fn steps(range: &Range<f64>) -> Vec<f64> {
    let decades = (range.end / range.start).log10();
    let factors: &[f64] = match decades {
        few if few < 2.5 => &[1.0, 2.0, 5.0],
        some if some < 4.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let decades = (-6..=9).map(|exponent| 10_f64.powi(exponent));
    let steps = decades.flat_map(|decade| factors.iter().map(move |factor| decade * factor));
    steps.filter(|step| range.contains(step)).collect()
}

/// A figure on a scale: `0.05`, `3`, `200`, `50k`, `2M`.
fn label(figure: f64) -> String {
    match figure {
        small if small < 1.0 => format!("{}", (small * 1e6).round() / 1e6),
        some if some < 9_999.5 => format::grouped(some),
        many if many < 999_500.0 => format!("{:.0}k", many / 1e3),
        lots => format!("{:.0}M", lots / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_labels_at_round_figures() {
        assert_eq!(steps(&(0.4..6.0)), [0.5, 1.0, 2.0, 5.0]);
        assert_eq!(steps(&(150.0..140_000.0)).len(), 6);
        assert_eq!(steps(&(1.5..1_500_000.0)).len(), 6);
        assert_eq!(
            connections(&padded([101.0, 1001.0].into_iter())),
            [100.0, 300.0, 1000.0]
        );
        let labels = [0.05, 0.1, 3.0, 2_000.0, 50_000.0, 2_000_000.0].map(label);
        assert_eq!(labels, ["0.05", "0.1", "3", "2 000", "50k", "2M"]);
    }
}
