/** Many questions to a program that answers several at once. */

/**
 * Questions that come while others are being answered wait for these, and then go together. Where that fails, each is asked alone, so that one that has no answer keeps no
 * other from its own. `answer` must end by itself, and answers in the order of the questions.
 */
export function gathered<Q, A>(answer: (questions: readonly Q[]) => Promise<readonly A[]>): (question: Q) => Promise<A> {
  let waiting: { readonly question: Q; readonly resolve: (answer: A | PromiseLike<A>) => void }[] = []
  let busy = false

  const alone = async (question: Q): Promise<A> => {
    const [one] = await answer([question])
    return one as A
  }
  const work = async (): Promise<void> => {
    busy = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      const [first, ...others] = batch
      if (first !== undefined && others.length === 0) {
        const only = alone(first.question)
        first.resolve(only)
        await only.catch(() => undefined)
        continue
      }
      const answers = await answer(batch.map(({ question }) => question)).catch(() => undefined)
      batch.forEach(({ question, resolve }, index) => {
        resolve(answers === undefined ? alone(question) : (answers[index] as A))
      })
    }
    busy = false
  }

  return (question) =>
    new Promise((resolve) => {
      waiting.push({ question, resolve })
      if (!busy) void work()
    })
}
