/** What can be said of something that was thrown. */

export const codeOf = (error: unknown): string | undefined => (error as { code?: string } | null)?.code;
export const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
