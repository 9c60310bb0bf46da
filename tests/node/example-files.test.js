// What holds for every file of examples/; and what can be said of those for a cluster without one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';

import { newFolder, path, run, start } from './programs.js';

const folder = newFolder();
after(() => folder.remove());

const read = (name) => readFileSync(path(`examples/${name}`), 'utf8');
const all = readdirSync(path('examples'), { recursive: true }).filter((name) => !name.includes('node_modules'));
const gateways = all.filter((name) => name.endsWith('.yaml') && /^kind: TopicGateway$/m.test(read(name))).sort();

// A Secret with a certificate, which no example can have: it would end some day.
const certificate = () => {
  const files = { 'tls.crt': folder.file('tls.crt'), 'tls.key': folder.file('tls.key') };
  const fresh = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=dev';
  const names = '-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE';
  const line = `${fresh} ${names} -keyout ${files['tls.key']} -out ${files['tls.crt']}`;
  execFileSync('openssl', line.split(' '), { stdio: 'ignore' });
  const stringData = Object.fromEntries(Object.entries(files).map(([key, file]) => [key, readFileSync(file, 'utf8')]));
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'secure-tls' }, stringData };
  writeFileSync(folder.file('secret.yaml'), JSON.stringify(secret));
  return ['-f', folder.file('secret.yaml')];
};

test('`check` finds nothing wrong with any of them, and nothing that is hardly meant', async () => {
  assert.ok(gateways.length >= 10, `${gateways}: is the search still right?`);
  for (const name of gateways) {
    const more = name === 'tls-cert-manager.yaml' ? certificate() : [];
    const { code, stdout, stderr } = await run(process.env.TOPIC_GATEWAY, ['check', '-f', path(`examples/${name}`), ...more]);
    assert.equal(code, 0, stderr);
    const notes = stdout.split('\n').filter((line) => line.startsWith('note: '));
    const meant = /(is not used here|means? something in a cluster only, not used here)$/;
    assert.deepEqual(notes.filter((note) => !meant.test(note)), [], name);
  }
});

test('each begins with how to try it', () => {
  for (const name of gateways) {
    const commands = read(name).match(/^# {3}(kubectl|topic-gateway) .*/gm) ?? [];
    assert.ok(commands.length > 0, name);
    for (const [, named] of commands.join('\n').matchAll(/-f examples\/(\S+)/g)) assert.ok(all.includes(named), `${name}: ${named}`);
  }
});

test('the list has each of them', () => {
  const list = read('README.md');
  for (const entry of readdirSync(path('examples')).filter((name) => name !== 'README.md')) {
    assert.ok(list.includes(`](${entry}`), `${entry} is not in examples/README.md`);
  }
});

test('KEDA scales the TopicGateway of its file by a metric that its pods have', async (t) => {
  const [gateway, scaled] = read('autoscaling-keda.yaml').split('\n---\n');
  const named = (text) => /^ *name: (\S+)$/gm.exec(text)[1];
  const target = scaled.slice(scaled.indexOf('scaleTargetRef:'));
  const group = /^ *apiVersion: (\S+)\n *kind: (\S+)$/m;
  assert.deepEqual(group.exec(target).slice(1), group.exec(gateway).slice(1));
  assert.equal(named(target), named(gateway));

  const [, metric, labels] = /query: sum\((\w+)\{(.*)\}\)$/m.exec(scaled);
  const args = ['dev', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const { found, stop } = await start(/^admin +(\S+)$/, process.env.TOPIC_GATEWAY, args);
  t.after(() => stop('SIGINT'));
  const metrics = await (await fetch(`${found[1]}/metrics`)).text();
  assert.match(metrics, new RegExp(`^${metric}\\{transport="websocket"\\} 0$`, 'm'));

  const pods = new RegExp(`^${/pod=~"(.*)"/.exec(labels)[1]}$`);
  assert.match(`${named(gateway)}-7d9c5b6f4d-x2x9z`, pods);
  assert.doesNotMatch(`${named(gateway)}-more-7d9c5b6f4d-x2x9z`, pods);
});
