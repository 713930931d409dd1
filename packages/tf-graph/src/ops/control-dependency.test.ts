import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { attr, type NodeAttr } from '../graph/attributes.ts';
import { Graph } from '../graph/graph.ts';
import { GraphSession, type NodeInput } from '../graph/graph-session.ts';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { withControlDependency } from './raw-op.ts';
import { symbolicBackend } from './symbolic-backend.ts';

// Eight weights of 32 MiB as stored, 64 MiB unpacked. If each is read after the previous product, one unpacked copy lives at a time.
const SHAPE = [1 << 12, 1 << 12];
const WEIGHTS = 8;
const MIB = 1 << 20;

class RecordedSession extends GraphSession {
  readonly nodes: { op: string; name: string; inputs: readonly NodeInput[] }[] = [];
  override addNode(op: string, name: string, inputs: readonly NodeInput[], attrs: readonly NodeAttr[]) {
    this.nodes.push({ op, name, inputs });
    return super.addNode(op, name, inputs, attrs);
  }
}

/** Returns the peak memory in bytes of a process that unpacks every weight in turn. */
async function peak(inTurn: boolean): Promise<number> {
  const builder = new ProgramBuilder();
  const weights = Array.from({ length: WEIGHTS }, (_, i) =>
    builder.variable({ name: `w${i}`, shape: SHAPE, dtype: 'bfloat16' }),
  );
  // Each product needs the previous one, so weights that were unpacked early must be kept.
  const product = builder.function('run', { x: { shape: [SHAPE[0]!, 1], dtype: 'float32' } }, ({ x }) => ({
    y: weights.reduce((y, w) => tf.matMul(w.read(inTurn ? { after: [y] } : {}), y), x),
  }));
  const program = builder.build();
  const values = new Float32Array(SHAPE[0]! * SHAPE[1]!).fill(1 / SHAPE[1]!);
  await program.write(weights.map(({ name }): [string, Float32Array] => [name, values]));
  const { y } = program.run(product, { x: new Float32Array(SHAPE[0]!).fill(3) });
  assert.ok(y.data.every((value) => value === 3));
  return process.resourceUsage().maxRSS * 1024;
}

if (process.argv[2]) {
  console.log(await peak(process.argv[2] === 'inTurn'));
} else {
  test('a read with a control dependency waits, so that unpacked weights do not pile up', () => {
    const [inTurn, free] = ['inTurn', 'free'].map((mode) =>
      Number(
        execFileSync(process.execPath, [...process.execArgv, process.argv[1]!, mode], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      ),
    ) as [number, number];
    assert.ok(free - inTurn > 150 * MIB, `peak ${inTurn / MIB} MiB in turn, ${free / MIB} MiB free`);
  });

  test('withControlDependency puts control inputs on the graph, none for constants', () => {
    const session = new RecordedSession();
    const graph = new Graph(session);
    symbolicBackend.trace(graph, null, () => {
      const attrs = [attr.type('dtype', 'float32'), attr.shape('shape', [2])];
      const [x] = symbolicBackend.tensors(graph.node('Placeholder', [], attrs, 'x'));
      withControlDependency(tf.neg(x!), x!, tf.scalar(1), tf.square(x!));
    });
    session.close();
    const [neg, square, identity] = ['Neg', 'Square', 'Identity'].map(
      (op) => session.nodes.find((node) => node.op === op)!,
    );
    assert.deepEqual(identity!.inputs, [`${neg!.name}:0`, '^x', `^${square!.name}`]);
  });
}
