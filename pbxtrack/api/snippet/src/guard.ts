/** The function, with everything that it throws swallowed: whatever happens to us, the page must not notice. */
export const guard =
  <A extends unknown[]>(work: (...given: A) => unknown) =>
  (...given: A): void => {
    try {
      work(...given);
    } catch {
      // The page keeps what it shows.
    }
  };
