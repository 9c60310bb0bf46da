// Listeners by name.

export class Events {
  #listeners = new Map();

  /** Gives the function that takes the listener away again. */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        console.error(`topic-gateway-client: a listener of "${name}" failed:`, error);
      }
    }
  }

  heard(name) {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }
}
