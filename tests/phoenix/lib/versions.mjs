// The two versions of text frames, as a client writes and reads them.

export const V1 = {
  vsn: "1.0.0",
  encode: ({ joinRef, ref, topic, event, payload }) =>
    JSON.stringify({ topic, event, payload, ref, ...(joinRef === undefined ? {} : { join_ref: joinRef }) }),
  decode: (text) => {
    const { topic, event, payload, ref, ...rest } = JSON.parse(text);
    if (Object.keys(rest).length > 0) throw new Error(`version 1 has four keys: ${text}`);
    return { ref, topic, event, payload };
  },
  /** What a test expects, as this version can say it. */
  expected: ({ joinRef: _, ...message }) => message,
};

export const V2 = {
  vsn: "2.0.0",
  encode: ({ joinRef = null, ref, topic, event, payload }) => JSON.stringify([joinRef, ref, topic, event, payload]),
  decode: (text) => {
    const parts = JSON.parse(text);
    if (!Array.isArray(parts) || parts.length !== 5) throw new Error(`version 2 has five parts: ${text}`);
    const [joinRef, ref, topic, event, payload] = parts;
    return { joinRef, ref, topic, event, payload };
  },
  expected: (message) => message,
};

export const VERSIONS = [V1, V2];
