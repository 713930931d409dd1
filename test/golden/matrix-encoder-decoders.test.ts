import { parts } from './matrix/architectures.ts';
import { testMatrix } from './matrix/test-matrix.ts';

await testMatrix(parts.encoderDecoders);
