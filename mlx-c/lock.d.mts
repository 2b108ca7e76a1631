export function locked<T>(
  path: string,
  work: () => T | Promise<T>,
  onWait: (holder: number) => void,
): Promise<T>;
