import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type DocsService, startDocsService } from './docs-service.ts';
import { Placeholders, readSnippets, type Snippet } from './snippets.ts';

/** What became of a snippet. */
export interface Outcome {
  snippet: Snippet;
  /** Null: it exited with 0, or it is skipped. */
  fault: string | null;
  seconds: number;
}

const root = path.join(import.meta.dirname, '../..');
const limitSeconds = 60;

/** Every snippet of README.md and of the pages in docs/, in the order in which docs/README.md links to them. */
export function listSnippets(): Snippet[] {
  const index = readFileSync(path.join(root, 'docs/README.md'), 'utf8');
  const order = [...index.matchAll(/\]\(([\w-]+\.md)/g)].map(([, name]) => name!);
  const all = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const pages = new Set(['README.md', ...order, ...all]);
  return ['README.md', ...[...pages].map((name) => `docs/${name}`)].flatMap((page) =>
    readSnippets(page, readFileSync(path.join(root, page), 'utf8')),
  );
}

/** Runs the snippets, one after the other, against a Graft that it starts; skipped ones are passed on as they are. */
export async function checkDocs(snippets: Snippet[], onOutcome: (outcome: Outcome) => void): Promise<void> {
  const service = await startDocsService();
  try {
    const placeholders = new Placeholders({
      'http://127.0.0.1:8000': service.origin,
      'https://graft.example.com': service.origin,
      'graft_…': service.key,
    });
    for (const snippet of snippets) {
      const start = performance.now();
      const fault = snippet.skip === null ? await runSnippet(service, placeholders, snippet) : null;
      onOutcome({ snippet, fault, seconds: (performance.now() - start) / 1000 });
    }
  } finally {
    await service.close();
  }
}

async function runSnippet(
  { env, folder, key, python, tail }: DocsService,
  placeholders: Placeholders,
  { language, code }: Snippet,
): Promise<string | null> {
  let filled: string;
  try {
    filled = placeholders.fill(code);
  } catch (error) {
    return (error as Error).message;
  }
  // Aliases as in a terminal; a failed command ends the snippet.
  const [program, ...args] =
    language === 'sh'
      ? ['bash', '-O', 'expand_aliases', '-euo', 'pipefail', '-c', filled]
      : [python, '-c', filled];
  const child = spawn(program!, args, { cwd: folder, env, stdio: 'pipe', detached: true });
  // For commands that ask for it, such as `graft login`.
  child.stdin.on('error', () => {}).end(`${key}\n`);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), limitSeconds * 1000);
  const code0 = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  placeholders.learn(output);
  if (code0 === 0) return null;
  const how = code0 === null ? `was killed after ${limitSeconds} s` : `exited with ${code0}`;
  return `${how}:\n${filled}\n--- output\n${output.slice(-3000)}\n--- Graft's last lines\n${tail().slice(-1000)}`;
}
