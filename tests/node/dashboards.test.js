// The dashboards as pictures: what is drawn of a Prometheus' answers.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { draw } from '../../benches/dashboards/draw.js';
import { substitute } from '../../benches/dashboards/panels.js';
import { marks, writeWhole } from '../../benches/dashboards/units.js';
import { path } from './programs.js';

const folder = path('charts/topic-gateway/files/dashboards');
const dashboards = readdirSync(folder).map((name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')));
const RANGE = { from: 100, to: 110, step: 1, rateInterval: '10s' };

// A Prometheus that has the same answer to every query.
let result = [];
let prometheus;
let source;
before(async () => {
  prometheus = createServer((request, response) => {
    const instant = request.url.startsWith('/api/v1/query?');
    const newest = result.map(({ metric, values }) => ({ metric, value: values.at(-1) }));
    response.end(JSON.stringify({ status: 'success', data: { result: instant ? newest : result } }));
  });
  await new Promise((listening) => prometheus.listen(0, '127.0.0.1', listening));
  source = `http://127.0.0.1:${prometheus.address().port}`;
});
after(() => prometheus.close());

const values = (...numbers) => numbers.map((number, at) => [100 + at, String(number)]);
const drawn = (dashboard, answer) => ((result = answer), draw(dashboard, source, RANGE));
const count = (text, part) => text.split(part).length - 1;

test('every panel of every dashboard is drawn', async () => {
  for (const dashboard of dashboards) {
    const labels = { job: 'prices/a<b', namespace: 'prices', topic: 'prices.btc', instance: 'one' };
    const svg = await drawn(dashboard, [{ metric: labels, values: values(1, 2, 3) }]);
    for (const { title } of dashboard.panels) assert.ok(svg.includes(`>${title}<`), `${dashboard.title}: ${title}`);
    assert.ok(!svg.includes('no data') && !svg.includes('NaN') && !svg.includes('a<b'), dashboard.title);
    assert.equal(count(svg, '<text'), count(svg, '</text>'));
  }
});

test('a panel without data says so', async () => {
  for (const dashboard of dashboards) {
    const panels = dashboard.panels.filter(({ type }) => type !== 'row' && type !== 'table');
    assert.equal(count(await drawn(dashboard, []), 'no data'), panels.length);
  }
});

const lines = (answer, stacking) =>
  drawn(
    {
      title: 'one',
      panels: [
        {
          type: 'timeseries',
          title: 'panel',
          gridPos: { x: 0, y: 0, w: 24, h: 8 },
          fieldConfig: { defaults: { unit: 'short', custom: { stacking: { mode: stacking } } } },
          targets: [{ expr: 'a', legendFormat: '{{name}}' }],
        },
      ],
    },
    answer,
  ).then((svg) => [...svg.matchAll(/class="line l(\d)" d="([^"]*)"/g)].map(([, colour, d]) => ({ colour, d })));

// The heights of a line's points.
const heights = ({ d }) => d.slice(1).split('L').map((point) => Number(point.split(' ')[1]));

test('a time in which nothing was scraped is a hole in the line', async () => {
  const whole = values(1, 2, 3, 4, 5, 6);
  const holed = whole.filter(([at]) => at !== 102 && at !== 103);
  assert.equal((await lines([{ metric: {}, values: whole }], 'none')).length, 1);
  assert.equal((await lines([{ metric: {}, values: holed }], 'none')).length, 2);
});

test('stacked series lie upon each other, others begin at zero', async () => {
  const answer = ['a', 'b'].map((name) => ({ metric: { name }, values: values(4, 5) }));
  for (const [stacking, higher] of [['normal', true], ['none', false]]) {
    const [second, first] = await lines(answer, stacking);
    assert.deepEqual([first.colour, second.colour], ['0', '1']);
    assert.equal(heights(second)[0] < heights(first)[0], higher, stacking);
  }
});

test('what is always 0 comes last and leaves the first colours to others', async () => {
  const answer = [['idle', 0], ['busy', 7]].map(([name, last]) => ({ metric: { name }, values: values(0, last) }));
  const [idle, busy] = await lines(answer, 'none');
  assert.deepEqual([busy.colour, idle.colour], ['0', '1']);
  assert.equal(new Set(heights(idle)).size, 1);
});

test('marks of an axis are round, begin at 0 and reach the highest value', () => {
  assert.deepEqual(marks(7, 'short'), [0, 2, 4, 6, 8]);
  assert.deepEqual(marks(0.0042, 's').map((mark) => Number(mark.toPrecision(2))), [0, 0.002, 0.004, 0.006]);
  assert.deepEqual(marks(3 * 2 ** 20, 'bytes'), [0, 1, 2, 3].map((mark) => mark * 2 ** 20));
  assert.deepEqual(marks(0, 'ops'), [0, 1]);
});

test('values are written in their unit', () => {
  assert.equal(writeWhole(1532, 'mps'), '1.53 k msg/s');
  assert.equal(writeWhole(0.0042, 's'), '4.2 ms');
  assert.equal(writeWhole(1_572_864, 'Bps'), '1.5 MiB/s');
  assert.equal(writeWhole(0.9987, 'percentunit'), '99.87 %');
  assert.equal(writeWhole(1, 'bool_on_off'), 'On');
});

test('a variable that is not chosen means everything', () => {
  const expression = 'rate(a{job=~"$gateway", n=~"$namespace", le=~"$within([.]0)?"}[$__rate_interval])';
  const query = substitute(expression, { rateInterval: '10s', variables: { gateway: 'prices/market' } });
  assert.equal(query, 'rate(a{job=~"prices/market", n=~".*", le=~"0.1([.]0)?"}[10s])');
});
