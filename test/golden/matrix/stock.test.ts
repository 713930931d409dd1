// With TensorFlow's own operations, which GPUs use and every kernel is compared with: each method on one architecture that has biases and
// grouped heads. GRAFT_KERNELS=stock runs the whole matrix so.
import { parts } from './architectures.ts';
import { peftLibrary } from './peft-library.ts';
import { testMatrix } from './test-matrix.ts';

// Before anything asks for kernels.
process.env.GRAFT_KERNELS = 'stock';
const [architecture] = parts.decoders.filter(({ name }) => name === 'qwen2');
await testMatrix(peftLibrary, [architecture!]);
