/** The values of vLLM's --max-lora-rank; adapters may have any rank up to it. Source: vllm/config/lora.py, MaxLoRARanks. */
export const vllmRanks = [1, 8, 16, 32, 64, 128, 256, 320, 512];

/** The smallest of vLLM's ranks that holds `rank`; null above the largest. */
export const vllmRank = (rank: number): number | null => vllmRanks.find((each) => each >= rank) ?? null;
