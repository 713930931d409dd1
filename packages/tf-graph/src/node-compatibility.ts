// tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 removed.
import util from 'node:util';

const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;

// TensorFlow reports its CPU features and warnings on stderr at level 0 and 1. Errors still arrive as exceptions.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
