import type { ErrorObject } from 'ajv';
import { ApiError } from '../api-error.ts';
import type { ErrorCode } from '../error-codes.ts';

interface Fault {
  code: ErrorCode;
  param: string | null;
  message: string;
}

const maxFaults = 20;
/** Maximum number of Ajv's errors processed: an error in a union consists of several. */
const maxErrors = 200;

/** Combines Ajv's errors into one: its message lists the first errors; its code and param are those of the first. */
export function describeFaults(errors: ErrorObject[], body: boolean): ApiError {
  // That of a union comes after those of its branches, without which they would contradict each other.
  const processed = errors.filter(({ keyword }, i) => i < maxErrors || keyword === 'anyOf');
  const faults = dropDuplicates(
    dropFaultsOfOtherTypes(resolveUnions(processed)).map((error) => describe(error, body)),
  );
  const first = faults[0] ?? { code: 'invalid_value', param: null, message: 'The request is not valid.' };
  const messages = faults.slice(0, maxFaults).map((fault) => fault.message);
  if (faults.length > maxFaults || errors.length > maxErrors) messages.push('There are more faults.');
  const details = faults
    .slice(0, maxFaults)
    .map(({ param, message }) => ({ ...(param && { param }), message }));
  return new ApiError(first.code, messages.join(' ') || first.message, { param: first.param, details });
}

function describe(error: ErrorObject, body: boolean): Fault {
  const path = shortened(paramPath(error.instancePath));
  if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') {
    const key = String(error.params.additionalProperty ?? error.params.unevaluatedProperty);
    const param = shortened(path ? `${path}.${key}` : key);
    return { code: 'unknown_parameter', param, message: `Unknown parameter: '${param}'.` };
  }
  if (error.keyword === 'required') {
    const key = String(error.params.missingProperty);
    const param = path ? `${path}.${key}` : key;
    return { code: 'missing_required_parameter', param, message: `Missing required parameter: '${param}'.` };
  }
  if (path === '') {
    const what = body ? 'The body' : 'The request';
    return { code: 'invalid_value', param: null, message: `${what} ${requirement(error)}.` };
  }
  return { code: 'invalid_value', param: path, message: `Invalid '${path}': ${requirement(error)}.` };
}

/** Shortens a path for a message: its keys come from the client and may be as long as the body. */
export function shortened(path: string): string {
  return path.length > 200 ? `${path.slice(0, 200)}…` : path;
}

function requirement(error: ErrorObject): string {
  if (error.keyword === 'const') {
    const { description } = (error.parentSchema ?? {}) as { description?: string };
    const value = JSON.stringify(error.params.allowedValue);
    return description === undefined ? `must be ${value}` : `must be ${value} (${description})`;
  }
  if (error.keyword === 'enum') {
    return `must be one of ${(error.params.allowedValues as unknown[]).map((v) => JSON.stringify(v)).join(', ')}`;
  }
  if (error.keyword === 'propertyNames') return `has a key that is not allowed`;
  return error.message ?? 'is not valid';
}

/**
 * Replaces the errors of a failed union (anyOf). If branches accept the value's type but find an error deeper inside or in a bound, only
 * the errors of the one that fits best are kept; otherwise one error joins the types of all branches with "or".
 */
function resolveUnions(errors: ErrorObject[]): ErrorObject[] {
  let rest = errors;
  for (const union of errors.filter((error) => error.keyword === 'anyOf')) {
    const branches = rest.filter(
      (error) =>
        error.schemaPath.startsWith(`${union.schemaPath}/`) &&
        isWithin(error.instancePath, union.instancePath),
    );
    const telling = branches.filter(
      (error) =>
        error.instancePath.length > union.instancePath.length ||
        !['type', 'const', 'enum', 'anyOf'].includes(error.keyword),
    );
    const resolved =
      telling.length > 0
        ? bestBranch(telling, union)
        : [
            {
              ...union,
              message: unique(branches.filter((error) => error.keyword !== 'anyOf').map(requirement))
                .join(' or ')
                .replaceAll(' or must be ', ' or '),
            },
          ];
    rest = rest.filter((error) => error !== union && !branches.includes(error));
    rest.push(...resolved);
  }
  return rest;
}

/** Leaves out faults of the other fields of an object whose `type` is wrong: they are those of an object of another type. */
function dropFaultsOfOtherTypes(errors: ErrorObject[]): ErrorObject[] {
  const wrong = errors.filter(
    ({ keyword, instancePath }) => keyword === 'const' && instancePath.endsWith('/type'),
  );
  return errors.filter(
    (error) =>
      wrong.includes(error) ||
      !wrong.some(({ instancePath }) => isWithin(error.instancePath, instancePath.slice(0, -'/type'.length))),
  );
}

const unique = (texts: string[]): string[] => [...new Set(texts)];

/** The errors of the branch with the fewest values of another type, and of these with the fewest errors: it is what the client meant. */
function bestBranch(errors: ErrorObject[], union: ErrorObject): ErrorObject[] {
  const branchOf = ({ schemaPath }: ErrorObject) =>
    schemaPath.slice(union.schemaPath.length + 1).split('/')[0]!;
  const names = unique(errors.map(branchOf));
  const branches = names.map((name) => errors.filter((error) => branchOf(error) === name));
  const wrongTypes = (branch: ErrorObject[]) => branch.filter(({ keyword }) => keyword === 'type').length;
  branches.sort((a, b) => wrongTypes(a) - wrongTypes(b) || a.length - b.length);
  return branches[0]!;
}

/** Checks whether a value, given by its path, is another value or part of it. */
function isWithin(path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}/`);
}

/** Converts `/method/hyperparameters/0` to `method.hyperparameters[0]`. */
function paramPath(instancePath: string): string {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path ? `${path}.${part}` : part), '');
}

function dropDuplicates(faults: Fault[]): Fault[] {
  return [...new Map(faults.toReversed().map((fault) => [fault.message, fault])).values()].toReversed();
}
