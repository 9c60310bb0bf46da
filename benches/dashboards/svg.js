// The marks of a picture, readable on a light and on a dark page.

const LIGHT = ['#2f8f5b', '#2b6cb0', '#d97706', '#c0392b', '#7b4fb3', '#16818a', '#b7408f', '#7a7f87'];
const DARK = ['#5cc08a', '#6aa6e8', '#f0a04b', '#ef6f61', '#b18ae0', '#4fc0c9', '#e27fc0', '#a7adb5'];
/** How many colours there are for series. */
export const COLOURS = LIGHT.length;

// Series by number, and the thresholds of single values by the name that Grafana has for the colour.
const colours = (list, text) => {
  const named = { ...list, text, green: list[0], orange: list[2], red: list[3] };
  const rules = ([name, colour]) => `.l${name}{stroke:${colour}}.f${name}{fill:${colour}}`;
  return Object.entries(named).map(rules).join('');
};

export const STYLE = [
  'text{font:11px system-ui,sans-serif;fill:#24292f}.head{font-size:17px;font-weight:600}',
  '.title{font-weight:600;font-size:12px}.row{font-size:12px;font-weight:600}.big{font-size:24px;font-weight:600}',
  colours(LIGHT, '#24292f'),
  '.dim{fill:#6b7280;font-weight:400}.small{font-size:10px}.end{text-anchor:end}.middle{text-anchor:middle}',
  '.page{fill:#f3f4f6}.box{fill:#fff;stroke:#d8dce1}.grid{stroke:#e5e7eb;fill:none}',
  '.line{fill:none;stroke-width:1.5;stroke-linejoin:round}.area{fill-opacity:.12}',
  `@media(prefers-color-scheme:dark){text{fill:#d5d9e0}${colours(DARK, '#d5d9e0')}.dim{fill:#9099a6}`,
  '.page{fill:#111418}.box{fill:#1a1e24;stroke:#2c323b}.grid{stroke:#2c323b}}',
].join('');

/** A text as it stands in markup. */
export const escaped = (value) => value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const short = (number) => String(Number(number.toFixed(1)));

/** A text; `marked` where it is markup already. */
export function text(x, y, value, classes, marked = false) {
  return `<text class="${classes}" x="${short(x)}" y="${short(y)}">${marked ? value : escaped(value)}</text>\n`;
}

export function rect({ x, y, width, height }, classes, round = 0) {
  const size = `width="${short(width)}" height="${short(height)}"`;
  return `<rect class="${classes}" x="${short(x)}" y="${short(y)}" ${size}${round ? ` rx="${round}"` : ''}/>\n`;
}

export const box = (area) => rect(area, 'box', 4);

export const grid = (x, y, length, down = false) =>
  `<path class="grid" d="M${short(x)} ${short(y)}${down ? 'v' : 'h'}${short(length)}"/>\n`;

/** A line through points, without those that lie on it anyway. */
export function line(points, classes) {
  return `<path class="line ${classes}" d="M${bent(points).map(pair).join('L')}"/>\n`;
}

/** What lies between a line and the one below it. */
export function area(points, below, classes) {
  const edge = [...bent(points), ...bent(below).reverse()];
  return `<path class="area ${classes}" d="M${edge.map(pair).join('L')}Z"/>\n`;
}

const pair = ([x, y]) => `${short(x)} ${short(y)}`;

function bent(points) {
  return points.filter(([, y], at) => {
    const before = points[at - 1]?.[1];
    const after = points[at + 1]?.[1];
    return before === undefined || after === undefined || short(before) !== short(y) || short(after) !== short(y);
  });
}

/** About how wide a text of 10 pixels is. */
export const widthOf = (value) => value.length * 5.3;

/** A text that is no wider than this. */
export function fitting(value, width) {
  const most = Math.max(1, Math.floor(width / 5.3));
  return value.length <= most ? value : `${value.slice(0, most - 1)}…`;
}
