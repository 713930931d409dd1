import type { CheckContext, Figures } from '../check.ts';

/** TensorFlow is on the device, computes what it should in both precisions, and how fast. */
export async function computes({ device }: CheckContext): Promise<Figures> {
  const { measureSpeed, checkEngine } = await import('@graft/peft-core');
  const { tensorflowVersion, usesGpu } = await import('@graft/tf-graph');
  if (usesGpu() !== (device.kind === 'gpu'))
    throw new Error(`TensorFlow computes on a ${usesGpu() ? 'gpu' : 'cpu'}, not on the ${device.kind}`);
  const figures: Figures = { TensorFlow: tensorflowVersion };
  for (const precision of ['fp32', 'bf16'] as const) {
    checkEngine(precision);
    figures[precision] = `${((await measureSpeed(precision)) / 1e12).toFixed(3)} TFLOP/s`;
  }
  return figures;
}
