import type { Queries } from '@graft/wire/types';
import { AdapterDownload, type DownloadOptions } from './adapter-download.ts';
import { PageList } from './page-list.ts';
import type { Query, RequestSpec, Transport } from './transport.ts';
import type { IntegrationType } from './types.ts';

/** The name of an operation: its method and path in the OpenAPI document. document.test.ts compares every name in this package with it. */
export type OperationName<Method extends RequestSpec['method'] = RequestSpec['method']> =
  `${Method} /v1/${string}`;

export interface CallOptions {
  signal?: AbortSignal | undefined;
}
export interface CreateOptions extends CallOptions {
  /** A second call with the same key and parameters returns the object of the first. Without a key every call creates one. */
  idempotencyKey?: string | undefined;
}

/** How editors name the ids that follow the first in a path. */
interface FurtherIds {
  version: [version: number];
  export_id: [exportId: string];
  publication_id: [publicationId: string];
  checkpoint_id: [checkpointId: string];
  tag: [tag: string];
  person_id: [person: string];
  key_id: [key: string];
  identity_id: [identity: string];
  delivery_id: [deliveryId: string];
}
type Further<Path extends string> = Path extends `${string}{${infer Id}}${infer Rest}`
  ? [...FurtherIds[Id & keyof FurtherIds], ...Further<Rest>]
  : [];
/** Arguments of an operation for the places in its path. */
type Ids<Path extends string> = Path extends `${string}{${infer First}}${infer Rest}`
  ? [...(First extends 'type' ? [type: IntegrationType] : [id: string]), ...Further<Rest>]
  : [];
/** The query parameters of an operation, as an argument. */
type Asked<Name> = Name extends keyof Queries
  ? object extends Queries[Name]
    ? [params?: Queries[Name]]
    : [params: Queries[Name]]
  : [];

/** Makes a body, or for GET and DELETE a query, of the arguments that follow the ids. */
type Encoder = (...args: never[]) => object | undefined;
/** Types the answer of an operation. */
type Reader<Answer> = (answer: unknown) => Answer;

export const json = <T>(answer: unknown): T => answer as T;
/** Reads a list that has one page. */
export const dataOf = <T>(answer: unknown): T[] => (answer as { data: T[] }).data;
export const takes = <T extends object>(params: T): T => params;
export const takesOptional = <T extends object>(params?: T): object => params ?? {};
const nothing = () => undefined;

/** Puts ids into the places of an operation's path. */
export function request<Name extends OperationName>(
  name: Name,
  ...ids: Ids<Name>
): Pick<RequestSpec, 'method' | 'path'> {
  const rest: unknown[] = [...ids];
  const [method, path] = name.split(' /v1') as [RequestSpec['method'], string];
  return { method, path: path.replace(/\{\w+\}/g, () => encodeURIComponent(String(rest.shift()))) };
}

/** Derives methods from the names of the operations that they call. */
export class Operations {
  protected readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  protected call<Name extends OperationName, Answer, Encode extends Encoder = typeof nothing>(
    name: Name,
    read: Reader<Answer>,
    encode?: Encode,
  ): (...args: [...Ids<Name>, ...Parameters<Encode>, options?: CallOptions]) => Promise<Answer> {
    return this.#method(name, read, encode ?? nothing, {});
  }

  /** Like `call`, for what a retry would create twice. */
  protected once<Name extends OperationName<'POST'>, Answer, Encode extends Encoder = typeof nothing>(
    name: Name,
    read: Reader<Answer>,
    encode?: Encode,
  ): (...args: [...Ids<Name>, ...Parameters<Encode>, options?: CallOptions]) => Promise<Answer> {
    return this.#method(name, read, encode ?? nothing, { maxRetries: 0 });
  }

  /** Like `call`, for what an idempotency key lets a retry create once. */
  protected keyed<Name extends OperationName<'POST'>, Answer, Encode extends Encoder>(
    name: Name,
    read: Reader<Answer>,
    encode: Encode,
  ): (...args: [...Ids<Name>, ...Parameters<Encode>, options?: CreateOptions]) => Promise<Answer> {
    return this.#method(name, read, encode, { idempotent: true });
  }

  /** Like `call`, with the query parameters of the operation. */
  protected ask<Name extends OperationName<'GET' | 'DELETE'>, Answer>(
    name: Name,
    read: Reader<Answer>,
  ): (...args: [...Ids<Name>, ...Asked<Name>, options?: CallOptions]) => Promise<Answer> {
    return this.#method(name, read, takes, {});
  }

  protected pages<Name extends OperationName<'GET'>, Item extends { id: string }>(
    name: Name,
    _item: Reader<Item>,
  ): (...args: [...Ids<Name>, ...Asked<Name>]) => PageList<Item> {
    return (...args: unknown[]) => {
      const [ids, [query]] = split(name, args);
      return new PageList(this.transport, request(name, ...ids).path, (query ?? {}) as Query);
    };
  }

  protected archive<Name extends OperationName<'GET'>>(
    name: Name,
  ): (...args: [...Ids<Name>, options?: DownloadOptions]) => AdapterDownload {
    return (...args: unknown[]) => {
      const [ids, [options]] = split(name, args);
      return new AdapterDownload(this.transport, request(name, ...ids).path, options ?? {});
    };
  }

  #method<Name extends OperationName, Answer>(
    name: Name,
    read: Reader<Answer>,
    encode: Encoder,
    spec: Partial<RequestSpec>,
  ) {
    return async (...args: unknown[]): Promise<Answer> => {
      const [ids, rest] = split(name, args);
      const { method, path } = request(name, ...ids);
      const payload = encode(...(rest.slice(0, encode.length) as never[]));
      const { signal, idempotencyKey } = (rest[encode.length] ?? {}) as CreateOptions;
      return read(
        await this.transport.json({
          method,
          path,
          ...(method === 'POST' ? { json: payload } : { query: payload as Query | undefined }),
          ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
          ...spec,
          signal,
        }),
      );
    };
  }
}

/** Splits the arguments of a method behind its ids. */
function split<Name extends OperationName>(name: Name, args: unknown[]): [Ids<Name>, unknown[]] {
  const places = name.split('{').length - 1;
  return [args.slice(0, places) as Ids<Name>, args.slice(places)];
}
