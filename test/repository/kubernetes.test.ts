/** Manifests of deploy/kubernetes: kustomize builds every overlay; the result matches Kubernetes' schemas and has the required settings. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { planFault, planThreads } from '@graft/service/environment';
import { createTestDatabase } from '@graft/service/testing';
import pg from 'pg';
import { type SettingName, settings } from '../../packages/service/src/settings/sections.ts';
import type { Setting } from '../../packages/service/src/settings/setting.ts';
import { kubernetesValidatePython, kustomize } from '../../scripts/tools/fetch-tool.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'deploy/kubernetes');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const python = await kubernetesValidatePython();
/** The oldest and the newest Kubernetes release whose schemas are used. */
const releases = ['1.30', '1.36'];

interface Container {
  name: string;
  image: string;
  command?: string[];
  env?: { name: string; value?: string }[];
  envFrom?: object[];
  ports?: { name: string; containerPort: number }[];
  volumeMounts: { name: string; mountPath: string }[];
  securityContext: object;
  resources: { requests: Record<string, string>; limits: Record<string, string> };
  startupProbe?: object;
  livenessProbe?: { httpGet: { path: string } };
  readinessProbe?: { httpGet: { path: string } };
  lifecycle?: { preStop: { exec: { command: string[] } } };
}
interface PodSpec {
  containers: Container[];
  initContainers: Container[];
  volumes: Record<string, unknown>[];
  securityContext: Record<string, unknown>;
  automountServiceAccountToken: boolean;
  terminationGracePeriodSeconds: number;
  nodeSelector?: Record<string, string>;
  runtimeClassName?: string;
  tolerations?: object[];
}
interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: the fields depend on the kind; the schemas check them
  spec: any;
}

interface Validated {
  documents: Manifest[];
  faults: object[];
}

