// Gradients of the tfjs kernels that Graft's models use. tfjs registers its own in a file that Node cannot load without all of tfjs (80
// MB); these gradients also keep less of the forward pass. A kernel without an entry here fails while a program is traced: "gradient
// function not found".
import * as tf from '@tensorflow/tfjs-core';

type Saved = tf.Tensor[];
type Attributes = Record<string, unknown>;
/** Gradients of the inputs by the kernel's argument names; each is computed when the tape requests it. */
type Gradient = (dy: tf.Tensor, saved: Saved, attributes: Attributes) => Record<string, () => tf.Tensor>;

/** Sums `x` over the axes along which an operand of `shape` was broadcast. */
function unbroadcast(x: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = tf.broadcast_util.getReductionAxes(shape, x.shape);
  const summed = axes.length > 0 ? tf.sum(x, axes) : x;
  return tf.reshape(summed, shape);
}

/** Registers a kernel with one float input `x`, which is kept for the gradient. */
function gradientFromInput(kernelName: string, derivative: (dy: tf.Tensor, x: tf.Tensor) => tf.Tensor): void {
  register(kernelName, { inputsToSave: ['x'] }, (dy, [x]) => ({ x: () => derivative(dy, x!) }));
}

/** Registers a kernel with one float input `x` whose output is kept for the gradient. */
function gradientFromOutput(
  kernelName: string,
  derivative: (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor,
): void {
  register(kernelName, { outputsToSave: [true] }, (dy, [y]) => ({ x: () => derivative(dy, y!) }));
}

function register(
  kernelName: string,
  save: { inputsToSave?: string[]; outputsToSave?: boolean[] },
  gradient: Gradient,
): void {
  tf.registerGradient({
    kernelName,
    ...save,
    gradFunc: (dy, saved, attributes) => gradient(dy as tf.Tensor, saved, attributes as Attributes),
  });
}

/** Registers a kernel whose gradient only needs the shape of `x`. */
function gradientFromShape(
  kernelName: string,
  derivative: (dy: tf.Tensor, shape: number[], attributes: Attributes) => tf.Tensor,
): void {
  register(kernelName, { inputsToSave: ['x'] }, (dy, [x], attributes) => ({
    x: () => derivative(dy, x!.shape, attributes),
  }));
}

// Arithmetic with broadcasting.
const both = { inputsToSave: ['a', 'b'] };
register('Add', both, (dy, [a, b]) => ({
  a: () => unbroadcast(dy, a!.shape),
  b: () => unbroadcast(dy, b!.shape),
}));
register('Sub', both, (dy, [a, b]) => ({
  a: () => unbroadcast(dy, a!.shape),
  b: () => unbroadcast(tf.neg(dy), b!.shape),
}));
register('Multiply', both, (dy, [a, b]) => ({
  a: () => unbroadcast(tf.mul(dy, b!), a!.shape),
  b: () => unbroadcast(tf.mul(dy, a!), b!.shape),
}));
register('RealDiv', both, (dy, [a, b]) => ({
  a: () => unbroadcast(tf.div(dy, b!), a!.shape),
  b: () => unbroadcast(tf.neg(tf.div(tf.mul(dy, a!), tf.square(b!))), b!.shape),
}));
register('Maximum', both, (dy, [a, b]) => ({
  a: () => unbroadcast(tf.mul(dy, tf.cast(tf.greaterEqual(a!, b!), 'float32')), a!.shape),
  b: () => unbroadcast(tf.mul(dy, tf.cast(tf.less(a!, b!), 'float32')), b!.shape),
}));
register('Select', { inputsToSave: ['condition'] }, (dy, [condition]) => {
  const chosen = tf.cast(condition!, 'float32');
  return {
    condition: () => tf.zerosLike(chosen),
    t: () => tf.mul(dy, chosen),
    e: () => tf.mul(dy, tf.sub(1, chosen)),
  };
});

// One input, elementwise.
register('Neg', {}, (dy) => ({ x: () => tf.neg(dy) }));
register('Identity', {}, (dy) => ({ x: () => dy }));
register('Cast', {}, (dy) => ({ x: () => tf.cast(dy, 'float32') }));
gradientFromInput('Square', (dy, x) => tf.mul(dy, tf.mul(x, 2)));
gradientFromInput('Abs', (dy, x) => tf.mul(dy, tf.sign(x)));
gradientFromInput('Log', (dy, x) => tf.div(dy, x));
gradientFromInput('Sin', (dy, x) => tf.mul(dy, tf.cos(x)));
gradientFromInput('Cos', (dy, x) => tf.neg(tf.mul(dy, tf.sin(x))));
gradientFromInput('Softplus', (dy, x) => tf.mul(dy, tf.sigmoid(x)));
gradientFromInput('Erf', (dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI))));
gradientFromOutput('Exp', (dy, y) => tf.mul(dy, y));
gradientFromOutput('Sqrt', (dy, y) => tf.div(dy, tf.mul(y, 2)));
gradientFromOutput('Rsqrt', (dy, y) => tf.mul(dy, tf.mul(tf.mul(y, tf.square(y)), -0.5)));
gradientFromOutput('Tanh', (dy, y) => tf.mul(dy, tf.sub(1, tf.square(y))));
gradientFromOutput('Sigmoid', (dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y))));
gradientFromOutput('Relu', (dy, y) => tf.mul(dy, tf.cast(tf.greater(y, 0), 'float32')));

