//! Figures as SVG: panels below each other, each with two axes and several series. The file depends on the numbers alone, so
//! equal runs give equal files.

use core::fmt::Write as _;

/// A panel of a figure.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) series: Vec<Series>,
}

/// An axis from one value to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) scale: Scale,
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// By powers of ten. Values that are not above zero lie at the lower end.
    Logarithmic,
}

/// A series of points.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<(f64, f64)>,
    /// For each point the ends of its interval; empty if there are none.
    pub(crate) bands: Vec<(f64, f64)>,
}

/// The way in which the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Line,
    Dots,
    Both,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
/// The space for labels: left, right, above and below.
const MARGINS: [f64; 4] = [72.0, 200.0, 34.0, 48.0];
/// The powers of ten that axes can show.
const POWERS: core::ops::RangeInclusive<i32> = -40..=12;
/// The colours of series. People with colour blindness can tell them apart (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

impl Axis {
    /// The position of a value on the axis, from 0 to 1.
    fn place(self, value: f64) -> f64 {
        let scaled = |value: f64| match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(f64::MIN_POSITIVE).log10(),
        };
        let (from, to) = (scaled(self.from), scaled(self.to));
        ((scaled(value) - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// The values that get a label: about six, or powers of ten.
    fn ticks(self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear => {
                let step = step((self.to - self.from) / 6.0);
                let first = (self.from / step).ceil();
                let values = (0..20).map(|number| (first + f64::from(number)) * step);
                values.take_while(|value| *value <= self.to + step / 1e6).map(|v| (v, trimmed(v))).collect()
            }
            Scale::Logarithmic => {
                let powers = POWERS.map(|power| (power, 10_f64.powi(power)));
                let within = |value: f64| value > self.from * 0.999 && value < self.to * 1.001;
                let powers: Vec<(i32, f64)> = powers.filter(|(_, value)| within(*value)).collect();
                let every = (powers.len() / 8).max(1);
                let labelled = powers.iter().rev().step_by(every);
                labelled.map(|(power, value)| (*value, format!("1e{power}"))).collect()
            }
        }
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that is at least `least`.
fn step(least: f64) -> f64 {
    let power = POWERS.rev().map(|power| 10_f64.powi(power)).find(|power| *power <= least).unwrap_or(1.0);
    let fitting = [1.0, 2.0, 5.0].iter().map(|times| times * power).find(|step| *step >= least);
    fitting.unwrap_or(10.0 * power)
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Draws a figure.
pub(crate) fn figure(panels: &[Panel]) -> String {
    let height = HEIGHT * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate(0 {})\">", HEIGHT * number as f64);
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, right, above, below] = MARGINS;
        let (wide, high) = (WIDTH - left - right, HEIGHT - above - below);
        (left + wide * self.x.place(x), above + high * (1.0 - self.y.place(y)))
    }

    fn draw(&self, svg: &mut String) {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"20\" font-weight=\"bold\">{}</text>",
            MARGINS[0],
            escaped(&self.title)
        );
        self.draw_axes(svg);
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            self.draw_series(series, colour, svg);
            let y = MARGINS[2] + 14.0 + 18.0 * number as f64;
            let x = WIDTH - MARGINS[1] + 16.0;
            let _ = writeln!(
                svg,
                "<circle cx=\"{x}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
                y - 4.0,
                x + 10.0,
                escaped(&series.name)
            );
        }
    }

    fn draw_axes(&self, svg: &mut String) {
        let (x0, y0) = self.at(self.x.from, self.y.from);
        let (x1, y1) = self.at(self.x.to, self.y.to);
        for (value, label) in self.x.ticks() {
            let x = self.at(value, self.y.from).0;
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {y0:.1}V{y1:.1}\" stroke=\"#ddd\"/><text x=\"{x:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\">{label}</text>",
                y0 + 16.0
            );
        }
        for (value, label) in self.y.ticks() {
            let y = self.at(self.x.from, value).1;
            let _ = writeln!(
                svg,
                "<path d=\"M{x0:.1} {y:.1}H{x1:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{label}</text>",
                x0 - 6.0,
                y + 4.0
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{x0:.1} {y1:.1}V{y0:.1}H{x1:.1}\" fill=\"none\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (x0 + x1) / 2.0,
            y0 + 36.0,
            escaped(self.x.label),
            (y0 + y1) / 2.0,
            escaped(self.y.label)
        );
    }

    fn draw_series(&self, series: &Series, colour: &str, svg: &mut String) {
        let places: Vec<(f64, f64)> = series.points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        for ((x, _), (low, high)) in series.points.iter().zip(&series.bands) {
            let ((x, low), (_, high)) = (self.at(*x, *low), self.at(*x, *high));
            let _ = writeln!(svg, "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"{colour}\"/>");
        }
        if series.mark != Mark::Dots {
            let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let points = points.join(" ");
            let _ = writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\"/>");
        }
        if series.mark != Mark::Line {
            for (x, y) in places {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn axis(from: f64, to: f64, scale: Scale) -> Axis {
        Axis { label: "a < b", from, to, scale }
    }

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        let labels = |axis: Axis| axis.ticks().into_iter().map(|tick| tick.1).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(axis(0.0, 100.0, Scale::Linear)), "0 20 40 60 80 100");
        assert_eq!(labels(axis(0.0, 0.1, Scale::Linear)), "0 0.02 0.04 0.06 0.08 0.1");
        assert_eq!(labels(axis(1e-3, 1.0, Scale::Logarithmic)), "1e0 1e-1 1e-2 1e-3");
    }

    #[test]
    fn a_figure_is_well_formed_and_escapes_its_texts() {
        let points = vec![(1.0, 1.0), (2.0, 0.0)];
        let series = Series { name: "s & t".into(), mark: Mark::Both, points, bands: vec![(0.1, 1.0)] };
        let (x, y) = (axis(0.0, 2.0, Scale::Linear), axis(1e-6, 1.0, Scale::Logarithmic));
        let svg = figure(&[Panel { title: "t".into(), x, y, series: vec![series] }]);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("s &amp; t") && svg.contains("a &lt; b"));
        assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "zero lies at the lower end");
    }
}
