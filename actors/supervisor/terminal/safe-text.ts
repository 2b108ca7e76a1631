/** Text of a model or a server, made harmless for a terminal: only newline and tab of the control characters stay. */
export const safeText = (text: string): string => text.replaceAll(/(?![\t\n])\p{Cc}/gu, "\ufffd");
