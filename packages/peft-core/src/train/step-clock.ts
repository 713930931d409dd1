/** Speed over the last steps; the first, in which TensorFlow prepares the graph, is left out as soon as others are there. */
export class StepClock {
  #steps: { tokens: number; seconds: number }[] = [];
  #first = true;

  add(tokens: number, seconds: number): void {
    if (this.#steps.length === 1 && this.#first) {
      this.#steps = [];
      this.#first = false;
    }
    this.#steps.push({ tokens, seconds });
    if (this.#steps.length > 20) this.#steps.shift();
  }

  tokensPerSecond(): number {
    return this.#steps.reduce((sum, s) => sum + s.tokens, 0) / this.#seconds();
  }

  secondsPerStep(): number {
    return this.#seconds() / this.#steps.length;
  }

  #seconds(): number {
    return this.#steps.reduce((sum, s) => sum + s.seconds, 0);
  }
}
