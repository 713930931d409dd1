import { parts } from './architectures.ts';
import { peftLibrary } from './peft-library.ts';
import { testMatrix } from './test-matrix.ts';

await testMatrix(peftLibrary, parts.readers);