/** Validates all manifests in one Python process, because starting Python takes seconds. */
function validate(given: [yaml: string, release: string][]): Validated[] {
  const script = join(root, 'scripts/tools/validate_manifests.py');
  const input = JSON.stringify(given.map(([yaml_text, version]) => ({ yaml_text, version })));
  const ran = spawnSync(python, [script], { input, encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

function build(overlay: string): string {
  const ran = spawnSync(kustomize(), ['build', join(folder, 'overlays', overlay)], { encoding: 'utf8' });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

/** Builds an overlay with one more component, as an operator's own overlay does. */
function withComponent(overlay: string, component: string): string {
  const own = mkdtempSync(join(tmpdir(), 'graft-overlay-'));
  const at = (path: string) => relative(realpathSync(own), join(folder, path));
  const text = `resources: ['${at(`overlays/${overlay}`)}']\ncomponents: ['${at(`components/${component}`)}']\n`;
  writeFileSync(join(own, 'kustomization.yaml'), text);
  const ran = spawnSync(kustomize(), ['build', own], { encoding: 'utf8' });
  rmSync(own, { recursive: true });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

const overlays = readdirSync(join(folder, 'overlays')).sort();
const built = overlays.map(build);
/** `cpu` with the volume that the API shares with runtimes. */
const deploying = withComponent('cpu', 'deploy-folder');
/** [valid text, invalid text]: each is a change to the overlay `public`. */
const mistakes = [
  ['terminationGracePeriodSeconds: 40', 'terminationGraceSeconds: 40'],
  ['replicas: 2', 'replicas: two'],
  ['maxReplicaCount: 8', 'maxReplicas: 8'],
  ['pollingInterval: 15', 'pollingInterval: often'],
  ['jobLabel: app', 'jobLable: app'],
  ['secretName: graft-tls', 'secret: graft-tls'],
] as const;
const everything = built[overlays.indexOf('public')]!;
const validated = validate([
  ...built.map((yaml): [string, string] => [yaml, releases[0]!]),
  ...built.map((yaml): [string, string] => [yaml, releases[1]!]),
  [read('deploy/kubernetes/secret.example.yaml'), releases[0]!],
  ...mistakes.map(([right, wrong]): [string, string] => [everything.replace(right, wrong), releases[0]!]),
  [deploying, releases[0]!],
]);
const documents = new Map(overlays.map((overlay, i) => [overlay, validated[i]!]));
const secret = validated[2 * overlays.length]!.documents[0]!;
const manifests = (overlay: string) => documents.get(overlay)!.documents;
const find = (overlay: string, kind: string, name: string) =>
  manifests(overlay).find((manifest) => manifest.kind === kind && manifest.metadata.name === name)!;
const pod = (overlay: string, name: string): PodSpec => find(overlay, 'Deployment', name).spec.template.spec;

test('there are overlays for CPU, GPU, parts of a GPU, a shared folder, and with Ingress and Prometheus; each is valid, also in a newer release', () => {
  assert.deepEqual(overlays, ['cpu', 'gpu', 'gpu-mig', 'public', 'restricted', 'shared-folder']);
  for (const { documents, faults } of validated.slice(0, 2 * overlays.length)) {
    assert.deepEqual(faults, []);
    assert.ok(documents.length >= 12);
  }
  assert.deepEqual(validated[2 * overlays.length]!.faults, []);
});

test('the component deploy-folder mounts the volume in the API alone', () => {
  const { documents: made, faults } = validated.at(-1)!;
  assert.deepEqual(faults, []);
  const podOf = (name: string): PodSpec =>
    made.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name)!.spec.template.spec;
  const mounts = (name: string) => podOf(name).containers[0]!.volumeMounts.map(({ mountPath }) => mountPath);
  assert.ok(mounts('graft-api').includes('/deployed'));
  assert.ok(!mounts('graft-worker').includes('/deployed'));
  const config = made.find(({ kind }) => kind === 'ConfigMap')!;
  assert.equal(config.data!.GRAFT_DEPLOY_FOLDER, '/deployed');
});

test('what is wrong is found: a field that does not exist, a wrong type, in Kubernetes and in KEDA', () => {
  for (const [i, [right, wrong]] of mistakes.entries()) {
    assert.ok(everything.includes(right), right);
    assert.equal(validated[2 * overlays.length + 1 + i]!.faults.length, 1, wrong);
  }
});

const root0 = { runAsNonRoot: false, runAsUser: 0 };
/** All of them are allowed by the pod security standard "baseline". */
const toChangeUsers = ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID'];

test('trainers are separate users, or where there is no root the kernel must confine them', () => {
  const settings = (overlay: string) =>
    Object.fromEntries(
      pod(overlay, 'graft-worker').containers[0]!.env!.map(({ name, value }) => [name, value]),
    );
  const level = (overlay: string) =>
    (find(overlay, 'Namespace', 'graft').metadata as { labels?: object }).labels as Record<string, string>;
  const enforced = 'pod-security.kubernetes.io/enforce';
  assert.equal(settings('cpu').GRAFT_TRAINER_USER, '10001-10064');
  assert.equal(level('cpu')[enforced], 'baseline');
  assert.equal(settings('restricted').GRAFT_TRAINER_USER, undefined);
  assert.equal(settings('restricted').GRAFT_TRAINER_SANDBOX, 'required');
  assert.equal(level('restricted')[enforced], 'restricted');
});

describe('every overlay', () => {
  for (const overlay of overlays) {
    test(`${overlay}: pods with no rights but those of a worker to change users, on a file system that cannot be written`, () => {
      for (const name of ['graft-api', 'graft-worker']) {
        const spec = pod(overlay, name);
        assert.equal(spec.automountServiceAccountToken, false);
        assert.equal(spec.securityContext.runAsNonRoot, true);
        for (const container of [...spec.containers, ...spec.initContainers]) {
          const isWorker = container.name === 'worker';
          const users =
            isWorker && (overlay === 'restricted' ? { runAsNonRoot: true, runAsUser: 1000 } : root0);
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'], ...(users === root0 && { add: toChangeUsers }) },
            readOnlyRootFilesystem: true,
            ...users,
          });
          assert.ok(container.resources.requests.cpu && container.resources.limits.memory, container.name);
          for (const { name: mount } of container.volumeMounts)
            assert.ok(
              spec.volumes.some((volume) => volume.name === mount),
              mount,
            );
        }
        // The folders that Graft writes to: data, downloaded models, their digests, temporary files, and kernels compiled for a card.
        const compiled =
          overlay.startsWith('gpu') && spec.containers[0]!.name === 'worker' ? ['/graft-cache/compiled'] : [];
        const mounted = spec.containers[0]!.volumeMounts.map(({ mountPath }) => mountPath).sort();
        assert.deepEqual(mounted, [
          ...['/data', ...compiled, '/graft-cache/digests', '/graft-cache/models'],
          ...['/run/graft', '/tmp'],
        ]);
      }
    });

    test(`${overlay}: probes of paths that exist, and time to drain`, () => {
      const api = pod(overlay, 'graft-api');
      const [server] = api.containers;
      assert.deepEqual(
        [server!.livenessProbe?.httpGet.path, server!.readinessProbe?.httpGet.path],
        ['/healthz', '/readyz'],
      );
      const drain =
        Number(/drainMs = ([\d_]+)/.exec(read('apps/api/src/main.ts'))![1]!.replace('_', '')) / 1000;
      const pause = Number(server!.lifecycle!.preStop.exec.command[1]);
      assert.ok(api.terminationGracePeriodSeconds >= pause + drain + 5);
      const worker = pod(overlay, 'graft-worker');
      const seconds = worker.containers[0]!.env!.find(({ name }) => name === 'GRAFT_DRAIN_SECONDS')!.value;
      assert.ok(worker.terminationGracePeriodSeconds >= Number(seconds) + 15);
      assert.ok(worker.containers[0]!.startupProbe && worker.containers[0]!.livenessProbe);
    });

    test(`${overlay}: selectors find pods, and everything that runs has a budget and a network policy`, () => {
      const labels = manifests(overlay)
        .filter(({ kind }) => kind === 'Deployment')
        .map(({ spec }) => spec.template.metadata.labels as Record<string, string>);
      const selects = (wanted: Record<string, string>) =>
        labels.filter((each) => Object.entries(wanted).every(([key, value]) => each[key] === value)).length;
      for (const kind of ['PodDisruptionBudget', 'NetworkPolicy', 'Service']) {
        const selectors = manifests(overlay)
          .filter((manifest) => manifest.kind === kind)
          .map(
            ({ spec }) => spec.selector?.matchLabels ?? spec.podSelector?.matchLabels ?? spec.selector ?? {},
          );
        assert.ok(selectors.length > 0, kind);
        for (const selector of selectors)
          assert.ok(selects(selector) >= 1, `${kind}: ${JSON.stringify(selector)}`);
        if (kind !== 'Service')
          assert.ok(
            selectors.some((s) => s.app === 'graft-worker') && selectors.some((s) => s.app === 'graft-api'),
          );
      }
      const closed = find(overlay, 'NetworkPolicy', 'graft-default').spec;
      assert.deepEqual([closed.podSelector, closed.policyTypes], [{}, ['Ingress', 'Egress']]);
      const fromApi = find(overlay, 'NetworkPolicy', 'graft-worker').spec.ingress[0];
      assert.equal(
        fromApi.ports[0].port,
        pod(overlay, 'graft-worker').containers[0]!.ports![0]!.containerPort,
      );
    });

    test(`${overlay}: every variable is a setting of the process that gets it`, () => {
      const shared = [
        ...Object.keys(find(overlay, 'ConfigMap', 'graft-config').data!),
        ...Object.keys(secret.stringData!).filter((name) => name !== 'WORKER_DATABASE_URL'),
      ];
      assert.deepEqual(
        shared.filter((name) => !(name.replace(/_FILE$/, '') in settings)),
        [],
      );
      for (const reader of ['api', 'worker'] as const) {
        for (const { name } of pod(overlay, `graft-${reader}`).containers[0]!.env!) {
          if (name === 'POD_IP') continue;
          const setting: Setting | undefined = settings[name.replace(/_FILE$/, '') as SettingName];
          assert.ok(setting?.readBy.includes(reader), `${reader}: ${name}`);
        }
      }
    });
  }
});

test('the heaps of all threads of the API add up to less than the memory of its container', () => {
  for (const overlay of overlays) {
    const { limits } = pod(overlay, 'graft-api').containers[0]!.resources;
    const bytes = Number(/^(\d+)Gi$/.exec(limits.memory!)![1]) * 2 ** 30;
    const plan = planThreads({ apiMemoryBytes: undefined, validationThreads: undefined }, bytes);
    assert.equal(planFault({ ...plan, limitedBy: 'the limit' }), null, overlay);
  }
});

test('secrets are files, and a worker has neither the keys of the API nor its login', () => {
  for (const [name, own, keys] of [
    ['graft-api', 'DATABASE_URL', true],
    ['graft-worker', 'WORKER_DATABASE_URL', false],
  ] as const) {
    const { containers, volumes } = pod('cpu', name);
    assert.deepEqual(containers[0]!.envFrom, [{ configMapRef: { name: 'graft-config' } }]);
    assert.ok(containers[0]!.env!.every(({ value = '' }) => !/CHANGE-ME/.test(value)));
    // An upgrade must not lose the values of the secret, which earlier pods used as a whole.
    const given = JSON.stringify([volumes.find((volume) => volume.name === 'secrets'), containers[0]!.env]);
    assert.match(given, new RegExp(`"key":"${own}","path":"DATABASE_URL"`));
    for (const secret of [
      'PEPPER',
      'SEALING_KEY',
      'OIDC_CLIENT_SECRET',
      'BOOTSTRAP_KEY',
      'MIGRATION_DATABASE_URL',
      'AUDIT_SINK_TOKEN',
    ])
      assert.equal(given.includes(secret), keys, `${name}: ${secret}`);
    assert.match(given, /"key":"HF_TOKEN","name":"graft-secrets","optional":true/);
    for (const { name: variable, value } of containers[0]!.env!)
      if (variable.endsWith('_FILE')) assert.equal(value, `/run/graft/${variable.slice(0, -5)}`);
  }
});

test('an Ingress leads to the API, which knows its address, and lets streams and uploads through', () => {
  const { spec, metadata } = find('public', 'Ingress', 'graft-api') as Manifest & {
    metadata: { annotations: Record<string, string> };
  };
  const [rule] = spec.rules;
  assert.equal(`https://${rule.host}`, find('public', 'ConfigMap', 'graft-config').data!.GRAFT_PUBLIC_URL);
  assert.deepEqual(spec.tls[0].hosts, [rule.host]);
  const { name, port } = rule.http.paths[0].backend.service;
  const service = find('public', 'Service', name);
  assert.ok(service.spec.ports.some((each: { name: string }) => each.name === port.name));
  const nginx = 'nginx.ingress.kubernetes.io';
  assert.equal(metadata.annotations[`${nginx}/proxy-body-size`], '0');
  assert.equal(metadata.annotations[`${nginx}/proxy-buffering`], 'off');
});

test('Prometheus scrapes API and workers with the token, by the names that alerts know; the rules are those of ops', () => {
  const service = find('public', 'Service', 'graft-api') as Manifest & { metadata: { labels: object } };
  const monitor = find('public', 'ServiceMonitor', 'graft-api').spec;
  assert.deepEqual({ ...service.metadata.labels, ...monitor.selector.matchLabels }, service.metadata.labels);
  const pods = find('public', 'PodMonitor', 'graft-worker').spec;
  const ports = pod('public', 'graft-worker').containers[0]!.ports!;
  assert.ok(ports.some(({ name }) => name === pods.podMetricsEndpoints[0].port));
  assert.ok(service.spec.ports.some(({ name }: { name: string }) => name === monitor.endpoints[0].port));
  for (const endpoint of [monitor.endpoints[0], pods.podMetricsEndpoints[0]]) {
    const { name, key } = endpoint.authorization.credentials;
    assert.deepEqual([name, key in secret.stringData!], ['graft-secrets', true]);
  }
  // The label of the pods and of the service, which determines the job's name.
  const jobs = [...read('ops/prometheus/prometheus.yml').matchAll(/job_name: (\S+)/g)].map(
    ([, name]) => name,
  );
  assert.deepEqual(jobs, [monitor.selector.matchLabels.app, pods.selector.matchLabels.app]);
  const groups = read('ops/prometheus/alerts.yml')
    .split(/^groups:\n/m)[1]!
    .trimEnd();
  const own = read('deploy/kubernetes/components/prometheus/alerts.yaml')
    .split(/^ {2}groups:\n/m)[1]!
    .trimEnd();
  assert.equal(own.replaceAll(/^ {2}/gm, ''), groups, 'copy the groups of ops/prometheus/alerts.yml');
});

test('GPU workers go to nodes with a GPU and take one', () => {
  const worker = pod('gpu', 'graft-worker');
  assert.deepEqual(worker.nodeSelector, { 'nvidia.com/gpu.present': 'true' });
  assert.deepEqual(worker.tolerations, [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]);
  const [container] = worker.containers;
  assert.equal(container!.resources.limits['nvidia.com/gpu'], '1');
  assert.match(container!.image, /graft-worker-gpu:/);
  assert.equal(worker.runtimeClassName, undefined);
  assert.equal(pod('gpu', 'graft-api').nodeSelector, undefined);
  assert.equal(pod('cpu', 'graft-worker').nodeSelector, undefined);
});

test("a worker may have a part of a GPU instead, by NVIDIA's own runtime", () => {
  const worker = pod('gpu-mig', 'graft-worker');
  const { limits } = worker.containers[0]!.resources;
  assert.deepEqual([limits['nvidia.com/gpu'], limits['nvidia.com/mig-3g.40gb']], [undefined, '1']);
  assert.equal(limits.memory, pod('gpu', 'graft-worker').containers[0]!.resources.limits.memory);
  assert.equal(worker.runtimeClassName, 'nvidia');
  assert.deepEqual(worker.tolerations, pod('gpu', 'graft-worker').tolerations);
});

test('files lie in a bucket or in a folder that all pods share', () => {
  assert.match(find('cpu', 'ConfigMap', 'graft-config').data!.ARTIFACTS_URL!, /^s3:\/\//);
  const claim = find('shared-folder', 'PersistentVolumeClaim', 'graft-data');
  assert.deepEqual(claim.spec.accessModes, ['ReadWriteMany']);
  for (const name of ['graft-api', 'graft-worker'])
    assert.deepEqual(pod('shared-folder', name).volumes[0], {
      name: 'data',
      persistentVolumeClaim: { claimName: 'graft-data' },
    });
});

test("KEDA's query counts the jobs that want a slot, on the real schema", async () => {
  const scaled = find('cpu', 'ScaledObject', 'graft-worker').spec;
  assert.equal(scaled.scaleTargetRef.name, 'graft-worker');
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(`INSERT INTO teams (id, name) VALUES ('team-1', 'acme');
      INSERT INTO files (id, team_id, filename, purpose, bytes, sha256, path, status)
        VALUES ('file-1', 'team-1', 'a', 'fine-tune', 1, 'x', 'y', 'processed');
      INSERT INTO jobs (id, team_id, state, model, seed, training_file_id, hyperparameters, peft, training, run_after, lease_until)
        SELECT 'job-' || i, 'team-1', state, 'm', 1, 'file-1', '{}', '{}', '{}', now() + wait, now()
        FROM (VALUES (1, 'queued', interval '0'), (2, 'queued', interval '5 minutes'), (3, 'running', interval '0'),
                     (4, 'succeeded', interval '0'), (5, 'dispatched', interval '0')) AS v(i, state, wait)`);
    const { rows } = await client.query({ text: scaled.triggers[0].metadata.query, rowMode: 'array' });
    // The job that waits after a fault is not counted yet.
    assert.deepEqual(rows, [['3']]);
  } finally {
    await client.end();
    await database.drop();
  }
});
