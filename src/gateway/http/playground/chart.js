// A line of the last minute.

const SECONDS = 60;
const SVG = 'http://www.w3.org/2000/svg';

export class Chart {
  #values = [];
  #line = document.createElementNS(SVG, 'polyline');
  #now = document.createElement('b');

  constructor(parent, title) {
    const figure = document.createElement('figure');
    const caption = document.createElement('figcaption');
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${SECONDS - 1} 20`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(this.#line);
    this.#now.textContent = '–';
    caption.append(title, this.#now);
    figure.append(caption, svg);
    parent.append(figure);
  }

  add(value) {
    this.#values = [...this.#values, value].slice(-SECONDS);
    this.#now.textContent = String(value);
    const most = Math.max(1, ...this.#values);
    const first = SECONDS - this.#values.length;
    const points = this.#values.map((one, at) => `${first + at},${19 - (18 * one) / most}`);
    this.#line.setAttribute('points', points.join(' '));
  }
}
