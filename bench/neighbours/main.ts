/**
 * npm run bench:neighbours: what one team waits for, alone, beside an ordinary team and beside a hostile one. A calm team creates jobs, requests
 * lists, and asks for short, long and structured answers. Each attack of bench/neighbours/attacks.ts has a round beside nobody, one beside
 * a team with ordinary work of the same kind and size, and one beside the attack; these alternate, so that other load on the machine
 * affects all of them. Fails only where a request or a job of the calm team fails: times decide nothing.
 *
 * npm run bench:neighbours -- [--attacks 1,3] [--seconds 20] [--patience 120] [--size 1000] [--model tiny]
 *   --attacks   numbers of attacks; all by default
 *   --seconds   length of a round
 *   --patience  seconds after which an answer of the calm team counts as missing
 *   --size      megabytes of a large file
 *   --model     tiny, whose tokens are bytes, or smollm2: the real SmolLM2-135M with 49,152 tokens, which makes masks and answers cost more
 */
import { commandLine, wholeNumber } from '../../scripts/command-line.ts';
import { describeMachine, facts, markdownTable, quantile } from '../../scripts/measuring/report.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { attacks } from './attacks.ts';
import { type Measure, measures } from './calm-team.ts';
import { neighbours, type Round, runAttacks } from './run-attacks.ts';

const { seconds, patience, size, ...options } = commandLine(
  { attacks: { type: 'string' }, model: { type: 'string', default: 'tiny' } },
  { seconds: 20, patience: 120, size: 1000 },
);
const numbers =
  options.attacks?.split(',').map((text) => wholeNumber('attacks', text)) ??
  attacks.map(({ number }) => number);

const rounds = await runAttacks({
  numbers,
  beside: neighbours,
  seconds,
  patience,
  bytes: size * 1e6,
  ...(options.model === 'smollm2' && { model: await packagedModel('smollm2') }),
  report: console.log,
});

const milliseconds = (value: number) => (value < 100 ? value.toFixed(1) : value.toFixed(0));
const row = (attack: Round['attack'], measure: Measure): string[] => {
  const [calm, ordinary, hostile] = neighbours.map((neighbour) => {
    const round = rounds.find((each) => each.attack === attack && each.neighbour === neighbour)!;
    const failures = round.failures.filter((failure) => failure.startsWith(`${measure}: `)).length;
    const [p50, p99] = [0.5, 0.99].map((share) => quantile(round.took[measure], share));
    return {
      p99: p99!,
      cell: `${milliseconds(p50!)} / ${milliseconds(p99!)}${failures ? `, ${failures} failed` : ''}`,
    };
  });
  const ratio = (than: number) => `${(hostile!.p99 / than).toFixed(1)} ×`;
  return [
    `${attack.number}. ${attack.name}`,
    measure,
    calm!.cell,
    ordinary!.cell,
    hostile!.cell,
    ratio(ordinary!.p99),
    ratio(calm!.p99),
  ];
};
const header = [
  'attack',
  'p50 / p99 in ms',
  'alone',
  'beside ordinary',
  'beside attack',
  'of ordinary',
  'of alone',
];
const shown = attacks.filter(({ number }) => numbers.includes(number));
const table = shown.flatMap((attack) => measures.map((measure) => row(attack, measure)));
console.log(`\n${facts(describeMachine(null))}\n\n${markdownTable(header, table)}`);
const failed = rounds.reduce((sum, { failures }) => sum + failures.length, 0);
console.log(`${failed} requests and jobs of the calm team failed`);
if (failed > 0) process.exitCode = 1;
