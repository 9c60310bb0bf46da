// The kinds of panels. Each gets the panel with its data, and the place inside its frame.

import { area, COLOURS, fitting, grid, line, rect, text, widthOf } from './svg.js';
import { marks, perSecond, write, writeWhole } from './units.js';

const LEFT = 46;
const LEGEND_LINE = 14;
/** More lines than this, one before the other, are not filled below. */
const MOST_FILLED = 6;

/** The newest value, coloured by its threshold, over how it came to it. */
export function stat({ panel, series, unit }, place, range) {
  const values = series[0]?.values ?? [];
  const last = values.at(-1)?.[1];
  if (last === undefined) return nothing(place);
  const colour = threshold(panel, last);
  const points = onto(values, place, range, Math.max(...values.map(([, value]) => value)) || 1, 30);
  const bottom = points.map(([x]) => [x, place.y + place.height]);
  const behind = `<tspan class="dim small" dx="5">${perSecond(unit)}</tspan>`;
  const value = text(place.x, place.y + 23, write(last, unit) + behind, `big f${colour}`, true);
  return area(points, bottom, `f${colour}`) + line(points, `l${colour}`) + value;
}

function threshold(panel, value) {
  const steps = panel.fieldConfig.defaults.thresholds.steps;
  return steps.findLast((step) => step.value === null || value >= step.value).color;
}

const nothing = (place) => text(place.x + place.width / 2, place.y + place.height / 2, 'no data', 'dim middle');

// Points of the picture; the highest value lies `top` below the upper edge.
function onto(values, place, { from, to }, highest, top = 0) {
  const height = place.height - top;
  return values.map(([at, value]) => [
    place.x + ((at - from) / (to - from)) * place.width,
    place.y + top + height - (value / highest) * height,
  ]);
}

/** Lines over time, with axes and a legend. */
export function timeseries({ panel, series, unit }, place, range) {
  if (series.length === 0) return nothing(place);
  const ranked = rank(series);
  const stacked = panel.fieldConfig.defaults.custom.stacking?.mode === 'normal';
  const layers = stacked ? stack(ranked) : ranked;
  const names = legend(ranked, place.width);
  const inner = {
    x: place.x + LEFT,
    y: place.y + 4,
    width: place.width - LEFT - 4,
    height: place.height - 22 - names.lines * LEGEND_LINE,
  };
  const axis = marks(Math.max(...layers.flatMap(({ values }) => values.map(([, value]) => value))), unit);
  // The first ones lie on top.
  const filled = stacked || layers.length <= MOST_FILLED;
  const lines = layers.map((layer, at) => layerOf(layer, at % COLOURS, inner, range, axis.at(-1), filled)).reverse();
  return axes(axis, unit, inner, range) + lines.join('') + names.draw(place.x, place.y + place.height - 2);
}

// Series that are always 0 come last: they are many, and take the colours that are left.
function rank(series) {
  const idle = ({ values }) => values.every(([, value]) => value === 0);
  return series.map((one) => ({ ...one, idle: idle(one) })).sort((a, b) => a.idle - b.idle);
}

// Where nothing was scraped there is no line.
function layerOf({ values, below }, colour, inner, range, highest, filled) {
  const parts = [];
  values.forEach((value, at) => {
    if (at === 0 || value[0] - values[at - 1][0] > range.step * 1.5) parts.push({ above: [], below: [] });
    parts.at(-1).above.push(value);
    parts.at(-1).below.push(below?.[at] ?? [value[0], 0]);
  });
  return parts
    .map((part) => {
      const above = onto(part.above, inner, range, highest);
      const fill = filled ? area(above, onto(part.below, inner, range, highest), `f${colour}`) : '';
      return fill + line(above, `l${colour}`);
    })
    .join('');
}

// Each series upon those before it.
function stack(series) {
  const sums = new Map();
  return series.map(({ values }) => {
    const below = values.map(([at]) => [at, sums.get(at) ?? 0]);
    const above = values.map(([at, value], index) => [at, value + below[index][1]]);
    for (const [at, sum] of above) sums.set(at, sum);
    return { values: above, below };
  });
}

