const scratch = new DataView(new ArrayBuffer(4));

/** Rounds a positive number to a type of weights: the field `dtype` of config.json. Types wider than 16 bits round to float32. */
export function roundedTo(dtype: unknown, value: number): number {
  if (dtype === 'bfloat16') {
    scratch.setFloat32(0, value);
    const bits = scratch.getUint32(0);
    // To nearest, ties to even.
    scratch.setUint32(0, (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
    return scratch.getFloat32(0);
  }
  if (dtype === 'float16') {
    const unit = 2 ** (Math.floor(Math.log2(value)) - 10);
    return Math.round(value / unit) * unit;
  }
  return Math.fround(value);
}
