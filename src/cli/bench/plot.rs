//! A picture of the latencies, as SVG: by percentile on the left, over time on the right.

use std::fmt::Write as _;

use super::figures::{Figures, Latency};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
/// Both panels, which differ in their left edge only.
const TOP: f64 = 70.0;
const BOTTOM: f64 = 360.0;
const LEFT: [f64; 2] = [60.0, 540.0];
const PANEL: f64 = 390.0;
/// The right edge of the percentiles: the highest value stands where 99.999 % would.
const NINES: f64 = 5.0;
const STYLE: &str = "text{font:12px sans-serif;fill:#333}.title{font-size:15px}.bad{fill:#c22}\
    .grid{stroke:#ccc;stroke-width:1}.line{fill:none;stroke-width:2}.p50{stroke:#2a7}.p99{stroke:#27c}\
    .max{stroke:#c62}.all{stroke:#27c}@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#555}}";

/// The picture; without latencies there is only its title.
pub(super) fn svg(figures: &Figures, reasons: &[String]) -> String {
    let work = &figures.work;
    let title = format!(
        "{} connections, {} topics, {} messages a second of {} bytes in bursts of {}, over {}",
        work.connections,
        work.topics,
        work.messages_per_second,
        work.message_bytes,
        work.burst,
        work.published_over
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\">\n<style>{STYLE}</style>\n"
    );
    text(&mut out, "title", LEFT[0], 25.0, "start", &title);
    if let Some(reason) = reasons.first() {
        text(&mut out, "bad", LEFT[0], 45.0, "start", &format!("INVALID: {reason}"));
    }
    match figures.latency.as_ref().and_then(|latency| Some((latency, Scale::of(latency)?))) {
        Some((latency, scale)) => {
            by_percentile(&mut out, latency, &scale);
            over_time(&mut out, latency, &scale, work.seconds);
        }
        None => text(&mut out, "", WIDTH / 2.0, HEIGHT / 2.0, "middle", "no latencies"),
    }
    out.push_str("</svg>\n");
    out
}

/// Milliseconds by powers of ten, from bottom to top.
struct Scale {
    lowest: i32,
    highest: i32,
}

impl Scale {
    /// Whole powers around everything; `None` without anything.
    fn of(latency: &Latency) -> Option<Self> {
        let points = latency.percentiles.iter().map(|point| point.ms);
        let parts = latency.over_time.iter().flat_map(|part| [part.p50_ms, part.p99_ms, part.max_ms]);
        let powers: Vec<f64> = points.chain(parts).map(power).collect();
        let (low, high) =
            (powers.iter().copied().reduce(f64::min)?, powers.iter().copied().reduce(f64::max)?);
        let (lowest, highest) = (whole(low.floor()), whole(high.ceil()));
        Some(Self { lowest, highest: highest.max(lowest + 1) })
    }

    fn y(&self, ms: f64) -> f64 {
        let part = (power(ms) - f64::from(self.lowest)) / f64::from(self.highest - self.lowest);
        BOTTOM - part * (BOTTOM - TOP)
    }
}

/// Powers lie between −3 and 15: less than a microsecond is not told, and no more can be counted.
fn power(ms: f64) -> f64 {
    ms.max(0.001).log10().clamp(-3.0, 15.0)
}

#[allow(clippy::cast_possible_truncation)] // between -3 and 15
fn whole(power: f64) -> i32 {
    power as i32
}

fn by_percentile(out: &mut String, latency: &Latency, scale: &Scale) {
    let x = |percent: f64| {
        let nines = -(1.0 - percent / 100.0).max(1e-9).log10();
        LEFT[0] + nines.min(NINES) / NINES * PANEL
    };
    frame(out, LEFT[0], scale, "latency in ms by percentile");
    let marks = [(0.0, "0"), (90.0, "90"), (99.0, "99"), (99.9, "99.9"), (99.99, "99.99"), (100.0, "max")];
    for (percent, name) in marks {
        mark(out, x(percent), name);
    }
    line(out, "all", latency.percentiles.iter().map(|point| (x(point.percent), scale.y(point.ms))));
}

fn over_time(out: &mut String, latency: &Latency, scale: &Scale, seconds: f64) {
    let x = |at: f64| LEFT[1] + (at / seconds.max(0.001)).min(1.0) * PANEL;
    frame(out, LEFT[1], scale, "latency in ms by the second it was due");
    for part in 0..=4 {
        let at = seconds * f64::from(part) / 4.0;
        mark(out, x(at), &if seconds < 10.0 { format!("{at:.2}") } else { format!("{at:.0}") });
    }
    let parts = &latency.over_time;
    line(out, "max", parts.iter().map(|part| (x(part.seconds), scale.y(part.max_ms))));
    line(out, "p99", parts.iter().map(|part| (x(part.seconds), scale.y(part.p99_ms))));
    line(out, "p50", parts.iter().map(|part| (x(part.seconds), scale.y(part.p50_ms))));
    for (at, (class, name)) in (0..).zip([("p50", "p50"), ("p99", "p99"), ("max", "max")]) {
        let left = LEFT[1] + f64::from(at) * 70.0;
        let y = HEIGHT - 18.0;
        line(out, class, [(left, y - 4.0), (left + 20.0, y - 4.0)].into_iter());
        text(out, "", left + 26.0, y, "start", name);
    }
}

