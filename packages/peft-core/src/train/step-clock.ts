/** Speed over the last 20 steps. The first step, in which TensorFlow prepares the graph, counts only until there is a second. */
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
