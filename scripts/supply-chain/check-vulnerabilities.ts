/**
 * Asks the npm registry for known vulnerabilities of the packages that a running Graft has: `npm run check:vulnerabilities`. Fails on
 * those of high and critical severity, but for the ones in allowed-advisories.json, each with a reason and a last day. Where the
 * registry answers no such question, as mirrors do, it says so and passes: nothing was checked.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine } from '../command-line.ts';

interface Allowed {
  /** GHSA-… */
  advisory: string;
  package: string;
  reason: string;
  /** YYYY-MM-DD: the last day. */
  until: string;
}

interface Advisory {
  name: string;
  severity: string;
  title: string;
  url: string;
}

interface Report {
  error?: { summary?: string };
  message?: string;
  /** By package: its advisories, and the packages that it inherits vulnerabilities from. */
  vulnerabilities?: Record<string, { via: (Advisory | string)[] }>;
}

const values = commandLine({
  allowed: { type: 'string', default: join(import.meta.dirname, 'allowed-advisories.json') },
  folder: { type: 'string', default: join(import.meta.dirname, '..', '..') },
});
const allowed = JSON.parse(readFileSync(values.allowed, 'utf8')) as Allowed[];
const today = new Date().toISOString().slice(0, 10);
const faults: string[] = [];
for (const { advisory, package: name, reason, until } of allowed) {
  if (!/^GHSA(?:-[0-9a-z]{4}){3}$/.test(advisory ?? '') || !name || (reason ?? '').length < 20)
    faults.push(`${advisory}: an entry names advisory, package, and a reason of 20 characters or more`);
  if (!/^\d{4}-\d\d-\d\d$/.test(until ?? '') || until < today)
    faults.push(`${advisory}: allowed until ${until}, which has passed: upgrade ${name}, or assess it again`);
}

const asked = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  cwd: values.folder,
  encoding: 'utf8',
  timeout: 120_000,
  maxBuffer: 2 ** 26,
});
const report = parseReport(asked.stdout ?? '');
if (!report.vulnerabilities) {
  const reason = report.message ?? report.error?.summary ?? asked.error?.message ?? 'no answer';
  console.log(
    `not reachable: the registry lists no known vulnerabilities here (${reason.trim()}). Nothing was checked.`,
  );
} else {
  const found = Object.values(report.vulnerabilities).flatMap(({ via }) =>
    via.filter((each): each is Advisory => typeof each === 'object'),
  );
  const seen = new Set<string>();
  for (const { name, severity, title, url } of found) {
    const id = url.split('/').at(-1)!;
    if (seen.has(`${id} ${name}`)) continue;
    seen.add(`${id} ${name}`);
    const entry = allowed.find((each) => each.advisory === id && each.package === name);
    const isGrave = severity === 'high' || severity === 'critical';
    console.log(
      `${severity}: ${name}: ${title} (${id})${entry ? `; allowed until ${entry.until}: ${entry.reason}` : ''}`,
    );
    if (isGrave && !entry) faults.push(`${name} has ${id} (${severity}): ${title}`);
  }
  console.log(`${seen.size} known vulnerabilities in the packages of production.`);
}
for (const fault of faults) console.log(`✖ ${fault}`);
// As each part of .ci/run ends, unless there was nothing to check.
if (report.vulnerabilities || faults.length > 0)
  console.log(faults.length > 0 ? '0 passed, 1 failed' : '1 passed, 0 failed');
process.exitCode = faults.length > 0 ? 1 : 0;

function parseReport(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {};
  }
}
