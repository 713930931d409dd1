import { adaptersLibrary } from './adapters-library.ts';
import { architectures } from './architectures.ts';
import { testMatrix } from './test-matrix.ts';

await testMatrix(adaptersLibrary, architectures);
