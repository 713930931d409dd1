import { type FileObject, GraftApiError } from '@graft/client';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { totalInvalidLines } from '../../components/invalid-lines.tsx';
import { toast } from '../../components/toast.tsx';
import { correctedName } from '../../data/correction/corrected-copy.ts';
import {
  type Correction,
  copyOf,
  type LineFault,
  openCorrection,
  textFault,
  textFaults,
} from '../../data/correction/correction.ts';
import { discardUpload, resumeUpload, uploadFiles, useUploads } from '../../data/uploads.ts';
import { counted } from '../../text/numbers.ts';

/** A JSON Lines file with invalid lines. */
export interface InvalidFile {
  name: string;
  /** The mapping of columns that the file was read with, which the copy gets too. */
  columns?: Record<string, string> | undefined;
  /** Reads the file; `onProgress` is called with the share that is read, if that takes long. */
  read: (options: { signal: AbortSignal; onProgress: (share: number) => void }) => Promise<Blob>;
  faults: readonly LineFault[];
  /** Number of invalid lines, of which `faults` may not list all. */
  total: number;
  onDone?: ((file: FileObject) => void) | undefined;
}

/** The faults of an error that name a line, and the number of all invalid lines. */
export function lineFaultsOf(error: unknown): { faults: GraftApiError['details']; total: number } {
  if (!(error instanceof GraftApiError)) return { faults: [], total: 0 };
  const faults = error.details.filter(({ line }) => line !== undefined);
  const listed = faults.reduce((sum, { count = 1 }) => sum + count, 0);
  return { faults, total: totalInvalidLines(error.message) ?? listed };
}

const noFaults: ReadonlyMap<number, string> = new Map();

/** The correction of a file, which lasts while the page is shown, so that closing the dialog loses nothing. */
export function useCorrection({ name: original, columns, read, faults, total, onDone }: InvalidFile) {
  const [isOpen, setIsOpen] = useState(false);
  const [correction, setCorrection] = useState<Correction | null>(null);
  const [isReading, setIsReading] = useState(false);
  const [share, setShare] = useState(0);
  const [error, setError] = useState<unknown>(null);
  /** Faults found before the copy is sent, by line. */
  const [faultsOfTexts, setFaultsOfTexts] = useState(noFaults);
  const [wasRefused, setWasRefused] = useState(false);
  /** Counts attempts to save, after which the first fault gets the focus. */
  const [attempts, setAttempts] = useState(0);
  const [name, setName] = useState(() => correctedName(original));
  const [uploadId, setUploadId] = useState<number | null>(null);
  const [, go] = useLocation();
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const upload = useUploads().find(({ id }) => id === uploadId);

  const load = async (open: (signal: AbortSignal) => Promise<Correction>) => {
    stop.current.abort();
    stop.current = new AbortController();
    const { signal } = stop.current;
    setIsReading(true);
    setError(null);
    try {
      const opened = await open(signal);
      if (!signal.aborted) setCorrection(opened);
    } catch (caught) {
      if (!signal.aborted) setError(readError(caught, original));
    }
    if (!signal.aborted) setIsReading(false);
  };
  const reload = () =>
    load(async (signal) => {
      const file = await read({ signal, onProgress: setShare });
      return await openCorrection(file, faults, total, null, signal);
    });

  const reset = () => {
    stop.current.abort();
    setIsReading(false);
    setShare(0);
    setCorrection(null);
    setError(null);
    setFaultsOfTexts(noFaults);
    setWasRefused(false);
  };

  useEffect(() => {
    if (upload?.state === 'done') {
      const { file } = upload;
      setUploadId(null);
      setIsOpen(false);
      reset();
      setName(correctedName(original));
      const action = file && { label: 'Open', run: () => go(`/files/${file.id}`) };
      toast(`${upload.name} saved with ${counted(file?.examples, 'example')}.`, action);
    } else if (upload?.state === 'refused') {
      const found = lineFaultsOf(upload.error);
      setUploadId(null);
      void discardUpload(upload.id);
      if (found.faults.length === 0) setError(upload.error);
      else if (correction) {
        setWasRefused(true);
        const { original: file } = correction;
        void load((signal) => openCorrection(file, found.faults, found.total, correction, signal));
      }
    }
  }, [upload?.state]);

  const changeLine = useCallback((number: number, changes: { edited?: string; isLeftOut?: boolean }) => {
    setCorrection(
      (before) =>
        before && {
          ...before,
          lines: before.lines.map((line) => (line.number === number ? { ...line, ...changes } : line)),
        },
    );
    const { edited, isLeftOut } = changes;
    const fault = edited === undefined ? null : textFault(edited, true);
    setFaultsOfTexts((before) => {
      // A line gets its first message when it is saved.
      if (!before.has(number) || isLeftOut === false) return before;
      const others = [...before].filter(([line]) => line !== number);
      return new Map(fault === null ? others : [...others, [number, fault]]);
    });
  }, []);

  return {
    isOpen,
    correction,
    isReading,
    share,
    error,
    faultsOfTexts,
    wasRefused,
    attempts,
    name,
    setName,
    upload,
    open: () => {
      setIsOpen(true);
      if (!correction && !isReading) void reload();
    },
    close: () => {
      setIsOpen(false);
      // Reads again what was not read yet; changes are kept.
      if (!correction) reset();
    },
    reload,
    changeLine,
    leaveOutRest: (isRestLeftOut: boolean) =>
      setCorrection((before) => before && { ...before, isRestLeftOut }),
    /** Leaves out every line that was not edited. */
    leaveOutAll: () => {
      if (!correction) return;
      const lines = correction.lines.map((line) => ({
        ...line,
        isLeftOut: line.isLeftOut || line.edited === null,
      }));
      const isOut = new Set(lines.filter(({ isLeftOut }) => isLeftOut).map(({ number }) => number));
      setCorrection({ ...correction, lines, isRestLeftOut: true });
      setFaultsOfTexts(new Map([...faultsOfTexts].filter(([number]) => !isOut.has(number))));
    },
    save: async () => {
      if (!correction || isReading || upload) return;
      const found = textFaults(correction);
      setFaultsOfTexts(found);
      setAttempts((before) => before + 1);
      setError(null);
      if (found.size > 0 || name.trim() === '') return;
      try {
        const copy = await copyOf(correction);
        const [id = null] = uploadFiles([new File([copy], name.trim())], { columns, onDone });
        setUploadId(id);
      } catch (caught) {
        setError(readError(caught, original));
      }
    },
    resume: () => upload && resumeUpload(upload.id),
  };
}

/** Browsers cannot read a selected file once it has changed. */
const readError = (error: unknown, name: string): unknown =>
  error instanceof DOMException && (error.name === 'NotReadableError' || error.name === 'NotFoundError')
    ? new Error(`${name} has changed on this machine since it was selected. Select it again.`)
    : error;
