import { partCount } from '../../test/golden/matrix/cells.ts';

/** Cells of the golden matrix, as the variables of the environment choose them (see test/golden/matrix/cells.ts), and what they are. */
interface MatrixSelection {
  part: string;
  changed: string;
  covered: string;
}

/**
 * The cells that a run tests: the commit's eighth, and what has changed since the whole matrix passed. Where that is everything,
 * as after a change of a kernel, a short run tests another eighth instead: all of it takes longer than the run may.
 * @param part the commit's, 0 to 7
 * @param changed see `matrixChanges`
 */
export function selectMatrix(part: number, changed: readonly string[], isShort: boolean): MatrixSelection {
  if (changed.includes('*')) {
    const why = 'shared sources, kernels or libraries changed';
    if (!isShort)
      return { part: `${part}`, changed: '*', covered: `the whole golden matrix, because ${why}` };
    const parts = [part, (part + partCount / 2) % partCount].sort();
    return {
      part: parts.join(','),
      changed: '',
      covered: `parts ${parts.map((each) => each + 1).join(' and ')} of ${partCount} of the golden matrix, two because ${why} since the whole passed`,
    };
  }
  const also = changed.length === 0 ? '' : ` and all of ${changed.join(', ')}, which changed`;
  return {
    part: `${part}`,
    changed: changed.join(','),
    covered: `part ${part + 1} of ${partCount} of the golden matrix${also}`,
  };
}
