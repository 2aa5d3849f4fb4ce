const CHUNK = 0x2000;

/** Bytes as base64. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  // A call takes so many arguments only.
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(text);
}

/** The bytes of base64. Throws if it is none. */
export function decodeBase64(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (it) => it.charCodeAt(0)).buffer;
}

/** A text as base64 that may stand in a header or an address. */
export function encodeBase64Url(text: string): string {
  const plain = encodeBase64(new TextEncoder().encode(text));
  return plain.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}
