// The declarations say what the code does.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as library from '../src/index.js';
import { Subscription } from '../src/subscription.js';

const compiler = process.env.NODE_PACKAGES && `${process.env.NODE_PACKAGES}/node_modules/typescript/bin/tsc`;

test('TypeScript takes what is right and refuses what is wrong', { skip: !compiler && 'NODE_PACKAGES has no typescript' }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', new URL('tsconfig.json', import.meta.url).pathname]);
  assert.equal(status, 0, `${stdout}${stderr}`);
});

const text = readFileSync(new URL('../index.d.ts', import.meta.url), 'utf8');

for (const [name, prototype] of [['Client', library.Client.prototype], ['Subscription', Subscription.prototype]]) {
  test(`the members of ${name} are declared, all of them and no other`, () => {
    const [, body] = new RegExp(`export (?:class|interface) ${name}\\b[^\\n]*{\\n(.*?)\\n}`, 's').exec(text);
    const declared = new Set([...body.matchAll(/^ {2}(?:readonly )?([a-zA-Z]+)[(<:]/gm)].map(([, member]) => member));
    const own = Object.getOwnPropertyNames(prototype).filter((member) => member !== 'constructor');
    assert.deepEqual([...declared].sort(), own.sort());
  });
}

test('what is exported is declared, all of it', () => {
  const declared = [...text.matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(declared.sort(), Object.keys(library).sort());
});
