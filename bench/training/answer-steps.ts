import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Ready, Step } from './lock-step.ts';

/** What a side in Node is to do: the file that its first argument names. */
export async function readPlan<Plan>(): Promise<Plan> {
  return JSON.parse(await readFile(process.argv[2] ?? '', 'utf8'));
}

const print = (what: Ready | Step) => console.log(JSON.stringify(what));

/** A side's part of a lock-step run: reports that it is ready, then takes a step for each line `go`, until the steps end. */
export async function answerSteps(
  step: () => Promise<Pick<Step, 'seconds' | 'cpu' | 'loss'>>,
): Promise<never> {
  print({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== 'go') break;
    const taken = await step();
    const { maxRSS } = process.resourceUsage();
    print({ ...taken, resident: process.memoryUsage.rss(), peak: maxRSS * 1024 });
  }
  process.exit(0);
}
