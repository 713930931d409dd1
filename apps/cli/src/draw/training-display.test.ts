import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualTerminal } from '../testing/virtual-terminal.ts';
import { TrainingDisplay } from './training-display.ts';
import type { TrainingState } from './training-view.ts';

function stateAt(step: number): TrainingState {
  return {
    title: 'ftjob-1  base',
    status: 'running',
    step,
    totalSteps: 40,
    epoch: step / 20,
    epochs: 2,
    tokens: step * 1_000,
    tokensPerSecond: 1_532.4,
    secondsRemaining: 40 - step,
    training: Array.from({ length: step }, (_, i) => ({ step: i + 1, loss: 3 / (i + 1) })),
    evaluation: [],
  };
}
const hint = 'Ctrl-C detaches; the job keeps running.';

test('a terminal shows bar, numbers and curve in place, news above, and keeps the last state', () => {
  const terminal = new VirtualTerminal(80, 24);
  const display = new TrainingDisplay(terminal, { hint });
  display.update({ ...stateAt(0), totalSteps: null, status: 'queued, number 2' });
  assert.equal(terminal.screen, `ftjob-1  base  queued, number 2\n\n${hint}`);
  assert.equal(terminal.cursorVisible, false);
  display.update(stateAt(10));
  display.say('12:00:00  Checkpoint at step 10');
  display.update({ ...stateAt(20), status: 'running, almost' });
  const lines = terminal.screen.split('\n');
  assert.equal(lines[0], '12:00:00  Checkpoint at step 10');
  assert.equal(lines[1], 'ftjob-1  base  running, almost');
  assert.equal(lines[2], `${'━'.repeat(20)}${'─'.repeat(20)}  50 %  step 20/40  epoch 1.0/2`);
  assert.equal(lines[3], 'loss 0.1500   1,532 tokens/s   20,000 tokens   20s left');
  assert.equal(lines.at(-1), hint);
  assert.equal(lines.length, 1 + 3 + 1 + 14 + 1 + 1);
  display.close();
  assert.equal(terminal.cursorVisible, true);
  assert.equal(terminal.screen, lines.slice(0, -2).join('\n'));
});

test('nothing wraps on a narrow terminal, and a low one goes without the curve', () => {
  for (const [columns, rows] of [
    [20, 24],
    [43, 12],
    [200, 60],
  ] as const) {
    const terminal = new VirtualTerminal(columns, rows);
    const display = new TrainingDisplay(terminal, { hint });
    display.update(stateAt(40));
    display.close();
    assert.ok(terminal.screen.split('\n').length < rows);
    assert.equal(terminal.screen.includes('┤'), rows !== 12);
  }
});

test('elsewhere there is a line at a change of status and at the end, without control characters', () => {
  let log = '';
  const write = (text: string) => {
    log += text;
  };
  const display = new TrainingDisplay({ write }, { hint });
  for (let step = 0; step <= 40; step++) display.update(stateAt(step));
  display.close();
  assert.equal(
    log,
    'step 0/40  1,532 tokens/s  0 tokens  40s left\nstep 40/40  loss 0.0750  1,532 tokens/s  40,000 tokens  0s left\n',
  );
});
