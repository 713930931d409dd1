import type { ComponentChildren, JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import '../../styles/components/drop-zone.css';
import { Button } from './button.tsx';

/** Takes files that are dropped on it, or chosen by its button. */
export function DropZone({
  label,
  kind = 'main',
  children,
  onFiles,
}: {
  /** Of the button. */
  label: string;
  /** `plain` where the page is for something else. */
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
    // The same file again is a choice, too.
    currentTarget.value = '';
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button within does the same by keyboard
    <div
      class="drop-zone"
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
        accept=".jsonl,.json,.txt,application/jsonl,text/plain"
        onChange={onPick}
      />
      {children}
    </div>
  );
}
