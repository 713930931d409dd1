/**
 * A replacement for Prisma's native `schema-engine`, which its CLI would download: the same engine as WebAssembly, behind
 * the same interface. `schema-engine cli <command>` answers by exit code; otherwise JSON-RPC 2.0, one message a line,
 * on stdin and stdout.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { loadEngine, type SchemaEngine } from './load-engine.ts';
import { databaseName, runOnce, withDatabase } from './migration-adapter.ts';

interface Request {
  id: number;
  /** Default: none, where the CLI acknowledges a `print` of ours. */
  method?: string;
  params: Record<string, unknown>;
}

/** Errors of connecting, as Prisma's documentation numbers them. */
const prismaCodes: Record<string, string | undefined> = {
  '3D000': 'P1003',
  '28P01': 'P1000',
  '28000': 'P1010',
  ECONNREFUSED: 'P1001',
  ENOTFOUND: 'P1001',
};

const { url, datamodels, command } = readArguments(process.argv.slice(2));
if (command === undefined) serve();
else await runCommand(command);

function readArguments(args: string[]) {
  const datamodels: [string, string][] = [];
  let datasource: { url?: string } = {};
  let command: string | undefined;
  for (let i = 0; i < args.length; i += 2) {
    const value = args[i + 1] ?? '';
    if (args[i] === '--datamodels') datamodels.push([value, readFileSync(path.resolve(value), 'utf8')]);
    else if (args[i] === '--datasource') datasource = JSON.parse(value) as { url?: string };
    else if (args[i] === 'cli') command = value;
  }
  return { url: new URL(datasource.url ?? process.env.DATABASE_URL ?? ''), datamodels, command };
}

async function createDatabase(): Promise<{ databaseName: string }> {
  const name = databaseName(url);
  await runOnce(withDatabase(url, 'postgres'), `CREATE DATABASE "${name.replaceAll('"', '""')}"`).catch(
    (error: { code?: string }) => {
      // Exists; or another process is making it this moment.
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    },
  );
  return { databaseName: name };
}

async function runCommand(command: string): Promise<void> {
  try {
    if (command === 'can-connect-to-database') await runOnce(url, 'SELECT 1');
    else if (command === 'create-database') await createDatabase();
    else throw new Error(`unknown command ${command}`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const fields = { message: message || code, error_code: prismaCodes[code ?? ''] ?? 'P1011' };
    const line = { level: 'ERROR', target: 'schema_engine::logger', fields };
    // The CLI skips the first line, where the native engine has something else.
    process.stderr.write(`\n${JSON.stringify(line)}\n`);
    process.exitCode = 1;
  }
}

function serve(): void {
  let engine: Promise<SchemaEngine> | undefined;
  let prints = 0;
  const send = (message: object) =>
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

  async function call(method: string, params: Record<string, unknown>): Promise<unknown> {
    if (method === 'createDatabase') return await createDatabase();
    engine ??= loadEngine(url, datamodels);
    const methods = await engine;
    // The wasm build opens no shadow database in evaluateDataLoss: it reads what devDiagnostic has found there.
    if (method === 'evaluateDataLoss') {
      const { migrationsList, filters } = params;
      await methods.devDiagnostic!({ migrationsList, filters });
    }
    const name = method === 'getDatabaseVersion' ? 'version' : method;
    const result = (await methods[name]!(params)) ?? null;
    if (method !== 'diff') return result;
    // The native engine prints a diff by asking the CLI to.
    const { stdout, exitCode } = result as { stdout: string | null; exitCode: number };
    if (stdout) send({ id: `print-${prints++}`, method: 'print', params: { content: stdout } });
    return { exitCode, stdout: null };
  }

  async function answer({ id, method, params }: Request): Promise<void> {
    if (method === undefined) return;
    try {
      send({ id, result: await call(method, params) });
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      send({ id, error: { code: 4466, message, data: { is_panic: false, message, error_code: code } } });
    }
  }

  let last = Promise.resolve();
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      last = last.then(() => answer(JSON.parse(line) as Request));
    })
    .on('close', () => void last.then(() => process.exit(0)));
}