/// Name and horizontal lines of a panel.
fn frame(out: &mut String, left: f64, scale: &Scale, name: &str) {
    text(out, "", left, TOP - 8.0, "start", name);
    for power in scale.lowest..=scale.highest {
        let ms = 10_f64.powi(power);
        let y = scale.y(ms);
        put(out, format_args!("<path class=\"grid\" d=\"M{left} {y:.1}h{PANEL}\"/>\n"));
        text(out, "", left - 6.0, y + 4.0, "end", &format!("{ms}"));
    }
}

/// A vertical line and its name.
fn mark(out: &mut String, x: f64, name: &str) {
    put(out, format_args!("<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/>\n"));
    text(out, "", x, BOTTOM + 18.0, "middle", name);
}

fn line(out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
    let mut points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    // One point alone would not be seen.
    if let [only] = points.as_slice() {
        points.push(only.clone());
    }
    put(
        out,
        format_args!(
            "<polyline class=\"line {class}\" stroke-linecap=\"round\" points=\"{}\"/>\n",
            points.join(" ")
        ),
    );
}

fn text(out: &mut String, class: &str, x: f64, y: f64, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    put(
        out,
        format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
        ),
    );
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{Part, Point, tests::good},
        *,
    };

    fn latency(values: &[f64]) -> Latency {
        let percentiles = values.iter().map(|ms| Point { percent: 50.0, ms: *ms }).collect();
        Latency { percentiles, over_time: Vec::new(), ..good().latency.unwrap() }
    }

    /// The places of a polyline of this class.
    fn places(svg: &str, class: &str) -> Vec<(f64, f64)> {
        let (_, rest) = svg.split_once(&format!("\"line {class}\"")).unwrap();
        let points = rest.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let place = |point: &str| {
            let (x, y) = point.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        points.split(' ').map(place).collect()
    }

    #[test]
    fn the_scale_is_the_powers_of_ten_around_all_values() {
        for (values, lowest, highest) in [
            (&[0.2, 30.0][..], -1, 2),
            (&[1.0, 10.0], 0, 1),
            (&[5.0], 0, 1),
            (&[1.0], 0, 1),
            (&[0.0, 1e300], -3, 15),
        ] {
            let scale = Scale::of(&latency(values)).unwrap();
            assert_eq!((scale.lowest, scale.highest), (lowest, highest), "{values:?}");
        }
        assert!(Scale::of(&latency(&[])).is_none());
    }

    #[test]
    fn higher_latencies_and_percentiles_stand_higher_and_further_right_within_the_panel() {
        let places = places(&svg(&good(), &[]), "all");
        assert!(places.is_sorted_by(|a, b| a.0 <= b.0 && a.1 >= b.1), "{places:?}");
        for (x, y) in places {
            assert!((LEFT[0]..=LEFT[0] + PANEL).contains(&x) && (TOP..=BOTTOM).contains(&y), "{x} {y}");
        }
    }

    #[test]
    fn time_runs_from_left_to_right() {
        let mut figures = good();
        let part = |seconds| Part { seconds, deliveries: 1, p50_ms: 1.0, p99_ms: 2.0, max_ms: 3.0 };
        figures.latency.as_mut().unwrap().over_time = vec![part(0.0), part(0.5), part(1.0)];
        let svg = svg(&figures, &[]);
        let x: Vec<f64> = places(&svg, "p50").iter().map(|place| place.0).collect();
        assert_eq!(x, [LEFT[1], LEFT[1] + PANEL / 2.0, LEFT[1] + PANEL]);
        assert!(places(&svg, "max")[0].1 < places(&svg, "p50")[0].1);
    }

    #[test]
    fn an_invalid_result_says_so_and_nothing_breaks_the_markup() {
        let picture = svg(&good(), &["a < b & \"c\"".into()]);
        assert!(picture.contains("INVALID: a &lt; b &amp; \"c\"</text>"), "{picture}");
        assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
    }

    #[test]
    fn without_latencies_there_is_a_picture_that_says_so() {
        let mut figures = good();
        figures.latency = None;
        assert!(svg(&figures, &[]).contains("no latencies"));
    }
}
