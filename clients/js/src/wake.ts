/**
 * Calls `listener` when a page is likely to have a network again: it has come
 * back online, is shown, or was taken out of the browser's memory of pages.
 * What is returned stops that. Outside of pages nothing is ever called.
 */
export function onWake(listener: () => void): () => void {
  const { document } = globalThis;
  if (document === undefined || typeof globalThis.addEventListener !== "function") return () => {};
  const shown = (): void => {
    if (document.visibilityState === "visible") listener();
  };
  globalThis.addEventListener("online", listener);
  globalThis.addEventListener("pageshow", listener);
  document.addEventListener("visibilitychange", shown);
  return () => {
    globalThis.removeEventListener("online", listener);
    globalThis.removeEventListener("pageshow", listener);
    document.removeEventListener("visibilitychange", shown);
  };
}
