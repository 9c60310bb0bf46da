// The package as somebody gets it: packed, and installed into a folder that has nothing else.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const library = fileURLToPath(new URL('..', import.meta.url));
const npm = (args, cwd) => promisify(execFile)('npm', [...args, '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'], { cwd });

/** What `npm pack` says of the package, from its answer in JSON. */
export async function pack(...args) {
  const { stdout } = await npm(['pack', '--json', ...args], library);
  return Object.values(JSON.parse(stdout))[0];
}

/** The blocks of a language in the README. */
export function blocks(language) {
  const readme = readFileSync(join(library, 'README.md'), 'utf8');
  return [...readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, text]) => text);
}

/** Packs the library and installs the tarball; `remove` takes the folder away. */
export async function installPacked() {
  const folder = mkdtempSync(join(tmpdir(), 'topic-gateway-client-'));
  const { filename } = await pack('--pack-destination', folder);
  writeFileSync(join(folder, 'package.json'), '{"private": true}');
  await npm(['install', '--offline', '--ignore-scripts', `./${filename}`], folder);
  return {
    path: (name) => join(folder, name),
    /** Runs a module there; gives what it has printed so far, how to end it, and its exit code. */
    run: (name, text) => {
      writeFileSync(join(folder, name), text);
      const child = spawn(process.execPath, [...process.execArgv.filter((flag) => !flag.startsWith('--test')), name], { cwd: folder });
      const program = { printed: '', stop: () => child.kill('SIGKILL'), ended: once(child, 'exit').then(([code]) => code) };
      for (const output of [child.stdout, child.stderr]) output.on('data', (data) => (program.printed += data));
      return program;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
