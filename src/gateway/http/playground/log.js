// Frames in and out, newest first; so many are kept.

const LINES = 300;
const LONGEST = 2000;
const SIGNS = { in: '◀', out: '▶', note: '·' };

export class Log {
  #list;
  #form;

  constructor(list, form) {
    this.#list = list;
    this.#form = form;
    form.addEventListener('submit', (event) => event.preventDefault());
    form.addEventListener('reset', () => list.replaceChildren());
    form.elements.filter.addEventListener('input', () => {
      for (const line of list.children) line.hidden = !this.#wanted(line.textContent);
    });
  }

  add(kind, text) {
    if (this.#form.elements.paused.checked) return;
    const line = document.createElement('li');
    line.className = text.includes('"type":"error"') || text.includes('"type":"gap"') ? `${kind} bad` : kind;
    line.dataset.sign = `${new Date().toISOString().slice(11, 23)} ${SIGNS[kind]}`;
    line.textContent = hidden(text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text);
    line.hidden = !this.#wanted(line.textContent);
    this.#list.prepend(line);
    while (this.#list.children.length > LINES) this.#list.lastChild.remove();
  }

  #wanted(text) {
    return text.includes(this.#form.elements.filter.value);
  }
}

// Whoever looks over a shoulder, or at a picture of this page, needs no token.
const hidden = (text) => text.replace(/"(token|sessionId)":"[^"]*"/g, '"$1":"…"').replace(/access_token=[^&\s]*/g, 'access_token=…');
