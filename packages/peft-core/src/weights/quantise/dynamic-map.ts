/**
 * The 256 values of bitsandbytes' signed 8-bit dynamic type, ascending: seven decades down from 1, each with half the
 * steps of the one above, and 0 and 1. Equal to `create_dynamic_map()` bit for bit. Source: Dettmers 2016, arXiv:1511.04561.
 */
export function dynamicMap(): Float32Array {
  const round = Math.fround;
  const values = [0, 1];
  for (let exponent = 0; exponent < 7; exponent++) {
    const steps = 2 ** exponent;
    const width = round((1 - round(0.1)) / steps);
    // torch.linspace counts from the nearer end and rounds once.
    const boundary = (k: number) =>
      k < Math.floor((steps + 1) / 2) ? round(round(0.1) + width * k) : round(1 - width * (steps - k));
    const scale = round(10 ** (exponent - 6));
    for (let k = 0; k < steps; k++) {
      const mean = round(round(boundary(k) + boundary(k + 1)) / 2);
      values.push(round(scale * mean), -round(scale * mean));
    }
  }
  return Float32Array.from(values).sort();
}
