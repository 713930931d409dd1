import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { createApiKey, createTeam } from '@graft/service';
import { openTestServices } from '@graft/service/testing';
import { freePort, graftEnvironment, startProcess, whenReady } from '../../test/service/running-graft.ts';

/** What one team's chats waited for their first tokens, in milliseconds, and what another team did meanwhile. */
export interface Load {
  name: string;
  first: number[];
  /** Prompts that the other team had refused, by error code, and their tokens in the ledger. */
  refused: Record<string, number>;
  inputTokens: number;
}

export interface LongPromptsOptions {
  /** Where data and settings are written. */
  folder: string;
  /** Folder or file of the base model. */
  model: string;
  /** Of the other team, each asking again as soon as it has its answer. */
  clients: number;
  /** Chats that are measured under each load, one after the other. */
  chats: number;
  report(line: string): void;
}

/** Characters of a prompt: refused by its length alone, and tokenised first. */
const loads = { calm: 0, 'of 900,000 characters': 900_000, 'of 160,000 characters': 160_000 };

/**
 * A whole Graft, API and worker: how long chats of one team wait for their first token, alone and beside another team's prompts that are
 * too long for the model.
 */
export async function longPrompts({ folder, model, ...options }: LongPromptsOptions): Promise<Load[]> {
  const { clients, chats, report } = options;
  const baseModels = join(folder, 'base-models.json');
  writeFileSync(baseModels, JSON.stringify({ smollm2: { folder: model } }));
  const services = await openTestServices({ role: 'admin' });
  const port = await freePort();
  const graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      PORT: String(port),
      GRAFT_DATA_DIR: join(folder, 'data'),
      GRAFT_BASE_MODELS: baseModels,
      GRAFT_PEPPER: services.secrets.pepper.text,
      GRAFT_INTERNAL_TOKEN: services.secrets.internalToken,
      DATABASE_URL: services.env.databaseUrl,
      REDIS_URL: services.env.redisUrl,
    }),
  );
  const agent = new Agent({ keepAlive: true });
  const keyOf = async (name: string) => {
    const team = await createTeam(services, { name });
    const { key } = await createApiKey(services, team.id, { name, role: 'member' });
    return { teamId: team.id, key };
  };

  /** Milliseconds until the first piece of text, and the answer's error code, if any. */
  const ask = (key: string, body: Buffer) =>
    new Promise<{ first: number; code: string | null }>((resolve, reject) => {
      const began = performance.now();
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      const at = { agent, host: '127.0.0.1', port, method: 'POST', path: '/v1/completions' };
      const sent = request({ ...at, headers: { ...headers, 'content-length': body.length } }, (response) => {
        let text = '';
        let first = 0;
        response.setEncoding('utf8').on('data', (piece: string) => {
          first ||= performance.now() - began;
          text += piece;
        });
        response.once('error', reject);
        response.once('end', () => {
          const code = response.statusCode === 200 ? null : String(JSON.parse(text).error?.code);
          resolve({ first, code });
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });

  try {
    await whenReady(graft, `http://127.0.0.1:${port}/readyz`);
    const honest = await keyOf('honest');
    const other = await keyOf('other');
    const chat = async (i: number) => {
      const prompt = `${i}. ${'The bikes that the town lends are red and green. '.repeat(8)} They are`;
      const asked = { model: 'smollm2', prompt, max_tokens: 8, temperature: 0, stream: true };
      const { first, code } = await ask(honest.key, Buffer.from(JSON.stringify(asked)));
      if (code !== null) throw new Error(`a chat was refused: ${code}`);
      return first;
    };
    report('loading the model');
    for (let i = 0; i < 3; i++) await chat(i);
    const results: Load[] = [];
    for (const [name, characters] of Object.entries(loads)) {
      const inLedger = async () => {
        const { rows } = await services.sql.query<{ sum: number }>(
          `SELECT coalesce(sum(quantity), 0)::float8 AS sum FROM usage_ledger WHERE team_id = $1 AND kind = 'input_tokens'`,
          [other.teamId],
        );
        return rows[0]!.sum;
      };
      const before = await inLedger();
      const prompt = 'A letter that goes on and on about the weather of last week. '
        .repeat(15_000)
        .slice(0, characters);
      const body = Buffer.from(JSON.stringify({ model: 'smollm2', prompt, max_tokens: 8 }));
      const refused: Load['refused'] = {};
      let isOver = false;
      const client = async () => {
        while (!isOver) {
          const { code } = await ask(other.key, body);
          refused[code ?? 'answered'] = (refused[code ?? 'answered'] ?? 0) + 1;
        }
      };
      const all = Array.from({ length: characters === 0 ? 0 : clients }, client);
      const first: number[] = [];
      for (let i = 0; i < chats; i++) {
        first.push(await chat(results.length * chats + i + 10));
        report(`${name}: ${i + 1} of ${chats}, ${first.at(-1)!.toFixed(0)} ms`);
      }
      isOver = true;
      await Promise.all(all);
      results.push({ name, first, refused, inputTokens: (await inLedger()) - before });
    }
    return results;
  } finally {
    agent.destroy();
    await graft.end('SIGTERM');
    await services.close();
  }
}
