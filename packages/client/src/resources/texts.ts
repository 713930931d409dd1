import type {
  ClassificationList,
  CreateClassification,
  CreateEmbedding,
  EmbeddingList,
} from '@graft/wire/types';
import type { Transport } from '../transport.ts';

interface CallOptions {
  signal?: AbortSignal;
}

type Embedding = EmbeddingList['data'][number];

/** Vectors as numbers. */
export type EmbeddingVectors = Omit<EmbeddingList, 'data'> & {
  data: (Omit<Embedding, 'embedding'> & { embedding: number[] })[];
};

/** `/embeddings`. */
export class Embeddings {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns a vector for each text, in order. */
  create(
    params: CreateEmbedding & { encoding_format?: 'float' | null },
    options?: CallOptions,
  ): Promise<EmbeddingVectors>;
  create(params: CreateEmbedding, options?: CallOptions): Promise<EmbeddingList>;
  create(params: CreateEmbedding, { signal }: CallOptions = {}): Promise<EmbeddingList> {
    return this.#transport.json({ method: 'POST', path: '/embeddings', json: params, signal });
  }
}

/** `/classify`. */
export class Classifications {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns the classes of each text, or of its words, in order. */
  create(params: CreateClassification, { signal }: CallOptions = {}): Promise<ClassificationList> {
    return this.#transport.json({ method: 'POST', path: '/classify', json: params, signal });
  }
}
