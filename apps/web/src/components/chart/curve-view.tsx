import { useQueryState } from '../../router/query-state.ts';
import { count } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { Button } from '../forms/button.tsx';
import { Checkbox, Choice } from '../forms/field.tsx';
import type { Window } from './chart.tsx';

const smoothings = { 0: 'Raw', 0.6: 'Smoothed', 0.95: 'Very smooth' };

/** Axis, smoothing and zoom of the charts, stored in the URL. */
export interface CurveView {
  xAxis: 'step' | 'time';
  /** Smoothing, 0 to 1. */
  weight: number;
  isLog: boolean;
  window: Window | null;
  onWindow: (window: Window | null) => void;
  formatX: (value: number) => string;
  set: (changes: Partial<Record<'along' | 'smooth' | 'log' | 'from' | 'to', string | null>>) => void;
}

export function useCurveView(): CurveView {
  const [{ along, smooth, log, from, to }, set] = useQueryState({
    along: 'step',
    smooth: '0',
    log: '',
    from: '',
    to: '',
  });
  const ends = [from, to].map((end) => (end === '' ? Number.NaN : Number(end)));
  const isTime = along === 'time';
  return {
    xAxis: isTime ? 'time' : 'step',
    weight: smooth in smoothings ? Number(smooth) : 0,
    isLog: log === '1',
    window: ends[0]! < ends[1]! ? [ends[0]!, ends[1]!] : null,
    onWindow: (next) =>
      set({ from: next && String(Math.round(next[0])), to: next && String(Math.round(next[1])) }),
    formatX: isTime ? duration : count,
    set,
  };
}

export function CurveOptions({
  view: { xAxis, weight, isLog, window, onWindow, formatX, set },
}: {
  view: CurveView;
}) {
  return (
    <div class="row curve-options">
      <Choice
        label="X axis"
        value={xAxis}
        onValue={(next) => set({ along: next, from: null, to: null })}
        options={{ step: 'Steps', time: 'Time' }}
      />
      <Choice
        label="Smoothing"
        value={String(weight)}
        onValue={(smooth) => set({ smooth })}
        options={smoothings}
      />
      <Checkbox label="Log scale" checked={isLog} onChecked={(on) => set({ log: on ? '1' : null })} />
      {window ? (
        <Button small icon="close" onClick={() => onWindow(null)}>
          {formatX(window[0])} to {formatX(window[1])}: show all
        </Button>
      ) : (
        <span class="small soft">Drag to zoom.</span>
      )}
    </div>
  );
}
