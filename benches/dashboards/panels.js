// What a dashboard's panels show: each of their queries asked of a Prometheus, as Grafana does it.

/** The panels with their data: `series` over the range, or `rows` where a table is shown. */
export async function read(dashboard, source, range) {
  return Promise.all(dashboard.panels.map((panel) => readPanel(panel, source, range)));
}

async function readPanel(panel, source, range) {
  const targets = panel.targets ?? [];
  const instant = targets.map((target) => target.instant === true);
  const answers = await Promise.all(targets.map((target, at) => ask(target.expr, source, range, instant[at])));
  if (panel.type === 'table') return { panel, rows: merge(answers), series: [] };
  const series = answers.flatMap((answer, at) =>
    answer.map(({ metric, values }) => ({ name: legend(targets[at].legendFormat, metric), values })),
  );
  return { panel, rows: [], series };
}

/** A query with its variables; what is not given means everything. */
export function substitute(expression, { rateInterval, variables = {} }) {
  const known = { __rate_interval: rateInterval, within: '0.1', ...variables };
  return expression.replace(/\$(\w+)/g, (_, name) => known[name] ?? '.*');
}

async function ask(expression, source, range, instant) {
  const query = substitute(expression, range);
  const { from, to, step } = range;
  const parameters = instant ? { query, time: to } : { query, start: from, end: to, step };
  const path = instant ? 'query' : 'query_range';
  const answer = await fetch(`${source}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { status, error, data } = await answer.json();
  if (status !== 'success') throw new Error(`${query}: ${error}`);
  return data.result.map(({ metric, value, values }) => ({
    metric,
    values: (values ?? [value]).map(([at, text]) => [at, Number(text)]).filter(([, number]) => Number.isFinite(number)),
  }));
}

function legend(format = '', metric) {
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => metric[label] ?? '').trim();
}

// Grafana's transformation `merge`: what has the same labels becomes one row, the values by the letter of their query.
function merge(answers) {
  const rows = new Map();
  answers.forEach((answer, at) => {
    const column = `Value #${String.fromCharCode(65 + at)}`;
    for (const { metric, values } of answer) {
      const key = JSON.stringify(Object.entries(metric).sort());
      rows.set(key, { ...rows.get(key), ...metric, [column]: values[0]?.[1] });
    }
  });
  return [...rows.values()];
}
