// A row of the table of subscriptions. It checks the numbers itself, not trusting the library below it.

export class Held {
  #row = document.createElement('tr');
  #cells;
  #count = 0;
  #missing = 0;
  #last;
  #button = document.createElement('button');

  constructor(table, topic) {
    this.#cells = ['topic', 'count', 'last', 'missing', 'newest'].map((name) => {
      const cell = document.createElement('td');
      cell.dataset.name = name;
      return cell;
    });
    this.#button.type = 'button';
    this.#button.textContent = 'Leave';
    this.#button.setAttribute('aria-label', `Leave ${topic}`);
    const end = document.createElement('td');
    end.append(this.#button);
    this.#row.append(...this.#cells, end);
    this.#row.dataset.topic = topic;
    this.#cells[0].textContent = topic;
    table.append(this.#row);
    this.#show();
  }

  take({ seqNo, prevSeqNo, topic, data }) {
    this.#count += 1;
    // A pattern's topics count each for itself.
    if (topic === this.#row.dataset.topic && seqNo !== undefined) {
      if (this.#last !== undefined && prevSeqNo > this.#last) this.#missing += 1;
      this.#last = seqNo;
    }
    this.#cells[4].textContent = JSON.stringify(data);
    this.#show();
  }

  miss({ fromSeq, toSeq }) {
    this.#missing += fromSeq === undefined ? 1 : toSeq - fromSeq + 1;
    if (toSeq !== undefined) this.#last = Math.max(this.#last ?? 0, toSeq);
    this.#show();
  }

  onEnd(leave) {
    this.#button.addEventListener('click', leave);
  }

  remove() {
    this.#row.remove();
  }

  #show() {
    this.#cells[1].textContent = String(this.#count);
    this.#cells[2].textContent = this.#last === undefined ? '–' : String(this.#last);
    this.#cells[3].textContent = String(this.#missing);
    this.#cells[3].classList.toggle('bad', this.#missing > 0);
  }
}
