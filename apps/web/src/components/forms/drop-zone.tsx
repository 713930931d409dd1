import type { ComponentChildren, JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Button } from './button.tsx';

export function DropZone({
  label,
  kind = 'main',
  children,
  onFiles,
}: {
  label: string;
  /** `plain`: uploading is not the page's primary action. */
  kind?: 'main' | 'plain';
  children?: ComponentChildren;
  onFiles: (files: File[]) => void;
}) {
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const onDrop: JSX.DragEventHandler<HTMLElement> = (event) => {
    event.preventDefault();
    setIsOver(false);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) onFiles(files);
  };
  const onPick: JSX.GenericEventHandler<HTMLInputElement> = ({ currentTarget }) => {
    onFiles([...(currentTarget.files ?? [])]);
    // So that choosing the same file again fires a change event.
    currentTarget.value = '';
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button does the same by keyboard
    <div
      class="drop-zone row"
      data-over={isOver}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={onDrop}
    >
      <Button kind={kind} icon="up" onClick={() => input.current!.click()}>
        {label}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        accept=".jsonl,.json,.csv,.tsv,.parquet,.gz,.zst,.txt,application/jsonl,text/plain,text/csv"
        onChange={onPick}
      />
      {children}
    </div>
  );
}
