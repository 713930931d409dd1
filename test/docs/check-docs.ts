import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type DocsService, startDocsService } from './docs-service.ts';
import { Shell, splitCommands } from './shell.ts';
import { Placeholders, readSnippets, type Snippet } from './snippets.ts';

/** The result of a snippet. */
export interface Outcome {
  snippet: Snippet;
  /** Null: every command exited with 0, or the snippet was skipped. */
  fault: string | null;
  seconds: number;
}

const root = path.join(import.meta.dirname, '../..');
/** Time limit of one command: one that trains takes a minute alone on two cores, and several beside other tests. */
const limitSeconds = 400;

/** Every snippet of README.md and of the pages in docs/, in the order in which docs/README.md links to them. */
export function listSnippets(): Snippet[] {
  const index = readFileSync(path.join(root, 'docs/README.md'), 'utf8');
  const linked = [...index.matchAll(/\]\(([\w-]+\.md)/g)].map(([, name]) => name!);
  const all = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'));
  const pages = ['README.md', ...new Set(['README.md', ...linked, ...all].map((name) => `docs/${name}`))];
  return pages.flatMap((page) => readSnippets(page, readFileSync(path.join(root, page), 'utf8')));
}

/**
 * Starts Graft and runs the snippets against it, one after another, with one shell for each page. Skipped snippets are reported
 * without a fault.
 */
export async function checkDocs(snippets: Snippet[], onOutcome: (outcome: Outcome) => void): Promise<void> {
  const service = await startDocsService();
  const placeholders = new Placeholders({
    'http://127.0.0.1:8000': service.origin,
    'https://graft.example.com': service.origin,
    'graft_…': service.key,
  });
  let shell = new Shell(service.folder, service.env, limitSeconds);
  try {
    for (const [i, snippet] of snippets.entries()) {
      if (snippet.page !== snippets[i - 1]?.page) {
        shell.close();
        shell = new Shell(service.folder, service.env, limitSeconds);
      }
      const start = performance.now();
      const fault = snippet.skip === null ? await runSnippet(service, shell, placeholders, snippet) : null;
      onOutcome({ snippet, fault, seconds: (performance.now() - start) / 1000 });
    }
  } finally {
    shell.close();
    await service.close();
  }
}

async function runSnippet(
  { python, tail }: DocsService,
  shell: Shell,
  placeholders: Placeholders,
  { language, code }: Snippet,
): Promise<string | null> {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const commands = language === 'sh' ? splitCommands(code) : [code];
  for (const command of commands) {
    let filled: string;
    try {
      filled = placeholders.fill(command);
    } catch (error) {
      return (error as Error).message;
    }
    const ran = await shell.run(language === 'sh' ? filled : `${quote(python)} -c ${quote(filled)}`);
    placeholders.learn(ran.output);
    if (ran.code === 0) continue;
    const how = ran.code === null ? `was killed after ${limitSeconds} s` : `exited with ${ran.code}`;
    return `${how}:\n${filled}\n--- output\n${ran.output.slice(-2000)}\n--- Graft's last lines\n${tail().slice(-500)}`;
  }
  return null;
}
