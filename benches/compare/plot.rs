//! Bars, as SVG.

use std::fmt::Write as _;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// What stands behind it.
    pub(crate) text: String,
    /// It is not to be trusted.
    pub(crate) invalid: bool,
    /// It is the one that the document is about.
    pub(crate) ours: bool,
}

const WIDTH: f64 = 720.0;
const LEFT: f64 = 130.0;
/// Room for the text behind the longest bar.
const RIGHT: f64 = 170.0;
const TOP: f64 = 44.0;
const STEP: f64 = 26.0;
const STYLE: &str = "text{font:12px sans-serif;fill:#333}.title{font-size:15px}.bar{fill:#9ab}.ours{fill:#2a7}\
    .invalid{fill-opacity:.35}@media(prefers-color-scheme:dark){text{fill:#ccc}}";

/// A picture of these bars, which begin at zero.
pub(crate) fn svg(title: &str, bars: &[Bar]) -> String {
    let height = TOP + STEP * bars.len() as f64 + 10.0;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\">\n<style>{STYLE}</style>\n<text class=\"title\" x=\"10\" y=\"24\">{}</text>\n",
        escaped(title)
    );
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * at as f64;
        let length = (bar.value / longest * (WIDTH - LEFT - RIGHT)).max(1.0);
        let class = format!(
            "bar{}{}",
            if bar.ours { " ours" } else { "" },
            if bar.invalid { " invalid" } else { "" }
        );
        writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8.0,
            y + 14.0,
            escaped(&bar.name),
            STEP - 7.0,
            LEFT + length + 6.0,
            y + 14.0,
            escaped(&bar.text)
        )
        .unwrap();
    }
    out + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
