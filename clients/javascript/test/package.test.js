// What is published is what somebody needs, and it works where it is installed.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { installPacked, pack } from './packed.js';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const about = JSON.parse(read('../package.json'));

let installed;
before(async () => (installed = await installPacked()));
after(() => installed?.remove());

test('the package has the module, its types, the README and the licence, and nothing else', async () => {
  const { name, files } = await pack('--dry-run');
  const modules = readdirSync(new URL('../src', import.meta.url)).map((file) => `src/${file}`);
  const wanted = ['LICENSE', 'README.md', 'index.d.ts', 'package.json', ...modules];
  assert.equal(name, 'topic-gateway-client');
  assert.deepEqual(files.map(({ path }) => path).sort(), wanted.sort());
});

test('version and licence are those of the gateway', () => {
  const [, version] = /^version = "(.*)"$/m.exec(read('../../../Cargo.toml'));
  const [, licence] = /^license = "(.*)"$/m.exec(read('../../../Cargo.toml'));
  assert.deepEqual([about.version, about.license], [version, licence]);
  assert.equal(read('../LICENSE'), read('../../../LICENSE'));
});

test('it needs nothing else', () => {
  for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies']) assert.equal(about[kind], undefined, kind);
});

test('it is imported by its name, and by no path of its inside', async () => {
  const names = installed.run('names.mjs', "console.log(Object.keys(await import('topic-gateway-client')).sort().join());");
  assert.equal(await names.ended, 0, names.printed);
  assert.equal(names.printed, 'Client,GatewayError,connect\n');
  const inside = installed.run('inside.mjs', "await import('topic-gateway-client/src/client.js');");
  assert.equal(await inside.ended, 1);
  assert.match(inside.printed, /ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

const compiler = process.env.NODE_PACKAGES && `${process.env.NODE_PACKAGES}/node_modules/typescript/bin/tsc`;

test('TypeScript finds its types by its name', { skip: !compiler && 'NODE_PACKAGES has no typescript' }, () => {
  writeFileSync(installed.path('use.ts'), "import { connect, type Ack } from 'topic-gateway-client';\nexport const use = async (): Promise<Ack> => connect('ws://a/ws').publish('a', 1);\n");
  for (const [module, resolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']]) {
    const flags = ['--strict', '--noEmit', '--target', 'es2024', '--lib', 'es2024,dom', '--types', '', '--module', module, '--moduleResolution', resolution];
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...flags, installed.path('use.ts')], { encoding: 'utf8' });
    assert.equal(status, 0, `${resolution}: ${stdout}`);
  }
});
