// node echo.mjs BASE_URL - what a WebSocket client may expect of `/echo`, and what it may not do.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import WebSocket from "ws";

import { OPCODE, closeCodeAfter, closePayload, frame } from "./lib/raw-socket.mjs";
import { check, parseArguments, run, socketAddress, within } from "./lib/run.mjs";

const DEADLINE_MS = 90_000;
const STEP_LIMIT_MS = 15_000;
const MESSAGE_SIZE_MAX = 1024 * 1024;
const PIPELINED = 1000;
const PATH = "/echo";

const { url } = parseArguments("echo.mjs BASE_URL");

/** A connection whose messages wait in order until they are asked for. */
class Client {
  #messages = [];
  #wake = () => {};

  static async open() {
    const client = new Client();
    client.socket = new WebSocket(socketAddress(url, PATH), { perMessageDeflate: false });
    client.closed = new Promise((resolve) => {
      client.socket.on("close", (code, reason) => {
        client.ended = `closed with ${code} ${reason}`;
        client.#wake();
        resolve(code);
      });
    });
    client.socket.on("message", (data, isBinary) => {
      client.#messages.push(isBinary ? data : data.toString());
      client.#wake();
    });
    const opened = new Promise((resolve, reject) => {
      client.socket.once("open", resolve);
      client.socket.once("error", reject);
    });
    await within(STEP_LIMIT_MS, "open connection", opened);
    // What goes wrong from here on shows in the close code.
    client.socket.on("error", () => {});
    return client;
  }

  async next() {
    const arrived = new Promise((resolve, reject) => {
      this.#wake = () => {
        if (this.#messages.length > 0) resolve();
        else if (this.ended) reject(new Error(`no message: ${this.ended}`));
      };
      this.#wake();
    });
    await within(STEP_LIMIT_MS, "message", arrived);
    return this.#messages.shift();
  }

  async echoes(message) {
    this.socket.send(message);
    await this.expect(message);
  }

  async expect(message) {
    const answer = await this.next();
    assert.equal(Buffer.isBuffer(answer), Buffer.isBuffer(message), "text stays text, binary stays binary");
    assert.equal(answer.length, message.length, "the echo is as long as the message");
    assert.ok(Buffer.isBuffer(message) ? answer.equals(message) : answer === message, "the echo is the message");
  }

  async pong(payload) {
    const answered = new Promise((resolve) => this.socket.once("pong", resolve));
    this.socket.ping(payload);
    const answer = await within(STEP_LIMIT_MS, "pong", answered);
    assert.deepEqual(answer, Buffer.from(payload), "a pong carries its ping's payload");
  }

  closeCode() {
    return within(STEP_LIMIT_MS, "close", this.closed);
  }

  async close(code = 1000, reason = "") {
    this.socket.close(code, reason);
    assert.equal(await this.closeCode(), code, "the server answers a close with the same code");
  }
}

async function withClient(body) {
  const client = await Client.open();
  await body(client);
  await client.close();
}

async function messages() {
  await check("text and binary come back as they were", () =>
    withClient(async (client) => {
      await client.echoes("hello");
      await client.echoes(Buffer.from([0, 1, 2, 253, 254, 255]));
    }));
  await check("unicode text comes back", () =>
    withClient((client) => client.echoes("Grüße, 世界 – שלום – 👩‍👩‍👧‍👦 – e\u0301 – \u0000 – \u{10ffff}")));
  await check("empty frames come back", () =>
    withClient(async (client) => {
      await client.echoes("");
      await client.echoes(Buffer.alloc(0));
    }));
  await check("lengths around the header's steps come back", () =>
    withClient(async (client) => {
      for (const size of [125, 126, 65_535, 65_536]) await client.echoes(randomBytes(size));
    }));
  await check("1 MiB of text and of bytes come back", () =>
    withClient(async (client) => {
      await client.echoes("towpath!".repeat(MESSAGE_SIZE_MAX / 8));
      await client.echoes(randomBytes(MESSAGE_SIZE_MAX));
    }));
  await check(`${PIPELINED} pipelined messages come back in order`, () =>
    withClient(async (client) => {
      for (let at = 0; at < PIPELINED; at += 1) client.socket.send(`message ${at}`);
      for (let at = 0; at < PIPELINED; at += 1) await client.expect(`message ${at}`);
    }));
}

