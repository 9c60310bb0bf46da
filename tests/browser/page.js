// The playground as somebody uses it: in a real Chromium, by what is written on it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { chromium } = createRequire(`${process.env.NODE_PACKAGES}/`)('playwright-core');

const DEADLINE = 20_000;

export const file = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Where a gateway serves its pages. */
export const address = (gateway) => gateway.url.replace(/^ws/, 'http');

export const startBrowser = () => chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });

/** Waits for a condition. */
export async function until(what, condition) {
  const deadline = Date.now() + DEADLINE;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A page that keeps what its console complains about. */
export async function openPage(browser, url, options) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 }, ...options });
  page.setDefaultTimeout(DEADLINE);
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(url);
  return { page, complaints };
}

export class Playground {
  static async open(browser, gateway, options) {
    return Object.assign(new Playground(), await openPage(browser, `${address(gateway)}/docs`, options));
  }

  close() {
    return this.page.close();
  }

  /** Waits until something shows this text. */
  has(selector, text) {
    return this.page.locator(selector, { hasText: text }).first().waitFor();
  }

  field(form, name) {
    return this.page.locator(`#${form} [name=${name}]`);
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Picks an endpoint by its path. */
  choose(path) {
    return this.page.getByRole('radio', { name: path }).check();
  }

  cell(topic, name) {
    return this.page.locator(`tr[data-topic="${topic}"] td[data-name="${name}"]`);
  }

  async number(topic, name) {
    return Number(await this.cell(topic, name).textContent());
  }

  /** Waits until the row of a topic shows so many messages. */
  async counts(topic, wanted) {
    await until(`${wanted} messages of ${topic}`, async () => (await this.number(topic, 'count')) >= wanted);
  }

  async subscribe(topic) {
    await this.field('subscribe', 'topic').fill(topic);
    await this.press('Subscribe');
  }

  async publish(topic, payload) {
    await this.field('publish', 'topic').fill(topic);
    if (payload !== undefined) await this.field('publish', 'payload').fill(payload);
    await this.press('Publish');
  }

  /** Connects with another address or token. */
  async connect(more) {
    for (const [name, value] of Object.entries(more)) await this.field('connect', name).fill(value);
    await this.press('Connect');
  }
}
