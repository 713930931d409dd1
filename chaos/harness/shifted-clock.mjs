// Loaded before a process's own code: its wall clock goes ahead or behind by CHAOS_CLOCK_SHIFT_SECONDS, as on a machine
// without NTP. Monotonic time, timers and what other processes see stay as they are.
const shift = Number(process.env.CHAOS_CLOCK_SHIFT_SECONDS) * 1000;
const RealDate = Date;
const now = () => RealDate.now() + shift;

globalThis.Date = class ShiftedDate extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now() {
    return now();
  }
};