function axes(axis, unit, inner, range) {
  const highest = axis.at(-1);
  const across = axis.map((value) => {
    const y = inner.y + inner.height * (1 - value / highest);
    return grid(inner.x, y, inner.width) + text(inner.x - 6, y + 3, write(value, unit), 'dim small end');
  });
  const span = range.to - range.from;
  const every = [5, 10, 15, 30, 60, 300, 600, 1800].find((seconds) => span / seconds <= 6) ?? span;
  const down = [];
  for (let at = 0; at <= span; at += every) {
    const x = inner.x + (at / span) * inner.width;
    const clock = `${Math.floor(at / 60)}:${String(at % 60).padStart(2, '0')}`;
    down.push(grid(x, inner.y, inner.height, true), text(x, inner.y + inner.height + 13, clock, 'dim small middle'));
  }
  return across.concat(down).join('');
}

// Names of series on one or two lines; what has no room there is counted.
function legend(ranked, width) {
  const placed = [];
  let [x, row] = [0, 0];
  for (const [at, series] of ranked.entries()) {
    const name = fitting(series.name, width - 90);
    const size = widthOf(name) + 22;
    if (x > 0 && x + size > (row === 1 ? width - 60 : width)) [x, row] = [0, row + 1];
    if (row > 1) break;
    placed.push({ name, colour: at % COLOURS, x, row });
    x += size;
  }
  const lines = (placed.at(-1)?.row ?? 0) + 1;
  const left = ranked.slice(placed.length);
  const draw = (fromX, bottom) => {
    const entries = placed.map(({ name, colour, x: dx, row: line }) => {
      const y = bottom - (lines - 1 - line) * LEGEND_LINE;
      const mark = rect({ x: fromX + dx, y: y - 5, width: 10, height: 3 }, `f${colour}`);
      return mark + text(fromX + dx + 14, y, name, 'small');
    });
    const more = left.every(({ idle }) => idle) ? `+ ${left.length} at 0` : `+ ${left.length}`;
    return entries.join('') + (left.length > 0 ? text(fromX + width, bottom, more, 'dim small end') : '');
  };
  return { lines, draw };
}

/** The newest values, largest first, as bars. */
export function bargauge({ series, unit }, place) {
  if (series.length === 0) return nothing(place);
  const newest = series.map(({ name, values }) => ({ name, value: values.at(-1)?.[1] ?? 0 }));
  const bars = newest.sort((a, b) => b.value - a.value);
  const step = Math.min(22, place.height / bars.length);
  const longest = Math.max(...bars.map(({ value }) => value)) || 1;
  const [names, numbers] = [130, 46];
  const room = place.width - names - numbers;
  return bars
    .map(({ name, value }, at) => {
      const y = place.y + at * step + 3;
      const bar = { x: place.x + names, y, width: Math.max(1, (value / longest) * room), height: step - 6 };
      const middle = y + bar.height / 2 + 4;
      const before = text(place.x + names - 8, middle, fitting(name, names - 8), 'small end');
      const behind = text(bar.x + room + 8, middle, write(value, unit), 'small');
      return before + rect({ ...bar, width: room }, 'box') + rect(bar, 'f0') + behind;
    })
    .join('');
}

/** Rows of labels and values, under the names that the panel gives them. */
export function table({ panel, rows }, place) {
  const names = panel.transformations.find(({ id }) => id === 'organize').options.renameByName;
  const columns = Object.entries(names);
  const unit = ({ properties }) => properties.find(({ id }) => id === 'unit')?.value;
  const units = Object.fromEntries(panel.fieldConfig.overrides.map((one) => [one.matcher.options, unit(one)]));
  const order = panel.options.sortBy?.[0];
  const by = columns.find(([, name]) => name === order?.displayName)?.[0];
  const sorted = by ? rows.toSorted((a, b) => (order.desc ? b[by] - a[by] : a[by] - b[by])) : rows;
  const width = place.width / columns.length;
  const at = (column) => place.x + column * width;
  const head = columns.map(([, name], column) => text(at(column), place.y + 12, name, 'dim')).join('');
  const lines = sorted.map((row, index) => {
    const y = place.y + 33 + index * 20;
    const cells = columns.map(([key, name], column) => {
      const value = row[key];
      const shown = typeof value === 'number' ? writeWhole(value, units[name]) : (value ?? '');
      return text(at(column), y, fitting(String(shown), width), 'cell');
    });
    return grid(place.x, y - 14, place.width) + cells.join('');
  });
  return head + lines.join('');
}
