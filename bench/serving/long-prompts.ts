import { inLanes } from '../../scripts/measuring/processes.ts';
import { type Answer, startApi } from '../running-api.ts';

/** Times to first token of one team's chats, in milliseconds, and the load that another team made meanwhile. */
export interface Load {
  name: string;
  first: number[];
  /** Prompts that the other team had refused, by error code, and their tokens in the ledger. */
  refused: Record<string, number>;
  inputTokens: number;
}

export interface LongPromptsOptions {
  /** Folder or file of the base model. */
  model: string;
  /** Clients of the other team, each asking again as soon as it has its answer. */
  clients: number;
  /** Chats that are measured under each load, one after the other. */
  chats: number;
  report(line: string): void;
}

/** Characters of a prompt: refused by its length alone, and tokenised first. */
const loads = { calm: 0, 'of 900,000 characters': 900_000, 'of 160,000 characters': 160_000 };

const codeOf = ({ status, text }: Answer): string | null =>
  status === 200 ? null : String(JSON.parse(text).error?.code);

/**
 * An API and a worker: how long chats of one team wait for their first token, alone and beside another team's prompts that are too long for
 * the model.
 */
export async function longPrompts({ model, clients, chats, report }: LongPromptsOptions): Promise<Load[]> {
  const api = await startApi({ worker: true, model });
  const asks = (key: string, body: object | Buffer<ArrayBuffer>) =>
    api.ask({ method: 'POST', path: '/v1/completions', key, body });
  try {
    const honest = await api.newTeam('honest');
    const other = await api.newTeam('other');
    const chat = async (i: number) => {
      const prompt = `${i}. ${'The bikes that the town lends are red and green. '.repeat(8)} They are`;
      const body = { model: 'tiny', prompt, max_tokens: 8, temperature: 0, stream: true };
      const answer = await asks(honest.key, body);
      if (codeOf(answer) !== null) throw new Error(`a chat was refused: ${answer.text}`);
      return answer.first;
    };
    const inLedger = async () => {
      const { rows } = await api.services.sql.query<{ sum: number }>(
        `SELECT coalesce(sum(quantity), 0)::float8 AS sum FROM usage_ledger WHERE team_id = $1 AND kind = 'input_tokens'`,
        [other.id],
      );
      return rows[0]!.sum;
    };
    report('loading the model');
    for (let i = 0; i < 3; i++) await chat(i);
    const results: Load[] = [];
    for (const [name, characters] of Object.entries(loads)) {
      const before = await inLedger();
      const letter = 'A letter that goes on and on about the weather of last week. ';
      const prompt = letter.repeat(15_000).slice(0, characters);
      const body = Buffer.from(JSON.stringify({ model: 'tiny', prompt, max_tokens: 8 }));
      const refused: Load['refused'] = {};
      let isOver = false;
      const others = inLanes(
        characters === 0 ? 0 : clients,
        () => isOver,
        async () => {
          const code = codeOf(await asks(other.key, body)) ?? 'answered';
          refused[code] = (refused[code] ?? 0) + 1;
        },
      );
      const first: number[] = [];
      for (let i = 0; i < chats; i++) {
        first.push(await chat(results.length * chats + i + 10));
        report(`${name}: ${i + 1} of ${chats}, ${first.at(-1)!.toFixed(0)} ms`);
      }
      isOver = true;
      await others;
      results.push({ name, first, refused, inputTokens: (await inLedger()) - before });
    }
    return results;
  } finally {
    await api.close();
  }
}
