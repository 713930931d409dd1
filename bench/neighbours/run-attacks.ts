import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tinyConfig } from '@graft/peft-core/testing';
import { startApi } from '../running-api.ts';
import { type Act, type Attack, attacks } from './attacks.ts';
import { openCalmTeam, type Waits } from './calm-team.ts';
import type { Team } from './team.ts';

/** What works beside the calm team. */
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
  report(line: string): void;
}

/** A whole Graft, API and worker, with a calm team, an ordinary one and a hostile one; the rounds of each attack, one after the other. */
export async function runAttacks(options: AttackOptions): Promise<Round[]> {
  const { numbers, beside, seconds, patience, bytes, report } = options;
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-neighbours-'));
  const model = { max_position_embeddings: 8192 };
  const api = await startApi({
    worker: true,
    connections: 256,
    model,
    settings: { GRAFT_MAX_UPLOAD_BYTES: String(2 * bytes + 1_000_000) },
  });
  try {
    let end = 0;
    const isOver = () => performance.now() > end;
    const modelConfig = { ...tinyConfig, ...model };
    const team = async (name: string): Promise<Team> => {
      const { key } = await api.newTeam(name);
      return { api, key, folder, bytes, modelConfig, isOver };
    };
    const teams = { ordinary: await team('ordinary'), hostile: await team('hostile') };
    report('the first jobs and answers, which load models');
    const calm = await openCalmTeam(await team('calm'), patience);
    end = performance.now() + 5_000;
    await calm.work(isOver);

    const rounds: Round[] = [];
    for (const attack of attacks.filter(({ number }) => numbers.includes(number)))
      for (const neighbour of beside) {
        const act =
          neighbour === 'none' ? null : await attack.open(teams[neighbour], neighbour === 'hostile');
        report(`${attack.number}. ${attack.name}: beside ${neighbour}`);
        end = performance.now() + 1000 * seconds;
        const atOnce = neighbour === 'ordinary' ? (attack.ordinaryAtOnce ?? attack.atOnce) : attack.atOnce;
        const beside = act ? repeat(act, atOnce, isOver) : new Map<string, number>();
        const [waits, ends] = await Promise.all([calm.work(isOver), beside]);
        rounds.push({ attack, neighbour, ends, ...waits });
        for (const failure of new Set(waits.failures)) report(`✖ ${failure}`);
        report(`  ${[...ends].map(([how, count]) => `${count} × ${how}`).join(', ')}`);
      }
    return rounds;
  } finally {
    await api.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Repeats an act, `atOnce` at a time, and counts how they end. */
async function repeat(act: Act, atOnce: number, isOver: () => boolean): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  let next = 0;
  const loop = async () => {
    while (!isOver()) {
      const how = await act(next++).catch(({ message }: Error) => `broken: ${message}`);
      ends.set(how, (ends.get(how) ?? 0) + 1);
      if (how.startsWith('broken')) await sleep(50);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, loop));
  return ends;
}
