//! Charts as SVG files: lines over a number, with the spread of the samples.
//!
//! Knows no bench: a [`Chart`] is names, units and points.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::samples::Samples;

const SIZE: (u32, u32) = (960, 560);
/// Told apart also where colours are not (Okabe and Ito's).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const FONT: &str = "sans-serif";

/// Whether a chart could be written there, to be asked before minutes of measuring.
/// Leaves nothing behind.
///
/// # Errors
/// It could not, and why.
pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    ensure!(
        path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("svg")),
        "--plot draws SVG, and {shown} is called something else: give a name that ends in .svg"
    );
    let cannot = || format!("cannot write {shown}; give --plot a file in a directory of yours");
    if path.exists() {
        fs::OpenOptions::new().write(true).open(path).with_context(cannot)?;
        return Ok(());
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::tempfile_in(dir).with_context(cannot)?;
    Ok(())
}

/// What is drawn.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: String,
    /// What stands along the bottom, with its unit.
    pub(super) x_label: &'static str,
    /// The names of the whole numbers along the bottom, from 0 on; without any, the
    /// numbers themselves.
    pub(super) x_names: Vec<&'static str>,
    /// What stands up the side, with its unit.
    pub(super) y_label: &'static str,
    /// The lines.
    pub(super) series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// What the legend calls it.
    pub(super) name: String,
    /// Its points, from left to right.
    pub(super) points: Vec<Point>,
}

/// A median with its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    x: f64,
    low: f64,
    middle: f64,
    high: f64,
}

impl Point {
    /// The median, and from the least to the greatest.
    pub(super) fn of(x: usize, samples: &Samples) -> Self {
        Self { x: x as f64, low: samples.min(), middle: samples.median(), high: samples.max() }
    }

    /// The median, and from the first to the third quartile.
    pub(super) fn quartiles(x: usize, samples: &Samples) -> Self {
        let [low, high] = [0.25, 0.75].map(|share| samples.quantile(share));
        Self { x: x as f64, low, middle: samples.median(), high }
    }

    /// One number without a spread.
    pub(super) fn at(x: usize, y: f64) -> Self {
        Self { x: x as f64, low: y, middle: y, high: y }
    }
}

impl Chart {
    /// Writes it to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let svg = self.svg().context("cannot draw the chart")?;
        fs::write(path, svg)
            .with_context(|| format!("cannot write the chart to {}", path.display()))
    }

    fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&area)?;
        area.present()?;
        drop(area);
        Ok(svg)
    }

    fn draw<'a>(&'a self, area: &DrawingArea<SVGBackend<'a>, Shift>) -> anyhow::Result<()> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, (FONT, 22))
            .margin(16)
            .x_label_area_size(52)
            .y_label_area_size(80)
            .build_cartesian_2d(self.x_range(), self.y_range())?;
        chart
            .configure_mesh()
            .x_desc(self.x_label)
            .y_desc(self.y_label)
            .axis_desc_style((FONT, 17))
            .label_style((FONT, 14))
            .light_line_style(WHITE)
            .bold_line_style(BLACK.mix(0.12))
            .x_labels(self.x_names.len().max(10) * 2)
            .x_label_formatter(&|x| self.named(*x))
            .y_label_formatter(&|y| format!("{}", (y * 1e3).round() / 1e3))
            .draw()?;
        for (series, colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let line = series.points.iter().map(|point| (point.x, point.middle));
            chart
                .draw_series(LineSeries::new(line.clone(), colour.stroke_width(2)))?
                .label(&series.name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
            chart.draw_series(line.map(|at| Circle::new(at, 4, colour.filled())))?;
            let spread = series.points.iter().filter(|point| point.low < point.high);
            chart.draw_series(spread.map(|point| {
                let Point { x, low, middle, high } = *point;
                ErrorBar::new_vertical(x, low, middle, high, colour.stroke_width(1), 8)
            }))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font((FONT, 15))
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.4))
            .draw()?;
        Ok(())
    }

    fn named(&self, x: f64) -> String {
        match (self.x_names.is_empty(), whole(x).parse::<usize>()) {
            (false, Ok(number)) => self.x_names.get(number).copied().unwrap_or_default().into(),
            _ => whole(x),
        }
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        self.series.iter().flat_map(|series| &series.points)
    }

    /// A margin on both sides, so that the outermost points stand free.
    fn x_range(&self) -> Range<f64> {
        let left = self.points().map(|point| point.x).fold(f64::INFINITY, f64::min);
        let right = self.points().map(|point| point.x).fold(f64::NEG_INFINITY, f64::max);
        let margin = ((right - left) * 0.05).max(0.5);
        left - margin..right + margin
    }

    /// From zero, so that heights compare as the numbers do; with room for the legend
    /// above.
    fn y_range(&self) -> Range<f64> {
        let top = self.points().map(|point| point.high).fold(0.0, f64::max);
        0.0..(top * 1.25).max(f64::MIN_POSITIVE)
    }
}

/// Batch sizes and rounds are whole: what stands between them has no label.
fn whole(x: f64) -> String {
    if (x - x.round()).abs() < 1e-9 { format!("{x:.0}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_checked_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |path: &Path| format!("{:#}", check(path).unwrap_err());
        check(&dir.path().join("new.svg")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let old = dir.path().join("old.SVG");
        fs::write(&old, "drawn before").unwrap();
        check(&old).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "drawn before");
        assert!(refused(&dir.path().join("chart.png")).contains("ends in .svg"));
        let nowhere = refused(&dir.path().join("no/such/dir.svg"));
        assert!(nowhere.contains("cannot write") && nowhere.contains("No such file"), "{nowhere}");
        let folder = dir.path().join("folder.svg");
        fs::create_dir(&folder).unwrap();
        assert!(refused(&folder).contains("cannot write"));
    }

    #[test]
    fn a_chart_names_its_series_and_escapes_them() {
        let points = vec![Point::at(1, 3.0), Point::at(4, 5.0)];
        let series = |name: &str| Series { name: name.into(), points: points.clone() };
        let chart = Chart {
            title: "a < b".into(),
            x_label: "batch size",
            x_names: Vec::new(),
            y_label: "tokens per second",
            series: vec![series("decode"), series("prefill & more")],
        };
        let svg = chart.svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for text in ["a &lt; b", "batch size", "tokens per second", "decode", "prefill &amp; more"]
        {
            assert!(svg.contains(text), "no {text}");
        }
    }
}