async function fragments() {
  await check("a fragmented message comes back whole, a ping between its fragments is answered", () =>
    withClient(async (client) => {
      client.socket.send("one ", { fin: false });
      await client.pong("between");
      client.socket.send("two ", { fin: false });
      client.socket.send("", { fin: false });
      client.socket.send("three", { fin: true });
      await client.expect("one two three");

      const bytes = randomBytes(200_000);
      client.socket.send(bytes.subarray(0, 70_000), { fin: false, binary: true });
      await client.pong("");
      client.socket.send(bytes.subarray(70_000), { fin: true, binary: true });
      await client.expect(bytes);
    }));
  await check("a character may be split between fragments", () =>
    withClient(async (client) => {
      const text = Buffer.from("a👋b");
      client.socket.send(text.subarray(0, 3), { fin: false, binary: false });
      client.socket.send(text.subarray(3), { fin: true, binary: false });
      await client.expect("a👋b");
    }));
  await check("a ping gets a pong with its payload", () =>
    withClient(async (client) => {
      await client.pong("still there?");
      await client.pong("");
      await client.pong(randomBytes(125));
    }));
}

async function closing() {
  for (const code of [1000, 3001, 4999]) {
    await check(`a close with ${code} is answered with ${code}`, async () => {
      const client = await Client.open();
      await client.close(code, "good bye");
    });
  }
  await check("1 MiB and one byte is refused with 1009", async () => {
    const client = await Client.open();
    client.socket.send(randomBytes(MESSAGE_SIZE_MAX + 1));
    assert.equal(await client.closeCode(), 1009);
  });
  await check("fragments of 1 MiB and one byte together are refused with 1009", async () => {
    const client = await Client.open();
    client.socket.send(randomBytes(MESSAGE_SIZE_MAX), { fin: false, binary: true });
    client.socket.send(randomBytes(1), { fin: true, binary: true });
    assert.equal(await client.closeCode(), 1009);
  });
}

async function violations() {
  const { text, binary, continuation, close, ping } = OPCODE;
  const cases = [
    ["an unmasked frame", 1002, [frame(text, "bare", { masked: false })]],
    ["a reserved bit", 1002, [frame(text, "bits", { rsv: 4 })]],
    ["a reserved bit of the other two", 1002, [frame(text, "bits", { rsv: 3 })]],
    ["an unknown data opcode", 1002, [frame(3, "data")]],
    ["an unknown control opcode", 1002, [frame(11, "control")]],
    ["a fragmented control frame", 1002, [frame(ping, "ping", { fin: false })]],
    ["a control frame of 126 bytes", 1002, [frame(ping, Buffer.alloc(126))]],
    ["a continuation of nothing", 1002, [frame(continuation, "what?")]],
    ["a message inside a message", 1002, [frame(text, "one", { fin: false }), frame(binary, "two")]],
    ["a close frame of one byte", 1002, [frame(close, [3])]],
    ["a close code that may not be sent", 1002, [frame(close, closePayload(1005))]],
    ["invalid UTF-8 in a text", 1007, [frame(text, [0x61, 0xff, 0x62])]],
    ["an overlong encoding", 1007, [frame(text, [0xc0, 0xaf])]],
    ["a surrogate in UTF-8", 1007, [frame(text, [0xed, 0xa0, 0x80])]],
    ["a text that ends within a character", 1007, [frame(text, [0xf0, 0x9f, 0x91])]],
    [
      "invalid UTF-8 over two fragments",
      1007,
      [frame(text, [0x61, 0xe2, 0x82], { fin: false }), frame(continuation, [0x28])],
    ],
  ];
  for (const [name, code, frames] of cases) {
    await check(`${name} is refused with ${code}`, async () => {
      assert.equal(await closeCodeAfter(url, PATH, frames), code);
    });
  }
}

await run(DEADLINE_MS, async () => {
  await messages();
  await fragments();
  await closing();
  await violations();
});
