// Loaded before a process's code: shifts its wall clock by CHAOS_CLOCK_SHIFT_SECONDS, as on a machine without NTP. Monotonic time,
// timers and other processes' clocks do not change.
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
