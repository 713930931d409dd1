/**
 * Thread that compiles grammars and computes which tokens they allow. Teams take turns from call to call, and are charged the milliseconds
 * that their calls take; the calls of a team are answered in order. After a failure of the library the thread is of no use.
 */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { CompiledGrammar, GrammarCompiler, GrammarMatcher } from '@mlc-ai/web-xgrammar';
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { SchemaFault } from '../../schema/answers/schema-fault.ts';
import { unpackTokenizer } from '../../text/packed-tokenizer.ts';
import { ownProcessorTime } from '../../threads/thread.ts';
import { FairRows, type Owned } from '../turns/fair-rows.ts';
import { type GrammarCall, IDLE, WORK } from './grammar-call.ts';
import { loadGrammarLibrary } from './grammar-library.ts';
import { grammarText } from './grammar-text.ts';
import { grammarVocabulary } from './grammar-vocabulary.ts';

interface OpenAnswer {
  matcher: GrammarMatcher;
  mask: Int32Array;
  version: Int32Array;
}

/** Maximum number of compiled grammars that are kept for the next answers with them. */
const MAX_KEPT = 32;

// The library writes its messages there, and they quote users' schemas.
console.error = () => {};
console.warn = () => {};

const library = loadGrammarLibrary();
let compiler: GrammarCompiler | null = null;
const compiled = new Map<string, CompiledGrammar>();
const answers = new Map<number, OpenAnswer>();

async function compile(format: ConstraintFormat): Promise<CompiledGrammar> {
  const key = JSON.stringify(format);
  const known = compiled.get(key);
  compiled.delete(key);
  const grammar = known ?? (await compiler!.compileGrammar(grammarText(format)));
  compiled.set(key, grammar);
  for (const [oldest, old] of compiled) {
    if (compiled.size <= MAX_KEPT) break;
    compiled.delete(oldest);
    old.dispose();
  }
  return grammar;
}

async function writeMask({ matcher, mask, version }: OpenAnswer): Promise<void> {
  mask.set(await matcher.getNextTokenBitmask());
  Atomics.add(version, 0, 1);
  Atomics.notify(version, 0);
}

async function answer(call: GrammarCall): Promise<void> {
  if (call.type === 'load') {
    const { tokens, kind } = grammarVocabulary(unpackTokenizer(call.json), call.size, call.marks);
    const info = await library.TokenizerInfo.createTokenizerInfo(tokens, kind, false, call.size, []);
    compiler = await library.GrammarCompiler.createGrammarCompiler(info, false);
    work = call.work;
  } else if (call.type === 'compile') await compile(call.format);
  else if (call.type === 'open') {
    const matcher = await library.GrammarMatcher.createGrammarMatcher(await compile(call.format), [
      ...call.ends,
    ]);
    const opened = { matcher, mask: call.mask, version: call.version };
    answers.set(call.answer, opened);
    for (const token of call.tokens) accept(matcher, token);
    await writeMask(opened);
  } else if (call.type === 'accept') {
    const opened = answers.get(call.answer);
    if (!opened) return;
    accept(opened.matcher, call.token);
    if (!opened.matcher.isTerminated()) await writeMask(opened);
  } else {
    answers.get(call.answer)?.matcher.dispose();
    answers.delete(call.answer);
  }
}

function accept(matcher: GrammarMatcher, token: number): void {
  if (!matcher.acceptToken(token)) throw new Error('the grammar does not allow this token');
}

interface Waiting extends Owned {
  id: number;
  call: GrammarCall;
}

const turns = new FairRows<Waiting>();
const waiting = new Set<Waiting>();
let work: Float64Array = new Float64Array(WORK.length);
let isWorking = false;

function arrive({ id, message: call }: { id: number; message: GrammarCall }): void {
  const { team, weight } = 'owner' in call ? call.owner : { team: '', weight: 1 };
  waiting.add({ id, call, team, weight });
  if (call.type !== 'close') return;
  // Calls of a closed answer that still wait have no use.
  for (const other of waiting)
    if (other.id !== id && 'answer' in other.call && other.call.answer === call.answer) {
      waiting.delete(other);
      parentPort!.postMessage({ id: other.id, answer: { milliseconds: 0, fault: null } });
    }
}

function schemaFault(error: unknown): string {
  if (error instanceof SchemaFault) return error.message;
  throw error;
}

async function run(next: Waiting): Promise<void> {
  const { id, call } = next;
  const start = ownProcessorTime();
  work[WORK.start] = start;
  work[WORK.opens] = call.type === 'open' ? 1 : 0;
  work[WORK.answer] = 'answer' in call ? call.answer : IDLE;
  // If it fails, `work` names the answer whose call is at fault.
  const fault = await answer(call).then(() => null, schemaFault);
  work[WORK.answer] = IDLE;
  const milliseconds = ownProcessorTime() - start;
  turns.charge(next, milliseconds - 1);
  parentPort!.postMessage({ id, answer: { milliseconds, fault } });
}

parentPort!.on('message', async (first) => {
  arrive(first);
  if (isWorking) return;
  isWorking = true;
  for (;;) {
    for (let more = receiveMessageOnPort(parentPort!); more; more = receiveMessageOnPort(parentPort!))
      arrive(more.message);
    const [next] = turns.pick([...waiting], 1);
    if (!next) break;
    waiting.delete(next);
    try {
      await run(next);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      parentPort!.postMessage({ id: next.id, error: new Error(reason) });
      return;
    }
  }
  isWorking = false;
});
