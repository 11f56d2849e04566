//! The table: what the replies of each cell come to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::super::output::line;
use super::super::plot::{Chart, Point, Series};
use super::super::samples::Samples;
use super::super::table::{number, percent, table};
use super::cells::{Cell, Limits, Place, Way};
use super::record::Line;

/// One row.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    length: &'static str,
    place: Place,
    way: Way,
    range: Option<[usize; 2]>,
    replies: usize,
    median_tokens: f64,
    quartiles_tokens: [f64; 2],
    /// The tenth and the ninetieth of a hundred.
    tenths_tokens: [f64; 2],
    median_words: f64,
    quartiles_words: [f64; 2],
    /// The share within the range.
    within: Option<f64>,
    /// The share that ends where a sentence does.
    whole: f64,
    /// The share that was cut at the most tokens.
    cut: f64,
    /// The mean logarithm of a token's probability to the model by itself.
    likelihood: Option<f64>,
    samples: BTreeMap<&'static str, Samples>,
}

/// A row for each cell that has replies.
pub(super) fn all(lines: &[Line], limits: &Limits) -> Vec<Figure> {
    Cell::all().into_iter().filter_map(|cell| figure(cell, lines, limits)).collect()
}

fn figure(cell: Cell, lines: &[Line], limits: &Limits) -> Option<Figure> {
    let lines: Vec<_> = lines.iter().filter(|line| line.cell == cell).collect();
    let samples =
        |of: fn(&Line) -> usize| Samples::new(lines.iter().map(|line| of(line) as f64).collect());
    let (tokens, words) = (samples(|line| line.tokens)?, samples(|line| line.words)?);
    let share = |holds: &dyn Fn(&Line) -> bool| {
        lines.iter().filter(|line| holds(line)).count() as f64 / lines.len() as f64
    };
    let range = limits.range(cell.length);
    let known: Vec<_> = lines.iter().filter_map(|line| line.likelihood).collect();
    let quartiles = |of: &Samples| [of.quantile(0.25), of.quantile(0.75)];
    Some(Figure {
        length: cell.length_name(),
        place: cell.place,
        way: cell.way,
        range,
        replies: lines.len(),
        median_tokens: tokens.median(),
        quartiles_tokens: quartiles(&tokens),
        tenths_tokens: [tokens.quantile(0.1), tokens.quantile(0.9)],
        median_words: words.median(),
        quartiles_words: quartiles(&words),
        within: range.map(|[from, to]| share(&|line| (from..=to).contains(&line.tokens))),
        whole: share(&|line| line.is_whole),
        cut: share(&|line| line.finish == "length"),
        likelihood: (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64),
        samples: BTreeMap::from([("tokens", tokens), ("words", words)]),
    })
}

/// The table and, below it, what keeping costs.
pub(super) fn show(figures: &[Figure]) {
    let headings =
        ["length", "place", "way", "range", "tokens", "quartiles", "words", "within", "whole"];
    let mut rows = table(headings);
    for figure in figures {
        let [low, high] = figure.quartiles_tokens.map(|tokens| format!("{tokens:.0}"));
        rows.add_row([
            figure.length.to_owned(),
            figure.place.as_str().to_owned(),
            figure.way.as_str().to_owned(),
            figure.range.map_or_else(String::new, |[from, to]| format!("{from}–{to}")),
            format!("{:.0}", figure.median_tokens),
            format!("{low}–{high}"),
            format!("{:.0}", figure.median_words),
            figure.within.map_or_else(String::new, percent),
            percent(figure.whole),
        ]);
    }
    line(rows);
    let mut ways = table(["all lengths", "within", "whole", "log likelihood a token"]);
    for way in [Way::Free, Way::Kept] {
        let of: Vec<_> = figures.iter().filter(|figure| figure.way == way).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let likelihoods: Vec<_> = of.iter().filter_map(|figure| figure.likelihood).collect();
        ways.add_row([
            way.as_str().to_owned(),
            percent(mean(of.iter().filter_map(|figure| figure.within).collect())),
            percent(mean(of.iter().map(|figure| figure.whole).collect())),
            match likelihoods.is_empty() {
                true => "not computed".to_owned(),
                false => number(mean(likelihoods)),
            },
        ]);
    }
    line(ways);
}

