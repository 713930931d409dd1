import { type FileHandle, open } from 'node:fs/promises';

const pieceBytes = 256 * 1024;

/**
 * A part of a file as a Blob that is read piece by piece. Unlike the FileBlob of @huggingface/hub its stream can be cancelled at any time:
 * `Readable.toWeb` in Node 20 throws from an event handler then, which nobody can catch. Reading throws if the file has become shorter.
 */
export class FilePart extends Blob {
  readonly #file: string;
  readonly #start: number;
  readonly #end: number;
  override readonly size: number;

  constructor(file: string, start: number, end: number) {
    super([]);
    this.#file = file;
    this.#start = start;
    this.#end = Math.max(start, end);
    this.size = this.#end - start;
  }

  override slice(start = 0, end = this.size): FilePart {
    const at = (offset: number) => this.#start + Math.min(Math.max(offset, 0), this.size);
    return new FilePart(this.#file, at(start), at(end));
  }

  override stream(): ReturnType<Blob['stream']> {
    let handle: FileHandle | undefined;
    let position = this.#start;
    const close = async () => {
      const opened = handle;
      handle = undefined;
      await opened?.close();
    };
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          if (position < this.#end) {
            handle ??= await open(this.#file);
            const piece = new Uint8Array(Math.min(pieceBytes, this.#end - position));
            const { bytesRead } = await handle.read(piece, 0, piece.byteLength, position);
            if (bytesRead === 0) throw shortened(this.#file);
            position += bytesRead;
            controller.enqueue(piece.subarray(0, bytesRead));
          }
          if (position < this.#end) return;
          await close();
          controller.close();
        } catch (error) {
          await close().catch(() => {});
          throw error;
        }
      },
      cancel: close,
    });
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    let length = 0;
    for await (const piece of this.stream()) {
      bytes.set(piece, length);
      length += piece.byteLength;
    }
    return bytes.buffer;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }
}

/** Looks like an error of the file system, so that callers see that the disk is at fault and not a connection. */
const shortened = (path: string): Error =>
  Object.assign(new Error('the file has become shorter'), { code: 'EIO', path });
