/** Attributes of a resource to return or to omit (RFC 7644, 3.9). */
export interface Selection {
  attributes?: string | string[] | undefined;
  excludedAttributes?: string | string[] | undefined;
}

type Json = Record<string, unknown>;

/** Always returned, as the schema requires. */
const always = new Set(['schemas', 'id']);

const namesOf = (given: unknown): string[] | null => {
  const list = (Array.isArray(given) ? given : String(given ?? '').split(',')).slice(0, 100);
  const names = list.map((name) => String(name).trim().toLowerCase()).filter(Boolean);
  return names.length > 0 ? names.map((name) => name.replace(/^urn:.*:(?=[^:]+$)/, '')) : null;
};

/** The resource with only the requested attributes, or without the excluded ones, including sub-attributes (`name.givenName`). */
export function selectAttributes(resource: object, { attributes, excludedAttributes }: Selection): Json {
  const [wanted, unwanted] = [namesOf(attributes), namesOf(excludedAttributes)];
  if (wanted) return keep(resource as Json, wanted);
  return unwanted ? drop(resource as Json, unwanted) : (resource as Json);
}

const partsOf = (names: string[], name: string): string[] =>
  names.filter((each) => each.startsWith(`${name}.`)).map((each) => each.slice(name.length + 1));

/** Applies `change` to an object, or to each item of a list. */
function within(value: unknown, change: (part: Json) => Json): unknown {
  if (Array.isArray(value)) return value.map((each) => change(each as Json));
  return typeof value === 'object' && value !== null ? change(value as Json) : value;
}

function keep(resource: Json, names: string[]): Json {
  const entries = Object.entries(resource).flatMap(([key, value]): [string, unknown][] => {
    const name = key.toLowerCase();
    if (always.has(name) || names.includes(name)) return [[key, value]];
    const parts = partsOf(names, name);
    const pick = (part: Json): Json =>
      Object.fromEntries(Object.entries(part).filter(([each]) => parts.includes(each.toLowerCase())));
    return parts.length > 0 ? [[key, within(value, pick)]] : [];
  });
  return Object.fromEntries(entries);
}

function drop(resource: Json, names: string[]): Json {
  const entries = Object.entries(resource).flatMap(([key, value]): [string, unknown][] => {
    const name = key.toLowerCase();
    if (always.has(name)) return [[key, value]];
    if (names.includes(name)) return [];
    const parts = partsOf(names, name);
    const omit = (part: Json): Json =>
      Object.fromEntries(Object.entries(part).filter(([each]) => !parts.includes(each.toLowerCase())));
    return [[key, parts.length > 0 ? within(value, omit) : value]];
  });
  return Object.fromEntries(entries);
}
