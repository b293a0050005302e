/** The function, with everything that it throws swallowed, now or later: whatever happens to us, the page must not notice. */
export const guard =
  <A extends unknown[]>(work: (...given: A) => unknown) =>
  async (...given: A): Promise<void> => {
    try {
      await work(...given);
    } catch {
      // The page keeps what it shows.
    }
  };
