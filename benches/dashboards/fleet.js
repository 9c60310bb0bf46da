// What the pictures are taken of: a nats-server, gateways as pods run them, and the Prometheus that scrapes them.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';

import { WebSocket } from '../../tests/node/gateway.js';
import { start, until } from '../../tests/node/programs.js';

const SESSION_KEY = '0123456789abcdef0123456789abcdef';

/** A nats-server with streams, which can go away and come back. */
export class Nats {
  #folder;
  #process;

  static async start(folder) {
    const nats = new Nats();
    nats.#folder = folder;
    await nats.#listen('-1');
    return nats;
  }

  async #listen(port) {
    const args = ['-a', '127.0.0.1', '-p', port, '--jetstream', '--store_dir', this.#folder.file('streams')];
    const listens = /Listening for client connections on 127.0.0.1:(\d+)/;
    this.#process = await start(listens, process.env.NATS_SERVER_BIN, args);
    this.port = this.#process.found[1];
    this.url = `nats://127.0.0.1:${this.port}`;
  }

  stop = () => this.#process.stop();
  startAgain = () => this.#listen(this.port);
}

/** The pods of one `TopicGateway`, and what stands before them. */
export class Gateway {
  #folder;
  #spec;
  #started = 0;
  #turn = 0;
  pods = [];

  constructor(folder, namespace, name, spec) {
    Object.assign(this, { namespace, name });
    this.#folder = folder;
    this.#spec = spec;
    mkdirSync(folder.file(`${name}-keys`));
    writeFileSync(folder.file(`${name}-keys/key`), SESSION_KEY);
    const service = this;
    /** A socket to the pod whose turn it is, as a Service of Kubernetes does it. */
    this.Socket = class extends WebSocket {
      constructor() {
        super(`${service.next().url}/ws`);
      }
    };
  }

  /** Another pod, which begins with this generation of the configuration. */
  async add(generation = 1, changes = {}) {
    this.#started += 1;
    const pod = { name: `${this.name}-${this.#started}` };
    pod.config = this.#folder.file(`${pod.name}.json`);
    this.configure(pod, generation, changes);
    const args = ['gateway', '--config', pod.config, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
    const running = await start(/^\s*gateway\s.*http:\/\/([\d.]+:\d+)/, process.env.TOPIC_GATEWAY, args);
    const admin = () => running.lines.map((line) => /^\s*admin\s.*http:\/\/([\d.]+:\d+)/.exec(line)?.[1]).find(Boolean);
    pod.admin = await until('it tells its admin port', admin);
    pod.url = `ws://${running.found[1]}`;
    pod.stop = running.stop;
    await until('it is ready', async () => (await fetch(`http://${pod.admin}/readyz`)).ok);
    this.pods.push(pod);
    return pod;
  }

  /** Gives a pod another generation of its configuration, with these fields changed. */
  configure(pod, generation, changes = {}) {
    const keys = this.#folder.file(`${this.name}-keys`);
    const config = {
      apiVersion: 'topicgateway.io/v1alpha1',
      kind: 'GatewayConfig',
      name: this.name,
      namespace: this.namespace,
      generation,
      secretsDirectory: keys,
      sessionKeyDirectory: keys,
      spec: { ...this.#spec, ...changes },
    };
    replace(pod.config, config);
  }

  next() {
    this.#turn += 1;
    return this.pods[this.#turn % this.pods.length];
  }

  /** Ends a pod as a rollout does: newcomers go elsewhere at once, its clients when it tells them to. */
  async drain(pod) {
    this.pods = this.pods.filter((other) => other !== pod);
    await pod.stop();
  }
}

/** Scrapes every second. */
export class Prometheus {
  #folder;
  #process;

  static async start(folder) {
    const prometheus = new Prometheus();
    prometheus.#folder = folder;
    const job = { job_name: 'pods', file_sd_configs: [{ files: ['targets.json'] }] };
    const often = { scrape_interval: '1s', scrape_timeout: '1s' };
    replace(folder.file('prometheus.yml'), { global: often, scrape_configs: [job] });
    const options = { 'config.file': 'prometheus.yml', 'storage.tsdb.path': 'data' };
    const args = Object.entries(options).map(([name, file]) => `--${name}=${folder.file(file)}`);
    args.push('--web.listen-address=127.0.0.1:0');
    prometheus.#process = await start(/Listening on.* address=([\d.]+:\d+)/, process.env.PROMETHEUS, args);
    prometheus.url = `http://${prometheus.#process.found[1]}`;
    await until('Prometheus is ready', async () => (await fetch(`${prometheus.url}/-/ready`)).ok);
    return prometheus;
  }

  /** Scrapes the pods of these gateways from now on, under the labels of a PodMonitor. */
  scrape(gateways) {
    const target = ({ namespace, name }, pod) => ({
      targets: [pod.admin],
      labels: { namespace, job: `${namespace}/${name}`, pod: pod.name, instance: pod.name },
    });
    const targets = gateways.map((gateway) => gateway.pods.map((pod) => target(gateway, pod)));
    replace(this.#folder.file('targets.json'), targets.flat());
  }

  stop = () => this.#process.stop();
}

// At once, since it is looked at meanwhile.
function replace(file, content) {
  writeFileSync(`${file}.part`, JSON.stringify(content));
  renameSync(`${file}.part`, file);
}
