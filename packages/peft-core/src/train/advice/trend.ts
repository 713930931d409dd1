/** The least-squares line through a sequence of numbers, in constant memory. */
export class Trend {
  #count = 0;
  #sum = 0;
  #squares = 0;
  /** Sum of each number times its index. */
  #weighted = 0;

  add(value: number): void {
    this.#weighted += value * this.#count++;
    this.#sum += value;
    this.#squares += value * value;
  }

  get mean(): number {
    return this.#sum / this.#count;
  }

  /** How far the line falls from the first number to the last, and the standard error of that fall; needs at least three numbers. */
  get fall(): { fall: number; error: number } {
    const n = this.#count;
    const xx = (n * (n * n - 1)) / 12;
    const xy = this.#weighted - ((n - 1) / 2) * this.#sum;
    const yy = this.#squares - this.#sum * this.mean;
    const slope = xy / xx;
    const variance = Math.max(0, yy - slope * xy) / (n - 2);
    return { fall: -slope * (n - 1), error: Math.sqrt(variance / xx) * (n - 1) };
  }
}
