/** Whole lines of bytes that come in pieces. */

export interface LineReader {
  data(chunk: Uint8Array): void
  /** The last line may have no line feed. */
  end(): void
}

export function lineReader(onLine: ((line: string) => void) | undefined): LineReader {
  const decoder = new TextDecoder()
  let rest = ''
  return {
    data: (chunk) => {
      rest += decoder.decode(chunk, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine?.(line.replace(/\r$/, ''))
    },
    end: () => {
      if (rest !== '') onLine?.(rest)
      rest = ''
    },
  }
}