// Sums.
/** Broadcasts `dy` of a reduction over `axis` to the reduced `shape`. */
function spread(dy: tf.Tensor, shape: number[], axis: unknown): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis as number | number[], shape);
  const kept = shape.map((size, i) => (axes.includes(i) ? 1 : size));
  return tf.mul(tf.reshape(dy, kept), tf.ones(shape));
}
gradientFromShape('Sum', (dy, shape, { axis }) => spread(dy, shape, axis));
gradientFromShape('Mean', (dy, shape, { axis }) => {
  const share = dy.size / tf.util.sizeFromShape(shape);
  return tf.mul(spread(dy, shape, axis), share);
});
register('Softmax', { outputsToSave: [true] }, (dy, [y], { dim }) => ({
  logits: () => {
    const weighted = tf.mul(dy, y!);
    return tf.sub(weighted, tf.mul(tf.sum(weighted, dim as number, true), y!));
  },
}));
register('LogSoftmax', { outputsToSave: [true] }, (dy, [y], { axis }) => ({
  logits: () => tf.sub(dy, tf.mul(tf.sum(dy, axis as number, true), tf.exp(y!))),
}));

// Matrix products.
register('BatchMatMul', both, (dy, [a, b], { transposeA, transposeB }) => ({
  a: () =>
    transposeA ? tf.matMul(b!, dy, Boolean(transposeB), true) : tf.matMul(dy, b!, false, !transposeB),
  b: () =>
    transposeB ? tf.matMul(dy, a!, true, Boolean(transposeA)) : tf.matMul(a!, dy, !transposeA, false),
}));

// Layout.
gradientFromShape('Reshape', (dy, shape) => tf.reshape(dy, shape));
register('ExpandDims', { inputsToSave: ['input'] }, (dy, [input]) => ({
  input: () => tf.reshape(dy, input!.shape),
}));
register('Transpose', {}, (dy, _saved, { perm }) => ({
  x: () => tf.transpose(dy, tf.backend_util.getUndoAxesPermutation(perm as number[])),
}));
gradientFromShape('Slice', (dy, shape, { begin, size }) => {
  const [starts] = tf.slice_util.parseSliceParams(
    { shape } as tf.Tensor,
    begin as number[],
    size as number[],
  );
  return tf.pad(
    dy,
    shape.map((length, i) => [starts![i]!, length - starts![i]! - dy.shape[i]!] as [number, number]),
  );
});
tf.registerGradient({
  kernelName: 'Concat',
  saveAllInputs: true,
  gradFunc: (dy, saved, attributes) => {
    const axis = tf.util.parseAxisParam(attributes.axis as number, saved[0]!.shape)[0]!;
    const parts = tf.split(
      dy as tf.Tensor,
      saved.map((x) => x.shape[axis]!),
      axis,
    );
    return Object.fromEntries(parts.map((part, i) => [i, () => part]));
  },
});
register('GatherV2', { inputsToSave: ['x', 'indices'] }, (dy, [x, indices], { axis }) => ({
  x: () => {
    if (axis !== 0) throw new Error(`the gradient of gather is there for axis 0, not ${axis}`);
    return tf.unsortedSegmentSum(dy, indices as tf.Tensor1D, x!.shape[0]!);
  },
  indices: () => tf.zeros(indices!.shape),
}));
tf.registerGradient({
  kernelName: 'SplitV',
  gradFunc: (dy, _saved, attributes) => ({
    x: () => tf.concat(dy as tf.Tensor[], attributes.axis as number),
  }),
});
