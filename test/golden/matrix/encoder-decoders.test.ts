import { parts } from './architectures.ts';
import { testMatrix } from './test-matrix.ts';

await testMatrix(parts.encoderDecoders);
