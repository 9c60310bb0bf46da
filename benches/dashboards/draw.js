// A dashboard's panels as one picture, drawn of what a Prometheus holds.
//
//   node benches/dashboards/draw.js DASHBOARD.json http://PROMETHEUS START END OUT.svg [VARIABLE=PATTERN…]
//
// START and END are seconds since 1970.

import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

import { bargauge, stat, table, timeseries } from './kinds.js';
import { read } from './panels.js';
import { box, escaped, STYLE, text } from './svg.js';
import { perSecond } from './units.js';

const WIDTH = 1000;
const COLUMN = WIDTH / 24;
const ROW = 21;
const TOP = 48;
const GAP = 6;
/** What a table has above its lines, in rows. */
const TABLE_HEAD = 2.5;

const KINDS = { stat, table, bargauge, timeseries };

/** The picture of a dashboard over a range: `{ from, to, step, rateInterval, variables }`. */
export async function draw(dashboard, source, range) {
  const panels = await read(dashboard, source, range);
  const { places, bottom } = place(panels);
  const height = Math.ceil(TOP + bottom * ROW + GAP);
  const told = `${Math.round(range.to - range.from)} s, rates over ${Number.parseInt(range.rateInterval, 10)} s`;
  const body = panels.map((shown, at) => drawPanel(shown, places[at], range)).join('');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">\n`,
    `<style>${STYLE}</style>\n<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>\n`,
    text(14, 30, dashboard.title, 'head'),
    text(WIDTH - 14, 30, told, 'dim end'),
    body,
    '</svg>\n',
  ].join('');
}

// Where panels lie, in rows from the top. A table is as high as its lines, and what is below it moves up.
function place(panels) {
  const saved = [];
  for (const { panel, rows } of panels.filter(({ panel }) => panel.type === 'table')) {
    const { y, h } = panel.gridPos;
    saved.push({ below: y + h, rows: Math.max(0, h - rows.length - TABLE_HEAD) });
  }
  const places = panels.map(({ panel, rows }) => {
    const { x, y, w, h } = panel.gridPos;
    const up = saved.filter(({ below }) => below <= y).reduce((sum, { rows: count }) => sum + count, 0);
    return { x, y: y - up, w, h: panel.type === 'table' ? Math.min(h, rows.length + TABLE_HEAD) : h };
  });
  return { places, bottom: Math.max(...places.map(({ y, h }) => y + h)) };
}

function drawPanel({ panel, series, rows }, { x, y, w, h }, range) {
  const area = {
    x: x * COLUMN + GAP,
    y: TOP + y * ROW + GAP / 2,
    width: w * COLUMN - (x + w === 24 ? 2 * GAP : GAP),
    height: h * ROW - GAP,
  };
  if (panel.type === 'row') return text(area.x + 2, area.y + 13, panel.title, 'row');
  const unit = panel.fieldConfig?.defaults?.unit ?? 'short';
  const behind = panel.type === 'timeseries' && perSecond(unit);
  const title = escaped(panel.title) + (behind ? `<tspan class="dim" dx="6">${behind}</tspan>` : '');
  const inside = { x: area.x + 10, y: area.y + 22, width: area.width - 20, height: area.height - 28 };
  const kind = KINDS[panel.type];
  if (!kind) throw new Error(`${panel.title}: panels of type ${panel.type} are not drawn`);
  const head = text(inside.x, area.y + 16, title, 'title', true);
  return box(area) + head + kind({ panel, series, rows, unit }, inside, range);
}

async function main([file, source, from, to, out, ...rest]) {
  const variables = Object.fromEntries(rest.map((pair) => pair.split('=')));
  const range = { from: Number(from), to: Number(to), variables, ...pace(Number(to) - Number(from)) };
  writeFileSync(out, await draw(JSON.parse(readFileSync(file, 'utf8')), source, range));
}

/** A point for each few pixels, and rates over some scrapes. */
export const pace = (seconds) => ({ step: Math.max(1, Math.round(seconds / 120)), rateInterval: '10s' });

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2));
