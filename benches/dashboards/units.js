// Numbers as Grafana's units write them, and the marks of an axis.

const trimmed = (value, digits) => String(Number(value.toPrecision(digits)));

// A value by the largest of these factors that it reaches.
function scaled(value, factors) {
  const [factor, name] = factors.find(([least]) => Math.abs(value) >= least) ?? factors.at(-1);
  return `${trimmed(value / factor, 3)}${name}`;
}

const DECIMAL = [[1e9, ' G'], [1e6, ' M'], [1e3, ' k'], [1, '']];
const BINARY = [[2 ** 30, ' GiB'], [2 ** 20, ' MiB'], [2 ** 10, ' KiB'], [1, ' B']];
const TIME = [[1, ' s'], [1e-3, ' ms'], [1e-6, ' µs']];

const WRITERS = {
  none: (value) => trimmed(value, 4),
  short: (value) => scaled(value, DECIMAL),
  bytes: (value) => scaled(value, BINARY),
  s: (value) => (value === 0 ? '0 s' : scaled(value, TIME)),
  percentunit: (value) => `${trimmed(value * 100, 4)} %`,
  bool_on_off: (value) => (value === 0 ? 'Off' : 'On'),
};

// What is counted per second stands behind the title, since it is too long for an axis.
const PER_SECOND = { mps: 'msg/s', ops: '1/s', reqps: 'requests/s', Bps: 'bytes/s' };

export const perSecond = (unit) => PER_SECOND[unit] ?? '';

/** A value in this unit, as it stands at an axis. */
export function write(value, unit) {
  if (unit === 'Bps') return WRITERS.bytes(value);
  return (WRITERS[unit] ?? WRITERS.short)(value);
}

/** A value in this unit, as it stands alone. */
export function writeWhole(value, unit) {
  if (unit === 'Bps') return `${WRITERS.bytes(value)}/s`;
  return [write(value, unit), perSecond(unit)].filter(Boolean).join(' ');
}

/** Round values from 0 to at least `highest`, few enough for a small axis. */
export function marks(highest, unit) {
  if (unit === 'bool_on_off') return [0, 1];
  if (!(highest > 0)) return [0, 1];
  const base = ['bytes', 'Bps'].includes(unit) ? 1024 : 1000;
  // Bytes are round in their own unit: 512 KiB, not 500.
  const factor = base ** Math.floor(Math.log(highest) / Math.log(base));
  const step = roundStep(highest / factor / 4) * factor;
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 2.5, 5, 10].map((digit) => digit * power).find((step) => step >= least * (1 - 1e-9));
}
