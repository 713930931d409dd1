/** Dashboard, alert rules and runbook use existing metrics; Prometheus' own tool checks rules, queries and unit tests. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { observeProcess, registry } from '../../packages/service/src/observe/instruments.ts';
import '../../packages/service/src/observe/read-gauges.ts';
import { promtool } from '../../scripts/tools/fetch-tool.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Panel {
  title: string;
  type: string;
  targets?: { expr: string }[];
}
const dashboard: { panels: Panel[] } = JSON.parse(read('ops/grafana/graft.json'));
const rules = read('ops/prometheus/alerts.yml');
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);

observeProcess();
const metrics = await registry.getMetricsAsJSON();
/** All existing series, with the suffixes of histograms. */
const series = new Set(
  metrics.flatMap(({ name, type }) =>
    String(type) === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name],
  ),
);

function namedIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:graft|nodejs|process)_[a-z0-9_]+\b/g) ?? [])];
}

function check(args: string[]): void {
  const ran = spawnSync(promtool(), args, { encoding: 'utf8' });
  assert.equal(ran.status, 0, `${ran.error ?? ''}${ran.stdout}${ran.stderr}`);
}

test('promtool takes the rules and the configuration, and the unit tests of the alerts hold', () => {
  check(['check', 'rules', join(root, 'ops/prometheus/alerts.yml')]);
  check(['check', 'config', '--syntax-only', join(root, 'ops/prometheus/prometheus.yml')]);
  check(['test', 'rules', join(root, 'ops/prometheus/alerts.test.yml')]);
});

test('every alert has a unit test in which it fires, and a section of the runbook', () => {
  assert.ok(alerts.length >= 15);
  const tests = read('ops/prometheus/alerts.test.yml');
  const runbook = read('docs/operations.md');
  for (const alert of alerts) {
    assert.match(tests, new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`), alert);
    assert.match(runbook, new RegExp(`^#+ ${alert}$`, 'm'), alert);
    // An absolute URL, with the prefix from an external label that Prometheus' configuration sets.
    const link = `runbook_url: "{{ $externalLabels.graft_runbook }}#${alert.toLowerCase()}"`;
    assert.ok(rules.includes(link), alert);
  }
  assert.match(read('ops/prometheus/prometheus.yml'), /^ {4}graft_runbook: https:\/\/\S+$/m);
});

test('every alert names the commands to run, and those of graft exist, with their options', () => {
  const commands = [...rules.matchAll(/^ +command: ["'](.+)["']$/gm)].map(([, command]) => command!);
  assert.equal(commands.length, alerts.length);
  const verbs = new Map<string, string>();
  for (const [, verb, options] of commands
    .join('; ')
    .matchAll(/\bgraft ((?:admin )?[a-z-]+ [a-z-]+)([^;]*)/g))
    verbs.set(verb!, `${verbs.get(verb!) ?? ''}${options}`);
  assert.ok(verbs.size >= 5);
  for (const [verb, options] of verbs) {
    const args = [join(root, 'apps/cli/bin/graft.mjs'), ...verb.split(' '), '--help'];
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.match(ran.stdout, new RegExp(`^Usage: graft ${verb} `), verb);
    for (const option of options.match(/--[a-z-]+/g) ?? [])
      assert.ok(ran.stdout.includes(option), `${verb} ${option}`);
  }
});

test("the dashboard's every query parses, and names metrics that exist", () => {
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  assert.ok(panels.length >= 20);
  const queries = panels.flatMap(({ title, targets }) => {
    assert.ok(targets?.length, title);
    return targets.map(({ expr }) => ({ title, expr }));
  });
  for (const { title, expr } of queries) {
    const named = namedIn(expr);
    assert.ok(named.length > 0, title);
    for (const name of named) assert.ok(series.has(name), `${title}: ${name}`);
  }
  // promtool checks rules, so each query is written as a rule.
  const file = join(scratchFolder('dashboard'), 'queries.yml');
  const records = queries.map(({ expr }, i) => ({
    record: `q${i}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
  }));
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: records }] }));
  check(['check', 'rules', '--lint=none', file]);
});

test('alert rules name metrics that exist', () => {
  const text = rules.replaceAll(/^\s*#.*$|\$externalLabels\.\w+/gm, '');
  for (const name of namedIn(text)) assert.ok(series.has(name), name);
});

test('the dashboard shows every metric of Graft', () => {
  const shown = new Set(
    namedIn(
      dashboard.panels
        .flatMap((panel) => panel.targets ?? [])
        .map(({ expr }) => expr)
        .join('\n'),
    ),
  );
  const own = metrics.filter(({ name }) => name.startsWith('graft_'));
  const missing = own.filter(
    ({ name }) => !['', '_bucket', '_count', '_sum'].some((end) => shown.has(name + end)),
  );
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  );
});
