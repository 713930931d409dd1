/** The process of one check. usage: one-check.ts NAME CONTEXT.json OUTCOME.json, see run-apart.ts */
import { readFile, writeFile } from 'node:fs/promises';
import { type CheckContext, NotPossible, type Outcome } from './check.ts';
import { checks } from './checks.ts';

const [name, contextFile = '', outcomeFile = ''] = process.argv.slice(2);
const check = checks.find((each) => each.name === name);
if (!check) throw new Error(`there is no check ${name}`);
const context = JSON.parse(await readFile(contextFile, 'utf8')) as CheckContext;

let outcome: Outcome;
try {
  outcome = { result: 'passed', figures: await check.run(context) };
} catch (error) {
  const reason = (error as Error).message;
  if (error instanceof NotPossible) outcome = { result: 'not possible', reason };
  else {
    console.error(error);
    outcome = { result: 'failed', reason: reason.split('\n')[0]!, output: [] };
  }
}
await writeFile(outcomeFile, JSON.stringify(outcome));
process.exit(0);
