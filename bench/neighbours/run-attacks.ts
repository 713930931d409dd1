import { setTimeout as sleep } from 'node:timers/promises';
import { openBaseModel } from '@graft/peft-core/files';
import { tinyConfig } from '@graft/peft-core/testing';
import { inLanes } from '../../scripts/measuring/processes.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { startApi } from '../running-api.ts';
import { type Act, type Attack, attacks } from './attacks.ts';
import { openCalmTeam, type Waits } from './calm-team.ts';
import type { Team } from './team.ts';

export const neighbours = ['none', 'ordinary', 'hostile'] as const;
export type Neighbour = (typeof neighbours)[number];

export interface Round extends Waits {
  attack: Attack;
  neighbour: Neighbour;
  /** How the neighbour's acts ended, and how often. */
  ends: Map<string, number>;
}

export interface AttackOptions {
  /** Numbers of attacks. */
  numbers: readonly number[];
  beside: readonly Neighbour[];
  /** Length of a round, and how long the calm team waits for one answer. */
  seconds: number;
  patience: number;
  /** Bytes of a large file. */
  bytes: number;
  /** Folder or file of a base model. Default: a tiny one, whose tokens are bytes. */
  model?: string;
  report(line: string): void;
}

/** A whole Graft, API and worker, with a calm team, two ordinary and two hostile ones; the rounds of each attack, one after the other. */
export async function runAttacks(options: AttackOptions): Promise<Round[]> {
  const { numbers, beside, seconds, patience, bytes, report } = options;
  const folder = scratchFolder('neighbours');
  const { model = { max_position_embeddings: 8192 } } = options;
  const modelConfig = typeof model === 'string' ? await configOf(model) : { ...tinyConfig, ...model };
  const api = await startApi({
    worker: true,
    model,
    settings: { GRAFT_MAX_UPLOAD_BYTES: String(2 * bytes + 1_000_000) },
  });
  try {
    let end = 0;
    const isOver = () => performance.now() > end;
    const team = async (name: string): Promise<Team> => {
      const { key } = await api.newTeam(name);
      return { api, key, folder, bytes, modelConfig, isOver };
    };
    /** Two of each: what is kept for a team that has none is not enough for the third, then. */
    const teams = {
      none: [],
      ordinary: [await team('ordinary'), await team('ordinary-2')],
      hostile: [await team('hostile'), await team('hostile-2')],
    };
    report('the first jobs and answers, which load models');
    const calm = await openCalmTeam(await team('calm'), patience);
    end = performance.now() + 5_000;
    await calm.work(isOver);

    const rounds: Round[] = [];
    for (const attack of attacks.filter(({ number }) => numbers.includes(number)))
      for (const neighbour of beside) {
        const acts: Act[] = [];
        for (const team of teams[neighbour].slice(0, attack.atOnce))
          acts.push(await attack.open(team, neighbour === 'hostile'));
        report(`${attack.number}. ${attack.name}: beside ${neighbour}`);
        end = performance.now() + 1000 * seconds;
        const atOnce = neighbour === 'ordinary' ? (attack.ordinaryAtOnce ?? attack.atOnce) : attack.atOnce;
        const [waits, ends] = await Promise.all([calm.work(isOver), repeat(acts, atOnce, isOver)]);
        rounds.push({ attack, neighbour, ends, ...waits });
        for (const failure of new Set(waits.failures)) report(`✖ ${failure}`);
        report(`  ${[...ends].map(([how, count]) => `${count} × ${how}`).join(', ')}`);
      }
    return rounds;
  } finally {
    await api.close();
  }
}

/** Repeats the acts in turn, `atOnce` at a time, and counts how they end. */
async function repeat(
  acts: readonly Act[],
  atOnce: number,
  isOver: () => boolean,
): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  await inLanes(acts.length > 0 ? atOnce : 0, isOver, async (i) => {
    const how = await acts[i % acts.length]!(Math.floor(i / acts.length)).catch(
      ({ message }: Error) => `broken: ${message}`,
    );
    ends.set(how, (ends.get(how) ?? 0) + 1);
    // A refusal costs little, and the rate limits how often one may ask.
    if (how !== 'done') await sleep(100);
  });
  return ends;
}

async function configOf(model: string): Promise<Record<string, unknown>> {
  const base = await openBaseModel(model);
  await base.close();
  return base.config;
}