/// The medians with their quartiles over the lengths, a line for each place and way.
pub(super) fn chart(model: &str, figures: &[Figure]) -> Chart {
    let names: Vec<_> = {
        let mut names: Vec<_> = figures.iter().map(|figure| figure.length).collect();
        names.dedup();
        names
    };
    let series = |way: Way, place: Place| {
        let of = figures.iter().filter(|figure| figure.way == way && figure.place == place);
        let points = of.filter_map(|figure| {
            let x = names.iter().position(|name| *name == figure.length)?;
            Some(Point::quartiles(x, &figure.samples["tokens"]))
        });
        Series { name: format!("{}, {}", way.as_str(), place.as_str()), points: points.collect() }
    };
    let ways = [Way::Free, Way::Kept].into_iter();
    let series = ways.flat_map(|way| [Place::Start, Place::Deep].map(|place| series(way, place)));
    Chart {
        title: format!("Lengths of replies: {model}"),
        x_label: "the length that is asked for",
        y_label: "tokens: median and quartiles",
        series: series.collect(),
        x_names: names,
    }
}

/// Whether the model's medians grow with the lengths that have ranges, nearly all the way:
/// else its ranges say nothing.
pub(super) fn are_told_apart(figures: &[Figure]) -> bool {
    let medians: Vec<_> = free_at_start(figures).map(|figure| figure.median_tokens).collect();
    let grow = medians.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let steps = medians.len().saturating_sub(1);
    steps > 0 && grow + 1 >= steps && medians[medians.len() - 1] > 3.0 * medians[0]
}

/// For each length that has a range, from the tenth to the ninetieth of a hundred replies;
/// none for a length whose replies were often cut, as nobody knows how long they would be.
pub(super) fn ranges(figures: &[Figure]) -> BTreeMap<String, [usize; 2]> {
    let range =
        |figure: &Figure| figure.tenths_tokens.map(|tokens| tokens.round().max(1.0) as usize);
    let known = free_at_start(figures).filter(|figure| figure.cut <= 0.1);
    known.map(|figure| (figure.length.to_owned(), range(figure))).collect()
}

fn free_at_start(figures: &[Figure]) -> impl Iterator<Item = &Figure> {
    let of = |figure: &&Figure| figure.way == Way::Free && figure.place == Place::Start;
    figures.iter().filter(of).filter(|figure| figure.range.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment, LoadOptions};

    fn limits() -> Limits {
        let options = LoadOptions {
            config_file: None,
            overrides: Vec::new(),
            environment: Environment::from_pairs([("HOME", "/nonexistent")]),
            working_dir: "/".into(),
        };
        Limits::of(&Config::load(&options).unwrap(), 1024)
    }

    /// Three replies in each cell, as long as `tokens` says.
    fn lines(tokens: impl Fn(&Cell) -> usize) -> Vec<Line> {
        let of = |cell: Cell| {
            let tokens = tokens(&cell);
            (0..3).map(move |index| Line {
                cell,
                tokens: tokens + index,
                words: 10,
                is_whole: index > 0,
                finish: "eos".into(),
                likelihood: (index == 0).then_some(-1.5),
            })
        };
        Cell::all().into_iter().flat_map(of).collect()
    }

    #[test]
    fn a_model_that_follows_lengths_has_ranges_and_another_has_none() {
        let follows = |cell: &Cell| cell.length.map_or(50, |length| 20 << (length as usize));
        let figures = all(&lines(follows), &limits());
        assert_eq!(figures.len(), 44);
        assert!(are_told_apart(&figures));
        assert_eq!(ranges(&figures)["short"], [80, 82]);
        assert!(!ranges(&figures).contains_key("unlimited"));
        let figures = all(&lines(|_| 100), &limits());
        assert!(!are_told_apart(&figures));
    }

    #[test]
    fn shares_are_counted_and_the_chart_names_lengths() {
        let figures = all(&lines(|_| 119), &limits());
        let short = figures.iter().find(|figure| figure.length == "short").unwrap();
        // 119 and 120 are within 50 to 120, 121 is not.
        assert!((short.within.unwrap() - 2.0 / 3.0).abs() < 1e-9);
        assert!((short.whole - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(short.likelihood, Some(-1.5));
        let chart = chart("small", &figures);
        assert_eq!((chart.x_names[0], chart.series.len()), ("micro", 4));
    }
}
